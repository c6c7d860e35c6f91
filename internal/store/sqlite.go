package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// sqliteDB is a database in a file of the data folder: one connection that writes, others that read, and one that copies the
// log of changes into the file. The file belongs to one process, so there is nobody else to hear of changes from.
type sqliteDB struct {
	group   group
	readers pool[*conn]
	nested  pool[*conn]
	ckpt    checkpointer
}

func openSQLite(ctx context.Context, dir string, o Options, migrations fs.FS) (*sqliteDB, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path, err := prepareFolder(dir)
	if err != nil {
		return nil, err
	}
	writer, err := connect(path, roleWriter, o.cachePerConnection()*writerCacheShares)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, writer, migrations); err != nil {
		return nil, errors.Join(err, writer.close())
	}
	copier, err := connect(path, roleCheckpointer, checkpointerCache)
	if err != nil {
		return nil, errors.Join(err, writer.close())
	}
	e := &sqliteDB{}
	reader := func(context.Context) (*conn, error) { return connect(path, roleReader, o.cachePerConnection()) }
	e.readers.init(o.readers(), reader)
	e.nested.init(nestedReaders, reader)
	e.ckpt.init(copier, &e.group)
	e.group.init(writer, e.ckpt.committed)
	e.ckpt.start()
	return e, nil
}

func (e *sqliteDB) close() error {
	return errors.Join(e.readers.close(), e.nested.close(), e.ckpt.close(), e.group.close())
}

func (e *sqliteDB) view(ctx context.Context, nested bool, fn func(*Tx) error) error {
	from := &e.readers
	if nested {
		from = &e.nested
	}
	c, err := from.take(ctx)
	if err != nil {
		return err
	}
	defer from.put(c)
	if err := c.run(stmtBegin); err != nil {
		return fmt.Errorf("begin to read: %w", translate(err))
	}
	tx := &Tx{session: c}
	defer func() {
		tx.end()
		if c.run(stmtCommit) != nil { // Nothing was written, so nothing is lost; but the next BEGIN needs an end of this.
			c.run(stmtRollback)
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	return tx.err
}

// snapshot holds up nobody, but the log of changes grows until it is over.
func (e *sqliteDB) snapshot(ctx context.Context, fn func(*Tx) error) error {
	return e.view(ctx, false, fn)
}

func (e *sqliteDB) catalogue() (columns, references string) {
	return `SELECT t.name, c.name, c.pk FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c
			WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' ORDER BY t.name, c.cid`,
		`SELECT t.name, r."table" FROM sqlite_schema AS t JOIN pragma_foreign_key_list(t.name) AS r WHERE t.type = 'table'`
}

func (e *sqliteDB) update(ctx context.Context, fn func(*Tx) error) error {
	return e.group.update(ctx, fn)
}

func (e *sqliteDB) sessions(context.Context) (int64, error) { return 0, nil }

func (e *sqliteDB) fresh(context.Context) error { return nil }

func (e *sqliteDB) offset() time.Duration { return 0 }

func (e *sqliteDB) ping(ctx context.Context) error {
	return e.view(ctx, false, func(tx *Tx) error {
		var n int
		return tx.QueryRow(`SELECT count(*) FROM setting`).Scan(&n)
	})
}

func (e *sqliteDB) stats() Stats {
	return Stats{Engine: "sqlite", InUse: e.readers.inUse(), Open: e.readers.open(), Max: cap(e.readers.places)}
}

// start prepares a statement, with the transaction begun as far as the statement needs it.
func (c *conn) start(tx *Tx, query string, args []any) (*stmt, []driver.NamedValue, error) {
	s, err := c.prepare(query)
	if err != nil {
		return nil, nil, err
	}
	if tx.batch == nil {
		if s.writes && !s.mayRead {
			err = ErrReadOnly
		}
	} else {
		err = tx.batch.ready(tx, s.writes)
	}
	if err != nil {
		c.release(s)
		return nil, nil, err
	}
	values, err := c.bind(args)
	if err != nil {
		c.release(s)
		return nil, nil, err
	}
	return s, values, nil
}

func (c *conn) send(tx *Tx, query string, args []any) error {
	_, err := c.exec(tx, query, args)
	return err
}

func (c *conn) exec(tx *Tx, query string, args []any) (int64, error) {
	s, values, err := c.start(tx, query, args)
	if err != nil {
		return 0, err
	}
	defer c.release(s)
	return s.exec(values)
}

func (c *conn) query(tx *Tx, query string, args []any, _ bool) (cursor, error) {
	s, values, err := c.start(tx, query, args)
	if err != nil {
		return nil, err
	}
	rows, err := s.query(values)
	if err != nil {
		c.release(s)
		return nil, err
	}
	return &sqliteRows{c: c, s: s, rows: rows, row: s.row(len(rows.Columns()))}, nil
}

// prefetch leaves it to Scan to run the queries, since there is no round trip to save.
func (c *conn) prefetch(*Tx, []*Row) error { return nil }

// sqliteRows are the rows of a statement that is under way.
type sqliteRows struct {
	c    *conn
	s    *stmt
	rows driver.Rows
	row  []driver.Value
}

func (r *sqliteRows) next() ([]driver.Value, error) { return r.row, r.rows.Next(r.row) }

// finish goes through the rows: a statement that writes has done so only then.
func (r *sqliteRows) finish() error {
	if !r.s.writes {
		return nil
	}
	for {
		if err := r.rows.Next(r.row); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func (r *sqliteRows) close() error {
	err := r.rows.Close()
	r.c.release(r.s)
	return err
}

func (e *sqliteDB) understands(ctx context.Context, query string) error {
	c, err := e.readers.take(ctx)
	if err != nil {
		return err
	}
	defer e.readers.put(c)
	s, err := c.prepare(query)
	if err == nil {
		c.release(s)
	}
	return translate(err)
}

var sqliteParameter = regexp.MustCompile(`\$([0-9]{1,4})`)

func (e *sqliteDB) explain(ctx context.Context, query string) (_ string, err error) {
	c, err := e.readers.take(ctx)
	if err != nil {
		return "", err
	}
	defer e.readers.put(c)
	s, err := c.raw.Prepare("EXPLAIN QUERY PLAN " + query)
	if err != nil {
		return "", translate(err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	// The driver doesn't say how many arguments a statement has.
	var args []driver.NamedValue
	for _, found := range sqliteParameter.FindAllStringSubmatch(query, -1) {
		n, err := strconv.Atoi(found[1])
		if err != nil {
			return "", fmt.Errorf("a parameter of the statement: %w", err)
		}
		for len(args) < n {
			args = append(args, driver.NamedValue{Ordinal: len(args) + 1})
		}
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return "", translate(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var steps []string
	row := make([]driver.Value, len(rows.Columns()))
	for {
		switch err := rows.Next(row); err {
		case nil:
			steps = append(steps, fmt.Sprint(row[len(row)-1]))
		case io.EOF:
			return strings.Join(steps, "\n"), nil
		default:
			return "", translate(err)
		}
	}
}
