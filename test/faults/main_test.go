// Package faults puts a registry under load, lets its parts fail at random, and decides in the end from the history of all
// requests whether anything that was acknowledged was lost, went back or came back: package history. The registry is the
// program as its users run it: one process on its own, or replicas with PostgreSQL, an S3 server and a proxy between them and
// their clients.
//
// COFFER_TEST_SEED repeats the decisions of a run, though not the instants; COFFER_TEST_LONG=1 runs for longer.
package faults

import (
	"os"
	"testing"

	"github.com/coffer-registry/coffer/test/process"
)

// program is the program under test, which TestMain builds.
var program process.Program

func TestMain(m *testing.M) {
	os.Exit(process.Main(m, func(p process.Program) { program = p }))
}
