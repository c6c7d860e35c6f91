package iam

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/coffer-registry/coffer/internal/store"
)

// Use is an access key, a user or a role being used for an action of a service.
type Use struct {
	// Key is a long-term access key; empty for none.
	Key string
	// Entity is the unique id of a user or role, and Kind which of them it is; empty for the root of an account.
	Entity string
	Kind   Kind
	// Service and Action are the parts of an IAM action, such as "ecr" and "PutImage". An action that needs no permission has
	// none.
	Service, Action string
	// Region is where.
	Region string
}

const (
	// usePrecision is how far the recorded time of a use may lag behind.
	usePrecision = time.Minute
	maxUses      = 50_000
)

// Usage gathers who used what when, for one write a few seconds instead of one a request. It is safe for concurrent use.
type Usage struct {
	db  *store.DB
	now func() time.Time

	mu      sync.Mutex
	pending map[Use]time.Time
	// noted holds what was noted last, so that what is used all the time is not written all the time.
	noted map[Use]time.Time
}

// Note notes that something is used now. It is written by the next Flush. What there is no room for is not noted.
func (u *Usage) Note(use Use) {
	if use.Key == "" && use.Entity == "" {
		return
	}
	now := u.now()
	u.mu.Lock()
	defer u.mu.Unlock()
	if at, ok := u.noted[use]; ok && now.Sub(at) < usePrecision || len(u.pending) >= maxUses {
		return
	}
	if len(u.noted) >= maxUses || u.noted == nil {
		u.noted = map[Use]time.Time{}
	}
	if u.pending == nil {
		u.pending = map[Use]time.Time{}
	}
	u.noted[use], u.pending[use] = now, now
}

// Flush writes what was noted. What can't be written is lost; it isn't worth failing anything for. It touches no topic,
// since nothing that is decided depends on it.
func (u *Usage) Flush(ctx context.Context) error {
	u.mu.Lock()
	pending := u.pending
	u.pending = nil
	u.mu.Unlock()
	if len(pending) == 0 {
		return nil
	}
	err := u.db.Update(ctx, func(tx *store.Tx) error {
		for use, at := range pending {
			if err := use.write(tx, at.UnixMicro()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record %d uses of keys and identities: %w", len(pending), err)
	}
	return nil
}

// write notes a use in the rows of its key and its identity, unless they are gone or were used later.
func (use Use) write(tx *store.Tx, at int64) error {
	if use.Key != "" {
		_, err := tx.Exec(`UPDATE access_key SET used_at = $1, used_service = $2, used_region = $3 WHERE id = $4 AND (used_at IS NULL OR used_at < $1)`,
			at, use.Service, use.Region, use.Key)
		if err != nil {
			return err
		}
	}
	if use.Entity == "" {
		return nil
	}
	if use.Kind == KindRole {
		_, err := tx.Exec(`UPDATE iam_role SET used_at = $1, used_region = $2 WHERE id = $3 AND (used_at IS NULL OR used_at < $1)`,
			at, use.Region, use.Entity)
		if err != nil {
			return err
		}
	}
	var there int
	if err := tx.QueryRow(`SELECT count(*) FROM `+tables[use.Kind]+` WHERE id = $1`, use.Entity).Scan(&there); err != nil || there == 0 {
		return err
	}
	if use.Action != "" {
		if err := use.writeAccess(tx, use.Action, at); err != nil {
			return err
		}
	}
	return use.writeAccess(tx, "", at)
}

// writeAccess notes that the identity called an action of the service; an empty one stands for the service as a whole.
func (use Use) writeAccess(tx *store.Tx, action string, at int64) error {
	_, err := tx.Exec(`INSERT INTO iam_access (entity, service, action, at, region) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (entity, service, action) DO UPDATE SET at = excluded.at, region = excluded.region WHERE iam_access.at < excluded.at`,
		use.Entity, use.Service, action, at, use.Region)
	return err
}
