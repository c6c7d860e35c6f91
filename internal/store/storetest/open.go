package storetest

import (
	"os"
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

// OpenShared opens a database that can be open more than once: one of PostgreSQL that stands for a folder. The caller closes it.
func OpenShared(t testing.TB, folder string, o store.Options) *store.DB {
	t.Helper()
	address, ok := addresses.Load(folder)
	if !ok {
		address = pgtest.Start(t).Database(t)
		addresses.Store(folder, address)
		t.Cleanup(func() { addresses.Delete(folder) })
	}
	db, err := store.OpenURL(t.Context(), address.(string), o)
	if err != nil {
		t.Fatal(err)
	}
	return db
}
