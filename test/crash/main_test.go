// Package crash runs the program as its users do, as a process, and does to it what the world does: it is killed at random
// instants under load, its disk fills up or can't be written to, it is told to stop in the middle of a request. After each
// blow, everything that was acknowledged must be there.
//
// COFFER_TEST_SEED repeats the decisions of a run, though not the instants; COFFER_TEST_LONG=1 runs more rounds.
package crash

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// program is the program under test, which TestMain builds.
var program string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (status int) {
	dir, err := os.MkdirTemp("", "coffer-crash-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "coffer")
	out, err := exec.Command("go", "build", "-o", program, "../../cmd/coffer").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	// A process of another user must be able to run it.
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(program, 0o755)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// seed is that of the environment, or a new one. It is in the test's output.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := uint64(time.Now().UnixNano())
	if text := os.Getenv("COFFER_TEST_SEED"); text != "" {
		var err error
		if s, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("COFFER_TEST_SEED: %v", err)
		}
	}
	t.Logf("COFFER_TEST_SEED=%d", s)
	return s
}

// long reports whether more rounds than usual are wanted.
func long() bool { return os.Getenv("COFFER_TEST_LONG") != "" }
