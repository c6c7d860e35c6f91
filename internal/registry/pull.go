package registry

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/store"
)

// pullTimes gathers when images were pulled, for one write a moment instead of one a pull.
type pullTimes struct {
	mu      sync.Mutex
	pending map[imageKey]time.Time
	// written holds what was written last, so that an image that is pulled all the time is not written all the time.
	written map[imageKey]time.Time
}

const (
	// pullPrecision is how far the recorded time of a pull may lag behind.
	pullPrecision = time.Minute
	maxPullTimes  = 50_000
)

// RecordPull notes that an image was pulled now. It is written a moment later.
func (r *Registry) RecordPull(repo Repository, digest oci.Digest) {
	key, now := imageKey{repo.id, digest}, r.now()
	p := &r.pulls
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.written[key]) < pullPrecision || len(p.pending) >= maxPullTimes {
		return
	}
	if p.pending == nil {
		p.pending = map[imageKey]time.Time{}
	}
	p.pending[key] = now
}

// FlushPulls writes the noted times of pulls. What can't be written is lost; it isn't worth failing anything for.
func (r *Registry) FlushPulls(ctx context.Context) error {
	p := &r.pulls
	p.mu.Lock()
	pending := p.pending
	p.pending = nil
	if len(p.written)+len(pending) > maxPullTimes || p.written == nil {
		p.written = map[imageKey]time.Time{}
	}
	for key, at := range pending {
		p.written[key] = at
	}
	p.mu.Unlock()
	if len(pending) == 0 {
		return nil
	}
	err := r.db.Update(ctx, func(tx *store.Tx) error {
		for key, at := range pending {
			if err := tx.Send(`UPDATE image SET pulled_at = $1 WHERE repository = $2 AND digest = $3`,
				at.UnixMicro(), key.repository, string(key.digest)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record the time of %d pulls: %w", len(pending), err)
	}
	return nil
}
