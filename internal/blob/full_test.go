package blob_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/blob"
)

// smallDisk mounts a file system in memory of so many bytes.
func smallDisk(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("mounting a small disk takes root's rights: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestDiskFull fills the disk, makes room, and goes on with the upload from its last state.
func TestDiskFull(t *testing.T) {
	disk := smallDisk(t, "size=1m")
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 512<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	f := openFolder(t, filepath.Join(disk, "blobs"))
	small := blob.NewKey(time.Now())
	if err := start(t, f, small, nil, "small").Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	part := strings.Repeat("0123456789abcdef", 4<<10) // 64 KiB
	key := blob.NewKey(time.Now())
	u := start(t, f, key, nil, part)
	var state []byte
	var full error
	parts := 1
	for ; parts < 100; parts++ {
		if err := u.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		state = u.State()
		if full = u.WritePart(t.Context(), []byte(part)); full != nil {
			break
		}
	}
	if !errors.Is(full, blob.ErrNoSpace) || !errors.Is(full, syscall.ENOSPC) {
		t.Fatalf("error is %v", full)
	}
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	if got := content(t, f, small); got != "small" {
		t.Errorf("an object became %q", got)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	u = start(t, f, key, state, part)
	if err := u.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := content(t, f, key); got != strings.Repeat(part, parts+1) {
		t.Errorf("the object has %d bytes, want %d parts", len(got), parts+1)
	}
}

// TestNoRoomForFolders has a disk without room for another file or folder.
func TestNoRoomForFolders(t *testing.T) {
	disk := smallDisk(t, "nr_inodes=6")
	if _, err := blob.OpenFolder(filepath.Join(disk, "blobs")); err != nil {
		t.Fatal(err)
	}
	var full string
	for i := range 10 {
		path := filepath.Join(disk, fmt.Sprint(i))
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			break
		}
		full = path
	}
	f := openFolder(t, filepath.Join(disk, "blobs"))
	if _, err := blob.OpenFolder(filepath.Join(disk, "other")); !errors.Is(err, blob.ErrNoSpace) {
		t.Errorf("open: %v", err)
	}
	key := blob.NewKey(time.Now())
	if _, err := f.Create(t.Context(), key, nil); !errors.Is(err, blob.ErrNoSpace) {
		t.Errorf("create: %v", err)
	}
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	// There is room for the folder now, and not for the file.
	if _, err := f.Create(t.Context(), key, nil); !errors.Is(err, blob.ErrNoSpace) {
		t.Errorf("create: %v", err)
	}
	if err := os.Remove(filepath.Join(disk, "0")); err != nil {
		t.Fatal(err)
	}
	if err := start(t, f, key, nil, "a").Commit(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestReadOnlyDisk(t *testing.T) {
	disk := smallDisk(t, "size=1m")
	f, key := openFolder(t, filepath.Join(disk, "blobs")), blob.NewKey(time.Now())
	if err := start(t, f, key, nil, "abc").Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if got := content(t, f, key); got != "abc" {
		t.Errorf("the object is %q", got)
	}
	if _, err := f.Create(t.Context(), blob.NewKey(time.Now()), nil); !errors.Is(err, syscall.EROFS) {
		t.Errorf("create: %v", err)
	}
	if err := f.Delete(t.Context(), key); !errors.Is(err, syscall.EROFS) {
		t.Errorf("delete: %v", err)
	}
}
