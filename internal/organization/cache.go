package organization

import (
	"maps"
	"sync"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// cache holds what was read of the organization until it changes.
type cache struct {
	mu        sync.RWMutex
	epoch     uint64
	standings map[string]*Standing
	// policies are compiled, by their ids, so that accounts share them.
	policies map[string]*policy.Policy
}

// maxCached bounds the accounts in memory, among which may be ones that there aren't.
const maxCached = 20_000

// forget drops what a topic stands for.
func (c *cache) forget(changed string) {
	if changed != topic && changed != store.Everything {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	c.standings, c.policies = nil, nil
}

// standing returns what is known of an account, nil if nothing is, and the epoch in which it isn't.
func (c *cache) standing(account string) (*Standing, uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.standings[account], c.epoch
}

// compiled returns the policies that are in memory.
func (c *cache) compiled() map[string]*policy.Policy {
	c.mu.RLock()
	defer c.mu.RUnlock()
	known := make(map[string]*policy.Policy, len(c.policies))
	maps.Copy(known, c.policies)
	return known
}

// keep remembers what was read in an epoch, unless that is over.
func (c *cache) keep(epoch uint64, account string, st *Standing, compiled map[string]*policy.Policy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if epoch != c.epoch {
		return
	}
	if c.standings == nil || len(c.standings) >= maxCached {
		c.standings = map[string]*Standing{}
	}
	c.standings[account] = st
	if c.policies == nil {
		c.policies = map[string]*policy.Policy{}
	}
	maps.Copy(c.policies, compiled)
}
