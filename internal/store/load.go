package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"
)

const (
	// loadRows is how many rows one statement inserts, and loadBatch and loadBytes how much one transaction does: few round
	// trips, and little memory.
	loadRows  = 100
	loadBatch = 2000
	loadBytes = 4 << 20
)

// Load fills a database, which has no rows but marks, from a dump; see Empty. It compares what it has read with the sums of the
// dump. Rows come in many transactions: until it is over, and after an error, there are some of them. The reader is read up to the
// end of the dump and perhaps beyond. Errors are ErrDump, those of the reader, of the database and ctx's.
func (db *DB) Load(ctx context.Context, r io.Reader, o CopyOptions) (Contents, error) {
	d, err := newDumpReader(r)
	if err != nil {
		return nil, err
	}
	return db.load(ctx, d, o)
}

func (db *DB) load(ctx context.Context, d *dumpReader, o CopyOptions) (contents Contents, err error) {
	var tables []table
	if err := db.View(ctx, func(tx *Tx) (err error) {
		tables, err = db.tables(tx)
		return err
	}); err != nil {
		return nil, err
	}
	for {
		kind, err := d.letter()
		if err != nil {
			return nil, err
		}
		switch kind {
		case recordTable:
			t, err := d.table()
			if err != nil {
				return nil, err
			}
			if err := t.fits(tables); err != nil {
				return nil, err
			}
			l := loader{db: db, table: t, sum: sha256.New()}
			one, err := l.load(ctx, d, o)
			if err != nil {
				return nil, fmt.Errorf("fill table %s: %w", t.name, err)
			}
			contents = append(contents, one)
		case recordLast:
			n, err := d.number(maxColumns)
			if err != nil {
				return nil, err
			}
			if int(n) != len(contents) || len(contents) != len(tables) {
				return nil, fmt.Errorf("%w: they are of %d tables, and %d were expected", ErrDump, len(contents), len(tables))
			}
			return contents, nil
		default:
			return nil, fmt.Errorf("%w: there is no record %q", ErrDump, kind)
		}
	}
}

// fits reports whether one of tables is the same.
func (t table) fits(tables []table) error {
	i := slices.IndexFunc(tables, func(other table) bool { return other.name == t.name })
	if i < 0 {
		return fmt.Errorf("%w: the schema has no table %q", ErrDump, t.name)
	}
	if !slices.Equal(t.columns, tables[i].columns) {
		return fmt.Errorf("%w: table %s has other columns in the schema", ErrDump, t.name)
	}
	return nil
}

// loader fills one table.
type loader struct {
	db    *DB
	table table
	sum   hash.Hash
	// rows wait to be inserted; bytes is about how large they are.
	rows  [][]any
	bytes int
	many  string // inserts loadRows
	one   string
}

func (l *loader) load(ctx context.Context, d *dumpReader, o CopyOptions) (c TableContents, err error) {
	c.Name = l.table.name
	l.many, l.one = l.insertion(loadRows), l.insertion(1)
	var scratch []byte
	for {
		kind, err := d.letter()
		if err != nil {
			return c, err
		}
		if kind == recordEnd {
			break
		}
		if kind != recordRow {
			return c, fmt.Errorf("%w: there is no record %q of a table", ErrDump, kind)
		}
		row, err := d.row(len(l.table.columns))
		if err != nil {
			return c, err
		}
		if scratch, err = appendRow(scratch[:0], row); err != nil {
			return c, err
		}
		l.sum.Write(scratch)
		l.rows, l.bytes = append(l.rows, row), l.bytes+len(scratch)
		if c.Rows++; len(l.rows) >= loadBatch || l.bytes >= loadBytes {
			if err := l.flush(ctx); err != nil {
				return c, err
			}
			o.tell(c.Name, c.Rows)
		}
	}
	if err := l.flush(ctx); err != nil {
		return c, err
	}
	o.tell(c.Name, c.Rows)
	l.sum.Sum(c.Sum[:0])
	return c, l.compare(d, c)
}

// compare reads what follows a recordEnd.
func (l *loader) compare(d *dumpReader, c TableContents) error {
	n, err := d.number(1 << 62)
	if err != nil {
		return err
	}
	var sum [sha256.Size]byte
	if _, err := io.ReadFull(d.r, sum[:]); err != nil {
		return damaged(err)
	}
	if int64(n) != c.Rows || sum != c.Sum {
		return fmt.Errorf("%w: the sum of the rows is another", ErrDump)
	}
	return nil
}

// insertion is a statement that inserts so many rows.
func (l *loader) insertion(rows int) string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + l.table.name + " (" + strings.Join(l.table.columns, ", ") + ") VALUES ")
	n := 0
	for row := range rows {
		if row > 0 {
			b.WriteString(", ")
		}
		b.WriteByte('(')
		for column := range l.table.columns {
			if column > 0 {
				b.WriteString(", ")
			}
			n++
			b.WriteString("$" + strconv.Itoa(n))
		}
		b.WriteByte(')')
	}
	return b.String()
}

// flush inserts the rows that wait.
func (l *loader) flush(ctx context.Context) error {
	if len(l.rows) == 0 {
		return ctx.Err()
	}
	err := l.db.Update(ctx, func(tx *Tx) error {
		rest := l.rows
		for ; len(rest) >= loadRows; rest = rest[loadRows:] {
			if _, err := tx.Exec(l.many, slices.Concat(rest[:loadRows]...)...); err != nil {
				return err
			}
		}
		for _, row := range rest {
			if _, err := tx.Exec(l.one, row...); err != nil {
				return err
			}
		}
		return nil
	})
	clear(l.rows)
	l.rows, l.bytes = l.rows[:0], 0
	return err
}

// Empty deletes all rows of a database but the marks, in many transactions.
func (db *DB) Empty(ctx context.Context) error {
	var tables []table
	if err := db.View(ctx, func(tx *Tx) (err error) {
		tables, err = db.tables(tx)
		return err
	}); err != nil {
		return err
	}
	for _, t := range slices.Backward(tables) {
		if err := db.empty(ctx, t); err != nil {
			return fmt.Errorf("empty table %s: %w", t.name, err)
		}
	}
	return nil
}

func (db *DB) empty(ctx context.Context, t table) error {
	key := strings.Join(t.key, ", ")
	kept := ""
	if t.name == settingTable {
		kept = " WHERE name NOT LIKE '" + markPrefix + "%'"
	}
	query := "DELETE FROM " + t.name + " WHERE (" + key + ") IN (SELECT " + key + " FROM " + t.name + kept + " LIMIT " + strconv.Itoa(loadBatch) + ")"
	for {
		var n int64
		err := db.Update(ctx, func(tx *Tx) (err error) {
			n, err = tx.Exec(query)
			return err
		})
		if err != nil || n == 0 {
			return err
		}
	}
}

// Vacant reports whether a database has no rows but marks.
func (db *DB) Vacant(ctx context.Context) (vacant bool, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		vacant = true
		tables, err := db.tables(tx)
		if err != nil {
			return err
		}
		for _, t := range tables {
			rows, err := tx.Query("SELECT " + strings.Join(t.key, ", ") + " FROM " + t.name + " ORDER BY " + strings.Join(t.key, ", "))
			if err != nil {
				return err
			}
			for vacant && rows.Next() {
				first := make([]any, len(t.key))
				dest := make([]any, len(t.key))
				for i := range first {
					dest[i] = &first[i]
				}
				if err := rows.Scan(dest...); err != nil {
					return err
				}
				vacant = isMark(t.name, first)
			}
			if err := rows.Close(); err != nil || !vacant {
				return err
			}
		}
		return nil
	})
	return vacant, err
}

// Copy fills a database, which has no rows but marks, with all rows of another as one state of it has them. Little of them is in
// memory at once. The error is as of Load; after one, some of the rows are there.
func Copy(ctx context.Context, from, to *DB, o CopyOptions) (Contents, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	dumped := make(chan error, 1)
	var source Contents
	go func() {
		err := from.Snapshot(ctx, func(tx *Tx) (err error) {
			source, err = from.Dump(ctx, tx, w, CopyOptions{Without: o.Without})
			return err
		})
		w.CloseWithError(err)
		dumped <- err
	}()
	loaded, err := to.Load(ctx, r, o)
	if err != nil {
		cancel()
	} else if _, err = io.Copy(io.Discard, r); err != nil {
		err = fmt.Errorf("read the rest of the rows: %w", err)
	}
	r.CloseWithError(errStopped)
	if dumpErr := <-dumped; dumpErr != nil && !errors.Is(dumpErr, errStopped) && (err == nil || !errors.Is(dumpErr, context.Canceled)) {
		return nil, dumpErr
	}
	if err != nil {
		return nil, err
	}
	if faults := source.Differences(loaded); len(faults) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrDump, faults[0])
	}
	return loaded, nil
}

var errStopped = errors.New("nobody reads on")
