// Package blobtest is the suite that every blob.Store passes: what its callers rely on, tested through the interface
// alone. It also has a store that fails on demand, for tests of what is built on one.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/blob"
)

// Opener makes an empty store for a test. Each call of what it returns opens that store again, as another process would.
type Opener func(t *testing.T) (open func() blob.Store)

// Run runs the suite.
func Run(t *testing.T, opener Opener) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Opener)
	}{
		{"objects", testObjects},
		{"ranges", testRanges},
		{"missing", testMissing},
		{"no keys", testNoKeys},
		{"visible by commit alone", testVisibleByCommit},
		{"committed once", testCommittedOnce},
		{"never changed", testNeverChanged},
		{"abort", testAbort},
		{"begun again", testBegunAgain},
		{"resume", testResume},
		{"resume from any state", testResumeFromAnyState},
		{"nothing to resume", testNothingToResume},
		{"states refused", testStatesRefused},
		{"busy", testBusy},
		{"delete", testDelete},
		{"delete while written to", testDeleteWhileWritten},
		{"list", testList},
		{"list pages", testListPages},
		{"list stops", testListStops},
		{"list while changing", testListWhileChanging},
		{"many writers", testManyWriters},
		{"many readers", testManyReaders},
		{"model", testModel},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, opener) })
	}
}

// newKey is a key of now.
func newKey() string { return blob.NewKey(time.Now()) }

// content is bytes that only a seed knows.
func content(seed uint64, size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1}).Read(b)
	return b
}

func create(t testing.TB, s blob.Store, key string, resume []byte) blob.Upload {
	t.Helper()
	u, err := s.Create(t.Context(), key, resume)
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	// A test that fails must not leave the store busy.
	t.Cleanup(func() { u.Close() })
	return u
}

func write(t testing.TB, u blob.Upload, p []byte) {
	t.Helper()
	if err := u.WritePart(t.Context(), p); err != nil {
		t.Fatalf("write: %v", err)
	}
}

// synced is the state after what was written is durable.
func synced(t testing.TB, u blob.Upload) []byte {
	t.Helper()
	if err := u.Sync(t.Context()); err != nil {
		t.Fatalf("sync: %v", err)
	}
	return u.State()
}

func commit(t testing.TB, u blob.Upload) {
	t.Helper()
	if err := u.Commit(t.Context()); err != nil {
		t.Fatalf("commit: %v", err)
	}
	closeUpload(t, u)
}

func closeUpload(t testing.TB, u blob.Upload) {
	t.Helper()
	if err := u.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// put makes an object in one go.
func put(t testing.TB, s blob.Store, key string, p []byte) {
	t.Helper()
	u := create(t, s, key, nil)
	write(t, u, p)
	commit(t, u)
}

// get reads an object whole.
func get(ctx context.Context, s blob.Store, key string) ([]byte, error) {
	o, err := s.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	p := make([]byte, o.Size())
	n, err := o.ReadAt(p, 0)
	if err == io.EOF {
		err = nil
	}
	if err == nil && n != len(p) {
		err = fmt.Errorf("read %d of %d bytes", n, len(p))
	}
	return p, errors.Join(err, o.Close())
}

func wantObject(t testing.TB, s blob.Store, key string, want []byte) {
	t.Helper()
	got, err := get(t.Context(), s, key)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("the object has %d other bytes, want %d", len(got), len(want))
	}
}

func wantMissing(t testing.TB, s blob.Store, key string) {
	t.Helper()
	if o, err := s.Open(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			o.Close()
		}
		t.Fatalf("open: %v, want fs.ErrNotExist", err)
	}
}

func wantError(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("%s: error is %v, want %v", what, got, want)
	}
}

// list is all that the store lists above a key.
func list(t testing.TB, s blob.Store, after string) []blob.Info {
	t.Helper()
	var all []blob.Info
	for info, err := range s.List(t.Context(), after) {
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		all = append(all, info)
	}
	return all
}
