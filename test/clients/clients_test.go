// Package clients_test runs the clients that people use, unmodified, against the program coffer.
//
// Each client has a file of its own. What they push and pull are the images of layout_test.go, and those of the folder
// COFFER_TEST_IMAGES if it is set. Digests and bytes are compared, on the server and after the way back.
package clients_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// built are the programs that the tests of a run share.
var built struct{ coffer, hello string }

func TestMain(m *testing.M) {
	status, err := run(m)
	if err == nil && status == 0 {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func run(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "coffer-clients-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	for _, b := range []struct {
		program *string
		pkg     string
		env     []string
	}{
		{&built.coffer, "../../cmd/coffer", nil},
		// Images have no C library.
		{&built.hello, "./testdata/hello", []string{"CGO_ENABLED=0"}},
	} {
		*b.program = filepath.Join(dir, filepath.Base(b.pkg))
		build := exec.Command("go", "build", "-o", *b.program, b.pkg)
		build.Env = append(os.Environ(), b.env...)
		if out, err := build.CombinedOutput(); err != nil {
			return 1, fmt.Errorf("build %s: %w\n%s", b.pkg, err, out)
		}
	}
	return m.Run(), nil
}
