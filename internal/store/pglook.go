package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

const lookQuery = `SELECT CAST(pg_current_snapshot() AS TEXT), CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT), topics, number
	FROM (VALUES (1)) AS always (one) LEFT JOIN change ON number >= $1 LIMIT $2`

// answer is what the database has answered to lookQuery so far. It is heard message by message, so that it can be left and gone on with.
type answer struct {
	before snapshot // of the look before
	missed bool     // what changed since then can't be known
	sent   time.Time

	rows   int
	seen   snapshot
	server int64 // the server's clock, in microseconds since 1970
	topics []string
	err    error
}

// errLate means that the rest of an answer has not come yet.
var errLate = errors.New("the database has not answered yet")

// ask sends the query.
func (w *watch) ask() (*answer, error) {
	a := &answer{before: w.seen, missed: time.Since(w.last) > changesKept/2}
	from := w.seen.low
	if a.missed {
		from = math.MaxInt64
	}
	st, err := w.c.prepare(lookQuery)
	if err != nil {
		return nil, err
	}
	values, formats, err := st.bind([]any{from, mostChanges + 1})
	if err != nil {
		return nil, err
	}
	w.c.queries.Add(1)
	a.sent = time.Now()
	f := w.c.c.Frontend()
	f.SendBind(&pgproto3.Bind{PreparedStatement: st.Name, ParameterFormatCodes: formats, Parameters: values, ResultFormatCodes: allBinary})
	f.SendExecute(&pgproto3.Execute{})
	f.SendSync(&pgproto3.Sync{})
	return a, f.Flush()
}

// hear takes in the rest of the answer. The error is errLate if that doesn't come in time.
func (a *answer) hear(c *pgconn.PgConn) error {
	for {
		m, err := c.ReceiveMessage(context.Background())
		if err != nil {
			var waited net.Error
			if errors.As(err, &waited) && waited.Timeout() {
				return fmt.Errorf("%w: %w", errLate, err)
			}
			return err
		}
		switch m := m.(type) {
		case *pgproto3.DataRow:
			a.err = errors.Join(a.err, a.row(m.Values))
		case *pgproto3.ErrorResponse:
			a.err = errors.Join(a.err, pgconn.ErrorResponseToPgError(m))
		case *pgproto3.ReadyForQuery:
			if a.rows == 0 && a.err == nil {
				a.err = errSnapshot
			}
			return a.err
		}
	}
}

// row takes in one row, whose bytes are good only now.
func (a *answer) row(columns [][]byte) (err error) {
	if len(columns) != 4 || len(columns[1]) != 8 {
		return errSnapshot
	}
	if a.rows++; a.rows == 1 {
		if a.seen, err = parseSnapshot(string(columns[0])); err != nil {
			return err
		}
		a.server = int64(binary.BigEndian.Uint64(columns[1]))
	}
	// Of the transactions that were done at the look before, that one told.
	if number := columns[3]; len(number) == 8 && !a.before.done(int64(binary.BigEndian.Uint64(number))) {
		a.topics = append(a.topics, splitTopics(string(columns[2]))...)
	}
	return nil
}

// changed are the topics of the transactions that weren't done at the look before.
func (a *answer) changed() []string {
	slices.Sort(a.topics)
	return slices.Compact(a.topics)
}

// snapshot says which transactions are done: those below low, and those below high that are not among running.
type snapshot struct {
	low, high int64
	running   []int64
}

// parseSnapshot reads what pg_current_snapshot gives, such as 10:20:10,14,15.
func parseSnapshot(text string) (s snapshot, err error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return s, errSnapshot
	}
	if s.low, err = strconv.ParseInt(parts[0], 10, 64); err != nil {
		return s, errSnapshot
	}
	if s.high, err = strconv.ParseInt(parts[1], 10, 64); err != nil {
		return s, errSnapshot
	}
	if parts[2] == "" {
		return s, nil
	}
	for one := range strings.SplitSeq(parts[2], ",") {
		number, err := strconv.ParseInt(one, 10, 64)
		if err != nil {
			return s, errSnapshot
		}
		s.running = append(s.running, number)
	}
	return s, nil
}

func (s snapshot) done(number int64) bool {
	return number < s.high && !slices.Contains(s.running, number)
}
