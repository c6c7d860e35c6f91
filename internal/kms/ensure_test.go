package kms

import (
	"errors"
	"sync"
	"testing"

	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/storetest"
)

// serviceBytes is the service key of a scope, to be compared.
func serviceBytes(t testing.TB, k *Keyring, scope Scope) string {
	t.Helper()
	key := serviceKey(t, k, scope)
	return string(key.Bytes())
}

func ensure(t testing.TB, db *store.DB, k *Keyring, scopes ...Scope) {
	t.Helper()
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return k.Ensure(tx, scopes...) }); err != nil {
		t.Fatal(err)
	}
}

// A service key that is made while the server runs is good once it is committed, and is there after a restart.
func TestEnsure(t *testing.T) {
	db := openDB(t)
	root := newRoot()
	k := open(t, db, root, ecrEast)
	before := serviceBytes(t, k, ecrEast)
	chosen := errors.New("chosen")
	err := db.Update(t.Context(), func(tx *store.Tx) error { return errors.Join(k.Ensure(tx, ecrOther), chosen) })
	if !errors.Is(err, chosen) {
		t.Fatal(err)
	}
	if _, err := k.Key(ecrOther); !errors.Is(err, ErrNoKey) {
		t.Errorf("a change that failed left a key: %v", err)
	}
	ensure(t, db, k, ecrEast, ecrOther, ecrOther)
	made := serviceBytes(t, k, ecrOther)
	ensure(t, db, k, ecrEast, ecrOther)
	again := open(t, db, root)
	for _, at := range []*Keyring{k, again} {
		if serviceBytes(t, at, ecrOther) != made || serviceBytes(t, at, ecrEast) != before {
			t.Error("a key changed")
		}
	}
}

// Keys that another process makes are known after the next look for changes.
func TestKeysReachOtherServers(t *testing.T) {
	dir := t.TempDir()
	root := newRoot()
	openAt := func() (*store.DB, *Keyring) {
		db := storetest.OpenShared(t, dir, store.Options{})
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		return db, open(t, db, root, ecrEast)
	}
	here, mine := openAt()
	there, theirs := openAt()
	ensure(t, here, mine, ecrOther)
	ensure(t, there, theirs, ecrOther) // who finds the key made leaves it
	for _, step := range []error{there.Fresh(t.Context()), theirs.Refresh(t.Context())} {
		if step != nil {
			t.Fatal(step)
		}
	}
	if serviceBytes(t, theirs, ecrOther) != serviceBytes(t, mine, ecrOther) {
		t.Error("the two servers have different keys")
	}
	wrapped, err := mine.Wrap(ecrOther, serviceKey(t, mine, ecrEast), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.Unwrap(wrapped, nil); err != nil {
		t.Error(err)
	}
}

// Keys are made while others are in use.
func TestEnsureBesideUse(t *testing.T) {
	db := openDB(t)
	root := newRoot()
	k := open(t, db, root, ecrEast)
	var users sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		users.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				_, wrapped, err := k.GenerateDataKey(ecrEast, nil)
				if err == nil {
					_, err = k.Unwrap(wrapped, nil)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for _, scope := range all {
		ensure(t, db, k, scope)
	}
	close(done)
	users.Wait()
}
