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
	c    *conn
	err  error // of the first statement that failed
	over bool  // the function has returned
	open []*Rows

	// Of an Update: the batch it is part of, whether it has written, and whether that went behind a savepoint.
	batch    *batch
	wrote    bool
	saved    bool
	onCommit []func()
}

var errOver = errors.New("the transaction is over")

// Exec runs a statement and returns how many rows it inserted, changed or deleted. Errors: ErrUnique, ErrReference,
// ErrReadOnly in a View, and those of the engine.
func (tx *Tx) Exec(query string, args ...any) (rowsAffected int64, err error) {
	s, err := tx.prepare(query)
	if err != nil {
		return 0, err
	}
	defer tx.c.release(s)
	values, err := tx.c.bind(args)
	if err != nil {
		return 0, tx.fail("run", query, err)
	}
	n, err := s.exec(values)
	if err != nil {
		return 0, tx.fail("run", query, err)
	}
	return n, nil
}

// Query runs a statement that returns rows. Rows that are not closed are closed when the function returns.
func (tx *Tx) Query(query string, args ...any) (*Rows, error) {
	r := &Rows{}
	if err := r.start(tx, query, args); err != nil {
		return nil, err
	}
	tx.open = append(tx.open, r)
	return r, nil
}

// QueryRow runs a statement that returns at most one row that matters, which Scan reads. Scan must be called.
func (tx *Tx) QueryRow(query string, args ...any) Row {
	return Row{tx: tx, query: query, args: args}
}

// OnCommit makes fn run once the changes of the transaction are durable, before Update returns. Across Updates these
// functions run one at a time and in the order of the commits, so they can keep a cache true. They hold up every other
// Update: keep them short, and don't use the DB in them. When the function runs again or fails, what it gave is forgotten.
func (tx *Tx) OnCommit(fn func()) {
	tx.onCommit = append(tx.onCommit, fn)
}

// prepare returns the statement of a query, with the transaction begun as far as the statement needs it.
func (tx *Tx) prepare(query string) (*stmt, error) {
	switch {
	case tx.over:
		return nil, errOver
	case tx.err != nil:
		return nil, tx.err
	}
	s, err := tx.c.prepare(query)
	if err != nil {
		return nil, tx.fail("prepare", query, err)
	}
	if tx.batch == nil {
		if s.writes && !s.mayRead {
			tx.c.release(s)
			return nil, tx.fail("run", query, ErrReadOnly)
		}
		return s, nil
	}
	if err := tx.batch.ready(tx, s.writes); err != nil {
		tx.c.release(s)
		return nil, tx.fail("begin", query, err)
	}
	return s, nil
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
	s     *stmt // nil once closed
	rows  driver.Rows
	row   []driver.Value
	err   error
}

func (r *Rows) start(tx *Tx, query string, args []any) error {
	s, err := tx.prepare(query)
	if err != nil {
		return err
	}
	values, err := tx.c.bind(args)
	if err != nil {
		tx.c.release(s)
		return tx.fail("query", query, err)
	}
	rows, err := s.query(values)
	if err != nil {
		tx.c.release(s)
		return tx.fail("query", query, err)
	}
	*r = Rows{tx: tx, query: query, s: s, rows: rows, row: s.row(len(rows.Columns()))}
	return nil
}

// Next goes to the next row and reports whether there is one.
func (r *Rows) Next() bool {
	if r.s == nil {
		return false
	}
	err := r.rows.Next(r.row)
	if err == nil {
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
	if r.s == nil {
		return errors.New("scan without a row")
	}
	return scanRow(r.row, dest)
}

// Err returns the error that ended the rows early, if one did.
func (r *Rows) Err() error { return r.err }

// Close ends the query. Closing again does nothing.
func (r *Rows) Close() error {
	if r.s == nil {
		return nil
	}
	err := r.rows.Close()
	r.tx.c.release(r.s)
	r.s, r.rows, r.row = nil, nil, nil
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
}

// Scan runs the query and copies the columns of its first row, as Rows.Scan does. The error is ErrNoRows when there is
// none.
func (r Row) Scan(dest ...any) error {
	var rows Rows
	if err := rows.start(r.tx, r.query, r.args); err != nil {
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
	if rows.s.writes {
		// A statement that writes has done so only when it is through with its rows.
		for rows.Next() {
		}
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
