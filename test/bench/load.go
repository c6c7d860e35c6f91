package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// job is work for the load generator: ops operations, spread over clients that each have one connection.
type job struct {
	clients int
	ops     int
	do      func(c *conn, i int) error // the i-th operation
	// unrecorded work is preparation: nothing is waited for before it and after it.
	unrecorded bool
}

// result is what a job cost.
type result struct {
	clients  int
	ops      int           // operations done; fewer than asked when the time was up
	asked    int           // operations asked for
	elapsed  time.Duration // from the first operation's start to the last one's end
	cpu      time.Duration // of the server, with what it put off until just after the answers
	p50, p99 time.Duration
}

// rate is operations a second.
func (r result) rate() float64 { return float64(r.ops) / r.elapsed.Seconds() }

// cpuPerOp is the server's processor time for one operation.
func (r result) cpuPerOp() time.Duration { return r.cpu / time.Duration(max(r.ops, 1)) }

// perCPU is how many MiB a server's CPU second moves when an operation moves size bytes. The clock of a process ticks
// every 10 ms, so less than one tick counts as one.
func (r result) perCPU(size int64) float64 {
	return float64(r.ops) * float64(size) / mib / max(r.cpu, tick).Seconds()
}

// run does the job against a running server and measures it. It stops at the first error, and at the time limit
// without one.
func (h *host) run(ctx context.Context, j job) (result, error) {
	conns := make([]*conn, j.clients)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.close()
			}
		}
	}()
	for i := range conns {
		c, err := h.target.dial()
		if err != nil {
			return result{}, fmt.Errorf("connecting to %s: %w", h.server.name(), err)
		}
		conns[i] = c
		if _, err := c.do("GET", "/v2/", ""); err != nil {
			return result{}, fmt.Errorf("first request to %s: %w", h.server.name(), err)
		}
	}
	if !j.unrecorded {
		syscall.Sync() // so that writing back what came before isn't part of it
		ctx, cancel := context.WithTimeout(ctx, h.bench.scale.limit())
		defer cancel()
		return h.measured(ctx, conns, j)
	}
	r, err := spread(ctx, conns, j)
	if err == nil && r.ops < r.asked {
		err = context.Cause(ctx)
	}
	return r, err
}

// measured is spread with the server's and the machine's clocks read before and after.
func (h *host) measured(ctx context.Context, conns []*conn, j job) (result, error) {
	before, err := readClocks(h.process.pid())
	if err != nil {
		return result{}, err
	}
	r, err := spread(ctx, conns, j)
	if err != nil {
		return r, err
	}
	// Work that a server puts off and batches is work all the same.
	time.Sleep(h.bench.scale.settle())
	after, err := readClocks(h.process.pid())
	if err != nil {
		return r, err
	}
	spent := after.since(before)
	h.bench.others.add(spent)
	r.cpu = spent.server
	if r.ops == 0 {
		return r, errors.New("no operation ended in time")
	}
	return r, nil
}

// spread lets each connection take the next operation until none is left, ctx ends, or one fails.
func spread(ctx context.Context, conns []*conn, j job) (result, error) {
	var next atomic.Int64
	var stop atomic.Bool
	took := make([]time.Duration, j.ops)
	errs := make([]error, len(conns))
	defer context.AfterFunc(ctx, func() { stop.Store(true) })()

	var wg sync.WaitGroup
	start := time.Now()
	for w, c := range conns {
		wg.Go(func() {
			for !stop.Load() {
				i := int(next.Add(1)) - 1
				if i >= j.ops {
					return
				}
				began := time.Now()
				if err := j.do(c, i); err != nil {
					errs[w] = err
					stop.Store(true)
					return
				}
				took[i] = max(time.Since(began), 1)
			}
		})
	}
	wg.Wait()
	r := result{clients: len(conns), asked: j.ops, elapsed: time.Since(start)}
	took = slices.DeleteFunc(took, func(d time.Duration) bool { return d == 0 })
	slices.Sort(took)
	r.ops, r.p50, r.p99 = len(took), percentile(took, 50), percentile(took, 99)
	return r, cmp.Or(errs...)
}

// percentile is the smallest of the sorted values that at least p percent of them don't exceed; zero if there are none.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*p + 99) / 100 // rounded up
	return sorted[max(rank, 1)-1]
}

// median is the middle of the values, or the mean of the two in the middle; zero if there are none.
func median[T int64 | float64 | time.Duration](values []T) T {
	if len(values) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	mid := len(s) / 2
	if len(s)%2 == 1 {
		return s[mid]
	}
	return (s[mid-1] + s[mid]) / 2
}
