package access

import (
	"sync"
	"time"
)

// buckets are buckets of tokens, each of which fills at a rate up to a size, and from which each event takes one.
type buckets[K comparable] struct {
	mu  sync.Mutex
	all map[K]*bucket
}

type bucket struct {
	tokens float64
	at     time.Time
	// empty is set once it had none to give, until it has one again.
	empty bool
}

// maxBuckets bounds the memory: who is new to a full table starts with a full bucket again.
const maxBuckets = 10_000

// take takes a token from a bucket that fills with rate tokens per second up to size. first is set if there was none, for
// the first time since there was one.
func (b *buckets[K]) take(key K, rate, size float64, now time.Time) (ok, first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.all[key]
	if one == nil {
		if len(b.all) >= maxBuckets || b.all == nil {
			b.all = map[K]*bucket{}
		}
		one = &bucket{tokens: size, at: now}
		b.all[key] = one
	}
	one.tokens = min(size, one.tokens+rate*max(0, now.Sub(one.at).Seconds()))
	one.at = now
	if one.tokens < 1 {
		first = !one.empty
		one.empty = true
		return false, first
	}
	one.tokens--
	one.empty = false
	return true, false
}

// rates limits how often an account may do something, by a bucket that holds one second's worth.
type rates struct {
	perSecond map[string]int64
	buckets   buckets[bucketKey]
}

type bucketKey struct{ account, region, action string }

func newRates(perSecond map[string]int64) *rates { return &rates{perSecond: perSecond} }

func (r *rates) allow(key bucketKey, now time.Time) bool {
	rate := float64(r.perSecond[key.action])
	if rate <= 0 {
		return true
	}
	ok, _ := r.buckets.take(key, rate, rate, now)
	return ok
}
