package crash

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/coffer-registry/coffer/test/client"
	"github.com/coffer-registry/coffer/test/process"
)

// nobody is a user without rights.
const nobody = 65534

// filled makes a data folder with something in it.
func filled(t *testing.T, data string) {
	t.Helper()
	s := program.Start(t, data)
	c := loggedIn(t, s)
	client.Must(t, http.StatusOK)(c.ECR(t.Context(), "CreateRepository", map[string]any{"repositoryName": "team/app"}, nil))
	if status := s.Stop(t); status != 0 {
		t.Fatalf("the server ended with %d", status)
	}
}

// TestReadOnly starts a server on a data folder that can't be written to: on a file system that is mounted so, and
// without the rights. It says so in one line and changes nothing; fsck and audit tail do the same.
func TestReadOnly(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	filled(t, data)
	mounted := mount(t, data, "", syscall.MS_BIND, "")
	if err := syscall.Mount("", mounted, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	t.Run("file system", func(t *testing.T) {
		process.Refusal(t, process.Launch(t, program.Command(process.ServeArgs(mounted)...)), "read-only file system")
		// What isn't there can't be made either.
		process.Refusal(t, process.Launch(t, program.Command(process.ServeArgs(filepath.Join(mounted, "new"))...)), "read-only file system")
		for _, args := range [][]string{{"fsck"}, {"audit", "tail"}} {
			stdout, stderr, status := program.Run(append(args, "--data", mounted)...)
			if status != 1 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "read-only file system") || stdout != "" {
				t.Errorf("%q ended with %d:\n%s%s", args, status, stdout, stderr)
			}
		}
	})
	t.Run("rights", func(t *testing.T) {
		foreign := filepath.Join(t.TempDir(), "foreign")
		if err := os.Mkdir(foreign, 0o755); err != nil {
			t.Fatal(err)
		}
		// The folders that the test runs in are its user's alone.
		for dir := foreign; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for _, folder := range []string{foreign, filepath.Join(foreign, "new")} {
			cmd := program.Command(process.ServeArgs(folder)...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			process.Refusal(t, process.Launch(t, cmd), "permission denied")
		}
		if entries, err := os.ReadDir(foreign); err != nil || len(entries) > 0 {
			t.Errorf("it left %v, %v", entries, err)
		}
	})
}
