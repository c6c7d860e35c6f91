package registry

import (
	"hash/maphash"
	"sync"
)

// cache holds what was read from the database until something changes it. It never holds what was already out of date
// when it was put in: a load that was overtaken by an invalidation is not kept. Its size is bounded; what makes room for
// the new is chosen at random.
type cache[K comparable, V any] struct {
	seed   maphash.Seed
	shards [cacheShards]cacheShard[K, V]
}

const cacheShards = 32

type cacheShard[K comparable, V any] struct {
	mu         sync.RWMutex
	entries    map[K]cacheEntry[V]
	bytes, max int
	// changes counts invalidations; a load keeps its result only if there was none meanwhile.
	changes uint64
}

type cacheEntry[V any] struct {
	value V
	bytes int
}

func newCache[K comparable, V any](maxBytes int) *cache[K, V] {
	c := &cache[K, V]{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].entries = map[K]cacheEntry[V]{}
		c.shards[i].max = maxBytes / cacheShards
	}
	return c
}

func (c *cache[K, V]) shard(key K) *cacheShard[K, V] {
	return &c.shards[maphash.Comparable(c.seed, key)%cacheShards]
}

// get returns the value of key, which load reads when the cache lacks it. load also estimates the value's size in bytes.
func (c *cache[K, V]) get(key K, load func() (V, int, error)) (V, error) {
	return c.current(key, nil, load)
}

// current is get for values that get out of date by themselves: one that good does not accept is loaded anew. nil accepts
// all.
func (c *cache[K, V]) current(key K, good func(V) bool, load func() (V, int, error)) (V, error) {
	s := c.shard(key)
	s.mu.RLock()
	e, ok := s.entries[key]
	changes := s.changes
	s.mu.RUnlock()
	if ok && (good == nil || good(e.value)) {
		return e.value, nil
	}
	value, bytes, err := load()
	if err != nil {
		return value, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes == changes && bytes <= s.max {
		s.put(key, cacheEntry[V]{value, bytes})
	}
	return value, nil
}

func (s *cacheShard[K, V]) put(key K, e cacheEntry[V]) {
	s.bytes += e.bytes - s.entries[key].bytes
	s.entries[key] = e
	for other := range s.entries {
		if s.bytes <= s.max {
			return
		}
		if other != key {
			s.bytes -= s.entries[other].bytes
			delete(s.entries, other)
		}
	}
}

// drop forgets key; what is being loaded at the moment is not kept either.
func (c *cache[K, V]) drop(key K) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	s.bytes -= s.entries[key].bytes
	delete(s.entries, key)
}
