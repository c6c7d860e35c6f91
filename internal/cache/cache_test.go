package cache

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// testShards is how many shards the caches of tests have.
const testShards = 32

// loading gives the cache a value of a size, and notes that it was asked.
func loading(value string, bytes int, asked *int) func() (string, int, error) {
	return func() (string, int, error) {
		*asked++
		return value, bytes, nil
	}
}

func TestCacheKeepsUntilDropped(t *testing.T) {
	c := New[string, string](testShards*100, testShards)
	asked := 0
	for range 3 {
		if got, err := c.Get("k", loading("v", 10, &asked)); got != "v" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	if asked != 1 {
		t.Errorf("loaded %d times", asked)
	}
	c.Drop("k")
	c.Drop("absent")
	if got, _ := c.Get("k", loading("w", 10, &asked)); got != "w" || asked != 2 {
		t.Errorf("%q after %d loads", got, asked)
	}
}

func TestCacheKeepsNoErrors(t *testing.T) {
	c := New[string, string](testShards*100, testShards)
	failed, asked := errors.New("failed"), 0
	if _, err := c.Get("k", func() (string, int, error) { return "", 1, failed }); err != failed {
		t.Errorf("error is %v", err)
	}
	if got, err := c.Get("k", loading("v", 1, &asked)); got != "v" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// A value that was read before it was dropped is given to who asked, and to nobody else.
func TestCacheKeepsNothingOvertaken(t *testing.T) {
	c := New[string, string](testShards*100, testShards)
	asked := 0
	got, err := c.Get("k", func() (string, int, error) {
		c.Drop("k")
		return "old", 1, nil
	})
	if got != "old" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, _ := c.Get("k", loading("new", 1, &asked)); got != "new" {
		t.Errorf("%q was kept", got)
	}
}

// sizes adds up a shard's entries.
func sizes(s *shard[int, string]) (n int) {
	for _, e := range s.entries {
		n += e.bytes
	}
	return n
}

func TestCacheIsBounded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const most = 50
		c := New[int, string](testShards*most, testShards)
		rt.Repeat(map[string]func(*rapid.T){
			"get": func(rt *rapid.T) {
				key, bytes := rapid.IntRange(0, 300).Draw(rt, "key"), rapid.IntRange(0, most+5).Draw(rt, "bytes")
				got, _ := c.Get(key, func() (string, int, error) { return fmt.Sprint(key), bytes, nil })
				if got != fmt.Sprint(key) {
					rt.Errorf("key %d has the value %q", key, got)
				}
			},
			"drop": func(rt *rapid.T) { c.Drop(rapid.IntRange(0, 300).Draw(rt, "key")) },
			"": func(rt *rapid.T) {
				for i := range c.shards {
					if s := &c.shards[i]; s.bytes != sizes(s) || s.bytes > most {
						rt.Errorf("a shard counts %d bytes, has %d and may have %d", s.bytes, sizes(s), most)
					}
				}
			},
		})
	})
}

// Readers beside a writer that drops what it changes never see what was out of date when they asked.
func TestCacheBesideChanges(t *testing.T) {
	c := New[string, int64](testShards*1000, testShards)
	var truth atomic.Int64
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				dropped := truth.Load() // set before it is dropped, so an older value may still be there
				got, _ := c.Get("k", func() (int64, int, error) { return truth.Load(), 1, nil })
				if got < dropped-1 {
					t.Errorf("%d, after %d was dropped", got, dropped-1)
					return
				}
			}
		})
	}
	for range 20_000 {
		truth.Add(1)
		c.Drop("k")
	}
	close(done)
	wg.Wait()
	if got, _ := c.Get("k", func() (int64, int, error) { return truth.Load(), 1, nil }); got != truth.Load() {
		t.Errorf("%d in the end, want %d", got, truth.Load())
	}
}
