package store

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// onDisk reports whether some bytes are in any file of a folder.
func onDisk(t *testing.T, dir string, b []byte) (found bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		found = found || bytes.Contains(text, b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// What is deleted or overwritten is gone from the disk after Scrub, whether it took a part of a page or many pages, and while
// others write.
func TestScrub(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	run := func(query string, args ...any) {
		t.Helper()
		if err := db.Update(t.Context(), func(tx *Tx) error { _, err := tx.Exec(query, args...); return err }); err != nil {
			t.Error(err)
		}
	}
	short, long, overwritten := []byte("a short secret that is to go"), bytes.Repeat([]byte("a long secret that is to go"), 1000), []byte("a secret that is overwritten")
	run(`CREATE TABLE scrubbed (id BIGINT NOT NULL PRIMARY KEY, body BYTEA)`)
	run(`INSERT INTO scrubbed (id, body) VALUES (1, $1), (2, $2), (3, $3)`, short, long, overwritten)
	if err := db.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	secrets := [][]byte{short, long[:len(long)/1000*2], overwritten}
	for _, secret := range secrets {
		if !onDisk(t, dir, secret) {
			t.Fatalf("%q is not on the disk before it is deleted", secret)
		}
	}
	var busy sync.WaitGroup
	for i := range 4 {
		busy.Go(func() {
			for n := range 50 {
				run(`INSERT INTO scrubbed (id, body) VALUES ($1, $2)`, 1000*(i+1)+n, "x")
			}
		})
	}
	run(`DELETE FROM scrubbed WHERE id < 3`)
	run(`UPDATE scrubbed SET body = NULL WHERE id = 3`)
	if err := db.Scrub(t.Context()); err != nil {
		t.Error(err)
	}
	busy.Wait()
	for _, secret := range secrets {
		if onDisk(t, dir, secret) {
			t.Errorf("%q is still on the disk", secret)
		}
	}
	if err := db.View(t.Context(), func(tx *Tx) error {
		var n int
		err := tx.QueryRow(`SELECT count(*) FROM scrubbed`).Scan(&n)
		if n != 201 {
			t.Errorf("%d rows are left", n)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Scrub(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("Scrub of a closed database: %v", err)
	}
}
