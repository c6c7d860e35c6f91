package main

import (
	"errors"
	"fmt"

	"github.com/coffer-registry/coffer/internal/app"
)

type migrateCommand struct {
	Status migrateStatusCommand `cmd:"" help:"Tell how far the schema of the database is; fails if something is to be done."`
	Up     migrateUpCommand     `cmd:"" help:"Bring the schema up to date, as a server does when it starts."`
}

type migrateStatusCommand struct{ configured }

// Run prints the status.
func (m *migrateStatusCommand) Run(c console) error {
	ctx, cancel := untilInterrupted()
	defer cancel()
	s, place, err := app.SchemaOf(ctx, m.Config)
	if err != nil {
		return explainLock(err)
	}
	fmt.Fprintf(c.out, "database  %s\nschema    %d; this program knows up to %d, and programs from %d on can use it\n", place, s.Have, s.Know, s.Oldest)
	for _, name := range s.Pending {
		fmt.Fprintf(c.out, "pending   %s\n", name)
	}
	if err := s.Usable(); err != nil {
		return err
	}
	if len(s.Pending) > 0 {
		return errors.New("the schema is to be brought up to date: coffer migrate up")
	}
	return nil
}

type migrateUpCommand struct{ configured }

// Run migrates.
func (m *migrateUpCommand) Run(c console) error {
	ctx, cancel := untilInterrupted()
	defer cancel()
	if err := app.Migrate(ctx, m.Config); err != nil {
		return explainLock(err)
	}
	fmt.Fprintln(c.out, "the schema is up to date")
	return nil
}
