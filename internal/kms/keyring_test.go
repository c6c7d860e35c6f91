package kms

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/storetest"
)

var (
	ecrEast  = Scope{PurposeECR, "123456789012", "us-east-1"}
	ecrWest  = Scope{PurposeECR, "123456789012", "us-west-2"}
	ecrOther = Scope{PurposeECR, "999999999999", "us-east-1"}
	token    = Scope{Purpose: PurposeToken}
	secrets  = Scope{Purpose: PurposeSecrets}
	trail    = Scope{Purpose: PurposeTrail}
	all      = []Scope{ecrEast, ecrWest, ecrOther, token, secrets, trail}
)

func openDB(t testing.TB) *store.DB {
	t.Helper()
	db := storetest.Open(t, t.TempDir(), store.Options{})
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func open(t testing.TB, db *store.DB, root Root, scopes ...Scope) *Keyring {
	t.Helper()
	k, err := Open(t.Context(), db, root, scopes)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func exec(t testing.TB, db *store.DB, query string, args ...any) {
	t.Helper()
	if err := db.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(query, args...); return err }); err != nil {
		t.Fatal(err)
	}
}

func serviceKey(t testing.TB, k *Keyring, scope Scope) seal.Key {
	t.Helper()
	key, err := k.Key(scope)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestInstallation(t *testing.T) {
	db := openDB(t)
	root := newRoot()
	if done, err := CheckRoot(t.Context(), db, "memory:1"); done || err != nil {
		t.Error(done, err)
	}
	first := open(t, db, root, all...)
	if done, err := CheckRoot(t.Context(), db, "memory:1"); !done || err != nil {
		t.Error(done, err)
	}
	second := open(t, db, root)
	if first.Installation() == "" || first.Installation() != second.Installation() {
		t.Errorf("installation %q became %q", first.Installation(), second.Installation())
	}
	for _, scope := range all {
		if !serviceKey(t, first, scope).Equal(serviceKey(t, second, scope)) {
			t.Errorf("the key for %+v is another now", scope)
		}
		a, errA := first.Domain(scope)
		b, errB := second.Domain(scope)
		if a == "" || a != b || errA != nil || errB != nil {
			t.Errorf("domain %q became %q (%v, %v)", a, b, errA, errB)
		}
	}
	other := open(t, openDB(t), root, all...)
	if other.Installation() == first.Installation() || serviceKey(t, other, token).Equal(serviceKey(t, first, token)) {
		t.Error("two installations of one root key share their keys")
	}
}

// Keys of one purpose, account and region are no others.
func TestScopesDontMix(t *testing.T) {
	db := openDB(t)
	root := newRoot()
	k := open(t, db, root, all...)
	domains := map[string]bool{}
	for i, scope := range all {
		domain, err := k.Domain(scope)
		if err != nil || domains[domain] {
			t.Errorf("domain %q of %+v, error %v", domain, scope, err)
		}
		domains[domain] = true
		for _, other := range all[i+1:] {
			if serviceKey(t, k, scope).Equal(serviceKey(t, k, other)) {
				t.Errorf("%+v and %+v have the same key", scope, other)
			}
		}
	}
	for _, missing := range []Scope{{}, {PurposeECR, "123456789012", "eu-central-1"}, {PurposeToken, "123456789012", ""}, {Purpose: PurposeECR}, {"kms", "", ""}} {
		_, errKey := k.Key(missing)
		_, errDomain := k.Domain(missing)
		_, wrapped, errData := k.GenerateDataKey(missing, nil)
		_, errWrap := k.Wrap(missing, seal.NewKey(), nil)
		for _, err := range []error{errKey, errDomain, errData, errWrap} {
			if !errors.Is(err, ErrNoKey) || wrapped != nil {
				t.Errorf("%+v: error %v", missing, err)
			}
		}
	}
	if more := open(t, db, root, Scope{PurposeECR, "123456789012", "eu-central-1"}); !serviceKey(t, more, ecrEast).Equal(serviceKey(t, k, ecrEast)) {
		t.Error("a new scope changed the key of an old one")
	}
}

func TestWrongRoot(t *testing.T) {
	db := openDB(t)
	root := newRoot()
	k := open(t, db, root, token)
	other := newRoot()
	_, err := Open(t.Context(), db, other, []Scope{token, trail})
	if !errors.Is(err, ErrWrongRoot) || err.Error() != "open the keys: the root key does not open this data: it belongs to another installation" {
		t.Errorf("error is %v", err)
	}
	var n int
	err = db.View(t.Context(), func(tx *store.Tx) error { return tx.QueryRow(`SELECT count(*) FROM service_key`).Scan(&n) })
	if err != nil || n != 1 {
		t.Errorf("the refused root key left %d service keys, error %v", n, err)
	}
	if again := open(t, db, root); !serviceKey(t, again, token).Equal(serviceKey(t, k, token)) {
		t.Error("the key is another now")
	}
	// The check itself can't be carried over from another installation.
	foreign := openDB(t)
	open(t, foreign, other, token)
	for _, name := range []string{settingInstallationKey, settingInstallation} {
		var value []byte
		err := foreign.View(t.Context(), func(tx *store.Tx) (err error) { value, err = setting(tx, name); return err })
		if err != nil {
			t.Fatal(err)
		}
		exec(t, db, `UPDATE setting SET value = $1 WHERE name = $2`, value, name)
		if _, err := Open(t.Context(), db, root, nil); !errors.Is(err, ErrWrongRoot) {
			t.Errorf("with another %s: %v", name, err)
		}
	}
	// With both of them it looks like the other's, whose root key opens none of its service keys.
	if _, err := Open(t.Context(), db, other, nil); !errors.Is(err, seal.ErrAltered) {
		t.Errorf("error is %v", err)
	}
}

// TestStoredKeys alters rows of service keys: each opens only under its own root key, in its own row.
func TestStoredKeys(t *testing.T) {
	root := newRoot()
	for name, change := range map[string]string{
		"swapped wraps": `UPDATE service_key SET wrapped = (SELECT wrapped FROM service_key AS other WHERE other.purpose = 'trail') WHERE purpose = 'token'`,
		"purpose":       `UPDATE service_key SET purpose = 'kms' WHERE purpose = 'token'`,
		"account":       `UPDATE service_key SET account = '111111111111' WHERE account = '999999999999'`,
		"region":        `UPDATE service_key SET region = 'us-west-1' WHERE region = 'us-west-2'`,
		"id":            `UPDATE service_key SET id = '00000000000000000000000000000000' WHERE purpose = 'token'`,
	} {
		t.Run(name, func(t *testing.T) {
			db := openDB(t)
			open(t, db, root, all...)
			exec(t, db, change)
			_, err := Open(t.Context(), db, root, nil)
			if !errors.Is(err, seal.ErrAltered) || !strings.HasPrefix(err.Error(), "open the keys: service key ") {
				t.Errorf("error is %v", err)
			}
		})
	}
	db := openDB(t)
	open(t, db, root, token)
	var wrapped []byte
	err := db.View(t.Context(), func(tx *store.Tx) error { return tx.QueryRow(`SELECT wrapped FROM service_key`).Scan(&wrapped) })
	if err != nil {
		t.Fatal(err)
	}
	exec(t, db, `UPDATE service_key SET wrapped = $1`, []byte{})
	if _, err := Open(t.Context(), db, root, nil); !errors.Is(err, seal.ErrAltered) {
		t.Errorf("empty: %v", err)
	}
	for i := range len(wrapped) {
		altered := bytes.Clone(wrapped)
		altered[i] ^= 1 << (i % 8)
		exec(t, db, `UPDATE service_key SET wrapped = $1`, altered)
		if _, err := Open(t.Context(), db, root, nil); !errors.Is(err, seal.ErrAltered) {
			t.Errorf("with byte %d altered: %v", i, err)
		}
	}
}

func TestWrap(t *testing.T) {
	root := newRoot()
	k := open(t, openDB(t), root, all...)
	context := Context{"repository": "1", "object": "a"}
	key, wrapped, err := k.GenerateDataKey(ecrEast, context)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(wrapped, key.Bytes()[:8]) {
		t.Error("the key is in the clear")
	}
	if got, err := k.Unwrap(wrapped, Context{"object": "a", "repository": "1"}); err != nil || !got.Equal(key) {
		t.Errorf("unwrapped another key, error %v", err)
	}
	if other, _, err := k.GenerateDataKey(ecrEast, context); err != nil || other.Equal(key) {
		t.Errorf("two data keys are the same, error %v", err)
	}
	for name, c := range map[string]Context{
		"none": nil, "less": {"repository": "1"}, "more": {"repository": "1", "object": "a", "x": ""}, "another value": {"repository": "2", "object": "a"},
		"another name": {"repository": "1", "objects": "a"}, "exchanged": {"repository": "a", "object": "1"}, "case": {"Repository": "1", "object": "a"},
	} {
		refuse(t, k, name, wrapped, c)
	}
	for i := range len(wrapped) * 8 {
		altered := bytes.Clone(wrapped)
		altered[i/8] ^= 1 << (i % 8)
		refuse(t, k, fmt.Sprintf("bit %d", i), altered, context)
	}
	for i := range wrapped {
		refuse(t, k, fmt.Sprintf("cut at %d", i), wrapped[:i], context)
	}
	refuse(t, k, "longer", append(bytes.Clone(wrapped), 0), context)
	// Under another service key, even one of the same installation, it doesn't open.
	elsewhere, err := k.Wrap(ecrWest, key, context)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Unwrap(elsewhere, context); err != nil || !got.Equal(key) {
		t.Errorf("unwrapped another key, error %v", err)
	}
	const header = 1 + len(KeyID{})
	refuse(t, k, "another service key", append(bytes.Clone(elsewhere[:header]), wrapped[header:]...), context)
	stranger := open(t, openDB(t), root, all...)
	refuse(t, stranger, "another installation", wrapped, context)
	if wrapped, err := k.Wrap(ecrEast, seal.Key{}, context); err == nil || wrapped != nil {
		t.Error("no key was wrapped")
	}
}

func refuse(t testing.TB, k *Keyring, what string, wrapped []byte, c Context) {
	t.Helper()
	if got, err := k.Unwrap(wrapped, c); !errors.Is(err, ErrUnwrap) || got.Bytes() != nil {
		t.Errorf("%s: error %v", what, err)
	}
}

// TestContextsDontCollide: contexts that differ never encode alike.
func TestContextsDontCollide(t *testing.T) {
	part := rapid.StringMatching(`[ab\x00\x01]{0,3}`)
	contexts := rapid.MapOfN(part, part, 0, 3)
	rapid.Check(t, func(t *rapid.T) {
		a, b := Context(contexts.Draw(t, "a")), Context(contexts.Draw(t, "b"))
		encodedA, encodedB := encodeContext([]byte("p"), a), encodeContext([]byte("p"), b)
		if bytes.Equal(encodedA, encodedB) != cmp.Equal(map[string]string(a), map[string]string(b)) {
			t.Fatalf("%v is %q, %v is %q", a, encodedA, b, encodedB)
		}
		if !bytes.Equal(encodedA, encodeContext([]byte("p"), a)) {
			t.Fatal("it encodes differently each time")
		}
	})
}
