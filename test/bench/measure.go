package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// measure is one thing that is found out about each server, with a data folder of its own.
type measure struct {
	name       string // what -run selects by
	cofferOnly bool   // the peer has nothing like it
	peerRounds int    // how often the peers are measured at most; 0 is as often as Coffer
	bare       bool   // the bare server can do it too
	rows       []row
	// setup prepares a running server and returns what is measured in each round.
	setup func(ctx context.Context, h *host) (round, error)
}

// round measures once.
type round func(ctx context.Context) ([]reading, error)

// reading is the value of one row in one round. The job that it comes from is given with one of its rows.
type reading struct {
	row   string
	value float64
	job   *result
}

// measures are all of them, in the order of the report.
func measures(s scale) []measure {
	return []measure{
		largePush(s), smallPush(s), syncs(s), manifestReads(s), manyImages(s), smallPull(s), largePull(s), encrypted(s),
		manyTags(s), taggedDelete(s), mounts(s), firstAnswer(s), peak(s),
	}
}

// scale is how much work is done.
type scale struct {
	short bool // a twentieth of it
}

// n is a number of operations or of things that they work on.
func (s scale) n(full int) int {
	if s.short {
		return max(full/20, 1)
	}
	return full
}

// size is the size of a blob in bytes, a whole number of KiB.
func (s scale) size(full int64) int64 {
	if s.short {
		return full / 20 / kib * kib
	}
	return full
}

// limit is how long one job may take before it is cut short.
func (s scale) limit() time.Duration {
	if s.short {
		return 4 * time.Second
	}
	return 20 * time.Second
}

// settle is how long after a job the server's processor time is read.
func (s scale) settle() time.Duration {
	if s.short {
		return 100 * time.Millisecond
	}
	return 1200 * time.Millisecond
}

// bench is what all measures of a run share.
type bench struct {
	scale   scale
	others  share
	numbers atomic.Uint64

	mu    sync.Mutex
	notes []string
}

// reserve returns the first of n numbers that nobody else has in this run, to make blobs and names from.
func (b *bench) reserve(n int) uint64 { return b.numbers.Add(uint64(n)) - uint64(n) }

// note adds a sentence to the report, once.
func (b *bench) note(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Contains(b.notes, text) {
		b.notes = append(b.notes, text)
	}
}

// formatSize is a blob's size for a title.
func formatSize(size int64) string {
	switch {
	case size%gib == 0:
		return fmt.Sprintf("%d GiB", size/gib)
	case size >= mib:
		return fmt.Sprintf("%.3g MiB", float64(size)/mib)
	default:
		return fmt.Sprintf("%d KiB", size/kib)
	}
}
