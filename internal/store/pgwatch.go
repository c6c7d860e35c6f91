package store

import (
	"context"
	"database/sql/driver"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// watch reads what other processes changed. Who changes something that is remembered writes a row of table change under the number
// of its transaction. A look reads, in one statement, PostgreSQL's snapshot of which transactions are done, and the rows of those that
// weren't in the snapshot of the look before. Numbers alone would not do, since transactions don't end in the order of their numbers.
//
// A look serves all who asked before it began. Those who ask while it is under way share the next.
type watch struct {
	e           *postgres
	subscribers *subscribers
	clock       func() time.Time

	mu      sync.Mutex
	running *look
	next    *look
	closed  bool
	looks   sync.WaitGroup

	// What follows belongs to the look that runs.
	c       *pgConn // nil while there is no connection
	seen    snapshot
	failed  bool      // the last look did
	last    time.Time // when the last look ended well
	trimmed time.Time
	best    time.Duration // the shortest way to the server's clock lately
	set     time.Time     // when offset was set

	ahead atomic.Int64 // nanoseconds
}

// look is one look at the changes.
type look struct {
	done chan struct{}
	err  error
}

const (
	// changesKept is for how long the rows of table change are kept. Who has not looked for half of that forgets everything.
	changesKept = 10 * time.Minute
	// mostChanges is how many rows a look reads before it makes of them that everything changed.
	mostChanges = 10_000
	// patienceInOutage is how long a look is tried after one that failed.
	patienceInOutage = time.Second
	// trimInterval is how often old rows are deleted.
	trimInterval = time.Minute
)

func (w *watch) init(e *postgres, s *subscribers, clock func() time.Time) {
	w.e, w.subscribers, w.clock = e, s, clock
}

func (e *postgres) offset() time.Duration { return time.Duration(e.watch.ahead.Load()) }

func (e *postgres) fresh(ctx context.Context) error {
	l, err := e.watch.join()
	if err != nil {
		return err
	}
	select {
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// join takes part in the next look, and starts it if nobody did.
func (w *watch) join() (*look, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, ErrClosed
	}
	if w.next == nil {
		w.next = &look{done: make(chan struct{})}
		l, before := w.next, w.running
		w.looks.Go(func() { w.run(l, before) })
	}
	return w.next, nil
}

// run waits for the look before, and looks.
func (w *watch) run(l, before *look) {
	if before != nil {
		<-before.done
	}
	w.mu.Lock()
	w.running, w.next = l, nil
	w.mu.Unlock()
	wait := patience
	if w.failed { // Those who wait now have waited for the look before already.
		wait = patienceInOutage
	}
	l.err = w.e.persist(context.Background(), wait, func(int) (bool, error) {
		if w.ended() {
			return false, ErrClosed
		}
		err := translate(w.look())
		return err != nil, err
	})
	w.failed = l.err != nil
	close(l.done)
}

func (w *watch) ended() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}

func (w *watch) close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.looks.Wait()
	if w.c == nil {
		return nil
	}
	return w.c.close()
}

const lookQuery = `SELECT CAST(pg_current_snapshot() AS TEXT), CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT), topics, number
	FROM (VALUES (1)) AS always (one) LEFT JOIN change ON number >= $1 LIMIT $2`

// look tells the subscribers what changed since the last look.
func (w *watch) look() error {
	missed := w.c == nil || time.Since(w.last) > changesKept/2
	if w.c == nil {
		c, err := w.e.connect(context.Background())
		if err != nil {
			return err
		}
		w.c = c
	}
	from := w.seen.low
	if missed {
		from = math.MaxInt64
	}
	begun := time.Now()
	rows, err := w.read(from)
	if err != nil {
		_ = w.c.close()
		w.c = nil
		return err
	}
	ended := time.Now()
	seen, err := parseSnapshot(rows[0][0].(string))
	if err != nil {
		return err
	}
	if missed || len(rows) > mostChanges {
		w.subscribers.tell(Everything)
	} else {
		w.tell(rows)
	}
	w.seen, w.last = seen, ended
	w.setClock(ended.Sub(begun), rows[0][1].(int64))
	w.trim()
	return nil
}

func (w *watch) read(from int64) ([][]driver.Value, error) {
	s := &pgTx{c: w.c}
	st, values, formats, err := s.prepare(lookQuery, []any{from, mostChanges + 1})
	if err != nil {
		return nil, err
	}
	w.c.queries.Add(1)
	rows := pgRows{tx: s, reader: w.c.c.ExecStatement(context.Background(), st.StatementDescription, values, formats, allBinary)}
	err = rows.takeIn()
	return rows.rows, err
}

// tell tells the topics of the transactions that weren't done at the last look.
func (w *watch) tell(rows [][]driver.Value) {
	var topics []string
	for _, row := range rows {
		if number, ok := row[3].(int64); ok && !w.seen.done(number) {
			topics = append(topics, splitTopics(row[2].(string))...)
		}
	}
	slices.Sort(topics)
	if topics = slices.Compact(topics); len(topics) > 0 {
		w.subscribers.tell(topics...)
	}
}

// setClock compares the clocks after a look that took so long. It was better the shorter it took.
func (w *watch) setClock(took time.Duration, server int64) {
	if w.best != 0 && took > w.best && time.Since(w.set) < time.Minute {
		return
	}
	w.best, w.set = took, time.Now()
	w.ahead.Store(int64(time.UnixMicro(server).Sub(w.clock().Add(-took / 2))))
}

// trim deletes rows that are old. Another process may do so at the same time, and an error is of no consequence.
func (w *watch) trim() {
	if time.Since(w.trimmed) < trimInterval {
		return
	}
	w.trimmed = time.Now()
	before := w.clock().Add(w.e.offset() - changesKept).UnixMicro()
	_ = w.c.script(`DELETE FROM change WHERE at < ` + strconv.FormatInt(before, 10))
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
