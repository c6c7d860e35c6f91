package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Changes go to a log beside the database file, and a checkpoint copies them into the file, after which the log is
// written from its beginning again. SQLite would have the commit that makes the log long do this; here a goroutine
// does, with a connection of its own, beside the commits. While Updates never pause, they append faster than it can
// catch up with; then it holds them up for the short rest. Measured on a disk, 64 callers changing random rows: 46,000
// Updates/s with a 99th percentile of 5 ms this way, 39,000/s and 11 ms with SQLite's.
const (
	// checkpointPages is how many written pages make a checkpoint worth its two fsyncs.
	checkpointPages = 1000
	// logLimitPages is the length of the log from which Updates are held up.
	logLimitPages = 8000
	// catchUpRounds and catchUpPages bound the copying beside Updates before they are held up for the rest.
	catchUpRounds = 5
	catchUpPages  = 100
	// logKeepBytes is what remains of the log's file once it is written from its beginning: overwriting is faster than
	// growing, and a burst shouldn't occupy the disk forever.
	logKeepBytes = logLimitPages * pageSize
	// checkpointAfter is how long changes stay in the log when there are few, which bounds the work of the next start.
	checkpointAfter = 5 * time.Second
	// checkpointerCache is in bytes: copying needs hardly any.
	checkpointerCache = 256 << 10
)

type checkpointer struct {
	// mu is held while c is used.
	mu    sync.Mutex
	c     *conn
	group *group

	written atomic.Int64 // pages, by all commits
	copied  int64        // pages of them that the last checkpoint found
	kick    chan struct{}
	stop    context.CancelFunc
	done    sync.WaitGroup
}

func (k *checkpointer) init(c *conn, g *group) {
	k.c, k.group, k.kick = c, g, make(chan struct{}, 1)
}

// committed is told of each commit, by the one who has the turn.
func (k *checkpointer) committed(pages int) {
	if before := k.written.Swap(int64(pages)); before/checkpointPages == int64(pages)/checkpointPages {
		return
	}
	select {
	case k.kick <- struct{}{}:
	default:
	}
}

func (k *checkpointer) start() {
	ctx, stop := context.WithCancel(context.Background())
	k.stop = stop
	k.done.Go(func() { k.loop(ctx) })
}

func (k *checkpointer) loop(ctx context.Context) {
	tick := time.NewTicker(checkpointAfter)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-k.kick:
		}
		if k.written.Load() != k.copied {
			k.checkpoint(ctx)
		}
	}
}

// checkpoint copies what it can. An error, of a full disk for instance, leaves everything in the log, where it is safe
// and found, and the next checkpoint tries again; a commit that meets the same condition reports it.
func (k *checkpointer) checkpoint(ctx context.Context) {
	k.copied = k.written.Load()
	length, err := k.copy()
	if err != nil || length < logLimitPages {
		return
	}
	for range catchUpRounds { // Each round leaves less than the one before, which took longer.
		before := length
		if length, err = k.copy(); err != nil {
			return
		}
		if length-before < catchUpPages {
			break
		}
	}
	k.group.exclusively(ctx, func() error {
		_, err := k.copy()
		return err
	})
}

// copy runs one checkpoint that waits for nobody and returns the length of the log in pages. Once all of it is copied,
// the next commit begins it anew, if no View still reads from it.
func (k *checkpointer) copy() (length int64, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	row, err := k.pragma("PRAGMA wal_checkpoint(PASSIVE)")
	if err != nil {
		return 0, err
	}
	length, _ = row[1].(int64)
	return length, nil
}

// pragma runs a checkpoint and returns what SQLite says of it: whether something was in the way, how many pages the log has,
// and how many of them were copied.
func (k *checkpointer) pragma(text string) ([]driver.Value, error) {
	s, err := k.c.raw.Prepare(text)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	rows, err := s.(driver.StmtQueryContext).QueryContext(context.Background(), nil)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	row := make([]driver.Value, len(rows.Columns()))
	return row, rows.Next(row)
}

func (k *checkpointer) close() error {
	k.stop()
	k.done.Wait()
	return k.c.close()
}

// errLogBusy means that the log could not be emptied, since a View that began long ago still reads from it.
var errLogBusy = errors.New("something still reads from the log of changes")

func (e *sqliteDB) scrub(ctx context.Context, _ []string) error {
	return e.group.exclusively(ctx, func() error {
		e.ckpt.mu.Lock()
		defer e.ckpt.mu.Unlock()
		row, err := e.ckpt.pragma("PRAGMA wal_checkpoint(TRUNCATE)")
		if err != nil {
			return translate(err)
		}
		if busy, _ := row[0].(int64); busy != 0 {
			return errLogBusy
		}
		return nil
	})
}
