package store_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/storetest"
)

func TestSQLite(t *testing.T) {
	inFolder := func(t *testing.T) func() *store.DB {
		dir := t.TempDir()
		return func() *store.DB {
			db, err := store.Open(t.Context(), dir, store.Options{Readers: 4})
			if err != nil {
				t.Fatal(err)
			}
			return db
		}
	}
	storetest.Run(t, inFolder)
	storetest.RunSerial(t, inFolder)
}

func TestCloseLeavesNoGoroutine(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	db, err := store.Open(t.Context(), t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, ignore)
}
