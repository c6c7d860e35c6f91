package main

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	tests := []struct {
		name   string
		sorted []time.Duration
		p      int
		want   time.Duration
	}{
		{"none", nil, 50, 0},
		{"one", []time.Duration{7}, 99, 7},
		{"of two the lower", []time.Duration{1, 2}, 50, 1},
		{"of three the middle", []time.Duration{1, 2, 9}, 50, 2},
		{"99 of 100", hundred, 99, 99},
		{"99 of 99", hundred[:99], 99, 99},
		{"the least", hundred, 0, 1},
		{"the greatest", hundred, 100, 100},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := percentile(tt.sorted, tt.p); got != tt.want {
				t.Errorf("percentile %d = %d, want %d", tt.p, got, tt.want)
			}
		})
	}
}

func TestMedian(t *testing.T) {
	in := []float64{9, 1, 4}
	if got := median(in); got != 4 {
		t.Errorf("median of three = %v", got)
	}
	if in[0] != 9 {
		t.Error("median sorted its argument")
	}
	if got := median([]float64{4, 1, 9, 2}); got != 3 {
		t.Errorf("median of four = %v", got)
	}
	if got := median[int64](nil); got != 0 {
		t.Errorf("median of none = %v", got)
	}
}

func TestResult(t *testing.T) {
	r := result{ops: 10, elapsed: 2 * time.Second, cpu: 500 * time.Millisecond}
	if r.rate() != 5 || r.cpuPerOp() != 50*time.Millisecond || r.perCPU(mib) != 20 {
		t.Errorf("rate %v, CPU each %v, MiB a CPU second %v", r.rate(), r.cpuPerOp(), r.perCPU(mib))
	}
	if got := (result{ops: 1}).perCPU(mib); got != 100 {
		t.Errorf("without a tick of processor time: %v MiB a CPU second, want those of one tick", got)
	}
}

func TestSpread(t *testing.T) {
	conns := make([]*conn, 4)
	t.Run("each operation once", func(t *testing.T) {
		var seen [100]atomic.Int32
		r, err := spread(t.Context(), conns, job{ops: len(seen), do: func(_ *conn, i int) error {
			seen[i].Add(1)
			return nil
		}})
		if err != nil || r.ops != len(seen) || r.asked != len(seen) || r.clients != 4 || r.p50 <= 0 || r.p99 < r.p50 {
			t.Errorf("result = %+v, %v", r, err)
		}
		for i := range seen {
			if n := seen[i].Load(); n != 1 {
				t.Errorf("operation %d done %d times", i, n)
			}
		}
	})
	t.Run("an error ends it", func(t *testing.T) {
		broken := errors.New("broken")
		r, err := spread(t.Context(), conns, job{ops: 1 << 20, do: func(_ *conn, i int) error {
			if i == 10 {
				return broken
			}
			return nil
		}})
		if !errors.Is(err, broken) || r.ops >= 1<<20 {
			t.Errorf("result = %+v, %v", r, err)
		}
	})
	t.Run("the end of the context ends it without one", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r, err := spread(ctx, conns, job{ops: 1 << 20, do: func(_ *conn, i int) error {
			if i == 10 {
				cancel()
			}
			return nil
		}})
		if err != nil || r.ops <= 10 || r.ops >= 1<<20 {
			t.Errorf("%d operations, %v", r.ops, err)
		}
	})
}

func TestReserve(t *testing.T) {
	var b bench
	if a, c, d := b.reserve(10), b.reserve(1), b.reserve(5); a != 0 || c != 10 || d != 11 {
		t.Errorf("reserved %d, %d, %d", a, c, d)
	}
}

func TestNote(t *testing.T) {
	var b bench
	b.note("a")
	b.note("b")
	b.note("a")
	if got := strings.Join(b.notes, ","); got != "a,b" {
		t.Errorf("notes = %s", got)
	}
}
