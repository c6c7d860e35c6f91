package iam

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/coffer-registry/coffer/internal/store/pgtest"

	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Around(m)) }

// The example of the AWS documentation, and the account of tests.
const (
	exampleID     = "AKIAIOSFODNN7EXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	otherID       = "AKIAI44QH8DHBEXAMPLE"
	otherSecret   = "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY"
	account       = "123456789012"
)

func openDB(t testing.TB) *store.DB { return openDBIn(t, t.TempDir()) }

func openDBIn(t testing.TB, dir string) *store.DB {
	t.Helper()
	db := storetest.Open(t, dir, store.Options{})
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func newStore(t testing.TB) *Store { return New(Config{DB: openDB(t), Secrets: seal.NewKey()}) }

func put(t testing.TB, d *Store, account, id, text string) {
	t.Helper()
	if err := d.PutRootKey(t.Context(), account, id, secret.New(text)); err != nil {
		t.Fatal(err)
	}
}

// wantKey wants an access key to have a secret, or to be unknown if that is empty.
func wantKey(t testing.TB, d *Store, id, secret string) {
	t.Helper()
	key, err := d.AccessKey(t.Context(), id)
	if secret == "" {
		if !errors.Is(err, ErrUnknownKey) {
			t.Errorf("access key %s: %+v, error %v", id, key, err)
		}
		return
	}
	if err != nil || key.ID != id || key.Secret.Reveal() != secret {
		t.Errorf("access key %s: %s, error %v", id, key.Secret.Reveal(), err)
	}
}

func TestRootKey(t *testing.T) {
	d := newStore(t)
	wantKey(t, d, exampleID, "")
	if has, err := d.HasRootKey(t.Context(), account); has || err != nil {
		t.Error(has, err)
	}
	if exists, err := d.AccountExists(t.Context(), account); exists || err != nil {
		t.Error(exists, err)
	}
	put(t, d, account, exampleID, exampleSecret)
	for range 2 { // the second time from the cache
		wantKey(t, d, exampleID, exampleSecret)
	}
	if has, err := d.HasRootKey(t.Context(), account); !has || err != nil {
		t.Error(has, err)
	}
	if exists, err := d.AccountExists(t.Context(), account); !exists || err != nil {
		t.Error(exists, err)
	}
	for _, other := range []string{"", "123456789013", "12345678901", account + " "} {
		if exists, err := d.AccountExists(t.Context(), other); exists || err != nil {
			t.Error(other, exists, err)
		}
	}
	key, err := d.AccessKey(t.Context(), exampleID)
	if err != nil {
		t.Fatal(err)
	}
	if key.Owner != account || key.Account != account {
		t.Errorf("it belongs to %s of %s", key.Owner, key.Account)
	}
	for _, id := range []string{"", strings.ToLower(exampleID), exampleID + " ", exampleID[:19], "%"} {
		wantKey(t, d, id, "")
	}
}

func TestRootKeyIsReplaced(t *testing.T) {
	d := newStore(t)
	put(t, d, account, exampleID, exampleSecret)
	wantKey(t, d, exampleID, exampleSecret)
	put(t, d, account, otherID, otherSecret) // another id
	wantKey(t, d, exampleID, "")
	wantKey(t, d, otherID, otherSecret)
	put(t, d, account, otherID, exampleSecret) // the same id with another secret
	wantKey(t, d, otherID, exampleSecret)
	put(t, d, "999999999999", exampleID, otherSecret) // another account's
	wantKey(t, d, otherID, exampleSecret)
	wantKey(t, d, exampleID, otherSecret)
	put(t, d, "999999999999", otherID, otherSecret) // an id moves
	wantKey(t, d, exampleID, "")
	wantKey(t, d, otherID, otherSecret)
	if has, err := d.HasRootKey(t.Context(), account); has || err != nil {
		t.Error(has, err)
	}
}

func TestInactiveKeyIsUnknown(t *testing.T) {
	d := newStore(t)
	put(t, d, account, exampleID, exampleSecret)
	exec(t, d.db, `UPDATE access_key SET active = 0`)
	wantKey(t, d, exampleID, "")
	if has, err := d.HasRootKey(t.Context(), account); has || err != nil {
		t.Error(has, err)
	}
}

// What was read before a change must not be remembered after it.
func TestCacheForgetsWhatChangedMeanwhile(t *testing.T) {
	d := newStore(t)
	put(t, d, account, exampleID, exampleSecret)
	_, err := cached(&d.cache, account, accessKeyKey{exampleID}, func() (AccessKey, error) {
		key, err := d.loadAccessKey(t.Context(), exampleID)
		put(t, d, account, exampleID, otherSecret)
		return key, err
	})
	if err != nil {
		t.Fatal(err)
	}
	wantKey(t, d, exampleID, otherSecret)
}

func TestCacheIsBounded(t *testing.T) {
	d := newStore(t)
	for i := range maxCached + 5 {
		if _, err := cached(&d.cache, fmt.Sprint(i%7), i, func() (int, error) { return i, nil }); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for _, of := range d.cache.accounts {
		n += len(of)
	}
	if n == 0 || n > maxCached || n != d.cache.entries {
		t.Errorf("%d entries are remembered, counted as %d", n, d.cache.entries)
	}
	d.cache.forget(topicPrefix + "3")
	if left := len(d.cache.accounts["3"]); left != 0 {
		t.Errorf("%d entries are remembered after a change", left)
	}
}

func exec(t testing.TB, db *store.DB, query string, args ...any) {
	t.Helper()
	if err := db.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(query, args...); return err }); err != nil {
		t.Fatal(err)
	}
}

func sealedSecret(t testing.TB, d *Store, id string) (sealed []byte) {
	t.Helper()
	err := d.db.View(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT secret FROM access_key WHERE id = $1`, id).Scan(&sealed)
	})
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// A stored secret is sealed, opens under its own key alone, and only in its own row.
func TestStoredSecret(t *testing.T) {
	d := newStore(t)
	put(t, d, account, exampleID, exampleSecret)
	put(t, d, "999999999999", otherID, otherSecret)
	sealed := sealedSecret(t, d, exampleID)
	if strings.Contains(string(sealed), exampleSecret[:8]) {
		t.Error("the secret is in the clear")
	}
	if checked, faults := check(t, d); checked.AccessKeys != 2 || len(faults) != 0 {
		t.Errorf("%+v, faults %q", checked, faults)
	}
	refused := func(what string, d *Store) {
		t.Helper()
		key, err := d.AccessKey(t.Context(), exampleID)
		if !errors.Is(err, seal.ErrAltered) || errors.Is(err, ErrUnknownKey) || key.Secret.Reveal() != "" {
			t.Errorf("%s: %q, error %v", what, key.Secret.Reveal(), err)
		}
	}
	refused("another sealing key", New(Config{DB: d.db, Secrets: seal.NewKey()}))
	exec(t, d.db, `UPDATE access_key SET secret = $1 WHERE id = $2`, sealedSecret(t, d, otherID), exampleID)
	refused("another row's secret", New(Config{DB: d.db, Secrets: d.secrets}))
	for i := range len(sealed) * 8 {
		altered := append([]byte(nil), sealed...)
		altered[i/8] ^= 1 << (i % 8)
		if _, err := seal.OpenBytes(d.secrets, secretContext(exampleID), altered); err == nil {
			t.Errorf("opened with bit %d altered", i)
		}
	}
	checked, faults := check(t, d)
	if checked.AccessKeys != 2 || len(faults) != 1 || !strings.Contains(faults[0], "access key "+exampleID) {
		t.Errorf("%+v, faults %q", checked, faults)
	}
}

func TestNewAccessKey(t *testing.T) {
	ids := map[string]bool{}
	for range 100 {
		id, text := NewAccessKey()
		if !regexp.MustCompile(`^AKIA[A-Z2-7]{16}$`).MatchString(id) || !ValidAccessKeyID(id) || ids[id] {
			t.Errorf("id %q", id)
		}
		if !regexp.MustCompile(`^[A-Za-z0-9+/]{40}$`).MatchString(text.Reveal()) {
			t.Errorf("a secret of %d characters", len(text.Reveal()))
		}
		ids[id] = true
	}
}

func TestValidAccessKeyID(t *testing.T) {
	for id, want := range map[string]bool{
		exampleID: true, "a_b_c_d_e_f_g_h_": true, strings.Repeat("A", 128): true,
		"": false, strings.Repeat("A", 15): false, strings.Repeat("A", 129): false, "AKIAIOSFODNN7EXAMPL/": false, "AKIAIOSFODNN7EXAMPL\n": false,
		"AKIAIOSFODNN7EXAMPLé": false, "AKIAIOSFODNN7 EXAMPLE": false,
	} {
		if ValidAccessKeyID(id) != want {
			t.Errorf("%q: %v", id, !want)
		}
	}
}
