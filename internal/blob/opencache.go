package blob

import (
	"context"
	"math"
	"sync"

	"github.com/coffer-registry/coffer/internal/cache"
)

// openCache keeps small objects in memory as they are in the bucket, and lets those who open the same object at the same
// moment share one request. Objects never change, so what it keeps is right for as long as the object is there; who deletes
// an object here drops it. Errors are neither kept nor shared.
type openCache struct {
	whole *cache.Cache[string, *opened]

	mu   sync.Mutex
	asks map[string]*ask // those under way, which nobody overtook by a drop
}

// ask is a request that others wait for.
type ask struct {
	over chan struct{}
	// found is nil if the request failed, and left says that it did because the one who made it went away.
	found *opened
	left  bool
}

// openCacheShards bounds what a single lock is for.
const openCacheShards = 4

func newOpenCache(bytes int) *openCache {
	return &openCache{whole: cache.New[string, *opened](bytes, openCacheShards), asks: map[string]*ask{}}
}

// open gives what load finds of an object, or has found before if that is all of it.
func (c *openCache) open(ctx context.Context, key string, load func() (*opened, error)) (*opened, error) {
	return c.whole.Get(key, func() (*opened, int, error) {
		found, err := c.share(ctx, key, load)
		if err != nil {
			return nil, 0, err
		}
		return found, found.weight(), nil
	})
}

// weight is how many bytes an object takes in the cache: those of the heap, which rounds sizes up by an eighth at most, and
// of the entry. Of large objects only the beginning is in memory, and they have no place there.
func (o *opened) weight() int {
	if int64(len(o.head)) < o.size {
		return math.MaxInt
	}
	return len(o.head) + len(o.head)/8 + 512
}

// share lets one of those who ask at the same moment load, for all of them. Where that fails, each of the others loads for
// itself; but if it only went away, another takes its place.
func (c *openCache) share(ctx context.Context, key string, load func() (*opened, error)) (*opened, error) {
	for {
		a, first := c.join(key)
		if first {
			defer c.end(ctx, key, a)
			var err error
			a.found, err = load()
			return a.found, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-a.over:
		}
		if a.found != nil {
			return a.found, nil
		}
		if !a.left {
			return load()
		}
	}
}

// join finds the request for a key, or begins it.
func (c *openCache) join(key string) (a *ask, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a = c.asks[key]; a != nil {
		return a, false
	}
	a = &ask{over: make(chan struct{})}
	c.asks[key] = a
	return a, true
}

// end lets those who wait for a request go on.
func (c *openCache) end(ctx context.Context, key string, a *ask) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a.left = ctx.Err() != nil
	if c.asks[key] == a {
		delete(c.asks, key)
	}
	close(a.over)
}

// drop forgets an object that was deleted. Requests under way may have found it still: first nobody joins them any more, so
// that then all who wait for them are known to have asked the cache before, which lets them keep nothing.
func (c *openCache) drop(key string) {
	c.mu.Lock()
	delete(c.asks, key)
	c.mu.Unlock()
	c.whole.Drop(key)
}
