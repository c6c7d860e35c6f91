package kms

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/coffer-registry/coffer/internal/store"
)

// Bounds of how many days pass before a key is destroyed, and how many do unless somebody says otherwise.
const (
	MinDeletionDays     = 7
	MaxDeletionDays     = 30
	DefaultDeletionDays = 30
)

// ScheduleDeletion has a key destroyed some days from now, until when it can't be used. The error is *Error.
func (k *Keys) ScheduleDeletion(tx *store.Tx, key Key, days int64) (Key, error) {
	now, err := k.allowed(tx, key, ScheduleKeyDeletion)
	if err != nil {
		return Key{}, err
	}
	if days < MinDeletionDays || days > MaxDeletionDays {
		return Key{}, Errorf(CodeValidation, "PendingWindowInDays must be between %d and %d", MinDeletionDays, MaxDeletionDays)
	}
	now.State, now.DeletionDays, now.DeletionDate = PendingDeletion, days, k.now().AddDate(0, 0, int(days))
	return now, update(tx, key, "schedule the deletion of", `UPDATE kms_key SET state = $1, deletion_at = $2, deletion_days = $3 WHERE id = $4`,
		now.State, now.DeletionDate, days, key.ID)
}

// CancelDeletion keeps a key that was to be destroyed. It is disabled, or waits for its material if that is to be imported.
// The error is *Error.
func (k *Keys) CancelDeletion(tx *store.Tx, key Key) error {
	now, err := k.allowed(tx, key, CancelKeyDeletion)
	if err != nil {
		return err
	}
	state := Disabled
	if now.Origin == OriginExternal {
		missing, err := missingMaterial(tx, now)
		if err != nil {
			return err
		}
		if missing {
			state = PendingImport
		}
	}
	return update(tx, key, "keep", `UPDATE kms_key SET state = $1, deletion_at = NULL, deletion_days = NULL WHERE id = $2`, state, key.ID)
}

// scrubbing notes whether bytes that were deleted may still be on the disk. The zero value says so, since nobody knows how
// the last process ended.
type scrubbing struct{ done atomic.Bool }

// destroyPage bounds how many keys one look at the database finds.
const destroyPage = 100

// Destroy destroys the keys whose time has come: their rows first, each with what record writes in the same transaction, and
// then the bytes of their material on the disk. It returns how many there were.
func (k *Keys) Destroy(ctx context.Context, record func(*store.Tx, Key) error) (destroyed int, err error) {
	for {
		ids, err := k.due(ctx)
		if err != nil {
			return destroyed, err
		}
		for _, id := range ids {
			gone, err := k.destroyOne(ctx, id, record)
			if err != nil {
				return destroyed, err
			}
			if gone {
				destroyed++
			}
		}
		if len(ids) < destroyPage {
			return destroyed, k.scrub(ctx)
		}
	}
}

// scrub removes from the disk what was deleted from the database. What keeps it from doing so is tried again next time.
func (k *Keys) scrub(ctx context.Context) error {
	if k.stale.done.Swap(true) {
		return nil
	}
	if err := k.db.Scrub(ctx, "kms_material", "kms_key"); err != nil {
		k.stale.done.Store(false)
		return fmt.Errorf("remove destroyed material from the disk: %w", err)
	}
	return nil
}

// due are the ids of keys whose time has come.
func (k *Keys) due(ctx context.Context) (ids []string, err error) {
	err = k.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT id FROM kms_key WHERE deletion_at IS NOT NULL AND deletion_at <= $1 ORDER BY deletion_at LIMIT $2`, k.now(), destroyPage)
		if err != nil {
			return err
		}
		ids, err = store.Collect(rows, store.Value[string])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for keys to destroy: %w", err)
	}
	return ids, nil
}

func (k *Keys) destroyOne(ctx context.Context, id string, record func(*store.Tx, Key) error) (gone bool, err error) {
	err = k.db.Update(ctx, func(tx *store.Tx) error {
		gone = false
		key, err := k.Key(tx, id)
		if isNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if key.State != PendingDeletion || key.DeletionDate.IsZero() || k.now().Before(key.DeletionDate) {
			return nil
		}
		if err := k.remove(tx, key); err != nil {
			return err
		}
		gone = true
		tx.OnCommit(func() { k.stale.done.Store(false) })
		return record(tx, key)
	})
	if err != nil {
		return false, fmt.Errorf("destroy key %s: %w", id, err)
	}
	return gone, nil
}

// remove deletes all rows of a key.
func (k *Keys) remove(tx *store.Tx, key Key) error {
	aliases, err := k.AliasesOf(tx, key, "", MaxAliases)
	if err != nil {
		return err
	}
	for _, a := range aliases {
		if err := k.DeleteAlias(tx, key.Account, key.Region, a.Name); err != nil {
			return err
		}
	}
	for _, statement := range []string{
		`DELETE FROM kms_grant WHERE key = $1`, `DELETE FROM kms_tag WHERE key = $1`, `DELETE FROM kms_material WHERE key = $1`, `DELETE FROM kms_key WHERE id = $1`,
	} {
		if _, err := tx.Exec(statement, key.ID); err != nil {
			return err
		}
	}
	if err := tx.Touch(topicGrants + key.ID); err != nil {
		return err
	}
	return touchKey(tx, key.ID)
}
