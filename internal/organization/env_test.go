package organization

import (
	"errors"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/storetest"
)

const (
	management = "123456789012"
	member     = "111122223333"
	other      = "999999999999"
)

// denyDeletes and denyStrangers are documents of each type.
const (
	denyDeletes   = `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"ecr:DeleteRepository","Resource":"*"}}`
	denyStrangers = `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"ecr:*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalOrgID":"o-exampleorgid"}}}}`
)

// house is an organization of three accounts, managed by the first.
type house struct {
	*Store
	t    *testing.T
	info Info
	time time.Time
}

func openAt(t *testing.T, dir string, now func() time.Time) *Store {
	t.Helper()
	db := storetest.Open(t, dir, store.Options{})
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return New(Config{DB: db, Now: now})
}

// openShared opens the stores of two servers of one database.
func openShared(t *testing.T) (here, there *Store) {
	t.Helper()
	dir := t.TempDir()
	for _, s := range []**Store{&here, &there} {
		db := storetest.OpenShared(t, dir, store.Options{})
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		*s = New(Config{DB: db})
	}
	return here, there
}

func build(t *testing.T) *house {
	h := &house{t: t, time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	h.Store = openAt(t, t.TempDir(), func() time.Time { return h.time })
	for _, account := range []string{management, member, other} {
		h.addAccount(account, "account "+account)
	}
	h.ensure(management)
	h.must(func(tx *store.Tx) (err error) { h.info, err = h.Info(tx); return err })
	return h
}

// addAccount makes the row of an account, which is package iam's to make.
func (h *house) addAccount(id, name string) {
	h.t.Helper()
	h.must(func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO account (id, name, email, created_at) VALUES ($1, $2, $3, 0)`, id, name, id+"@example.com")
		return err
	})
}

func (h *house) ensure(account string) {
	h.t.Helper()
	if err := h.Ensure(h.t.Context(), account); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) update(fn func(*store.Tx) error) error { return h.db.Update(h.t.Context(), fn) }

func (h *house) must(fn func(*store.Tx) error) {
	h.t.Helper()
	if err := h.update(fn); err != nil {
		h.t.Fatal(err)
	}
}

// refused wants a change to be refused with a code, and a reason if it has one.
func (h *house) refused(code Code, reason string, fn func(*store.Tx) error) {
	h.t.Helper()
	err := h.update(fn)
	var refused *Error
	if !errors.As(err, &refused) || refused.Code != code || refused.Reason != reason {
		h.t.Errorf("error is %v, want %s %s", err, code, reason)
	}
}

func (h *house) unit(parent, name string) (u Unit) {
	h.t.Helper()
	h.must(func(tx *store.Tx) (err error) { u, err = h.CreateUnit(tx, parent, name); return err })
	return u
}

func (h *house) policy(typ PolicyType, name, document string) (p Policy) {
	h.t.Helper()
	h.must(func(tx *store.Tx) (err error) { p, err = h.CreatePolicy(tx, typ, name, "", document); return err })
	return p
}

func (h *house) attached(policy, target string) {
	h.t.Helper()
	h.must(func(tx *store.Tx) error { return h.Attach(tx, policy, target) })
}

func (h *house) move(account, from, to string) {
	h.t.Helper()
	h.must(func(tx *store.Tx) error { return h.Move(tx, account, from, to) })
}

func (h *house) standingOf(account string) *Standing {
	h.t.Helper()
	st, err := h.Standing(h.t.Context(), account)
	if err != nil {
		h.t.Fatal(err)
	}
	return st
}
