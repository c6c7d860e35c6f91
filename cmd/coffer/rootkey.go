package main

import (
	"fmt"
	"time"

	"github.com/coffer-registry/coffer/internal/app"
)

type rootKeyCommand struct {
	Status rootKeyStatusCommand `cmd:"" help:"Tell which root of trust wraps the keys, and when they were rotated."`
	Rotate rootKeyRotateCommand `cmd:"" help:"Make a new root key and wrap all keys anew, also while the server runs."`
}

type rootKeyStatusCommand struct {
	configured
	JSON bool `name:"json" help:"Print a JSON object."`
}

// Run prints the status.
func (r *rootKeyStatusCommand) Run(c console) error {
	ctx, cancel := untilInterrupted()
	defer cancel()
	s, err := app.RootKeyState(ctx, r.Config)
	if err != nil {
		return err
	}
	if r.JSON {
		return printJSON(c.out, s)
	}
	rotated, state := "never", "available"
	if s.Rotated != nil {
		rotated = fmt.Sprintf("%s (%d in all)", s.Rotated.Format(time.RFC3339), s.Rotations)
	}
	if !s.Available {
		state = s.Problem
	}
	fmt.Fprintf(c.out, "root           %s\nsince          %s\nlast rotation  %s\nservice keys   %d\nstate          %s\n",
		s.Root, s.Since.Format(time.RFC3339), rotated, s.ServiceKeys, state)
	return nil
}

type rootKeyRotateCommand struct {
	configured
	To string `help:"Move the keys to this root, as --root-key names it; the server must be started with it from then on." placeholder:"URL"`
}

// Run rotates. What it prints are the steps that are done.
func (r *rootKeyRotateCommand) Run(c console) error {
	ctx, cancel := untilInterrupted()
	defer cancel()
	err := app.RotateRootKey(ctx, r.Config, r.To, func(step string) { fmt.Fprintln(c.out, step) })
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, "done; back up the root key now, with the data")
	return nil
}
