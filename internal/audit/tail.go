package audit

import (
	"context"
	"time"

	"github.com/coffer-registry/coffer/internal/store"
)

const (
	// followEvery is the pause between two looks at the trail.
	followEvery = 500 * time.Millisecond
	// followAgain is how far back each look goes, since a segment's id is older than its commit.
	followAgain = 10 * time.Second
	followPage  = 1000
	// maxTail bounds how many records come before those that are new.
	maxTail = 100_000
)

// Tail gives fn the newest records, as many as lines says, and, if it is to follow, each new one as it comes, until ctx
// ends or fn fails. Records come oldest first. It returns fn's error or that of reading, and nil when ctx ended.
func (r *Reader) Tail(ctx context.Context, lines int, follow bool, fn func(records [][]byte) error) error {
	lines = min(lines, maxTail)
	t := &tail{r: r, seen: map[int64]bool{}}
	// What is there before the last segments are read is old, whether they reach back to it or not.
	if _, err := t.fresh(ctx, store.IDAt(time.Now())); err != nil {
		return err
	}
	segments, err := r.Last(ctx, max(1, lines))
	if err != nil {
		return err
	}
	var records [][]byte
	for _, s := range segments {
		t.see(s.ID)
		records = append(records, s.list()...)
	}
	if err := fn(records[max(0, len(records)-lines):]); err != nil || !follow {
		return err
	}
	return t.follow(ctx, fn)
}

// tail is a place in the trail.
type tail struct {
	r      *Reader
	newest int64
	seen   map[int64]bool // of the last moments
}

func (t *tail) see(id int64) { t.seen[id], t.newest = true, max(t.newest, id) }

func (t *tail) follow(ctx context.Context, fn func(records [][]byte) error) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		records, err := t.fresh(ctx, t.newest)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if len(records) == 0 {
			continue
		}
		if err := fn(records); err != nil {
			return err
		}
	}
}

// fresh reads what was not seen yet, from a while before the given id.
func (t *tail) fresh(ctx context.Context, id int64) (records [][]byte, err error) {
	from := max(0, id-store.IDAt(time.UnixMicro(followAgain.Microseconds())))
	for old := range t.seen {
		if old < from {
			delete(t.seen, old)
		}
	}
	for {
		page, err := t.r.After(ctx, from, followPage)
		if err != nil {
			return nil, err
		}
		for _, s := range page {
			if from = s.ID; !t.seen[s.ID] {
				t.see(s.ID)
				records = append(records, s.list()...)
			}
		}
		if len(page) < followPage {
			return records, nil
		}
	}
}

func (s Segment) list() (records [][]byte) {
	for record := range s.Records() {
		records = append(records, record)
	}
	return records
}
