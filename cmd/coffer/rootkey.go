package main

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/rootkey"
)

type rootKeyCommand struct {
	Create rootKeyCreateCommand `cmd:"" help:"Make a file with a root key, for servers that are given one."`
	Status rootKeyStatusCommand `cmd:"" help:"Tell which root of trust wraps the keys, and when they were rotated."`
	Rotate rootKeyRotateCommand `cmd:"" help:"Make a new root key and wrap all keys anew, also while the server runs."`
}

type rootKeyCreateCommand struct {
	File string `arg:"" help:"File to make; an existing one is left as it is."`
}

// Run makes the file. A server makes its own at the first start; several that share their data have to be given the same one.
func (r *rootKeyCreateCommand) Run(c console) error {
	root, err := rootkey.CreateFile(r.File)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already; a root key is never overwritten", r.File)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "made %s; keep a copy of it apart from the data, which nobody can read without it\n", root)
	return err
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
