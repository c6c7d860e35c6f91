package blob

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// watched is a folder of which the test sees each fsync of names, and fails those that it wants.
func watched(t testing.TB, dir string) (f *Folder, synced *[]string, fail *error) {
	t.Helper()
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	synced, fail = new([]string), new(error)
	f.syncFolder = func(path string) error {
		*synced = append(*synced, path)
		return *fail
	}
	return f, synced, fail
}

func mustCreate(t testing.TB, f *Folder, key string, resume []byte) Upload {
	t.Helper()
	u, err := f.Create(t.Context(), key, resume)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close() })
	return u
}

// TestNamesAreDurable watches which folders are synced, and when: the name of an hour when it is first written to, even if
// it was there, since who made it may have been killed; that of a file at the first Sync, and that of an object at Commit.
func TestNamesAreDurable(t *testing.T) {
	dir := t.TempDir()
	key := NewKey(time.Now())
	hour := filepath.Join(dir, key[:folderDigits])
	for _, there := range []bool{false, true} {
		f, synced, _ := watched(t, dir)
		want := func(what string, folders ...string) {
			t.Helper()
			if !slices.Equal(*synced, folders) {
				t.Errorf("there before: %v: %s: synced are %q, want %q", there, what, *synced, folders)
			}
			*synced = nil
		}
		u := mustCreate(t, f, key, nil)
		want("create", dir)
		if err := u.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		want("first sync", hour)
		if err := u.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		want("second sync")
		state := u.State()
		if err := u.Close(); err != nil {
			t.Fatal(err)
		}
		u = mustCreate(t, f, key, state)
		if err := u.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		want("resume")
		if err := u.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		want("commit", hour)
		key = key[:folderDigits+1] + NewKey(time.Now())[folderDigits+1:]
	}
}

var errDisk = errors.New("the disk failed")

// TestNameNotDurable fails the fsync of a folder: nothing is acknowledged, and the next attempt tries again.
func TestNameNotDurable(t *testing.T) {
	dir := t.TempDir()
	f, synced, fail := watched(t, dir)
	key := NewKey(time.Now())
	*fail = errDisk
	for range 2 {
		if _, err := f.Create(t.Context(), key, nil); !errors.Is(err, errDisk) {
			t.Errorf("create: %v", err)
		}
	}
	*fail = nil
	u := mustCreate(t, f, key, nil)
	if err := u.WritePart(t.Context(), []byte("abc")); err != nil {
		t.Fatal(err)
	}
	*fail = errDisk
	if err := u.Sync(t.Context()); !errors.Is(err, errDisk) {
		t.Errorf("sync: %v", err)
	}
	*fail, *synced = nil, nil
	if err := u.Sync(t.Context()); err != nil || len(*synced) != 1 {
		t.Errorf("second sync: %v, synced are %q", err, *synced)
	}
	state := u.State()
	*fail = errDisk
	if err := u.Commit(t.Context()); !errors.Is(err, errDisk) {
		t.Errorf("commit: %v", err)
	}
	if err := u.Abort(t.Context()); err != nil {
		t.Errorf("abort: %v", err)
	}
	// Who goes on with it learns that it was committed only once that is durable.
	if _, err := f.Create(t.Context(), key, state); !errors.Is(err, errDisk) || errors.Is(err, fs.ErrExist) {
		t.Errorf("resume: %v", err)
	}
	*fail, *synced = nil, nil
	if _, err := f.Create(t.Context(), key, state); !errors.Is(err, fs.ErrExist) || len(*synced) != 1 {
		t.Errorf("resume: %v, synced are %q", err, *synced)
	}
}

// TestSharedSync: those who ask while an fsync runs share the next one, and never count on the one that runs.
func TestSharedSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		release := make(chan error)
		f := &folder{path: "x", syncFolder: func(string) error {
			runs++
			return <-release
		}}
		var wg sync.WaitGroup
		results := make(chan error, 10)
		ask := func(n int) {
			for range n {
				wg.Go(func() { results <- f.sync() })
			}
			synctest.Wait()
		}
		ask(1)
		ask(4)
		if runs != 1 || len(results) != 0 {
			t.Fatalf("%d runs, %d results", runs, len(results))
		}
		release <- nil
		synctest.Wait()
		if runs != 2 || len(results) != 1 || <-results != nil {
			t.Fatalf("%d runs, %d results", runs, len(results))
		}
		ask(2) // too late for the second
		release <- errDisk
		synctest.Wait()
		if runs != 3 || len(results) != 4 {
			t.Fatalf("%d runs, %d results", runs, len(results))
		}
		for range 4 {
			if err := <-results; err != errDisk {
				t.Errorf("error is %v", err)
			}
		}
		release <- nil
		wg.Wait()
		for range 2 {
			if err := <-results; err != nil {
				t.Errorf("error is %v", err)
			}
		}
		if runs != 3 {
			t.Errorf("%d runs", runs)
		}
	})
}

// TestOpenFolderIsDurable: the folder's own name is made durable each time, for the same reason.
func TestOpenFolderIsDurable(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "blobs")
	for range 2 {
		f, synced, fail := watched(t, dir)
		if err := f.makeFolder(dir); err != nil || !slices.Equal(*synced, []string{parent}) {
			t.Errorf("synced are %q, error %v", *synced, err)
		}
		*fail = errDisk
		if err := f.makeFolder(dir); err != errDisk {
			t.Errorf("error is %v", err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}
