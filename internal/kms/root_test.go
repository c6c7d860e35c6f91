package kms

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/coffer-registry/coffer/internal/store/pgtest"

	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Around(m)) }

// memoryRoot is a root in memory, which can be made to fail.
type memoryRoot struct {
	name string
	key  seal.Key
	mu   sync.Mutex // of what Run and its test use at once
	// fail is what it answers in place of a key.
	fail error
	// asked counts how often it was asked to unwrap, and onAsk is called then.
	asked int
	onAsk func()
}

func newRoot() *memoryRoot { return &memoryRoot{name: "memory:1", key: seal.NewKey()} }

func (m *memoryRoot) String() string { return m.name }

func (m *memoryRoot) Wrap(ctx context.Context, plaintext []byte, c Context) ([]byte, error) {
	if err := errors.Join(m.fail, ctx.Err()); err != nil {
		return nil, err
	}
	return seal.SealBytes(m.key, c.Encode(nil), plaintext)
}

func (m *memoryRoot) Unwrap(ctx context.Context, wrapped []byte, c Context) ([]byte, error) {
	m.mu.Lock()
	m.asked++
	fail := m.fail
	m.mu.Unlock()
	if m.onAsk != nil {
		m.onAsk()
	}
	if err := errors.Join(fail, ctx.Err()); err != nil {
		return nil, err
	}
	plaintext, err := seal.OpenBytes(m.key, c.Encode(nil), wrapped)
	if err != nil {
		return nil, ErrWrongRoot
	}
	return plaintext, nil
}

// reset has it answer something else from now on, and returns how often it was asked before.
func (m *memoryRoot) reset(fail error) (asked int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	asked, m.asked, m.fail = m.asked, 0, fail
	return asked
}

// directRoot is one that could have wrapped service keys itself.
type directRoot struct{ *memoryRoot }

func (d directRoot) OpenDirect(_ context.Context, aad, sealed []byte) ([]byte, error) {
	return seal.OpenBytes(d.key, aad, sealed)
}

// earlier makes data as it was before there were installation keys, and returns the service keys in it.
func earlier(t testing.TB, db *store.DB, root seal.Key) map[Scope]seal.Key {
	t.Helper()
	sealed := func(aad, text []byte) []byte {
		out, err := seal.SealBytes(root, aad, text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	exec(t, db, `INSERT INTO setting (name, value) VALUES ('installation', $1)`, []byte("OLD"))
	exec(t, db, `INSERT INTO setting (name, value) VALUES ('root-check', $1)`, sealed([]byte("root-check"), []byte("OLD")))
	keys := map[Scope]seal.Key{}
	for i, scope := range all {
		id := fmt.Sprintf("%032x", i+1)
		keys[scope] = seal.NewKey()
		aad := encodeContext(nil, Context{"id": id, "purpose": string(scope.Purpose), "account": scope.Account, "region": scope.Region})
		exec(t, db, `INSERT INTO service_key (id, purpose, account, region, wrapped, created_at) VALUES ($1, $2, $3, $4, $5, 0)`,
			id, string(scope.Purpose), scope.Account, scope.Region, sealed(aad, keys[scope].Bytes()))
	}
	return keys
}

// Data of before there were installation keys is brought over, once, with all keys in it.
func TestBringOver(t *testing.T) {
	db := openDB(t)
	root := directRoot{newRoot()}
	root.name = "file:key"
	keys := earlier(t, db, root.key)

	if _, err := Open(t.Context(), db, directRoot{newRoot()}, nil); !errors.Is(err, ErrWrongRoot) {
		t.Errorf("another root: %v", err)
	}
	if _, err := Open(t.Context(), db, newRoot(), nil); !errors.Is(err, ErrWrongRoot) {
		t.Errorf("a root that never wrapped service keys: %v", err)
	}
	if _, err := CheckRoot(t.Context(), db, "vault://h/m/k"); err == nil || !strings.Contains(err.Error(), "coffer root-key rotate --to vault://h/m/k") {
		t.Errorf("a root of another kind: %v", err)
	}
	root.fail = ErrRootUnavailable
	if _, err := Open(t.Context(), db, root, nil); !errors.Is(err, ErrRootUnavailable) {
		t.Errorf("a root that fails halfway: %v", err)
	}
	root.fail = nil
	for range 2 {
		k := open(t, db, root)
		if k.Installation() != "OLD" {
			t.Errorf("it is installation %s now", k.Installation())
		}
		for scope, want := range keys {
			if !serviceKey(t, k, scope).Equal(want) {
				t.Errorf("the key of %+v is another now", scope)
			}
		}
	}
	err := db.View(t.Context(), func(tx *store.Tx) error {
		check, err := setting(tx, "root-check")
		if check != nil {
			t.Error("the check of before is still there")
		}
		rows, err2 := serviceRows(tx)
		for _, row := range rows {
			if _, err := seal.OpenBytes(root.key, row.context(), row.wrapped); err == nil {
				t.Errorf("service key %s is still wrapped by the root", row.id)
			}
		}
		return errors.Join(err, err2)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A service key that was altered before the data is brought over stops that, and nothing is changed.
func TestBringOverAltered(t *testing.T) {
	db := openDB(t)
	root := directRoot{newRoot()}
	earlier(t, db, root.key)
	exec(t, db, `UPDATE service_key SET region = 'us-west-1' WHERE region = 'us-west-2'`)
	if _, err := Open(t.Context(), db, root, nil); !errors.Is(err, seal.ErrAltered) {
		t.Errorf("error is %v", err)
	}
	exec(t, db, `UPDATE service_key SET region = 'us-west-2' WHERE region = 'us-west-1'`)
	open(t, db, root)
}

// A root of another kind is refused with what to do, and one that is away or refuses with what it says.
func TestOpenRefused(t *testing.T) {
	db := openDB(t)
	root := newRoot()
	open(t, db, root)
	other := &memoryRoot{name: "vault://host/transit/coffer", key: root.key}
	_, err := Open(t.Context(), db, other, nil)
	want := "open the keys: the keys of this data are wrapped by memory:1, not by vault://host/transit/coffer; start with --root-key memory:1, and to move them run: coffer root-key rotate --to vault://host/transit/coffer"
	if err == nil || err.Error() != want {
		t.Errorf("error is %v", err)
	}
	for _, fail := range []error{ErrRootUnavailable, ErrRootRefused} {
		root.fail = fail
		if _, err := Open(t.Context(), db, root, nil); !errors.Is(err, fail) {
			t.Errorf("error is %v", err)
		}
		if _, err := Open(t.Context(), openDB(t), root, nil); !errors.Is(err, fail) {
			t.Errorf("for new data: %v", err)
		}
	}
}

// The root is never asked inside a transaction: a database with one connection that is taken would not answer it.
func TestRootOutsideTransactions(t *testing.T) {
	db := openDB(t)
	root := newRoot()
	root.onAsk = func() {
		if err := db.Update(t.Context(), func(tx *store.Tx) error { return putSetting(tx, fmt.Sprint("asked ", root.asked), []byte("x")) }); err != nil {
			t.Error(err)
		}
	}
	k := open(t, db, root, all...)
	if err := errors.Join(k.Beat(t.Context()), k.Rotate(t.Context(), Rotation{})); err != nil {
		t.Error(err)
	}
	open(t, db, root)
	if root.asked < 4 {
		t.Errorf("it was asked %d times", root.asked)
	}
}

// A root that doesn't open what it wrapped is found out before anything depends on it.
func TestRootThatForgets(t *testing.T) {
	db := openDB(t)
	root := newRoot()
	root.onAsk = func() { root.key = seal.NewKey() }
	if _, err := Open(t.Context(), db, root, nil); err == nil {
		t.Error("it was taken")
	}
	if initialized, err := CheckRoot(t.Context(), db, "memory:1"); initialized || err != nil {
		t.Errorf("it left an installation, error %v", err)
	}
}
