package kms

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/storetest"
)

const (
	account = "123456789012"
	region  = "us-east-1"
)

// keysEnv are keys in a database of their own, with a clock that tests set.
type keysEnv struct {
	*Keys
	t    testing.TB
	dir  string
	at   time.Time
	ring *Keyring
	// principals are the unique ids of users and roles by their ARNs.
	principals map[string]string
}

func newKeysEnv(t testing.TB) *keysEnv {
	t.Helper()
	e := &keysEnv{t: t, dir: t.TempDir(), at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), principals: map[string]string{}}
	db := storetest.Open(t, e.dir, store.Options{})
	t.Cleanup(func() { db.Close() })
	var err error
	if e.ring, err = Open(t.Context(), db, newRoot(), []Scope{keyScope(account, region), keyScope("999999999999", region)}); err != nil {
		t.Fatal(err)
	}
	e.must(db.Update(t.Context(), func(tx *store.Tx) error {
		for _, id := range []string{account, "999999999999"} {
			if _, err := tx.Exec(`INSERT INTO account (id, name, created_at) VALUES ($1, '', 0)`, id); err != nil {
				return err
			}
		}
		return nil
	}))
	e.Keys = e.open(db)
	return e
}

// open returns further keys of the same database, as another process would have them.
func (e *keysEnv) open(db *store.DB) *Keys {
	return NewKeys(Config{DB: db, Keyring: e.ring, Now: func() time.Time { return e.at },
		Resolve: func(*store.Tx, *error) func(string) (string, bool) {
			return func(arn string) (string, bool) { id, ok := e.principals[arn]; return id, ok }
		},
		PrincipalName: func(*store.Tx, *error) func(string) (string, bool) {
			return func(id string) (string, bool) {
				for arn, other := range e.principals {
					if other == id {
						return arn, true
					}
				}
				return "", false
			}
		}})
}

func (e *keysEnv) must(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

// change runs a change of the keys.
func (e *keysEnv) change(fn func(tx *store.Tx) error) error {
	return e.db.Update(e.t.Context(), fn)
}

// create makes a key.
func (e *keysEnv) create(n NewKey) Key {
	e.t.Helper()
	if n.Account == "" {
		n.Account = account
	}
	n.Region = region
	d, err := e.Draft(e.t.Context(), n)
	e.must(err)
	var key Key
	e.must(e.change(func(tx *store.Tx) (err error) {
		key, err = e.Create(tx, d)
		return err
	}))
	return key
}

// refused compares an error with a refusal.
func refused(t testing.TB, err error, code, part string) {
	t.Helper()
	var r *Error
	if !errors.As(err, &r) || r.Code != code || !strings.Contains(r.Message, part) {
		t.Errorf("the error is %v, want %s: …%s…", err, code, part)
	}
}

func TestEncryptAndDecrypt(t *testing.T) {
	e := newKeysEnv(t)
	key, other := e.create(NewKey{}), e.create(NewKey{})
	ctx := context.Background()
	blob, err := e.Encrypt(ctx, key.ARN, []byte("attack at dawn"), Context{"a": "b"})
	e.must(err)
	plaintext, found, material, err := e.Decrypt(ctx, blob, Context{"a": "b"})
	if err != nil || string(plaintext) != "attack at dawn" || found.ARN != key.ARN || material != key.Current || len(material) != 64 {
		t.Errorf("decrypted %q by %s, material %q: %v", plaintext, found.ARN, material, err)
	}
	_, _, _, err = e.Decrypt(ctx, blob, Context{"A": "b"})
	refused(t, err, CodeInvalidCiphertext, "")
	for i := range blob {
		blob[i] ^= 1
		if _, _, _, err := e.Decrypt(ctx, blob, Context{"a": "b"}); err == nil {
			t.Errorf("the ciphertext opens with byte %d altered", i)
		}
		blob[i] ^= 1
	}
	if _, err := e.Encrypt(ctx, KeyARN(account, "eu-central-1", key.ID), []byte("x"), nil); err == nil {
		t.Error("a key of another region encrypts")
	}
	e.must(e.change(func(tx *store.Tx) error { return e.SetEnabled(tx, key, false) }))
	_, err = e.Encrypt(ctx, key.ARN, []byte("x"), nil)
	refused(t, err, CodeDisabled, key.ARN+" is disabled.")
	_, _, _, err = e.Decrypt(ctx, blob, Context{"a": "b"})
	refused(t, err, CodeDisabled, key.ARN+" is disabled.")
	_, err = e.Encrypt(ctx, other.ARN, []byte("x"), nil)
	e.must(err)
}
