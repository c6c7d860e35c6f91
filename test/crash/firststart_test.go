package crash

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/test/client"
	"github.com/coffer-registry/coffer/test/process"

	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/sigv4"
)

// TestFirstStartKilled kills the first start on a data folder at every one of the system calls that make something of
// it: the next start goes on from there, and the root access key that it leaves is good.
func TestFirstStartKilled(t *testing.T) {
	writes := 20 // a transaction is written in many pieces, whose middle is as good as any
	if process.Long() {
		writes = 1
	}
	for _, call := range []struct {
		name string
		step int
	}{
		{"openat", 1}, {"mkdirat", 1}, {"fsync", 1}, {"renameat", 1}, {"linkat", 1}, {"unlinkat", 1}, {"pwrite64", writes},
	} {
		killed := 0
		// The calls are counted by thread, so that a start can get further than the one before.
		for n, further := 1, 0; further < 3 && !t.Failed(); n += call.step {
			if firstStartKilled(t, call.name, n) {
				killed, further = killed+1, 0
			} else {
				further++
			}
		}
		t.Logf("killed %d times at %s", killed, call.name)
		if killed == 0 {
			t.Errorf("no start was killed at %s", call.name)
		}
	}
}

// firstStartKilled kills a first start at the n-th call of a thread, and reports whether there were so many.
func firstStartKilled(t *testing.T, call string, n int) (killed bool) {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	traced := []string{"-D", "-f", "-qq", "-o", os.DevNull, "-e", "trace=" + call, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", call, n), string(program)}
	cmd := exec.Command("strace", append(traced, process.ServeArgs(data)...)...)
	cmd.Env = process.BareEnvironment()
	first := process.Launch(t, cmd)
	killed = !first.Serves(t)
	if killed && first.Wait(t) != -1 {
		t.Errorf("killed at %s number %d: it ended by itself:\n%s", call, n, first.Tail())
	}
	first.Kill()

	cmd = program.Command(process.ServeArgs(data)...)
	cmd.Env = process.BareEnvironment()
	second := process.Launch(t, cmd)
	if !second.Serves(t) {
		t.Errorf("after a kill at %s number %d, the next start ends:\n%s", call, n, second.Tail())
		return killed
	}
	c := client.New(second.URL)
	c.Root = rootCredentials(t, data)
	client.Must(t, http.StatusOK)(c.ECR(t.Context(), "CreateRepository", map[string]any{"repositoryName": "team/app"}, nil))
	c.Close()
	if status := second.Stop(t); status != 0 {
		t.Errorf("after a kill at %s number %d, the next server ended with %d", call, n, status)
	}
	program.Fsck(t, "--data", data)
	return killed
}

// rootCredentials reads the root access key that a first start left.
func rootCredentials(t *testing.T, data string) (c sigv4.Credentials) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(data, "root-credentials"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), " = "); name {
		case "aws_access_key_id":
			c.AccessKeyID = value
		case "aws_secret_access_key":
			c.Secret = secret.New(value)
		}
	}
	return c
}
