package kms

import "sync"

// memory holds what was read from the database until something changes it. It never keeps what was out of date already when
// it came: what was read while its key was dropped is not kept. Its size is bounded; what makes room is chosen at random.
type memory[K comparable, V any] struct {
	mu         sync.RWMutex
	entries    map[K]remembered[V]
	bytes, max int
	// drops counts the keys that were dropped.
	drops uint64
}

type remembered[V any] struct {
	value V
	bytes int
}

func newMemory[K comparable, V any](max int) *memory[K, V] {
	return &memory[K, V]{entries: map[K]remembered[V]{}, max: max}
}

// get returns the value of a key, which load reads unless it is in memory. load also estimates how many bytes it takes.
func (m *memory[K, V]) get(key K, load func() (V, int, error)) (V, error) {
	m.mu.RLock()
	e, ok := m.entries[key]
	drops := m.drops
	m.mu.RUnlock()
	if ok {
		return e.value, nil
	}
	value, bytes, err := load()
	if err != nil {
		return value, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.drops == drops && bytes <= m.max {
		m.put(key, remembered[V]{value, bytes})
	}
	return value, nil
}

func (m *memory[K, V]) put(key K, e remembered[V]) {
	m.bytes += e.bytes - m.entries[key].bytes
	m.entries[key] = e
	for other := range m.entries {
		if m.bytes <= m.max {
			return
		}
		if other != key {
			m.bytes -= m.entries[other].bytes
			delete(m.entries, other)
		}
	}
}

// drop forgets a key; what is being read at the moment is not kept either.
func (m *memory[K, V]) drop(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drops++
	m.bytes -= m.entries[key].bytes
	delete(m.entries, key)
}
