package store

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// pgConn is one connection with its prepared statements. One goroutine uses it at a time.
//
// It speaks to the driver's lower level: what is stored are whole numbers, texts and bytes, whose binary forms are plain, and a
// transaction begins and ends in the same round trips as its first and last statements.
type pgConn struct {
	c       *pgconn.PgConn
	net     *limited // nil if the server may say nothing forever
	cache   map[string]*pgStmt
	uses    uint64
	made    int
	queries *atomic.Int64 // round trips
	// lingers is when a View ended whose transaction is still open, to be ended with whatever comes next; zero if there is none.
	lingers time.Time
}

// pgStmt is a prepared statement.
type pgStmt struct {
	stmt
	*pgconn.StatementDescription
}

// dial opens a connection, on which the server may say nothing for as long as silence, or forever if that is 0.
func dial(ctx context.Context, config *pgconn.Config, queries *atomic.Int64, silence time.Duration) (*pgConn, error) {
	config = config.Copy()
	var bounded *limited
	if silence > 0 {
		config.AfterNetConnect = func(_ context.Context, _ *pgconn.Config, c net.Conn) (net.Conn, error) {
			bounded = &limited{Conn: c, limit: silence, patience: silence}
			return bounded, nil
		}
	}
	raw, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	c := &pgConn{c: raw, net: bounded, cache: map[string]*pgStmt{}, queries: queries}
	if err := c.script(sessionSettings); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// limited is a network connection that bounds each wait for the other side.
type limited struct {
	net.Conn
	limit time.Duration
	// patience is the bound for what is read, which may be tried again after it.
	patience time.Duration
}

func (l *limited) Read(p []byte) (int, error) {
	if err := l.SetReadDeadline(time.Now().Add(l.patience)); err != nil {
		return 0, err
	}
	return l.Conn.Read(p)
}

func (l *limited) Write(p []byte) (int, error) {
	if err := l.SetWriteDeadline(time.Now().Add(l.limit)); err != nil {
		return 0, err
	}
	return l.Conn.Write(p)
}

func (c *pgConn) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.c.Close(ctx) // It is over in any case.
	return nil
}

// script runs SQL text of any number of statements, without arguments.
func (c *pgConn) script(text string) error {
	c.queries.Add(1)
	_, err := c.c.Exec(context.Background(), text).ReadAll()
	return err
}

// apply runs a migration.
func (c *pgConn) apply(text, note string) error {
	return c.script("BEGIN;\n" + dialect(text) + ";\n" + note + ";\nCOMMIT")
}

func (c *pgConn) texts(query string) (list []string, err error) {
	c.queries.Add(1)
	results, err := c.c.Exec(context.Background(), query).ReadAll()
	if err != nil {
		return nil, err
	}
	for _, row := range results[len(results)-1].Rows {
		list = append(list, string(row[0]))
	}
	return list, nil
}

func (c *pgConn) text(query string) (string, error) {
	list, err := c.texts(query)
	if err == nil && len(list) == 0 {
		err = errors.New("it has none")
	}
	if err != nil {
		return "", err
	}
	return list[0], nil
}

func (c *pgConn) number(query string) (int64, error) {
	text, err := c.text(query)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

// endView ends the transaction that a View left open.
func (c *pgConn) endView() error {
	if c.lingers.IsZero() {
		return nil
	}
	if err := c.script("COMMIT"); err != nil {
		return err
	}
	c.lingers = time.Time{}
	return nil
}

// prepare returns the prepared statement of a query.
func (c *pgConn) prepare(query string) (*pgStmt, error) {
	c.uses++
	if s := c.cache[query]; s != nil {
		s.lastUse = c.uses
		return s, nil
	}
	s := &pgStmt{}
	if err := s.classify(query); err != nil {
		return nil, err
	}
	if err := c.makeRoom(); err != nil {
		return nil, err
	}
	c.made++
	c.queries.Add(1)
	var err error
	if s.StatementDescription, err = c.c.Prepare(context.Background(), "s"+strconv.Itoa(c.made), query, nil); err != nil {
		return nil, err
	}
	s.lastUse = c.uses
	c.cache[query] = s
	return s, nil
}

// makeRoom forgets the statement that wasn't used for longest, if there are as many as are kept.
func (c *pgConn) makeRoom() error {
	if len(c.cache) < statementCache {
		return nil
	}
	var oldest string
	for text, s := range c.cache {
		if oldest == "" || s.lastUse < c.cache[oldest].lastUse {
			oldest = text
		}
	}
	name := c.cache[oldest].Name
	delete(c.cache, oldest)
	return c.c.Deallocate(context.Background(), name)
}

// The types of PostgreSQL that occur (its catalogue pg_type).
const (
	oidBool    = 16
	oidBytea   = 17
	oidInt8    = 20
	oidInt2    = 21
	oidInt4    = 23
	oidText    = 25
	oidFloat8  = 701
	oidVarchar = 1043
)

const (
	formatText   = 0
	formatBinary = 1
)

// allBinary asks for all columns in their binary forms.
var allBinary = []int16{formatBinary}

// bind converts arguments to what goes over the wire.
func (s *pgStmt) bind(args []any) (values [][]byte, formats []int16, err error) {
	if len(args) != len(s.ParamOIDs) {
		return nil, nil, fmt.Errorf("%d arguments for %d parameters", len(args), len(s.ParamOIDs))
	}
	values, formats = make([][]byte, len(args)), make([]int16, len(args))
	for i, a := range args {
		v, err := argument(a)
		if err == nil {
			values[i], formats[i], err = encode(v, s.ParamOIDs[i])
		}
		if err != nil {
			return nil, nil, fmt.Errorf("argument $%d: %w", i+1, err)
		}
	}
	return values, formats, nil
}

// encode gives the form of a value that a parameter of a type takes.
func encode(v driver.Value, oid uint32) ([]byte, int16, error) {
	switch v := v.(type) {
	case nil:
		return nil, formatText, nil
	case int64:
		if oid == oidInt8 {
			return binary.BigEndian.AppendUint64(nil, uint64(v)), formatBinary, nil
		}
		return strconv.AppendInt(nil, v, 10), formatText, nil
	case string:
		if oid == oidBytea {
			return nil, 0, errors.New("a text can't go where bytes are kept")
		}
		return append([]byte{}, v...), formatText, nil
	case []byte:
		if oid != oidBytea {
			return nil, 0, errors.New("bytes can't go where a text or number is kept")
		}
		return v, formatBinary, nil
	case float64:
		if oid == oidFloat8 {
			return binary.BigEndian.AppendUint64(nil, math.Float64bits(v)), formatBinary, nil
		}
		return strconv.AppendFloat(nil, v, 'g', -1, 64), formatText, nil
	}
	return nil, 0, fmt.Errorf("%T can't be stored", v)
}

// decode reads a column in its binary form. The result is the caller's own.
func decode(raw []byte, oid uint32) (driver.Value, error) {
	if raw == nil {
		return nil, nil
	}
	switch oid {
	case oidInt8:
		return int64(binary.BigEndian.Uint64(raw)), nil
	case oidInt4:
		return int64(int32(binary.BigEndian.Uint32(raw))), nil
	case oidInt2:
		return int64(int16(binary.BigEndian.Uint16(raw))), nil
	case oidBool:
		return int64(raw[0]), nil
	case oidText, oidVarchar:
		return string(raw), nil
	case oidBytea:
		return append([]byte{}, raw...), nil
	case oidFloat8:
		return math.Float64frombits(binary.BigEndian.Uint64(raw)), nil
	}
	return nil, fmt.Errorf("a column of type %d can't be read: cast it to BIGINT, TEXT or BYTEA", oid)
}
