package store

import (
	"context"
	"database/sql/driver"
	"time"
)

// engine is what the databases do each in its own way: SQLite in sqlite.go, PostgreSQL in postgres.go.
type engine interface {
	// view and update are those of DB; nested says that the View is made within another transaction.
	view(ctx context.Context, nested bool, fn func(*Tx) error) error
	update(ctx context.Context, fn func(*Tx) error) error
	// snapshot is a view that may take as long as it takes, and is not run again.
	snapshot(ctx context.Context, fn func(*Tx) error) error
	// catalogue gives the queries for the columns of all tables, in their order, as table, column and place in the primary key
	// from 1 on or 0, and for the references between tables, as table and the one that it refers to.
	catalogue() (columns, references string)
	// sessions counts the sessions of others in the database.
	sessions(ctx context.Context) (int64, error)
	// fresh returns once the subscribers were told of every change that had committed when it was called.
	fresh(ctx context.Context) error
	// offset is how far the clock of the database is ahead of this process's.
	offset() time.Duration
	check(ctx context.Context, fault func(string)) error
	scrub(ctx context.Context, tables []string) error
	ping(ctx context.Context) error
	understands(ctx context.Context, query string) error
	explain(ctx context.Context, query string) (string, error)
	stats() Stats
	close() error
}

// session runs the statements of one transaction. Errors are the engine's own, which translate knows.
type session interface {
	exec(tx *Tx, query string, args []any) (rowsAffected int64, err error)
	// send runs a statement at the latest before what comes next.
	send(tx *Tx, query string, args []any) error
	// query runs a statement that returns rows. single says that no more than the first of them is of interest.
	query(tx *Tx, query string, args []any, single bool) (cursor, error)
	// prefetch runs the queries of rows at once where that saves a round trip, and gives each what it read.
	prefetch(tx *Tx, rows []*Row) error
}

// cursor is the rows of a query that were not read yet.
type cursor interface {
	// next returns a row, which is good until the next call, or io.EOF.
	next() ([]driver.Value, error)
	// finish is told that no more rows are wanted of a statement that may write, and sees that it writes all.
	finish() error
	close() error
}
