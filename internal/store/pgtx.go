package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// pgTx is a transaction on a connection.
type pgTx struct {
	c      *pgConn
	begin  string // what begins it; empty once it has begun
	update bool
	open   *pgRows // the rows that still come over the connection
	sent   []sentStmt
}

// sentStmt is a statement that goes with what comes next.
type sentStmt struct {
	*pgStmt
	values  [][]byte
	formats []int16
}

// prepare readies a statement: rows that still come are taken in, since the connection carries one answer at a time.
func (s *pgTx) prepare(query string, args []any) (*pgStmt, [][]byte, []int16, error) {
	if err := s.takeIn(); err != nil {
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
	if s.waiting() {
		result, err := s.last(st, values, formats)
		return result.CommandTag.RowsAffected(), err
	}
	tag, err := s.c.c.ExecStatement(context.Background(), st.StatementDescription, values, formats, allBinary).Close()
	return tag.RowsAffected(), err
}

// mostSent is how many statements wait at most for the next round trip.
const mostSent = 100

func (s *pgTx) send(tx *Tx, query string, args []any) error {
	if len(s.sent) >= mostSent {
		_, err := s.exec(tx, query, args)
		return err
	}
	st, values, formats, err := s.prepare(query, args)
	if err != nil {
		return err
	}
	s.sent = append(s.sent, sentStmt{st, values, formats})
	return nil
}

func (s *pgTx) query(_ *Tx, query string, args []any, single bool) (cursor, error) {
	st, values, formats, err := s.prepare(query, args)
	if err != nil {
		return nil, err
	}
	s.c.queries.Add(1)
	if s.waiting() && single {
		result, err := s.last(st, values, formats)
		if err != nil {
			return nil, err
		}
		return taken(result)
	}
	if s.waiting() {
		return s.lastRows(st, values, formats)
	}
	reader := s.c.c.ExecStatement(context.Background(), st.StatementDescription, values, formats, allBinary)
	s.open = &pgRows{tx: s, reader: reader}
	return s.open, nil
}

func (s *pgTx) prefetch(_ *Tx, rows []*Row) error {
	for some := range slices.Chunk(rows, mostSent) {
		if err := s.prefetchSome(some); err != nil {
			return err
		}
	}
	return nil
}

func (s *pgTx) prefetchSome(rows []*Row) error {
	asked := make([]sentStmt, len(rows))
	for i, row := range rows {
		st, values, formats, err := s.prepare(row.query, row.args)
		if err != nil {
			return err
		}
		asked[i] = sentStmt{st, values, formats}
	}
	s.c.queries.Add(1)
	results, err := s.together(asked...)
	if err != nil {
		return err
	}
	for i, row := range rows {
		read, err := taken(results[i])
		if err != nil {
			return err
		}
		row.ahead = read
	}
	return nil
}

// waiting reports whether something is to go ahead of the next statement.
func (s *pgTx) waiting() bool { return s.begin != "" || len(s.sent) > 0 }

// ahead puts into a pipeline what is to go ahead of the next statement, as so many statements: the end of the transaction before this
// one if that is still open, the beginning of this one, and what was sent since.
func (s *pgTx) ahead(p *pgconn.Pipeline) (count int) {
	if s.begin != "" {
		if !s.c.lingers.IsZero() {
			p.SendQueryParams("COMMIT", nil, nil, nil, nil)
			count++
		}
		p.SendQueryParams(s.begin, nil, nil, nil, nil)
		count++
	}
	for _, sent := range s.sent {
		p.SendQueryStatement(sent.StatementDescription, sent.values, sent.formats, allBinary)
	}
	return count + len(s.sent)
}

// arrived notes that what went ahead was done.
func (s *pgTx) arrived() {
	s.begin, s.sent, s.c.lingers = "", nil, time.Time{}
}

// last runs a statement with what goes ahead of it, in one round trip.
func (s *pgTx) last(st *pgStmt, values [][]byte, formats []int16) (pgconn.Result, error) {
	results, err := s.together(sentStmt{st, values, formats})
	if err != nil {
		return pgconn.Result{}, err
	}
	return results[0], nil
}

// together runs statements with what goes ahead of them, in one round trip, and gives their results.
func (s *pgTx) together(statements ...sentStmt) ([]pgconn.Result, error) {
	p := s.c.c.StartPipeline(context.Background())
	count := s.ahead(p)
	for _, st := range statements {
		p.SendQueryStatement(st.StatementDescription, st.values, st.formats, allBinary)
	}
	results, err := through(p, count+len(statements))
	if err != nil {
		return nil, err
	}
	s.arrived()
	return results[count:], nil
}

// lastRows is last for a statement whose rows come as they are read.
func (s *pgTx) lastRows(st *pgStmt, values [][]byte, formats []int16) (*pgRows, error) {
	p := s.c.c.StartPipeline(context.Background())
	count := s.ahead(p)
	p.SendQueryStatement(st.StatementDescription, values, formats, allBinary)
	if err := p.Sync(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	if _, err := takeResults(p, count); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	s.arrived()
	reader, err := nextResult(p)
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	s.open = &pgRows{tx: s, reader: reader, pipeline: p}
	return s.open, nil
}

func nextResult(p *pgconn.Pipeline) (*pgconn.ResultReader, error) {
	next, err := p.GetResults()
	if err != nil {
		return nil, err
	}
	reader, ok := next.(*pgconn.ResultReader)
	if !ok {
		return nil, fmt.Errorf("%T came in place of a result", next)
	}
	return reader, nil
}

// through sends what is in a pipeline and reads its results.
func through(p *pgconn.Pipeline, count int) (results []pgconn.Result, err error) {
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := p.Sync(); err != nil {
		return nil, err
	}
	return takeResults(p, count)
}

// takeResults reads the next results of a pipeline whole.
func takeResults(p *pgconn.Pipeline, count int) (results []pgconn.Result, err error) {
	for range count {
		reader, err := nextResult(p)
		if err != nil {
			return nil, err
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

// commit ends the transaction with what is still to be sent, and notes which topics it changed, in one round trip.
func (s *pgTx) commit(topics []string) error {
	if len(topics) == 0 && len(s.sent) == 0 && s.begin != "" {
		return nil
	}
	var note *pgStmt
	var err error
	if len(topics) > 0 {
		if note, err = s.c.prepare(noteChange); err != nil {
			return err
		}
	}
	s.c.queries.Add(1)
	p := s.c.c.StartPipeline(context.Background())
	count := s.ahead(p) + 1
	s.arrived()
	if note != nil {
		p.SendQueryStatement(note.StatementDescription, [][]byte{joinTopics(topics)}, []int16{formatText}, allBinary)
		count++
	}
	p.SendQueryParams("COMMIT", nil, nil, nil, nil)
	results, err := through(p, count)
	if err == nil && results[count-1].CommandTag.String() != "COMMIT" {
		err = errors.New("the transaction was rolled back")
	}
	return err
}

// rollback ends the transaction without effect. If that fails, the connection is not good any more.
func (s *pgTx) rollback() {
	status := s.c.c.TxStatus()
	if s.begin != "" && status == 'T' && !s.c.lingers.IsZero() { // Nothing was begun.
		return
	}
	if status != 'I' && s.c.script("ROLLBACK") != nil {
		return
	}
	s.c.lingers = time.Time{}
}

// usable reports whether the connection is good for another transaction.
func (s *pgTx) usable() bool {
	if s.c.c.IsClosed() {
		return false
	}
	if s.c.lingers.IsZero() {
		return s.c.c.TxStatus() == 'I'
	}
	return s.c.c.TxStatus() == 'T'
}

func (s *pgTx) giveBack(to *pgPool) {
	if s.usable() {
		to.put(s.c)
	} else {
		to.discard(s.c)
	}
}

// takeIn takes in the rows that still come over the connection.
func (s *pgTx) takeIn() error {
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
	// pipeline is what the rows come through, if the transaction began with them.
	pipeline *pgconn.Pipeline
	rows     [][]driver.Value
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
	if r.pipeline != nil {
		err = errors.Join(err, r.pipeline.Close())
		r.pipeline = nil
	}
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
