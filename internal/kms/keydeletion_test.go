package kms

import (
	"errors"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/storetest"
)

// onDisk reports whether some bytes are anywhere in the data folder.
func (e *keysEnv) onDisk(b []byte) bool {
	e.t.Helper()
	return storetest.OnDisk(e.t, e.dir, b)
}

// wrapped is the material of a key as it is stored.
func (e *keysEnv) wrapped(key Key) (b []byte) {
	e.t.Helper()
	e.must(e.View(e.t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT wrapped FROM kms_material WHERE key = $1`, key.ID).Scan(&b)
	}))
	return b
}

func (e *keysEnv) schedule(key Key, days int64) {
	e.t.Helper()
	e.must(e.change(func(tx *store.Tx) error { _, err := e.ScheduleDeletion(tx, key, days); return err }))
}

// destroy runs the job and returns the ids of the keys that it destroyed.
func (e *keysEnv) destroy() (ids []string) {
	e.t.Helper()
	n, err := e.Destroy(e.t.Context(), func(tx *store.Tx, key Key) error {
		tx.OnCommit(func() { ids = append(ids, key.ID) })
		return nil
	})
	e.must(err)
	if n != len(ids) {
		e.t.Errorf("%d keys were destroyed, %d recorded", n, len(ids))
	}
	return ids
}

func TestDestroyedMaterialIsGone(t *testing.T) {
	for _, spec := range []string{SpecSymmetric, "RSA_4096"} {
		t.Run(spec, func(t *testing.T) {
			e := newKeysEnv(t)
			e.destroy() // which empties the log of changes for the first time
			key, other := e.create(NewKey{Spec: spec, Usage: UsageEncrypt}), e.create(NewKey{})
			material, kept := e.wrapped(key), e.wrapped(other)
			e.must(e.change(func(tx *store.Tx) error {
				_, err := e.CreateGrant(tx, key, grantToAccount())
				return errors.Join(err, e.CreateAlias(tx, key, "app"), e.Tag(tx, key, []Tag{{"k", "v"}}))
			}))
			// Enough of a material's bytes lie together on a page, wherever the row is split.
			part := material[len(material)-24:]
			if !e.onDisk(part) {
				t.Fatal("the material is not on the disk before it is destroyed")
			}
			e.schedule(key, 7)
			e.at = e.at.Add(7*24*time.Hour - time.Microsecond)
			if ids := e.destroy(); len(ids) != 0 {
				t.Errorf("destroyed %v before their time", ids)
			}
			e.at = e.at.Add(time.Microsecond)
			if ids := e.destroy(); len(ids) != 1 || ids[0] != key.ID {
				t.Errorf("destroyed %v, want %s", ids, key.ID)
			}
			if e.onDisk(part) {
				t.Error("the material is still on the disk after it was destroyed")
			}
			if !e.onDisk(kept[len(kept)-24:]) {
				t.Error("the material of another key is gone")
			}
			for _, text := range []string{key.ID, key.ARN} {
				_, err := e.Find(t.Context(), account, region, text)
				refused(t, err, CodeNotFound, "Key '"+key.ARN+"' does not exist")
			}
			_, err := e.Find(t.Context(), account, region, "alias/app")
			refused(t, err, CodeNotFound, "Alias arn:aws:kms:us-east-1:123456789012:alias/app is not found.")
			_, err = e.Encrypt(t.Context(), key.ARN, []byte("x"), nil)
			refused(t, err, CodeNotFound, "does not exist")
			refused(t, e.change(func(tx *store.Tx) error { return e.CancelDeletion(tx, key) }), CodeNotFound, "does not exist")
			if grants, err := e.Grants(t.Context(), key.ARN); err != nil || len(grants) != 0 {
				t.Errorf("grants %v are left: %v", grants, err)
			}
		})
	}
}

func TestDeletionAndTheClock(t *testing.T) {
	e := newKeysEnv(t)
	key := e.create(NewKey{})
	for _, days := range []int64{0, 6, 31, 365} {
		refused(t, e.change(func(tx *store.Tx) error { _, err := e.ScheduleDeletion(tx, key, days); return err }), CodeValidation, "between 7 and 30")
	}
	e.schedule(key, 30)
	start := e.at
	e.at = start.AddDate(-1, 0, 0) // the clock jumps back
	if ids := e.destroy(); ids != nil {
		t.Errorf("destroyed %v", ids)
	}
	e.must(e.change(func(tx *store.Tx) error { return e.CancelDeletion(tx, key) }))
	e.at = start.AddDate(0, 0, 31)
	if ids := e.destroy(); ids != nil {
		t.Errorf("destroyed %v, whose deletion was cancelled", ids)
	}
	e.schedule(key, 7)
	failure := errors.New("the trail can't be written")
	e.at = e.at.AddDate(0, 0, 8)
	if _, err := e.Destroy(t.Context(), func(*store.Tx, Key) error { return failure }); !errors.Is(err, failure) {
		t.Errorf("the error is %v", err)
	}
	if now, err := e.Find(t.Context(), account, region, key.ID); err != nil || now.State != PendingDeletion {
		t.Errorf("the key is %s after its destruction could not be recorded: %v", now.State, err)
	}
	if ids := e.destroy(); len(ids) != 1 {
		t.Errorf("destroyed %v", ids)
	}
}
