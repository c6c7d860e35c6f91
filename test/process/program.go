// Package process runs the program as its users do, as a process, for tests that do to it what the world does.
package process

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// Patience bounds each wait for a process.
const Patience = 60 * time.Second

// Program is the path of the program under test.
type Program string

// Main builds the program, lets the tests of a package run, and returns the exit status of their process. built gets the
// program before.
func Main(m *testing.M, built func(Program)) int {
	dir, err := os.MkdirTemp("", "coffer-program-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "coffer")
	out, err := exec.Command("go", "build", "-o", program, "github.com/coffer-registry/coffer/cmd/coffer").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	// A process of another user must be able to run it.
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(program, 0o755)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	built(Program(program))
	return m.Run()
}

// Seed is that of the environment, COFFER_TEST_SEED, or a new one. It is in the test's output.
func Seed(t *testing.T) uint64 {
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

// Long reports whether more rounds than usual are wanted: COFFER_TEST_LONG is set.
func Long() bool { return os.Getenv("COFFER_TEST_LONG") != "" }

// BareEnvironment has no settings of whoever runs the test.
func BareEnvironment() (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "COFFER_") {
			env = append(env, v)
		}
	}
	return env
}

// Environment is that of the program: the root access key of tests is all that it sets.
func Environment() []string {
	return append(BareEnvironment(), "COFFER_ROOT_ACCESS_KEY_ID="+coffertest.AccessKeyID, "COFFER_ROOT_SECRET_ACCESS_KEY="+coffertest.SecretAccessKey)
}

// Command is a command of the program that wasn't started yet.
func (p Program) Command(args ...string) *exec.Cmd { return exec.Command(string(p), args...) }

// Run runs a command to its end.
func (p Program) Run(args ...string) (stdout, stderr string, status int) {
	cmd := p.Command(args...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = Environment(), &out, &errs
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		return "", err.Error(), -1
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// Fsck checks the data that flags name, of which no server is running, and fails the test unless it is without fault. It
// returns what fsck said.
func (p Program) Fsck(t *testing.T, flags ...string) string {
	t.Helper()
	stdout, stderr, status := p.Run(append([]string{"fsck"}, flags...)...)
	if status != 0 || !strings.HasSuffix(stdout, "no faults\n") {
		t.Fatalf("fsck ended with %d:\n%s%s", status, stdout, stderr)
	}
	return stdout
}

// ServeArgs are those of a server on a data folder, on a free port.
func ServeArgs(data string, more ...string) []string {
	return append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", ""}, more...)
}

// Start starts a server on a data folder and waits until it serves.
func (p Program) Start(t *testing.T, data string, more ...string) *Server {
	t.Helper()
	s := Launch(t, p.Command(ServeArgs(data, more...)...))
	if !s.Serves(t) {
		t.Fatalf("the server ended:\n%s", s.Tail())
	}
	return s
}

// FreeAddress is an address of loopback that nobody listens on, so that a server is found again after its restart.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
