package pgtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Stop stops the server as an operator in a hurry does: connections are closed and their transactions rolled back, but
// nothing that was committed waits for a recovery.
func (s *Server) Stop(t testing.TB) { s.endWith(t, syscall.SIGINT) }

// StopAtOnce stops the server without tidying up, so that the next one has to recover.
func (s *Server) StopAtOnce(t testing.TB) { s.endWith(t, syscall.SIGQUIT) }

// Kill ends the server's main process as the kernel does when memory runs out. The processes of its connections end a
// moment later by themselves.
func (s *Server) Kill(t testing.TB) { s.endWith(t, syscall.SIGKILL) }

func (s *Server) endWith(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if err := s.end(signal); err != nil {
		t.Fatalf("end PostgreSQL: %v", err)
	}
}

// Restart starts the server that was stopped or killed, and waits until it accepts connections.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	// The processes of a killed server's connections must be gone first, and can't be waited for: they are nobody's children.
	var err error
	for limit := time.Now().Add(patience); time.Now().Before(limit); <-time.After(20 * time.Millisecond) {
		if err = s.start(); err == nil || !strings.Contains(err.Error(), "in use") {
			break
		}
	}
	if err != nil {
		t.Fatalf("start PostgreSQL again: %v", err)
	}
}

// process is one life of the server.
type process struct {
	cmd   *exec.Cmd
	ready chan struct{} // closed when it accepts connections
	ended chan struct{} // closed when it is gone

	mu  sync.Mutex
	log []string // its end
}

// start starts the server and waits until it accepts connections.
func (s *Server) start() error {
	args := []string{"-D", s.data(), "-p", strconv.Itoa(s.port)}
	settings := []string{"listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200", "logging_collector=off"}
	for _, setting := range append(settings, s.options.Settings...) {
		args = append(args, "-c", setting)
	}
	p := &process{cmd: s.command("postgres", args...), ready: make(chan struct{}), ended: make(chan struct{})}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		p.follow(stderr)
	}()
	go func() {
		defer close(p.ended)
		// Processes of connections hold the log open, and outlive the main process if that is killed.
		p.cmd.Process.Wait()
	}()
	select {
	case <-p.ready:
	case <-p.ended:
		<-followed
		return fmt.Errorf("it ended:\n%s", p.tail())
	case <-time.After(patience):
		p.cmd.Process.Kill()
		return fmt.Errorf("it is not ready after %v:\n%s", patience, p.tail())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process = p
	return nil
}

// end sends a signal to the server, if it runs, and waits until its main process is gone.
func (s *Server) end(signal syscall.Signal) error {
	s.mu.Lock()
	p := s.process
	s.process = nil
	s.mu.Unlock()
	if p == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(signal); err != nil {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("it goes on %v after %v:\n%s", patience, signal, p.tail()), p.cmd.Process.Kill())
	}
}

func (s *Server) running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process != nil
}

// follow reads the log to its end.
func (p *process) follow(r io.ReadCloser) {
	defer r.Close()
	ready := false
	for lines := bufio.NewScanner(r); lines.Scan(); {
		p.mu.Lock()
		p.log = append(slices.Delete(p.log, 0, max(0, len(p.log)-40)), lines.Text())
		p.mu.Unlock()
		if !ready && strings.Contains(lines.Text(), "ready to accept connections") {
			ready = true
			close(p.ready)
		}
	}
	io.Copy(io.Discard, r) // A line that is too long must not block the server.
}

func (p *process) tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log, "\n")
}
