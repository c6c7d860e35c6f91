package coffertest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Tool finds a program that a test runs: among those that test/setup builds, or else on the system, where test/setup
// installs the rest. The test fails if there is none.
func Tool(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(ToolFolder(t), name)
	if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
		return path
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: run test/setup", name)
	}
	return path
}

// ToolFolder is where test/setup puts the programs that it builds. It need not exist.
func ToolFolder(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("COFFER_TEST_DIR")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatalf("set COFFER_TEST_DIR: %v", err)
		}
		dir = filepath.Join(home, ".cache", "coffer-test")
	}
	return filepath.Join(dir, "bin")
}
