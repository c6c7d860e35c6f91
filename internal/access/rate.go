package access

import (
	"sync"
	"time"
)

// rates limits how often an account may do something, by a bucket of tokens that holds one second's worth.
type rates struct {
	perSecond map[string]int64

	mu      sync.Mutex
	buckets map[bucketKey]*bucket
}

type bucketKey struct{ account, region, action string }

type bucket struct {
	tokens float64
	at     time.Time
}

// maxBuckets bounds the memory: accounts that are new to a full table start with a full bucket again.
const maxBuckets = 10_000

func newRates(perSecond map[string]int64) *rates {
	return &rates{perSecond: perSecond, buckets: map[bucketKey]*bucket{}}
}

func (r *rates) allow(key bucketKey, now time.Time) bool {
	rate := float64(r.perSecond[key.action])
	if rate <= 0 {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.buckets[key]
	if b == nil {
		if len(r.buckets) >= maxBuckets {
			clear(r.buckets)
		}
		b = &bucket{tokens: rate, at: now}
		r.buckets[key] = b
	}
	b.tokens = min(rate, b.tokens+rate*max(0, now.Sub(b.at).Seconds()))
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
