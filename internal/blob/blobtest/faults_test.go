package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/coffer-registry/coffer/internal/blob"
)

func newFaulty(t testing.TB) *Faulty {
	t.Helper()
	f, err := blob.OpenFolder(filepath.Join(t.TempDir(), "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	return NewFaulty(f)
}

// TestFaultyWithoutFaults: a store that fails nothing is a store like any other.
func TestFaultyWithoutFaults(t *testing.T) {
	Run(t, func(t *testing.T) func() blob.Store {
		dir := filepath.Join(t.TempDir(), "blobs")
		return func() blob.Store {
			f, err := blob.OpenFolder(dir)
			if err != nil {
				t.Fatal(err)
			}
			return NewFaulty(f)
		}
	})
}

// work uses each method once, in the order of this list.
var workMethods = []string{"Create", "WritePart", "Sync", "Create", "WritePart", "Commit", "Open", "ReadAt", "List", "Create", "Abort", "Delete"}

func work(ctx context.Context, s blob.Store, key string) (err error) {
	u, err := s.Create(ctx, key, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, u.Close()) }()
	if err := u.WritePart(ctx, []byte("half")); err != nil {
		return err
	}
	if err := u.Sync(ctx); err != nil {
		return err
	}
	state := u.State()
	if err := u.Close(); err != nil {
		return err
	}
	resumed, err := s.Create(ctx, key, state)
	if err != nil {
		return err
	}
	u = resumed
	if err := u.WritePart(ctx, []byte(" and half")); err != nil {
		return err
	}
	if err := u.Commit(ctx); err != nil {
		return err
	}
	if got, err := get(ctx, s, key); err != nil || !bytes.Equal(got, []byte("half and half")) {
		return errors.Join(err, fmt.Errorf("the object is %q", got))
	}
	for info, err := range s.List(ctx, "") {
		if err != nil {
			return err
		}
		if info.Key != key {
			return fmt.Errorf("listed is %s", info.Key)
		}
	}
	other, err := s.Create(ctx, newKey(), nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, other.Close()) }()
	if err := other.Abort(ctx); err != nil {
		return err
	}
	return s.Delete(ctx, key)
}

// TestEachCallFails fails the calls of a piece of work in turn, until there is none left.
func TestEachCallFails(t *testing.T) {
	for _, fault := range []Fault{Before, After} {
		s := newFaulty(t)
		for n := 1; ; n++ {
			var failed Call
			s.Use(func(c Call) Fault {
				if c.N == n {
					failed = c
					return fault
				}
				return None
			})
			err := work(t.Context(), s, newKey())
			if !s.Hit() {
				if n != len(workMethods)+1 || err != nil || s.Calls() != len(workMethods) {
					t.Errorf("ended at call %d of %d, error %v", n, s.Calls(), err)
				}
				break
			}
			if !errors.Is(err, ErrInjected) || failed.Method != workMethods[n-1] {
				t.Errorf("call %d (%s): error %v", n, failed.Method, err)
			}
			s.Use(nil)
			for info := range s.List(t.Context(), "") {
				if err := s.Delete(t.Context(), info.Key); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// TestEffectOfFaults: Before has none, After has all, and half of a write arrives.
func TestEffectOfFaults(t *testing.T) {
	s := newFaulty(t)
	fails := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ErrInjected) || !s.Hit() {
			t.Errorf("%s: error %v", what, err)
		}
	}
	for fault, want := range map[Fault]string{Before: "ab", After: "abcd"} {
		key := newKey()
		u := create(t, s, key, nil)
		s.Use(NthOf("WritePart", 1, fault))
		fails("write", u.WritePart(t.Context(), []byte("abcd")))
		s.Use(NthOf("Commit", 1, fault))
		fails("commit", u.Commit(t.Context()))
		if fault == Before {
			wantMissing(t, s, key)
			commit(t, u)
		}
		wantObject(t, s, key, []byte(want))
		s.Use(NthOf("Delete", 1, fault))
		fails("delete", s.Delete(t.Context(), key))
		if _, err := s.Open(t.Context(), key); errors.Is(err, fs.ErrNotExist) != (fault == After) {
			t.Errorf("open: %v", err)
		}
		s.Use(NthOf("Create", 1, fault))
		_, err := s.Create(t.Context(), key, nil)
		fails("create", err)
		create(t, s, key, nil) // it isn't busy
	}
}

// TestStoreGone: from one call on, nothing works, and so nothing is cleaned up.
func TestStoreGone(t *testing.T) {
	s := newFaulty(t)
	key := newKey()
	u := create(t, s, key, nil)
	write(t, u, []byte("abc"))
	state := synced(t, u)
	s.Use(From(2, After))
	write(t, u, []byte("d"))
	for what, err := range map[string]error{"first": u.Sync(t.Context()), "abort": u.Abort(t.Context()), "delete": s.Delete(t.Context(), key)} {
		if !errors.Is(err, ErrInjected) {
			t.Errorf("%s: error %v", what, err)
		}
	}
	n := 0
	for _, err := range s.List(t.Context(), "") {
		if n++; !errors.Is(err, ErrInjected) {
			t.Errorf("list: %v", err)
		}
	}
	if n != 1 || s.Calls() != 5 {
		t.Errorf("%d items, %d calls", n, s.Calls())
	}
	closeUpload(t, u)
	s.Use(nil)
	u = create(t, s, key, state)
	commit(t, u)
	wantObject(t, s, key, []byte("abc"))
}
