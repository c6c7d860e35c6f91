package process

import (
	"bufio"
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Server is a running server process.
type Server struct {
	// URL is where it serves, once Serves has seen it.
	URL string
	// Command is how it was started.
	Command *exec.Cmd
	ended   chan struct{} // closed when the process is gone

	mu    sync.Mutex
	log   []string
	lines chan string // of the log, for those who wait for one; the oldest are dropped when nobody reads
}

// Launch starts a server and doesn't wait until it answers. It is killed with the test.
func Launch(t *testing.T, cmd *exec.Cmd) *Server {
	t.Helper()
	if cmd.Env == nil {
		cmd.Env = Environment()
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Command: cmd, ended: make(chan struct{}), lines: make(chan string, 1000)}
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

func (s *Server) follow(r io.Reader) {
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

// Refusal expects that a server ended with status 1 after one line that says why.
func Refusal(t *testing.T, s *Server, why string) {
	t.Helper()
	status := s.Wait(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if status != 1 || len(s.log) != 1 || !strings.HasPrefix(s.log[0], "coffer: ") || !strings.Contains(s.log[0], why) {
		t.Errorf("it ended with %d, and should have with 1 after one line about %q:\n%s", status, why, strings.Join(s.log, "\n"))
	}
}

// Serves waits until the server serves, and reports whether it did before it ended.
func (s *Server) Serves(t *testing.T) bool {
	t.Helper()
	line := s.Await(t, "serving")
	if line == "" {
		return false
	}
	var entry struct{ Address string }
	if err := json.Unmarshal([]byte(line), &entry); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	s.URL = entry.Address
	return true
}

// Await waits for a message in the log and returns its line, or nothing if the process ended without it.
func (s *Server) Await(t *testing.T, message string) string {
	t.Helper()
	limit := time.After(Patience)
	for {
		select {
		case line, ok := <-s.lines:
			if !ok || strings.Contains(line, `"msg":"`+message+`"`) {
				return line
			}
		case <-limit:
			t.Fatalf("no %q in the log after %v:\n%s", message, Patience, s.Tail())
		}
	}
}

// Kill ends the process at once, as the power does.
func (s *Server) Kill() {
	s.Command.Process.Signal(syscall.SIGKILL)
	<-s.ended
}

// Stop tells the process to end, and returns its exit status.
func (s *Server) Stop(t *testing.T) int {
	t.Helper()
	s.Command.Process.Signal(syscall.SIGTERM)
	return s.Wait(t)
}

// Wait waits until the process is gone, and returns its exit status: -1 if a signal ended it.
func (s *Server) Wait(t *testing.T) int {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(Patience):
		t.Fatalf("the process goes on:\n%s", s.Tail())
	}
	return s.Command.ProcessState.ExitCode()
}

// Tail is the end of the log, for messages.
func (s *Server) Tail() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.log[max(0, len(s.log)-30):], "\n")
}

// Count is how many lines of the log have this message.
func (s *Server) Count(message string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.log {
		if strings.Contains(line, `"msg":"`+message+`"`) {
			n++
		}
	}
	return n
}

// Errors are the lines of the log that tell of errors.
func (s *Server) Errors() (lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.log {
		if strings.Contains(line, `"level":"ERROR"`) || !strings.HasPrefix(line, "{") {
			lines = append(lines, line)
		}
	}
	return lines
}

// Ended is closed when the process is gone.
func (s *Server) Ended() <-chan struct{} { return s.ended }
