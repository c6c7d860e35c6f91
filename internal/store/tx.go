package store

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
)

// Tx is a transaction. It belongs to the function that got it: one goroutine, and only until the function returns.
//
// A query is one statement: SELECT, VALUES, WITH, INSERT, UPDATE, DELETE, CREATE, DROP or ALTER. Values are never part of
// its text but arguments for $1…$n: nil, integers, strings, byte slices, float64, bool (stored as 0 or 1), time.Time
// (stored as microseconds since 1970), pointers to these, types made of these, and driver.Valuer. A nil pointer and a nil
// slice are NULL.
//
// The first statement that fails ends the transaction, as it does in PostgreSQL: later ones return the same error, and
// so do View and Update even if the function returns nil. Not finding a row is no failure.
type Tx struct {
	session session
	err     error // of the first statement that failed
	over    bool  // the function has returned
	open    []*Rows

	// Of an Update: what runs after the commit, which topics it touched, and who is told of them.
	onCommit    []func()
	topics      []string
	subscribers *subscribers
	// Of an Update of SQLite: the batch it is part of, whether it has written, and whether that went behind a savepoint.
	batch *batch
	wrote bool
	saved bool
}

var errOver = errors.New("the transaction is over")

// Exec runs a statement and returns how many rows it inserted, changed or deleted. Errors: ErrUnique, ErrReference,
// ErrReadOnly in a View, and those of the engine.
func (tx *Tx) Exec(query string, args ...any) (rowsAffected int64, err error) {
	if err := tx.usable(); err != nil {
		return 0, err
	}
	n, err := tx.session.exec(tx, query, args)
	if err != nil {
		return 0, tx.fail("run", query, err)
	}
	return n, nil
}

// Send runs a statement for which nobody waits: it takes effect before whatever the transaction does next, and its error may come only
// then, or in place of the commit. It costs a database beyond a network no round trip. The arguments are not to be changed any more.
func (tx *Tx) Send(query string, args ...any) error {
	if err := tx.usable(); err != nil {
		return err
	}
	if err := tx.session.send(tx, query, args); err != nil {
		return tx.fail("run", query, err)
	}
	return nil
}

// Query runs a statement that returns rows. Rows that are not closed are closed when the function returns.
func (tx *Tx) Query(query string, args ...any) (*Rows, error) {
	r := &Rows{}
	if err := r.start(tx, query, args, false); err != nil {
		return nil, err
	}
	tx.open = append(tx.open, r)
	return r, nil
}

// QueryRow runs a statement that returns at most one row that matters, which Scan reads. Scan must be called.
func (tx *Tx) QueryRow(query string, args ...any) Row {
	return Row{tx: tx, query: query, args: args}
}

// Prefetch runs the queries of rows that QueryRow gave and that are to be scanned soon, all at once: a database beyond a network answers
// them in one round trip. Whether a row has what the transaction changes between Prefetch and Scan is not said. A row that was
// prefetched may still go unscanned.
func (tx *Tx) Prefetch(rows ...*Row) error {
	if err := tx.usable(); err != nil {
		return err
	}
	if len(rows) == 0 {
		return nil
	}
	if err := tx.session.prefetch(tx, rows); err != nil {
		return tx.fail("query", rows[0].query, err)
	}
	return nil
}

// OnCommit makes fn run once the changes of the transaction are durable, before Update returns. Across Updates these
// functions run one at a time, but those of Updates that ran side by side in any order: a function may forget what is out of date,
// and not remember what came in its place. They hold up other Updates: keep them short, and don't use the DB in them. When the
// function runs again or fails, what it gave is forgotten.
func (tx *Tx) OnCommit(fn func()) {
	tx.onCommit = append(tx.onCommit, fn)
}

func (tx *Tx) usable() error {
	if tx.over {
		return errOver
	}
	return tx.err
}

// fail notes a statement's error as the transaction's.
func (tx *Tx) fail(verb, query string, err error) error {
	const shown = 80
	if len(query) > shown {
		query = query[:shown] + "…"
	}
	tx.err = fmt.Errorf("%s %q: %w", verb, query, translate(err))
	return tx.err
}

// committed does what is to be done after the commit.
func (tx *Tx) committed() {
	if len(tx.topics) > 0 {
		tx.subscribers.tell(tx.topics...)
	}
	for _, fn := range tx.onCommit {
		fn()
	}
}

// end closes what the function left open and makes tx unusable.
func (tx *Tx) end() {
	for _, r := range tx.open {
		r.Close()
	}
	tx.open, tx.over = nil, true
}

// Rows is the result of a query: call Next before each row, Scan in it, Err after the last, Close when done.
type Rows struct {
	tx    *Tx
	query string
	rows  cursor // nil once closed
	row   []driver.Value
	err   error
}

func (r *Rows) start(tx *Tx, query string, args []any, single bool) error {
	if err := tx.usable(); err != nil {
		return err
	}
	rows, err := tx.session.query(tx, query, args, single)
	if err != nil {
		return tx.fail("query", query, err)
	}
	*r = Rows{tx: tx, query: query, rows: rows}
	return nil
}

// Next goes to the next row and reports whether there is one.
func (r *Rows) Next() bool {
	if r.rows == nil {
		return false
	}
	var err error
	if r.row, err = r.rows.next(); err == nil {
		return true
	}
	if err != io.EOF {
		r.err = r.tx.fail("read rows of", r.query, err)
	}
	r.Close()
	return false
}

// Scan copies the columns of the current row to what dest points to: *string, *[]byte, *bool, *time.Time, integers,
// *float64, types made of these, *any, sql.Scanner, and pointers to pointers for columns that may be NULL. A NULL makes a
// byte slice nil; other values can't hold it. Byte slices are the caller's own.
func (r *Rows) Scan(dest ...any) error {
	if r.rows == nil {
		return errors.New("scan without a row")
	}
	return scanRow(r.row, dest)
}

// Err returns the error that ended the rows early, if one did.
func (r *Rows) Err() error { return r.err }

// Close ends the query. Closing again does nothing.
func (r *Rows) Close() error {
	if r.rows == nil {
		return nil
	}
	err := r.rows.close()
	r.rows, r.row = nil, nil
	if err != nil && r.err == nil {
		r.err = r.tx.fail("close rows of", r.query, err)
	}
	return r.err
}

// Row is the result of QueryRow.
type Row struct {
	tx    *Tx
	query string
	args  []any
	ahead cursor // what Prefetch read; nil if the query is still to be run
}

// Scan runs the query and copies the columns of its first row, as Rows.Scan does. The error is ErrNoRows when there is
// none.
func (r Row) Scan(dest ...any) error {
	var rows Rows
	if r.ahead != nil {
		if err := r.tx.usable(); err != nil {
			return err
		}
		rows = Rows{tx: r.tx, query: r.query, rows: r.ahead}
	} else if err := rows.start(r.tx, r.query, r.args, true); err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		if rows.err != nil {
			return rows.err
		}
		return ErrNoRows
	}
	if err := rows.Scan(dest...); err != nil {
		return fmt.Errorf("read the row: %w", err)
	}
	if err := rows.rows.finish(); err != nil {
		return r.tx.fail("finish", r.query, err)
	}
	rows.Close()
	return rows.err
}

// Scanner is a row, or the current one of several.
type Scanner interface{ Scan(dest ...any) error }

// Collect scans all rows and closes them. What it returns is not nil unless the error isn't.
func Collect[T any](rows *Rows, scan func(Scanner) (T, error)) ([]T, error) {
	defer rows.Close()
	all := []T{}
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// Value scans a row of one column, for Collect.
func Value[T any](row Scanner) (v T, err error) {
	err = row.Scan(&v)
	return v, err
}
