package blob

import (
	"bytes"
	"container/list"
	"sync"
)

// tailCacheSize is how many bytes of tails are kept in memory.
const tailCacheSize = 16 << 20

// tailCache keeps the tails of uploads that were closed here, since most are gone on with in the same process. The oldest
// go first.
type tailCache struct {
	mu    sync.Mutex
	byKey map[string]*list.Element
	order list.List // of *cachedTail, the newest first
	size  int
}

type cachedTail struct {
	key         string
	state, tail []byte
	parts       []s3Part
}

func (c *cachedTail) size() int { return len(c.state) + len(c.tail) + 64*len(c.parts) }

func (c *tailCache) put(key string, state []byte, parts []s3Part, tail []byte) {
	entry := &cachedTail{key, state, bytes.Clone(tail), parts}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(key)
	if c.byKey == nil {
		c.byKey = map[string]*list.Element{}
	}
	c.byKey[key] = c.order.PushFront(entry)
	c.size += entry.size()
	for c.size > tailCacheSize {
		c.remove(c.order.Back().Value.(*cachedTail).key)
	}
}

// take gives out what is kept of a state, once.
func (c *tailCache) take(key string, state []byte) (parts []s3Part, tail []byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byKey[key]
	if e == nil {
		return nil, nil, false
	}
	entry := e.Value.(*cachedTail)
	c.remove(key)
	return entry.parts, entry.tail, bytes.Equal(entry.state, state)
}

func (c *tailCache) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(key)
}

func (c *tailCache) remove(key string) {
	if e := c.byKey[key]; e != nil {
		c.size -= e.Value.(*cachedTail).size()
		c.order.Remove(e)
		delete(c.byKey, key)
	}
}
