package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/coffer-registry/coffer/internal/store"
)

// rewrapPage is how many keys are wrapped anew in one transaction.
const rewrapPage = 100

// RewrapDue reports whether a customer key changed since the last call of Rewrap that succeeded.
func (r *Registry) RewrapDue() bool { return r.open.rewrapped.Load() != r.open.changes.Load()+1 }

// Rewrap wraps the keys of repositories anew whose customer keys have other material now than they were wrapped with. It
// rewrites no objects, goes on where an earlier call ended, and does nothing when no customer key changed since the last
// call that succeeded. It tells progress after each page: how many keys it has wrapped, and how many are left of the customer key
// at hand. A customer key that can't be used is left for later, when it changes again.
func (r *Registry) Rewrap(ctx context.Context, progress func(done, left int64)) (done int64, err error) {
	changes := r.open.changes.Load() + 1
	if r.open.rewrapped.Load() == changes {
		return 0, nil
	}
	for after := ""; ; {
		keys, err := r.customerKeysAfter(ctx, after)
		if err != nil {
			return done, err
		}
		if len(keys) == 0 {
			r.open.rewrapped.Store(changes)
			return done, nil
		}
		for _, key := range keys {
			after = key
			if err := r.rewrapUnder(ctx, key, &done, progress); err != nil {
				return done, err
			}
		}
	}
}

// customerKeysAfter are the customer keys of repositories, in their order.
func (r *Registry) customerKeysAfter(ctx context.Context, after string) (keys []string, err error) {
	err = r.db.View(ctx, func(tx *store.Tx) error {
		keys, err = r.texts(tx, `SELECT DISTINCT kms_key FROM repository WHERE kms_key > $1 AND kms_key <> '' ORDER BY kms_key LIMIT 100`, after)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for customer keys: %w", err)
	}
	return keys, nil
}

func (r *Registry) rewrapUnder(ctx context.Context, key string, done *int64, progress func(done, left int64)) error {
	var refused *KeyError
	material, err := r.customer.Material(ctx, key)
	if errors.As(err, &refused) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up the material of %s: %w", key, err)
	}
	for after := int64(0); ; {
		ids, left, err := r.wrappedOtherwise(ctx, key, material, after)
		if err != nil || len(ids) == 0 {
			return err
		}
		wrapped := int64(0)
		err = r.db.Update(ctx, func(tx *store.Tx) error {
			wrapped = 0
			for _, id := range ids {
				// What is refused for one repository, whose grants may be gone, is no matter of the others.
				if err := r.rewrap(tx, id); err == nil {
					wrapped++
				} else if !errors.As(err, &refused) {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("wrap the keys of repositories under %s anew: %w", key, err)
		}
		after = ids[len(ids)-1]
		*done += wrapped
		progress(*done, left-int64(len(ids)))
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// otherwiseWrapped are the ids of the repositories under a customer key whose keys were wrapped with other material: two
// ranges of an index, which a comparison for inequality is not.
const otherwiseWrapped = `SELECT id FROM repository WHERE kms_key = $1 AND kms_key <> '' AND kms_material < $2 AND id > $3 AND deleted_at IS NULL
	UNION ALL SELECT id FROM repository WHERE kms_key = $1 AND kms_key <> '' AND kms_material > $2 AND id > $3 AND deleted_at IS NULL`

// wrappedOtherwise returns the ids of the first of the repositories above an id whose keys were wrapped with other material, in their order,
// and how many there are.
func (r *Registry) wrappedOtherwise(ctx context.Context, key, material string, after int64) (ids []int64, left int64, err error) {
	err = r.db.View(ctx, func(tx *store.Tx) error {
		if err := tx.QueryRow(`SELECT count(*) FROM (`+otherwiseWrapped+`) AS other`, key, material, after).Scan(&left); err != nil {
			return err
		}
		rows, err := tx.Query(`SELECT id FROM (`+otherwiseWrapped+`) AS other ORDER BY id LIMIT $4`, key, material, after, rewrapPage)
		if err != nil {
			return err
		}
		ids, err = store.Collect(rows, store.Value[int64])
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("look for keys that were wrapped with older material of %s: %w", key, err)
	}
	return ids, left, nil
}

// rewrap wraps the key of one repository anew, unless somebody else did or the repository is gone.
func (r *Registry) rewrap(tx *store.Tx, id int64) error {
	repo, err := scanRepository(tx.QueryRow(`SELECT `+repositoryColumns+` FROM repository WHERE id = $1`, id))
	if err != nil {
		return err
	}
	key, err := r.innerKey(repo)
	if err != nil {
		return err
	}
	wrapped, material, err := r.customer.Wrap(store.Within(context.Background()), repo.keyUse(), key.Bytes())
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE repository SET data_key = $1, kms_material = $2 WHERE id = $3 AND data_key = $4 AND deleted_at IS NULL`,
		wrapped, material, repo.id, repo.wrapped.inner)
	touchRepository(tx, repo.Registry, repo.Name)
	return err
}
