package crash

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// patience bounds each wait for a process.
const patience = 60 * time.Second

// bareEnvironment has no settings of whoever runs the test.
func bareEnvironment() (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "COFFER_") {
			env = append(env, v)
		}
	}
	return env
}

// environment is that of the program: the root access key of tests is all that it sets.
func environment() []string {
	return append(bareEnvironment(), "COFFER_ROOT_ACCESS_KEY_ID="+coffertest.AccessKeyID, "COFFER_ROOT_SECRET_ACCESS_KEY="+coffertest.SecretAccessKey)
}

// coffer runs a command to its end.
func coffer(args ...string) (stdout, stderr string, status int) {
	cmd := exec.Command(program, args...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = environment(), &out, &errs
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		return "", err.Error(), -1
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// server is a running server process.
type server struct {
	url   string
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process is gone

	mu    sync.Mutex
	log   []string
	lines chan string // of the log, for those who wait for one; the oldest are dropped when nobody reads
}

// serveArgs are those of a server on a data folder, on a free port.
func serveArgs(data string, more ...string) []string {
	return append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", ""}, more...)
}

// launch starts a server and doesn't wait until it answers. It is killed with the test.
func launch(t *testing.T, cmd *exec.Cmd) *server {
	t.Helper()
	if cmd.Env == nil {
		cmd.Env = environment()
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{cmd: cmd, ended: make(chan struct{}), lines: make(chan string, 1000)}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.ended)
		s.follow(stderr)
		cmd.Wait() // How it ended is in cmd.ProcessState.
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-s.ended
	})
	return s
}

func (s *server) follow(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		s.mu.Lock()
		s.log = append(s.log, lines.Text())
		s.mu.Unlock()
		select {
		case s.lines <- lines.Text():
		default:
		}
	}
	close(s.lines)
}

// start starts a server and waits until it serves.
func start(t *testing.T, data string, more ...string) *server {
	t.Helper()
	s := launch(t, command(serveArgs(data, more...)...))
	if !s.serves(t) {
		t.Fatalf("the server ended:\n%s", s.tail())
	}
	return s
}

// command is a command of the program that wasn't started yet.
func command(args ...string) *exec.Cmd { return exec.Command(program, args...) }

// refusal expects that a server ended with status 1 after one line that says why.
func refusal(t *testing.T, s *server, why string) {
	t.Helper()
	status := s.wait(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if status != 1 || len(s.log) != 1 || !strings.HasPrefix(s.log[0], "coffer: ") || !strings.Contains(s.log[0], why) {
		t.Errorf("it ended with %d, and should have with 1 after one line about %q:\n%s", status, why, strings.Join(s.log, "\n"))
	}
}

// serves waits until the server serves, and reports whether it did before it ended.
func (s *server) serves(t *testing.T) bool {
	t.Helper()
	line := s.await(t, "serving")
	if line == "" {
		return false
	}
	var entry struct{ Address string }
	if err := json.Unmarshal([]byte(line), &entry); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	s.url = entry.Address
	return true
}

// await waits for a message in the log and returns its line, or nothing if the process ended without it.
func (s *server) await(t *testing.T, message string) string {
	t.Helper()
	limit := time.After(patience)
	for {
		select {
		case line, ok := <-s.lines:
			if !ok || strings.Contains(line, `"msg":"`+message+`"`) {
				return line
			}
		case <-limit:
			t.Fatalf("no %q in the log after %v:\n%s", message, patience, s.tail())
		}
	}
}

// kill ends the process at once, as the power does.
func (s *server) kill() {
	s.cmd.Process.Signal(syscall.SIGKILL)
	<-s.ended
}

// stop tells the process to end, and returns its exit status.
func (s *server) stop(t *testing.T) int {
	t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	return s.wait(t)
}

// wait waits until the process is gone, and returns its exit status: -1 if a signal ended it.
func (s *server) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		t.Fatalf("the process goes on:\n%s", s.tail())
	}
	return s.cmd.ProcessState.ExitCode()
}

// tail is the end of the log, for messages.
func (s *server) tail() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.log[max(0, len(s.log)-30):], "\n")
}

// count is how many lines of the log have this message.
func (s *server) count(message string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.log {
		if strings.Contains(line, `"msg":"`+message+`"`) {
			n++
		}
	}
	return n
}

// errors are the lines of the log that tell of errors.
func (s *server) errors() (lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.log {
		if strings.Contains(line, `"level":"ERROR"`) || !strings.HasPrefix(line, "{") {
			lines = append(lines, line)
		}
	}
	return lines
}

// fsck checks a data folder, whose server isn't running, and fails the test unless it is without fault.
func fsck(t *testing.T, data string) string {
	t.Helper()
	stdout, stderr, status := coffer("fsck", "--data", data)
	if status != 0 || !strings.HasSuffix(stdout, "no faults\n") {
		t.Fatalf("fsck ended with %d:\n%s%s", status, stdout, stderr)
	}
	return stdout
}
