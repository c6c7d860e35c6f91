package blobtest

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"testing"

	"github.com/coffer-registry/coffer/internal/blob"
)

var sizes = []int{0, 1, 4095, 64 << 10, 1<<20 + 1}

func testObjects(t *testing.T, opener Opener) {
	open := opener(t)
	s := open()
	keys := map[int]string{}
	for i, size := range sizes {
		keys[i] = newKey()
		u := create(t, s, keys[i], nil)
		want := content(uint64(i), size)
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 300_000)
			write(t, u, rest[:n])
			rest = rest[n:]
		}
		commit(t, u)
		wantObject(t, s, keys[i], want)
	}
	s = open()
	for i, size := range sizes {
		wantObject(t, s, keys[i], content(uint64(i), size))
	}
}

func testRanges(t *testing.T, opener Opener) {
	s := opener(t)()
	key, want := newKey(), content(1, 100_000)
	put(t, s, key, want)
	o, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	}()
	if o.Size() != int64(len(want)) {
		t.Errorf("size is %d", o.Size())
	}
	for _, r := range []struct{ at, n, read int }{
		{0, 1, 1}, {0, 100_000, 100_000}, {99_999, 1, 1}, {50_000, 10, 10}, {0, 0, 0}, // as asked
		{99_990, 20, 10}, {0, 100_001, 100_000}, {100_000, 5, 0}, {200_000, 5, 0}, // beyond the end
	} {
		p := make([]byte, r.n)
		n, err := o.ReadAt(p, int64(r.at))
		if n != r.read || n < r.n && err != io.EOF || n == r.n && err != nil && err != io.EOF {
			t.Errorf("%d bytes at %d: %d bytes, error %v", r.n, r.at, n, err)
		}
		if r.read > 0 && !bytes.Equal(p[:n], want[r.at:r.at+n]) {
			t.Errorf("%d bytes at %d are others", r.n, r.at)
		}
	}
	if _, err := o.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("read before the beginning")
	}
}

func testMissing(t *testing.T, opener Opener) {
	s := opener(t)()
	wantMissing(t, s, newKey())
	if err := s.Delete(t.Context(), newKey()); err != nil {
		t.Errorf("delete: %v", err)
	}
	if all := list(t, s, ""); len(all) != 0 {
		t.Errorf("an empty store lists %v", all)
	}
}

// testNoKeys asks for what are no keys, some of which would lead out of a folder.
func testNoKeys(t *testing.T, opener Opener) {
	s := opener(t)()
	key := newKey()
	put(t, s, key, []byte("a"))
	folder, id := key[:8], key[9:]
	for _, bad := range []string{
		"", ".", "..", "/", "../", "../../etc/passwd", "/etc/passwd", folder, folder + "/", folder + "/..", id,
		key + "0", key[:len(key)-1], key + "\n", key + "\x00", key[:len(key)-1] + "\x00", " " + key[1:], "/" + key, "./" + key, key + "/", key + ".part",
		folder + "/" + id[:30] + "..", "../" + folder[:5] + "/" + id, folder + "/../" + folder[:6] + id[:23], folder + "\\" + id, folder + "/" + id[:31] + "/",
		folder + "/" + id[:31] + "G", folder + "/" + id[:15] + ".." + id[17:], "G" + key[1:], folder + "/" + id[:31] + "A", folder + "//" + id[1:],
	} {
		if _, err := s.Open(t.Context(), bad); err == nil {
			t.Errorf("opened %q", bad)
		} else {
			wantError(t, fmt.Sprintf("open %q", bad), err, blob.ErrKey)
		}
		_, err := s.Create(t.Context(), bad, nil)
		wantError(t, fmt.Sprintf("create %q", bad), err, blob.ErrKey)
		_, err = s.Create(t.Context(), bad, make([]byte, 8))
		wantError(t, fmt.Sprintf("resume %q", bad), err, blob.ErrKey)
		wantError(t, fmt.Sprintf("delete %q", bad), s.Delete(t.Context(), bad), blob.ErrKey)
		list(t, s, bad) // must not fail
	}
	wantObject(t, s, key, []byte("a"))
}

// testNeverChanged writes an object a second time under its key.
func testNeverChanged(t *testing.T, opener Opener) {
	s := opener(t)()
	key := newKey()
	put(t, s, key, []byte("first"))
	for _, end := range []string{"abort", "close"} {
		u := create(t, s, key, nil)
		write(t, u, []byte("second, longer"))
		wantError(t, "commit", u.Commit(t.Context()), fs.ErrExist)
		wantObject(t, s, key, []byte("first"))
		if end == "abort" {
			if err := u.Abort(t.Context()); err != nil {
				t.Errorf("abort: %v", err)
			}
		}
		closeUpload(t, u)
		wantObject(t, s, key, []byte("first"))
	}
}

func testManyReaders(t *testing.T, opener Opener) {
	s := opener(t)()
	key, want := newKey(), content(1, 200_000)
	put(t, s, key, want)
	o, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				p := make([]byte, 1000)
				at := (g*7919 + i*4001) % (len(want) - len(p))
				if n, err := o.ReadAt(p, int64(at)); n != len(p) || !bytes.Equal(p, want[at:at+n]) {
					t.Errorf("read at %d: %d bytes, error %v", at, n, err)
				}
				if got, err := get(t.Context(), s, key); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes, error %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}
