package history_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/test/faults/history"
)

// TestLong decides about a history as a long run of faults makes it: many requests on few tags, of which many get no answer,
// and images that get the same tag again. It must neither accuse a registry that did all right nor take long.
func TestLong(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 1))
		ops := longHistory(r, 3_000)
		began := time.Now()
		if found := history.Check(ops, immutable); len(found) > 0 {
			t.Fatalf("seed %d: it is possible, and found: %v", seed, found[0])
		}
		t.Logf("seed %d: %d requests judged in %v", seed, len(ops), time.Since(began).Round(time.Millisecond))
		// A tag that names what it named long ago is found however many requests had no answer since.
		for _, op := range ops {
			if op.Kind == history.PushTag && op.Outcome == history.Done && only(ops, func(o history.Op) bool { return o.Kind == op.Kind && o.Tag == op.Tag && o.Digest == op.Digest }) {
				if found := history.Check(append(ops, read(history.ReadTag, op.Tag, op.Digest)), immutable); len(found) == 0 {
					t.Errorf("seed %d: nothing found about %v", seed, op)
				}
				break
			}
		}
	}
}

// longHistory simulates 16 clients that each ask for one thing after the other.
func longHistory(r *rand.Rand, requests int) []history.Op {
	type timed struct {
		*history.Op
		at time.Duration
	}
	var all []timed
	now := make([]time.Duration, 16)
	for i := range requests {
		client := slices.Index(now, slices.Min(now))
		op := &history.Op{Repository: repository, Begin: now[client], Outcome: history.Done, By: fmt.Sprint("client ", client)}
		recent := fmt.Sprintf("d%d", max(0, i-r.IntN(100)))
		switch n := r.IntN(100); {
		case n < 20:
			op.Kind, op.Tag, op.Digest = history.PushTag, fmt.Sprint("t", r.IntN(6)), fmt.Sprintf("d%d", i)
		case n < 28:
			op.Kind, op.Tag, op.Digest = history.PushTag, fmt.Sprint("t", r.IntN(6)), recent
		case n < 40:
			op.Kind, op.Digest = history.DeleteImage, recent
		case n < 45:
			op.Kind, op.Tag = history.DeleteTag, fmt.Sprint("t", r.IntN(6))
		case n < 75:
			op.Kind, op.Tag = history.ReadTag, fmt.Sprint("t", r.IntN(6))
		case n < 98:
			op.Kind, op.Digest = history.ReadImage, recent
		default:
			op.Kind = history.List
		}
		length := time.Duration(r.IntN(30)) * time.Millisecond
		if r.IntN(50) == 0 {
			length *= 200
		}
		op.End = op.Begin + length
		at := op.Begin + time.Duration(r.Int64N(int64(length)+1))
		if op.Kind < history.ReadTag && r.IntN(5) == 0 {
			op.Outcome = history.Unknown
			at += []time.Duration{0, 10 * time.Second, 24 * time.Hour}[r.IntN(3)]
		}
		now[client] = op.End + time.Duration(i)
		all = append(all, timed{op, at})
	}
	slices.SortStableFunc(all, func(a, b timed) int { return cmp.Compare(a.at, b.at) })
	s := simulation{map[string]string{}, map[string]bool{}}
	var ops []history.Op
	for _, op := range all {
		if op.at < 12*time.Hour && !s.apply(op.Op) && op.Outcome == history.Done {
			op.Outcome = history.Refused
		}
		ops = append(ops, *op.Op)
	}
	return ops
}
