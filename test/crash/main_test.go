// Package crash runs the program as its users do, as a process, and does to it what the world does: it is killed at random
// instants under load, its disk fills up or can't be written to, it is told to stop in the middle of a request. After each
// blow, everything that was acknowledged must be there.
//
// COFFER_TEST_SEED repeats the decisions of a run, though not the instants; COFFER_TEST_LONG=1 runs more rounds.
package crash

import (
	"os"
	"testing"

	"github.com/coffer-registry/coffer/test/client"
	"github.com/coffer-registry/coffer/test/process"
)

// program is the program under test, which TestMain builds.
var program process.Program

func TestMain(m *testing.M) {
	os.Exit(process.Main(m, func(p process.Program) { program = p }))
}

// loggedIn is a client of a server with a registry token.
func loggedIn(t *testing.T, s *process.Server) *client.Client {
	t.Helper()
	c := client.New(s.URL)
	t.Cleanup(c.Close)
	if err := c.Login(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}
