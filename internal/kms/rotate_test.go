package kms

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/storetest"
)

// renewingRoot can make a new key of itself, and fail at each step.
type renewingRoot struct {
	*memoryRoot
	next                  *memoryRoot
	failRenew, failFinish error
}

func (r *renewingRoot) Unwrap(ctx context.Context, wrapped []byte, c Context) ([]byte, error) {
	plaintext, err := r.memoryRoot.Unwrap(ctx, wrapped, c)
	if errors.Is(err, ErrWrongRoot) && r.next != nil {
		if plaintext, err = r.next.Unwrap(ctx, wrapped, c); err == nil {
			r.key, r.next = r.next.key, nil
		}
	}
	return plaintext, err
}

func (r *renewingRoot) Renew(context.Context) (Root, func(context.Context) error, error) {
	if r.failRenew != nil {
		return nil, nil, r.failRenew
	}
	r.next = &memoryRoot{name: "memory:next", key: seal.NewKey()}
	if r.fail != nil {
		r.next.fail = r.fail
	}
	return r.next, func(context.Context) error {
		if r.failFinish == nil {
			r.key, r.next = r.next.key, nil
		}
		return r.failFinish
	}, nil
}

// stored reads the record and what is wrapped under it.
func stored(t testing.TB, db *store.DB) (r record, rows []serviceRow) {
	t.Helper()
	err := db.View(t.Context(), func(tx *store.Tx) (err error) {
		if r, err = getRecord(tx); err != nil {
			return err
		}
		rows, err = serviceRows(tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r, rows
}

func TestRotate(t *testing.T) {
	db := openDB(t)
	root := &renewingRoot{memoryRoot: newRoot()}
	k := open(t, db, root, all...)
	before, rowsBefore := stored(t, db)
	_, wrapped, err := k.GenerateDataKey(ecrEast, nil)
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	for range 3 {
		if err := k.Rotate(t.Context(), Rotation{Say: func(s string) { steps = append(steps, s) }}); err != nil {
			t.Fatal(err)
		}
	}
	after, rowsAfter := stored(t, db)
	if after.ID == before.ID || after.Rotations != 3 || after.Since != before.Since || after.Root != "memory:1" {
		t.Errorf("the record is %+v", after)
	}
	for i, row := range rowsAfter {
		if slices.Equal(row.wrapped, rowsBefore[i].wrapped) {
			t.Errorf("service key %s is wrapped as before", row.id)
		}
	}
	if want := []string{"made a new key of memory:1", "made a new installation key, wrapped by memory:1", "wrapped 6 service keys anew"}; !slices.Equal(steps[:3], want) {
		t.Errorf("steps are %q", steps)
	}
	if len(k.wrapping) != 1 {
		t.Errorf("%d installation keys are in memory", len(k.wrapping))
	}
	for _, at := range []*Keyring{k, open(t, db, root)} {
		if _, err := at.Unwrap(wrapped, nil); err != nil {
			t.Error(err)
		}
		ensure(t, db, at, Scope{PurposeECR, "111111111111", "us-east-1"})
	}
	s, err := k.Status(t.Context())
	if err != nil || s.Root != "memory:1" || s.Rotations != 3 || s.Rotated.IsZero() || s.ServiceKeys != 7 {
		t.Errorf("status is %+v, error %v", s, err)
	}
}

// Keys move to another root, which alone opens them then.
func TestRotateTo(t *testing.T) {
	db := openDB(t)
	root, next := newRoot(), newRoot()
	next.name = "vault://host/transit/coffer"
	k := open(t, db, root, all...)
	if err := k.Rotate(t.Context(), Rotation{To: next}); err != nil {
		t.Fatal(err)
	}
	if err := k.Beat(t.Context()); err != nil || k.Outage().Root != next.name {
		t.Errorf("error is %v, root %s", err, k.Outage().Root)
	}
	again := open(t, db, next)
	if serviceBytes(t, again, token) != serviceBytes(t, k, token) {
		t.Error("a key changed")
	}
	if _, err := Open(t.Context(), db, root, nil); err == nil {
		t.Error("the root of before opens it")
	}
	root.name = next.name
	if _, err := Open(t.Context(), db, root, nil); !errors.Is(err, ErrWrongRoot) {
		t.Errorf("the root of before, by another name: %v", err)
	}
}

// TestRotateFails stops a rotation at each step. The data opens after each, and can be rotated then.
func TestRotateFails(t *testing.T) {
	chosen := errors.New("chosen")
	for name, tt := range map[string]struct {
		fail    func(*renewingRoot, *Rotation)
		rotated bool
	}{
		"the root is away": {func(r *renewingRoot, _ *Rotation) { r.fail = ErrRootUnavailable }, false},
		"no new root key":  {func(r *renewingRoot, _ *Rotation) { r.failRenew = chosen }, false},
		"the new root is away": {func(_ *renewingRoot, o *Rotation) {
			o.To = &memoryRoot{name: "memory:2", key: seal.NewKey(), fail: ErrRootUnavailable}
		}, false},
		"the transaction":        {func(_ *renewingRoot, o *Rotation) { o.Record = func(*store.Tx) error { return chosen } }, false},
		"the switch of the root": {func(r *renewingRoot, _ *Rotation) { r.failFinish = chosen }, true},
	} {
		t.Run(name, func(t *testing.T) {
			db := openDB(t)
			root := &renewingRoot{memoryRoot: newRoot()}
			k := open(t, db, root, all...)
			before, _ := stored(t, db)
			var o Rotation
			tt.fail(root, &o)
			if err := k.Rotate(t.Context(), o); err == nil {
				t.Fatal("it did not fail")
			}
			after, _ := stored(t, db)
			if got := after.ID != before.ID; got != tt.rotated {
				t.Errorf("rotated is %v", got)
			}
			root.fail, root.failRenew, root.failFinish = nil, nil, nil
			if err := k.Beat(t.Context()); err != nil {
				t.Error(err)
			}
			for range 2 {
				again := open(t, db, root)
				if serviceBytes(t, again, token) != serviceBytes(t, k, token) {
					t.Error("a key changed")
				}
				ensure(t, db, k, Scope{PurposeECR, "111111111111", "us-east-1"})
				if err := k.Rotate(t.Context(), Rotation{}); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// Keys are made and used while they are rotated; each opens afterwards.
func TestRotateBesideUse(t *testing.T) {
	db := openDB(t)
	root := &renewingRoot{memoryRoot: newRoot()}
	k := open(t, db, root, ecrEast)
	var users sync.WaitGroup
	for i := range 20 {
		users.Go(func() { ensure(t, db, k, Scope{PurposeECR, "111111111111", string(rune('a' + i))}) })
		users.Go(func() {
			if _, wrapped, err := k.GenerateDataKey(ecrEast, nil); err != nil {
				t.Error(err)
			} else if _, err := k.Unwrap(wrapped, nil); err != nil {
				t.Error(err)
			}
		})
		if i%5 == 0 {
			if err := k.Rotate(t.Context(), Rotation{}); err != nil {
				t.Error(err)
			}
		}
	}
	users.Wait()
	again := open(t, db, root)
	for i := range 20 {
		scope := Scope{PurposeECR, "111111111111", string(rune('a' + i))}
		if serviceBytes(t, again, scope) != serviceBytes(t, k, scope) {
			t.Errorf("%+v has another key", scope)
		}
	}
}

// Another server goes on with what one rotates: it makes keys under the new installation key.
func TestRotateReachesOtherServers(t *testing.T) {
	dir := t.TempDir()
	root := &renewingRoot{memoryRoot: newRoot()}
	openAt := func() (*store.DB, *Keyring) {
		db := storetest.OpenShared(t, dir, store.Options{})
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		return db, open(t, db, root, ecrEast)
	}
	_, mine := openAt()
	there, theirs := openAt()
	if err := mine.Rotate(t.Context(), Rotation{}); err != nil {
		t.Fatal(err)
	}
	// What it does in the moment before it knows fails, and makes no key that nobody could open.
	err := there.Update(t.Context(), func(tx *store.Tx) error { return theirs.Ensure(tx, ecrOther) })
	if !errors.Is(err, errChanged) {
		t.Errorf("error is %v", err)
	}
	if err := errors.Join(there.Fresh(t.Context()), theirs.Refresh(t.Context())); err != nil {
		t.Fatal(err)
	}
	ensure(t, there, theirs, ecrOther)
	if err := errors.Join(theirs.Beat(t.Context()), theirs.Rotate(t.Context(), Rotation{})); err != nil {
		t.Error(err)
	}
	if again := open(t, there, root); serviceBytes(t, again, ecrOther) != serviceBytes(t, theirs, ecrOther) {
		t.Error("a key changed")
	}
}
