package blob_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/blob"
)

func start(t *testing.T, f blob.Store, key string, resume []byte, text string) blob.Upload {
	t.Helper()
	u, err := f.Create(t.Context(), key, resume)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close() })
	if err := u.WritePart(t.Context(), []byte(text)); err != nil {
		t.Fatal(err)
	}
	return u
}

func content(t *testing.T, f *blob.Folder, key string) string {
	t.Helper()
	o, err := f.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	p, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

// TestCrashShapes opens folders as a crash may leave them, and goes on with an upload from its last state.
func TestCrashShapes(t *testing.T) {
	for name, tt := range map[string]struct {
		shape func(part string) error
		want  string // of the object; empty if the upload is lost
		err   error
	}{
		"as it was":           {func(string) error { return nil }, "durable and more", nil},
		"longer":              {func(part string) error { return os.WriteFile(part, []byte("durable, and lost"), 0o600) }, "durable and more", nil},
		"longer by zeros":     {func(part string) error { return os.Truncate(part, 1<<20) }, "durable and more", nil},
		"shorter":             {func(part string) error { return os.Truncate(part, 3) }, "", blob.ErrState},
		"empty":               {func(part string) error { return os.Truncate(part, 0) }, "", blob.ErrState},
		"gone":                {os.Remove, "", fs.ErrNotExist},
		"gone, with its hour": {func(part string) error { return os.RemoveAll(filepath.Dir(part)) }, "", fs.ErrNotExist},
		"committed":           {func(part string) error { return os.Rename(part, strings.TrimSuffix(part, ".part")) }, "", fs.ErrExist},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "blobs")
			f, key := openFolder(t, dir), blob.NewKey(time.Now())
			u := start(t, f, key, nil, "durable")
			if err := u.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			state := u.State()
			if err := u.Close(); err != nil {
				t.Fatal(err)
			}
			if err := tt.shape(filepath.Join(dir, key+".part")); err != nil {
				t.Fatal(err)
			}
			f = openFolder(t, dir)
			u, err := f.Create(t.Context(), key, state)
			if tt.err != nil {
				if !errors.Is(err, tt.err) {
					t.Fatalf("error is %v", err)
				}
				if err := f.Delete(t.Context(), key); err != nil {
					t.Error(err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer u.Close()
			if err := u.WritePart(t.Context(), []byte(" and more")); err != nil {
				t.Fatal(err)
			}
			if err := u.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := content(t, f, key); got != tt.want {
				t.Errorf("the object is %q", got)
			}
		})
	}
}

// TestStrangers puts into the folder what is none of its own: it is not listed, and nothing fails.
func TestStrangers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	f, key := openFolder(t, dir), blob.NewKey(time.Now())
	if err := start(t, f, key, nil, "abc").Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	hour := filepath.Join(dir, key[:8])
	for _, folder := range []string{"lost+found", "0000000", "000000000", "ABCDEF01", "..data"} {
		if err := os.MkdirAll(filepath.Join(dir, folder, key[9:]), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{filepath.Join(dir, "note"), filepath.Join(dir, "00000000"), filepath.Join(hour, "note"), filepath.Join(hour, key[9:]+".bak"),
		filepath.Join(hour, ".part"), filepath.Join(hour, key[9:]+".part.part")} {
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var listed []string
	for info, err := range f.List(t.Context(), "") {
		if err != nil {
			t.Error(err)
		}
		listed = append(listed, info.Key)
	}
	if len(listed) != 1 || listed[0] != key {
		t.Errorf("listed are %q", listed)
	}
}

// TestModes: objects are sealed, but nobody else needs to see even that.
func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	f, key := openFolder(t, dir), blob.NewKey(time.Now())
	if err := start(t, f, key, nil, "abc").Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, key[:8]): 0o700, filepath.Join(dir, key): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, error %v", path, info.Mode(), err)
		}
	}
}

// TestDeleteWhileRead: who has an object open reads it to the end.
func TestDeleteWhileRead(t *testing.T) {
	f, key := openFolder(t, filepath.Join(t.TempDir(), "blobs")), blob.NewKey(time.Now())
	if err := start(t, f, key, nil, "abc").Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	o, err := f.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if err := f.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 3)
	if n, err := o.ReadAt(p, 0); n != 3 || !bytes.Equal(p, []byte("abc")) {
		t.Errorf("%q, error %v", p[:n], err)
	}
}

func TestOpenFolderErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "missing", "blobs"): "no such file or directory",
		file:                                   "it is not a folder",
		filepath.Join(file, "blobs"):           "not a directory",
	} {
		_, err := blob.OpenFolder(path)
		if err == nil || !strings.HasPrefix(err.Error(), "open the objects in "+path+": ") || !strings.HasSuffix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", path, err)
		}
	}
	// A folder that is there is taken as it is.
	openFolder(t, dir)
}

func TestListOfNoFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	f := openFolder(t, dir)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range f.List(t.Context(), "") {
		if n++; !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error is %v", err)
		}
	}
	if n != 1 {
		t.Errorf("%d items", n)
	}
	// And it can't be written to, but says so each time, and isn't busy.
	key := blob.NewKey(time.Now())
	for range 2 {
		if _, err := f.Create(t.Context(), key, nil); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("create: %v", err)
		}
	}
}

func TestNewKey(t *testing.T) {
	now := time.Now()
	a, b := blob.NewKey(now), blob.NewKey(now.Add(time.Hour))
	if a == blob.NewKey(now) || !blob.ValidKey(a) || !blob.ValidKey(b) || a[:8] >= b[:8] {
		t.Errorf("keys %s, %s", a, b)
	}
}
