package store

import (
	"context"
	"errors"
	"runtime"
	"strconv"
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
	asked   *answer // of the look that waits for the rest of its answer
	seen    snapshot
	failed  bool      // the last look did
	last    time.Time // when the last look of this connection ended well
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
	// atOnce is how long who leads a look waits for its answer before another goroutine does.
	atOnce = 5 * time.Millisecond
	// trimInterval is how often old rows are deleted.
	trimInterval = time.Minute
)

func (w *watch) init(e *postgres, s *subscribers, clock func() time.Time) {
	w.e, w.subscribers, w.clock = e, s, clock
}

func (e *postgres) offset() time.Duration { return time.Duration(e.watch.ahead.Load()) }

// fresh waits for a look that began after it was called. Who asks first looks, and the others wait for that.
func (e *postgres) fresh(ctx context.Context) error {
	l, before, mine, err := e.watch.join()
	if err != nil {
		return err
	}
	if mine {
		e.watch.lead(ctx, l, before)
	}
	select {
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// join takes part in the next look. Whose it is to lead is told so, and which look is to be over before.
func (w *watch) join() (next, before *look, mine bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, nil, false, ErrClosed
	}
	if w.next != nil {
		return w.next, nil, false, nil
	}
	w.next = &look{done: make(chan struct{})}
	w.looks.Add(1)
	return w.next, w.running, true, nil
}

// lead makes a look. If its turn or its answer doesn't come at once, another goroutine goes on, so that the caller can give up.
func (w *watch) lead(ctx context.Context, l, before *look) {
	if before != nil {
		select {
		case <-before.done:
		case <-ctx.Done():
			go func() {
				<-before.done
				w.begin(l)
				w.persist(l)
			}()
			return
		}
	}
	// Requests that are here already take part too.
	runtime.Gosched()
	w.begin(l)
	if w.c == nil || w.failed || w.trimDue() || w.look(atOnce) != nil {
		go w.persist(l)
		return
	}
	w.end(l, nil)
}

// begin lets no more take part in a look.
func (w *watch) begin(l *look) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running, w.next = l, nil
}

func (w *watch) end(l *look, err error) {
	l.err, w.failed = err, err != nil
	close(l.done)
	w.looks.Done()
}

// persist looks until it is known what changed, for as long as patience lasts.
func (w *watch) persist(l *look) {
	wait := patience
	if w.failed { // Those who wait now have waited for the look before already.
		wait = patienceInOutage
	}
	w.end(l, w.e.persist(context.Background(), wait, func(int) (bool, error) {
		if w.ended() {
			return false, ErrClosed
		}
		err := translate(w.look(statementLimit))
		return err != nil, err
	}))
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

// look tells the subscribers what changed since the last look. It waits no longer than limit for each piece of the answer; after
// errLate, another call goes on with it. After other errors it begins anew.
func (w *watch) look(limit time.Duration) error {
	if w.c == nil {
		c, err := w.e.connect(context.Background())
		if err != nil {
			return err
		}
		w.c = c
		w.last = time.Time{}
	}
	if w.asked == nil {
		a, err := w.ask()
		if err != nil {
			return w.broken(err)
		}
		w.asked = a
	}
	w.c.net.patience = limit
	err := w.asked.hear(w.c.c)
	w.c.net.patience = statementLimit
	if errors.Is(err, errLate) && limit < statementLimit {
		return errLate
	}
	a := w.asked
	w.asked = nil
	if err != nil {
		return w.broken(err)
	}
	if a.missed || a.rows > mostChanges {
		w.subscribers.tell(Everything)
	} else if topics := a.changed(); len(topics) > 0 {
		w.subscribers.tell(topics...)
	}
	w.seen, w.last = a.seen, time.Now()
	w.setClock(w.last.Sub(a.sent), a.server)
	w.trim()
	return nil
}

// broken gives up the connection. What changes until there is another can't be known.
func (w *watch) broken(err error) error {
	_ = w.c.close()
	w.c = nil
	return err
}

// setClock compares the clocks after a look that took so long. It was better the shorter it took.
func (w *watch) setClock(took time.Duration, server int64) {
	if w.best != 0 && took > w.best && time.Since(w.set) < time.Minute {
		return
	}
	w.best, w.set = took, time.Now()
	w.ahead.Store(int64(time.UnixMicro(server).Sub(w.clock().Add(-took / 2))))
}

func (w *watch) trimDue() bool { return time.Since(w.trimmed) >= trimInterval }

// trim deletes rows that are old. Another process may do so at the same time, and an error is of no consequence.
func (w *watch) trim() {
	if !w.trimDue() {
		return
	}
	w.trimmed = time.Now()
	before := w.clock().Add(w.e.offset() - changesKept).UnixMicro()
	_ = w.c.script(`DELETE FROM change WHERE at < ` + strconv.FormatInt(before, 10))
}
