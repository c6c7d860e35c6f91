package store_test

import (
	"testing"

	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/pgtest"
	"github.com/coffer-registry/coffer/internal/store/storetest"
)

// postgreSQL opens the same empty database again and again.
func postgreSQL(t *testing.T) func() *store.DB {
	address := pgtest.Start(t).Database(t)
	return func() *store.DB {
		db, err := store.OpenURL(t.Context(), address, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
}

func TestPostgreSQL(t *testing.T) {
	storetest.Run(t, postgreSQL)
	storetest.RunShared(t, postgreSQL)
}
