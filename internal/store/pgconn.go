package store

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
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
	cache   map[string]*pgStmt
	uses    uint64
	made    int
	queries *atomic.Int64 // round trips
}

// pgStmt is a prepared statement.
type pgStmt struct {
	stmt
	*pgconn.StatementDescription
}

// dial opens a connection, on which the server may say nothing for as long as silence, or forever if that is 0.
func dial(ctx context.Context, config *pgconn.Config, queries *atomic.Int64, silence time.Duration) (*pgConn, error) {
	config = config.Copy()
	if silence > 0 {
		config.AfterNetConnect = func(_ context.Context, _ *pgconn.Config, c net.Conn) (net.Conn, error) {
			return limited{c, silence}, nil
		}
	}
	raw, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	c := &pgConn{c: raw, cache: map[string]*pgStmt{}, queries: queries}
	if err := c.script(sessionSettings); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// limited is a network connection that bounds each wait for the other side.
type limited struct {
	net.Conn
	limit time.Duration
}

func (l limited) Read(p []byte) (int, error) {
	if err := l.SetReadDeadline(time.Now().Add(l.limit)); err != nil {
		return 0, err
	}
	return l.Conn.Read(p)
}

func (l limited) Write(p []byte) (int, error) {
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

// pgTx is a transaction on a connection.
type pgTx struct {
	c      *pgConn
	begin  string // what begins it; empty once it has begun
	update bool
	open   *pgRows // the rows that still come over the connection
}

// prepare readies a statement: rows that still come are taken in, since the connection carries one answer at a time.
func (s *pgTx) prepare(query string, args []any) (*pgStmt, [][]byte, []int16, error) {
	if err := s.settle(); err != nil {
		return nil, nil, nil, err
	}
	st, err := s.c.prepare(query)
	if err != nil {
		return nil, nil, nil, err
	}
	if !s.update && st.writes && !st.mayRead {
		return nil, nil, nil, ErrReadOnly
	}
	values, formats, err := st.bind(args)
	return st, values, formats, err
}

func (s *pgTx) exec(_ *Tx, query string, args []any) (int64, error) {
	st, values, formats, err := s.prepare(query, args)
	if err != nil {
		return 0, err
	}
	s.c.queries.Add(1)
	if s.begin != "" {
		result, err := s.beginWith(st, values, formats)
		return result.CommandTag.RowsAffected(), err
	}
	tag, err := s.c.c.ExecStatement(context.Background(), st.StatementDescription, values, formats, allBinary).Close()
	return tag.RowsAffected(), err
}

func (s *pgTx) query(_ *Tx, query string, args []any, single bool) (cursor, error) {
	st, values, formats, err := s.prepare(query, args)
	if err != nil {
		return nil, err
	}
	s.c.queries.Add(1)
	if s.begin != "" && single {
		result, err := s.beginWith(st, values, formats)
		if err != nil {
			return nil, err
		}
		return taken(result)
	}
	if s.begin != "" {
		if err := s.c.script(s.begin); err != nil {
			return nil, err
		}
		s.begin = ""
	}
	reader := s.c.c.ExecStatement(context.Background(), st.StatementDescription, values, formats, allBinary)
	s.open = &pgRows{tx: s, reader: reader}
	return s.open, nil
}

// beginWith begins the transaction with its first statement, in one round trip.
func (s *pgTx) beginWith(st *pgStmt, values [][]byte, formats []int16) (pgconn.Result, error) {
	p := s.c.c.StartPipeline(context.Background())
	p.SendQueryParams(s.begin, nil, nil, nil, nil)
	p.SendQueryStatement(st.StatementDescription, values, formats, allBinary)
	results, err := through(p, 2)
	if err != nil {
		return pgconn.Result{}, err
	}
	s.begin = ""
	return results[1], nil
}

// through sends what is in a pipeline and reads its results.
func through(p *pgconn.Pipeline, count int) (results []pgconn.Result, err error) {
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := p.Sync(); err != nil {
		return nil, err
	}
	for range count {
		next, err := p.GetResults()
		if err != nil {
			return nil, err
		}
		reader, ok := next.(*pgconn.ResultReader)
		if !ok {
			return nil, fmt.Errorf("%T came in place of a result", next)
		}
		result := reader.Read()
		if result.Err != nil {
			return nil, result.Err
		}
		results = append(results, *result)
	}
	return results, nil
}

// noteChange notes which topics a transaction changed, under its own number.
const noteChange = `INSERT INTO change (number, at, topics) VALUES (CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT),
	CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT), $1)`

// commit ends the transaction, and notes which topics it changed in the same round trip.
func (s *pgTx) commit(topics []string) error {
	if s.begin != "" && len(topics) == 0 {
		return nil
	}
	if len(topics) == 0 {
		s.c.queries.Add(1)
		tag, err := s.c.c.Exec(context.Background(), "COMMIT").ReadAll()
		if err == nil && tag[len(tag)-1].CommandTag.String() != "COMMIT" {
			err = errors.New("the transaction was rolled back")
		}
		return err
	}
	note, err := s.c.prepare(noteChange)
	if err != nil {
		return err
	}
	s.c.queries.Add(1)
	p := s.c.c.StartPipeline(context.Background())
	count := 2
	if s.begin != "" {
		p.SendQueryParams(s.begin, nil, nil, nil, nil)
		s.begin, count = "", 3
	}
	p.SendQueryStatement(note.StatementDescription, [][]byte{joinTopics(topics)}, []int16{formatText}, allBinary)
	p.SendQueryParams("COMMIT", nil, nil, nil, nil)
	_, err = through(p, count)
	return err
}

// rollback ends the transaction without effect. If that fails, the connection is not good any more.
func (s *pgTx) rollback() {
	if s.begin == "" {
		_ = s.c.script("ROLLBACK")
	}
}

// usable reports whether the connection is good for another transaction.
func (s *pgTx) usable() bool { return !s.c.c.IsClosed() && s.c.c.TxStatus() == 'I' }

func (s *pgTx) giveBack(to *pool[*pgConn]) {
	if s.usable() {
		to.put(s.c)
	} else {
		to.discard(s.c)
	}
}

// leave ends a View, whose caller needn't wait for that.
func (s *pgTx) leave(to *pool[*pgConn]) {
	if s.begin != "" {
		s.giveBack(to)
		return
	}
	go func() {
		s.c.queries.Add(1)
		_ = s.c.script("COMMIT")
		s.giveBack(to)
	}()
}

// settle takes in the rows that still come over the connection.
func (s *pgTx) settle() error {
	if s.open == nil {
		return nil
	}
	rows := s.open
	s.open = nil
	return rows.takeIn()
}

// pgRows are the rows of a query: those that were taken in, and then those that still come.
type pgRows struct {
	tx     *pgTx
	reader *pgconn.ResultReader // nil once all were taken in
	rows   [][]driver.Value
}

// taken are the rows of a result that is there as a whole.
func taken(result pgconn.Result) (*pgRows, error) {
	r := &pgRows{}
	for _, raw := range result.Rows {
		row, err := decodeRow(raw, result.FieldDescriptions)
		if err != nil {
			return nil, err
		}
		r.rows = append(r.rows, row)
	}
	return r, nil
}

func decodeRow(raw [][]byte, fields []pgconn.FieldDescription) ([]driver.Value, error) {
	row := make([]driver.Value, len(raw))
	for i, column := range raw {
		var err error
		if row[i], err = decode(column, fields[i].DataTypeOID); err != nil {
			return nil, fmt.Errorf("column %d: %w", i+1, err)
		}
	}
	return row, nil
}

// read reads one row from the connection.
func (r *pgRows) read() ([]driver.Value, error) {
	if r.reader.NextRow() {
		return decodeRow(r.reader.Values(), r.reader.FieldDescriptions())
	}
	err := r.end()
	if err == nil {
		err = io.EOF
	}
	return nil, err
}

func (r *pgRows) end() error {
	if r.reader == nil {
		return nil
	}
	_, err := r.reader.Close()
	r.reader = nil
	if r.tx.open == r {
		r.tx.open = nil
	}
	return err
}

func (r *pgRows) takeIn() error {
	for r.reader != nil {
		row, err := r.read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return errors.Join(err, r.end())
		}
		r.rows = append(r.rows, row)
	}
	return nil
}

func (r *pgRows) next() ([]driver.Value, error) {
	if len(r.rows) > 0 {
		row := r.rows[0]
		r.rows = r.rows[1:]
		return row, nil
	}
	if r.reader == nil {
		return nil, io.EOF
	}
	return r.read()
}

func (r *pgRows) finish() error { return r.takeIn() }

func (r *pgRows) close() error {
	r.rows = nil
	return r.end()
}
