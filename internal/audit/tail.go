package audit

import (
	"context"
	"slices"
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
	newest, err := r.Last(ctx, 1)
	if err != nil {
		return err
	}
	for _, s := range newest {
		if _, err := t.fresh(ctx, s.ID); err != nil {
			return err
		}
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

// fresh reads what was not seen yet, from a while before the given id. Of what was, it looks at the ids alone.
func (t *tail) fresh(ctx context.Context, id int64) (records [][]byte, err error) {
	from := max(0, id-store.IDAt(time.UnixMicro(followAgain.Microseconds())))
	for old := range t.seen {
		if old < from {
			delete(t.seen, old)
		}
	}
	for {
		ids, err := t.r.ids(ctx, from)
		if err != nil {
			return nil, err
		}
		for rest := ids; len(rest) > 0; {
			unseen := slices.IndexFunc(rest, func(id int64) bool { return t.seen[id] })
			switch unseen {
			case 0:
				rest = rest[1:]
				continue
			case -1:
				unseen = len(rest)
			}
			read, err := t.read(ctx, rest[0], rest[unseen-1])
			if err != nil {
				return nil, err
			}
			records, rest = append(records, read...), rest[unseen:]
		}
		if len(ids) < followPage {
			return records, nil
		}
		from = ids[len(ids)-1]
	}
}

// read reads the segments from one id to another, none of which was seen.
func (t *tail) read(ctx context.Context, first, last int64) (records [][]byte, err error) {
	segments, err := t.r.list(ctx, `SELECT id, account, region, records, body FROM audit WHERE id BETWEEN $1 AND $2 ORDER BY id`, first, last)
	for _, s := range segments {
		t.see(s.ID)
		records = append(records, s.list()...)
	}
	return records, err
}

func (s Segment) list() (records [][]byte) {
	for record := range s.Records() {
		records = append(records, record)
	}
	return records
}
