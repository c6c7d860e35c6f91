package iam

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/coffer-registry/coffer/internal/store"
)

// cache holds what was read of each account until something of the account changes. What was read before a change is
// never kept after it.
type cache struct {
	epoch    atomic.Uint64
	mu       sync.RWMutex
	accounts map[string]map[any]any
	entries  int
}

// maxCached bounds the entries of all accounts together: at some kilobytes each, a quarter of a gigabyte at most.
const maxCached = 20_000

// Epoch counts the changes that this process knows of. What was derived from a Store's answers holds while it stays the
// same.
func (s *Store) Epoch() uint64 { return s.cache.epoch.Load() }

// forget drops what is known of the account that a topic stands for.
func (c *cache) forget(topic string) {
	account, ok := strings.CutPrefix(topic, topicPrefix)
	if !ok && topic != store.Everything {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch.Add(1)
	if topic == store.Everything {
		c.accounts, c.entries = nil, 0
		return
	}
	c.entries -= len(c.accounts[account])
	delete(c.accounts, account)
}

// cached returns the value of a key of an account, which load reads when it isn't in memory. Keys are values of small
// types of their own.
func cached[T any](c *cache, account string, key any, load func() (T, error)) (T, error) {
	c.mu.RLock()
	value, ok := c.accounts[account][key]
	epoch := c.epoch.Load()
	c.mu.RUnlock()
	if ok {
		return value.(T), nil
	}
	loaded, err := load()
	if err != nil {
		return loaded, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if epoch != c.epoch.Load() {
		return loaded, nil
	}
	if c.entries >= maxCached || c.accounts == nil {
		c.accounts, c.entries = map[string]map[any]any{}, 0
	}
	if c.accounts[account] == nil {
		c.accounts[account] = map[any]any{}
	}
	if _, twice := c.accounts[account][key]; !twice {
		c.entries++
	}
	c.accounts[account][key] = loaded
	return loaded, nil
}
