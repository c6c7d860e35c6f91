package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"coffer": main}) }

// TestScripts runs testdata/*.txtar, each about one command or one thing that several have in common. Commands run as
// processes; what the scripts have beside those of testscript is in the table of scriptCommands.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", Setup: setUp, Cmds: scriptCommands, RequireExplicitExec: true, RequireUniqueNames: true})
}

// setUp gives every script a data folder of its own and free ports.
func setUp(e *testscript.Env) error {
	e.Values[inTest] = e.T().(testing.TB)
	// Programs run as the test does, also where FIPS 140-3 is enforced.
	e.Setenv("GODEBUG", os.Getenv("GODEBUG"))
	e.Setenv("COFFER_DATA", "data")
	e.Setenv("COFFER_LISTEN", "127.0.0.1:0")
	e.Setenv("COFFER_ADMIN_LISTEN", "")
	e.Setenv("COFFER_ROOT_ACCESS_KEY_ID", coffertest.AccessKeyID)
	e.Setenv("COFFER_ROOT_SECRET_ACCESS_KEY", coffertest.SecretAccessKey)
	return os.MkdirAll(e.Getenv("TMPDIR"), 0o700)
}
