package storetest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/pgtest"
)

// OnPostgreSQL reports whether tests are to use PostgreSQL where they have no need of either engine: whether COFFER_TEST_ENGINE in the
// environment is postgresql.
func OnPostgreSQL() bool { return os.Getenv("COFFER_TEST_ENGINE") == "postgresql" }

// Open opens the database of a folder, which is SQLite's in it, or one of PostgreSQL that stands for it. The caller closes it.
func Open(t testing.TB, folder string, o store.Options) *store.DB {
	t.Helper()
	if OnPostgreSQL() {
		return OpenShared(t, folder, o)
	}
	db, err := store.Open(t.Context(), folder, o)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// addresses are the URLs of the databases that stand for folders.
var addresses sync.Map

// URL is that of the database of PostgreSQL that stands for a folder. It is made when it is asked for first, and dropped with the test.
func URL(t testing.TB, folder string) string {
	t.Helper()
	if address, ok := addresses.Load(folder); ok {
		return address.(string)
	}
	return stand(t, folder, pgtest.Start(t).Database(t))
}

func stand(t testing.TB, folder, address string) string {
	addresses.Store(folder, address)
	t.Cleanup(func() { addresses.Delete(folder) })
	return address
}

// Reruns reports whether each Update of PostgreSQL that would be committed runs once more: whether COFFER_TEST_RERUN is in the environment.
func Reruns() bool { return OnPostgreSQL() && os.Getenv("COFFER_TEST_RERUN") != "" }

// Rerun is for store.Options.BeforeCommit: it lets no first attempt commit.
func Rerun(attempt int) error {
	if attempt == 0 {
		return errRerun
	}
	return nil
}

// OpenShared opens a database that can be open more than once: one of PostgreSQL that stands for a folder. The caller closes it.
//
// With COFFER_TEST_RERUN in the environment, each Update that would be committed runs once more, as it does when others come in its
// way.
func OpenShared(t testing.TB, folder string, o store.Options) *store.DB {
	t.Helper()
	if o.BeforeCommit == nil && Reruns() {
		o.BeforeCommit = Rerun
	}
	db, err := store.OpenURL(t.Context(), URL(t, folder), o)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

var errRerun = errors.New("the test has each transaction run twice")

// Clone copies a folder to one that there isn't yet, and with it the databases in it, which nobody has open.
func Clone(t testing.TB, from, to string) {
	t.Helper()
	if err := os.MkdirAll(from, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	addresses.Range(func(folder, address any) bool {
		if rest, ok := strings.CutPrefix(folder.(string), from); ok && (rest == "" || rest[0] == filepath.Separator) {
			stand(t, to+rest, pgtest.Start(t).Clone(t, address.(string)))
		}
		return true
	})
}

// OnDisk reports whether some bytes are in any file of the database of a folder. Those of PostgreSQL are its tables and indexes; its log
// and its server's memory are not the database's to empty.
func OnDisk(t testing.TB, folder string, b []byte) (found bool) {
	t.Helper()
	if OnPostgreSQL() {
		folder = pgtest.Start(t).Files(t, URL(t, folder))
	}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // PostgreSQL deletes files when it comes to it.
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		found = found || bytes.Contains(text, b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
