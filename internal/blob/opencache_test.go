package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// whole is an object of so many bytes, all of which the first request finds.
func whole(size int) *opened { return &opened{size: int64(size), head: make([]byte, size)} }

// loads gives an object and counts.
func loads(o *opened, n *atomic.Int64) func() (*opened, error) {
	return func() (*opened, error) {
		n.Add(1)
		return o, nil
	}
}

// TestOpenCacheIsBounded fills a cache far beyond its size and adds up what it still has.
func TestOpenCacheIsBounded(t *testing.T) {
	const most = 4 << 20
	for _, size := range []int{0, 100, 40_000, headWindow} {
		c := newOpenCache(most)
		n := 3 * most / max(size, 400)
		for i := range n {
			if _, err := c.open(t.Context(), fmt.Sprint(i), func() (*opened, error) { return whole(size), nil }); err != nil {
				t.Fatal(err)
			}
		}
		had := 0
		for i := range n {
			o, err := c.open(t.Context(), fmt.Sprint(i), func() (*opened, error) { return nil, fs.ErrNotExist })
			if err == nil {
				had += o.weight()
			}
		}
		if had > most || had < most/2 {
			t.Errorf("objects of %d bytes: it holds %d bytes of %d", size, had, most)
		}
	}
}

// TestOpenCacheShares has many ask for one object at once, of which only the small is kept.
func TestOpenCacheShares(t *testing.T) {
	for _, test := range []struct {
		object *opened
		again  int64
	}{{whole(1000), 0}, {&opened{size: headWindow + 1, head: make([]byte, headWindow)}, 1}} {
		synctest.Test(t, func(t *testing.T) {
			c := newOpenCache(4 << 20)
			var n atomic.Int64
			var askers sync.WaitGroup
			for range 100 {
				askers.Go(func() {
					got, err := c.open(t.Context(), "k", func() (*opened, error) {
						time.Sleep(time.Second)
						n.Add(1)
						return test.object, nil
					})
					if got != test.object || err != nil {
						t.Errorf("%v, %v", got, err)
					}
				})
			}
			askers.Wait()
			if n.Load() != 1 {
				t.Errorf("loaded %d times", n.Load())
			}
			if _, err := c.open(t.Context(), "k", loads(test.object, &n)); err != nil || n.Load() != 1+test.again {
				t.Errorf("loaded %d times with the next, %v", n.Load(), err)
			}
		})
	}
}

// TestOpenCacheSharesNoFailure lets the one fail whom others wait for. They try for themselves, all at once.
func TestOpenCacheSharesNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newOpenCache(4 << 20)
		var n, failed atomic.Int64
		var askers sync.WaitGroup
		begun := time.Now()
		for range 20 {
			askers.Go(func() {
				_, err := c.open(t.Context(), "k", func() (*opened, error) {
					time.Sleep(time.Second)
					n.Add(1)
					return nil, fs.ErrNotExist
				})
				if errors.Is(err, fs.ErrNotExist) {
					failed.Add(1)
				}
			})
		}
		askers.Wait()
		if took := time.Since(begun); n.Load() != 20 || failed.Load() != 20 || took != 2*time.Second {
			t.Errorf("%d loads, %d failures, after %v", n.Load(), failed.Load(), took)
		}
		if _, err := c.open(t.Context(), "k", loads(whole(1), &n)); err != nil {
			t.Errorf("after a failure: %v", err)
		}
	})
}

// TestOpenCacheOutlivesWhoLeaves cancels the one whom others wait for, and one of those who wait. Another takes the place.
func TestOpenCacheOutlivesWhoLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newOpenCache(4 << 20)
		var n atomic.Int64
		load := func(ctx context.Context) func() (*opened, error) {
			return func() (*opened, error) {
				n.Add(1)
				select {
				case <-ctx.Done():
					return nil, ctx.Err()
				case <-time.After(time.Minute):
					return whole(1), nil
				}
			}
		}
		first, leave := context.WithCancel(t.Context())
		waiting, leaveToo := context.WithCancel(t.Context())
		var askers sync.WaitGroup
		ask := func(ctx context.Context, want error) {
			askers.Go(func() {
				if _, err := c.open(ctx, "k", load(ctx)); !errors.Is(err, want) {
					t.Errorf("error is %v, want %v", err, want)
				}
			})
			synctest.Wait()
		}
		ask(first, context.Canceled)
		ask(waiting, context.Canceled)
		for range 10 {
			ask(t.Context(), nil)
		}
		leaveToo()
		synctest.Wait()
		leave()
		askers.Wait()
		if n.Load() != 2 {
			t.Errorf("loaded %d times", n.Load())
		}
	})
}

// TestOpenCacheDrops deletes an object while it is read: those who ask after that don't get it, nor does anybody later.
func TestOpenCacheDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newOpenCache(4 << 20)
		slow := func() (*opened, error) {
			time.Sleep(time.Minute)
			return whole(1), nil
		}
		gone := func() (*opened, error) { return nil, fs.ErrNotExist }
		var askers sync.WaitGroup
		for range 3 {
			askers.Go(func() {
				if _, err := c.open(t.Context(), "k", slow); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		c.drop("k")
		if _, err := c.open(t.Context(), "k", gone); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("while it is still read: %v", err)
		}
		askers.Wait()
		if _, err := c.open(t.Context(), "k", gone); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after it was read: %v", err)
		}
		var n atomic.Int64
		for range 2 {
			if _, err := c.open(t.Context(), "kept", loads(whole(1), &n)); err != nil {
				t.Error(err)
			}
		}
		c.drop("kept")
		if _, err := c.open(t.Context(), "kept", gone); !errors.Is(err, fs.ErrNotExist) || n.Load() != 1 {
			t.Errorf("dropped after %d loads: %v", n.Load(), err)
		}
	})
}
