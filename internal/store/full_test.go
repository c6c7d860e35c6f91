package store

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// smallDisk mounts a file system in memory of so many bytes.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mounting a small disk takes root's rights: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestDiskFull fills the disk with concurrent Updates, and then makes room: what was acknowledged is there, what failed
// isn't, and the same DB works on.
func TestDiskFull(t *testing.T) {
	disk := smallDisk(t, "12m")
	dir := filepath.Join(disk, "data")
	db, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := db.Update(t.Context(), func(tx *Tx) error { _, err := tx.Exec(crashTable); return err }); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 10<<20), 0o600); err != nil {
		t.Fatal(err)
	}

	insert := func(id int64) error {
		return db.Update(t.Context(), func(tx *Tx) error {
			_, err := tx.Exec(`INSERT INTO ack (id, body) VALUES ($1, $2)`, id, make([]byte, 3000))
			return err
		})
	}
	var mu sync.Mutex
	acknowledged, refused := map[int64]bool{}, 0
	fill := func(from, count int64) {
		var wg sync.WaitGroup
		for g := range int64(8) {
			wg.Go(func() {
				for id := from + g; id < from+count; id += 8 {
					err := insert(id)
					mu.Lock()
					if err == nil {
						acknowledged[id] = true
					} else {
						refused++
					}
					mu.Unlock()
					if err != nil && !errors.Is(err, ErrDiskFull) {
						t.Errorf("insert %d: %v", id, err)
					}
				}
			})
		}
		wg.Wait()
	}
	check := func() {
		t.Helper()
		got := map[int64]bool{}
		err := db.View(t.Context(), func(tx *Tx) error {
			rows, err := tx.Query(`SELECT id FROM ack`)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var id int64
				if err := rows.Scan(&id); err != nil {
					return err
				}
				got[id] = true
			}
			return rows.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(acknowledged) {
			t.Errorf("%d rows, %d acknowledged", len(got), len(acknowledged))
		}
		for id := range acknowledged {
			if !got[id] {
				t.Errorf("%d is lost", id)
			}
		}
	}
	fill(0, 2000)
	if refused == 0 || len(acknowledged) == 0 {
		t.Fatalf("%d acknowledged, %d refused", len(acknowledged), refused)
	}
	check()
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	refused = 0
	fill(10_000, 100)
	if refused != 0 {
		t.Errorf("%d refused with space on the disk", refused)
	}
	check()
}

func TestOpenOnFullDisk(t *testing.T) {
	disk := smallDisk(t, "64k")
	if err := os.WriteFile(filepath.Join(disk, "ballast"), make([]byte, 60<<10), 0o600); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), filepath.Join(disk, "data"), Options{})
	if !errors.Is(err, ErrDiskFull) {
		t.Errorf("error is %v", err)
	}
}
