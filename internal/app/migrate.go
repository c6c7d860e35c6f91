package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/coffer-registry/coffer/internal/store"
)

// SchemaOf finds out how far the schema of a database is, and which database that is, without a password.
func SchemaOf(ctx context.Context, c Config) (s store.Schema, place string, err error) {
	place = PublicPlace(c.databasePlace())
	err = withDatabase(c, func() error {
		s, err = store.ReadSchema(ctx, c.Data, c.Database)
		return err
	})
	return s, place, err
}

// Migrate brings the schema of a database up to date, as a server does when it starts. Servers of PostgreSQL go on meanwhile.
func Migrate(ctx context.Context, c Config) error {
	return withDatabase(c, func() error {
		db, err := openFor(ctx, c, "coffer-migrate", 0)
		if err != nil {
			return err
		}
		return db.Close()
	})
}

// withDatabase calls fn while no server has the database, if it is in a data folder, where there must be one.
func withDatabase(c Config, fn func() error) (err error) {
	if err := c.Check(); err != nil {
		return err
	}
	if c.Database != "" {
		return fn()
	}
	if _, err := os.Stat(filepath.Join(c.Data, store.FileName)); err != nil {
		return fmt.Errorf("the data folder %s holds no database", c.Data)
	}
	var lock io.Closer
	if lock, err = store.LockDir(c.Data); err != nil {
		return err
	}
	return errors.Join(fn(), lock.Close())
}
