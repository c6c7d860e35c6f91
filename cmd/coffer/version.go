package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/coffer-registry/coffer/internal/app"
)

type versionCommand struct{}

// Run prints the version, the commit that it was built from, the Go version, and the FIPS 140-3 module with its mode.
func (versionCommand) Run(c console) error {
	version, revision, modified := "unknown", "unknown", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				revision = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				modified = ", changed since"
			}
		}
	}
	_, err := fmt.Fprintf(c.out, "coffer %s\ncommit %s%s\n%s %s/%s\nFIPS 140-3: %s\n",
		version, revision, modified, runtime.Version(), runtime.GOOS, runtime.GOARCH, app.FIPSOfProcess())
	return err
}
