package kms

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/coffer-registry/coffer/internal/store"
)

// Use is when a key was used last, and for which operation.
type Use struct {
	Operation Operation
	At        time.Time
}

// usage gathers which keys are used, so that using one writes nothing.
type usage struct {
	mu   sync.Mutex
	last map[string]Use
}

func (u *usage) note(keyID string, op Operation, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last == nil {
		u.last = map[string]Use{}
	}
	u.last[keyID] = Use{op, at}
}

// take returns what was gathered since it was called last.
func (u *usage) take() map[string]Use {
	u.mu.Lock()
	defer u.mu.Unlock()
	last := u.last
	u.last = nil
	return last
}

// FlushUsage writes which keys were used since it was called last. What can't be written is lost.
func (k *Keys) FlushUsage(ctx context.Context) error {
	last := k.used.take()
	for page := range slices.Chunk(slices.Sorted(maps.Keys(last)), destroyPage) {
		err := k.db.Update(ctx, func(tx *store.Tx) error {
			for _, id := range page {
				use := last[id]
				if _, err := tx.Exec(`UPDATE kms_key SET used_at = $1, used_operation = $2 WHERE id = $3 AND (used_at IS NULL OR used_at < $1)`,
					use.At, use.Operation, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("record which keys were used: %w", err)
		}
	}
	return nil
}

// LastUse returns when a key was used last; the zero value if it never was.
func (k *Keys) LastUse(tx *store.Tx, key Key) (Use, error) {
	var at *time.Time
	var op *Operation
	err := tx.QueryRow(`SELECT used_at, used_operation FROM kms_key WHERE id = $1`, key.ID).Scan(&at, &op)
	if err != nil {
		return Use{}, fmt.Errorf("read when key %s was used: %w", key.ID, err)
	}
	k.used.mu.Lock()
	defer k.used.mu.Unlock()
	if u, ok := k.used.last[key.ID]; ok && u.At.After(value(at)) {
		return u, nil
	}
	return Use{value(op), value(at)}, nil
}
