package store

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"slices"
)

// The dump is all rows of an installation, of one state of its database, as a stream that either engine's database can be filled
// from. It is a line of text and then records, each a letter and what belongs to it; numbers are variable-length integers of
// encoding/binary, and texts follow their length.
//
//	T name, number of columns, columns    a table begins
//	R a value for each column             a row, in the order of the primary key
//	E number of rows, SHA-256             the table ends; the sum is that of its records R without the letters
//	Z number of tables                    the end
//
// A value is a letter, n for NULL, i for an integer, t for a text, b for bytes, f for a float, and what belongs to it.
const dumpMagic = "coffer rows 1\n"

const (
	recordTable = 'T'
	recordRow   = 'R'
	recordEnd   = 'E'
	recordLast  = 'Z'

	valueNull  = 'n'
	valueInt   = 'i'
	valueText  = 't'
	valueBytes = 'b'
	valueFloat = 'f'

	// maxValue and maxColumns bound what a damaged dump can make its reader allocate.
	maxValue   = 256 << 20
	maxColumns = 1000
	maxName    = 1000
)

// ErrDump means that a dump is damaged, cut short, or of a version that this program doesn't know.
var ErrDump = errors.New("the rows are damaged, cut short or of an unknown version")

// Contents says what the tables of a database hold.
type Contents []TableContents

// TableContents says what a table holds.
type TableContents struct {
	Name string
	Rows int64
	// Sum is the SHA-256 of all rows in the order of their keys. It is the same with every engine.
	Sum [sha256.Size]byte
}

// Rows is the number of all rows.
func (c Contents) Rows() (n int64) {
	for _, t := range c {
		n += t.Rows
	}
	return n
}

// Differences tells in one sentence each what other has that c hasn't, or has otherwise.
func (c Contents) Differences(other Contents) (faults []string) {
	found := map[string]TableContents{}
	for _, t := range other {
		found[t.Name] = t
	}
	for _, t := range c {
		o, ok := found[t.Name]
		delete(found, t.Name)
		switch {
		case !ok:
			faults = append(faults, fmt.Sprintf("table %s is missing", t.Name))
		case o.Rows != t.Rows:
			faults = append(faults, fmt.Sprintf("table %s has %d rows in place of %d", t.Name, o.Rows, t.Rows))
		case o.Sum != t.Sum:
			faults = append(faults, fmt.Sprintf("table %s has the right number of rows, %d, but not the same ones", t.Name, t.Rows))
		}
	}
	for name := range found {
		faults = append(faults, fmt.Sprintf("table %s is not expected", name))
	}
	return faults
}

// CopyOptions say what is copied.
type CopyOptions struct {
	// Without are tables whose rows are left behind.
	Without []string
	// Tell is called now and then with how many rows of which table were copied; nil is nobody.
	Tell func(table string, rows int64)
}

func (o CopyOptions) tell(table string, rows int64) {
	if o.Tell != nil {
		o.Tell(table, rows)
	}
}

// tellEvery is how many rows are copied between two calls of Tell.
const tellEvery = 1000

// Dump writes all rows as one transaction sees them, and says what they are. Errors are those of the writer, of the database and
// ctx's.
func (db *DB) Dump(ctx context.Context, tx *Tx, w io.Writer, o CopyOptions) (Contents, error) {
	tables, err := db.tables(tx)
	if err != nil {
		return nil, err
	}
	d := dumper{w: bufio.NewWriterSize(w, 64<<10), sum: sha256.New()}
	d.w.WriteString(dumpMagic)
	var contents Contents
	for _, t := range tables {
		one, err := d.table(ctx, tx, t, o)
		if err != nil {
			return nil, fmt.Errorf("copy the rows of table %s: %w", t.name, err)
		}
		contents = append(contents, one)
	}
	d.w.WriteByte(recordLast)
	d.w.Write(binary.AppendUvarint(nil, uint64(len(tables))))
	return contents, d.w.Flush() // which gives the error of any write before
}

// Contents reads all rows, and says what they are.
func (db *DB) Contents(ctx context.Context, o CopyOptions) (c Contents, err error) {
	err = db.Snapshot(ctx, func(tx *Tx) error {
		c, err = db.Dump(ctx, tx, io.Discard, o)
		return err
	})
	return c, err
}

// dumper writes a dump.
type dumper struct {
	w       *bufio.Writer
	sum     hash.Hash
	scratch []byte
}

func (d *dumper) table(ctx context.Context, tx *Tx, t table, o CopyOptions) (c TableContents, err error) {
	c.Name = t.name
	head := appendString([]byte{recordTable}, t.name)
	head = binary.AppendUvarint(head, uint64(len(t.columns)))
	for _, column := range t.columns {
		head = appendString(head, column)
	}
	d.w.Write(head)
	d.sum.Reset()
	if !slices.Contains(o.Without, t.name) {
		if c.Rows, err = d.rows(ctx, tx, t, o); err != nil {
			return c, err
		}
	}
	d.sum.Sum(c.Sum[:0])
	d.w.WriteByte(recordEnd)
	d.w.Write(binary.AppendUvarint(nil, uint64(c.Rows)))
	_, err = d.w.Write(c.Sum[:])
	return c, err
}

func (d *dumper) rows(ctx context.Context, tx *Tx, t table, o CopyOptions) (n int64, err error) {
	rows, err := tx.Query(t.selection())
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	row, dest := make([]any, len(t.columns)), make([]any, len(t.columns))
	for i := range row {
		dest[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return n, err
		}
		if isMark(t.name, row) {
			continue
		}
		if d.scratch, err = appendRow(d.scratch[:0], row); err != nil {
			return n, err
		}
		d.sum.Write(d.scratch)
		d.w.WriteByte(recordRow)
		if _, err := d.w.Write(d.scratch); err != nil {
			return n, err
		}
		if n++; n%tellEvery == 0 {
			o.tell(t.name, n)
			if err := ctx.Err(); err != nil {
				return n, err
			}
		}
	}
	o.tell(t.name, n)
	return n, rows.Err()
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendRow(b []byte, row []any) ([]byte, error) {
	for _, v := range row {
		switch v := v.(type) {
		case nil:
			b = append(b, valueNull)
		case int64:
			b = binary.AppendVarint(append(b, valueInt), v)
		case string:
			b = appendString(append(b, valueText), v)
		case []byte:
			b = append(binary.AppendUvarint(append(b, valueBytes), uint64(len(v))), v...)
		case float64:
			b = binary.BigEndian.AppendUint64(append(b, valueFloat), math.Float64bits(v))
		default:
			return nil, fmt.Errorf("a %T can't be copied", v)
		}
	}
	return b, nil
}

// dumpReader reads a dump. Its errors wrap ErrDump, unless the reader itself fails.
type dumpReader struct{ r *bufio.Reader }

func newDumpReader(r io.Reader) (*dumpReader, error) {
	d := &dumpReader{bufio.NewReaderSize(r, 64<<10)}
	magic := make([]byte, len(dumpMagic))
	if _, err := io.ReadFull(d.r, magic); err != nil {
		return nil, damaged(err)
	}
	if string(magic) != dumpMagic {
		return nil, ErrDump
	}
	return d, nil
}

// damaged makes an end in the middle one that is known as such.
func damaged(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: they end too early", ErrDump)
	}
	return err
}

func (d *dumpReader) letter() (byte, error) {
	c, err := d.r.ReadByte()
	return c, damaged(err)
}

func (d *dumpReader) number(most uint64) (uint64, error) {
	n, err := binary.ReadUvarint(d.r)
	if err != nil {
		return 0, damaged(err)
	}
	if n > most {
		return 0, fmt.Errorf("%w: %d is more than there can be", ErrDump, n)
	}
	return n, nil
}

func (d *dumpReader) bytes(most uint64) ([]byte, error) {
	n, err := d.number(most)
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(d.r, b)
	return b, damaged(err)
}

// table reads what follows a recordTable.
func (d *dumpReader) table() (t table, err error) {
	name, err := d.bytes(maxName)
	if err != nil {
		return t, err
	}
	count, err := d.number(maxColumns)
	if err != nil {
		return t, err
	}
	t.name = string(name)
	for range count {
		column, err := d.bytes(maxName)
		if err != nil {
			return t, err
		}
		t.columns = append(t.columns, string(column))
	}
	return t, nil
}

// row reads what follows a recordRow.
func (d *dumpReader) row(columns int) ([]any, error) {
	row := make([]any, columns)
	for i := range row {
		kind, err := d.letter()
		if err != nil {
			return nil, err
		}
		switch kind {
		case valueNull:
		case valueInt:
			row[i], err = binary.ReadVarint(d.r)
		case valueText:
			var b []byte
			b, err = d.bytes(maxValue)
			row[i] = string(b)
		case valueBytes:
			row[i], err = d.bytes(maxValue)
		case valueFloat:
			var b [8]byte
			_, err = io.ReadFull(d.r, b[:])
			row[i] = math.Float64frombits(binary.BigEndian.Uint64(b[:]))
		default:
			err = fmt.Errorf("%w: there is no value %q", ErrDump, kind)
		}
		if err != nil {
			return nil, damaged(err)
		}
	}
	return row, nil
}
