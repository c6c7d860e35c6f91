// Package cache keeps in memory what was read elsewhere until something changes it, and never what was out of date already
// when it came.
//
// Who changes something drops it, after the change is made and before anybody is told. The package doesn't know what it keeps.
package cache

import (
	"hash/maphash"
	"sync"
)

// Cache holds values by their keys. It never holds what was already out of date when it was put in: a load that was overtaken
// by a Drop is not kept. Its size is bounded; what makes room for the new is chosen at random. It is safe for concurrent use.
type Cache[K comparable, V any] struct {
	seed   maphash.Seed
	shards []shard[K, V]
}

type shard[K comparable, V any] struct {
	mu         sync.RWMutex
	entries    map[K]entry[V]
	bytes, max int
	// changes counts invalidations; a load keeps its result only if there was none meanwhile.
	changes uint64
}

type entry[V any] struct {
	value V
	bytes int
}

// New returns a cache of at most maxBytes, as loads estimate them. It is divided into so many shards, each with a lock and an
// equal part of the bytes of its own: more of them let more goroutines change it at once, and bound a single value more tightly.
func New[K comparable, V any](maxBytes, shards int) *Cache[K, V] {
	c := &Cache[K, V]{seed: maphash.MakeSeed(), shards: make([]shard[K, V], shards)}
	for i := range c.shards {
		c.shards[i].entries = map[K]entry[V]{}
		c.shards[i].max = maxBytes / shards
	}
	return c
}

func (c *Cache[K, V]) shard(key K) *shard[K, V] {
	return &c.shards[maphash.Comparable(c.seed, key)%uint64(len(c.shards))]
}

// Get returns the value of key, which load reads when the cache lacks it. load also estimates the value's size in bytes.
func (c *Cache[K, V]) Get(key K, load func() (V, int, error)) (V, error) {
	return c.Current(key, nil, load)
}

// Current is Get for values that get out of date by themselves: one that good does not accept is loaded anew. nil accepts
// all.
func (c *Cache[K, V]) Current(key K, good func(V) bool, load func() (V, int, error)) (V, error) {
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
		s.put(key, entry[V]{value, bytes})
	}
	return value, nil
}

func (s *shard[K, V]) put(key K, e entry[V]) {
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

// Clear forgets everything, and what is being loaded at the moment is not kept either.
func (c *Cache[K, V]) Clear() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.changes++
		s.bytes = 0
		clear(s.entries)
		s.mu.Unlock()
	}
}

// Drop forgets key; what is being loaded at the moment is not kept either.
func (c *Cache[K, V]) Drop(key K) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	s.bytes -= s.entries[key].bytes
	delete(s.entries, key)
}
