package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	// startTimeout bounds how long a server takes to answer for the first time.
	startTimeout = 30 * time.Second
	// stopTimeout bounds how long it takes to end when asked to; then it is killed.
	stopTimeout = 40 * time.Second
)

// server is a registry under test.
type server interface {
	name() string
	// command is how it is started on an address with its state under dir, which exists.
	command(dir, addr string) (*exec.Cmd, error)
	// login returns the value of the Authorization header for its /v2/ routes, empty if it wants none.
	login(ctx context.Context, addr string) (string, error)
	// createRepository makes what is needed before a push to the repository.
	createRepository(ctx context.Context, addr, repository string) error
	// seedTags makes all tags name one image that the repository holds.
	seedTags(ctx context.Context, h *host, repository string, image []byte, tags []string) error
}

// host is one server with its data folder, between its first start and the end of a measure.
type host struct {
	bench   *bench
	server  server
	dir     string
	wrap    []string // a command that the server is run under
	process *process
	target  target
}

// start runs the server and returns how long it took from the fork to the first answer.
func (h *host) start(ctx context.Context) (time.Duration, error) {
	addr, err := freeAddress()
	if err != nil {
		return 0, err
	}
	data := filepath.Join(h.dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return 0, err
	}
	cmd, err := h.server.command(data, addr)
	if err != nil {
		return 0, fmt.Errorf("preparing %s: %w", h.server.name(), err)
	}
	if len(h.wrap) > 0 {
		path, err := exec.LookPath(h.wrap[0])
		if err != nil {
			return 0, err
		}
		cmd.Path, cmd.Args = path, append(h.wrap[:len(h.wrap):len(h.wrap)], cmd.Args...)
	}
	began := time.Now()
	if h.process, err = launch(cmd, filepath.Join(h.dir, "server.log")); err != nil {
		return 0, fmt.Errorf("starting %s: %w", h.server.name(), err)
	}
	h.target = target{addr: addr}
	if err := h.firstAnswer(ctx); err != nil {
		return 0, errors.Join(fmt.Errorf("starting %s: %w", h.server.name(), err), h.stop())
	}
	took := time.Since(began)
	if h.target.auth, err = h.server.login(ctx, addr); err != nil {
		return 0, errors.Join(fmt.Errorf("logging in to %s: %w", h.server.name(), err), h.stop())
	}
	return took, nil
}

// firstAnswer tries /v2/ until it is answered.
func (h *host) firstAnswer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	c := &conn{target: h.target}
	defer c.close()
	for {
		r, err := c.do("GET", "/v2/", "")
		if err == nil && (r.status == 200 || r.status == 401) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer: %w%s", ctx.Err(), h.process.lastWords())
		case <-h.process.ended:
			return fmt.Errorf("it ended%s", h.process.lastWords())
		case <-time.After(time.Millisecond):
		}
	}
}

// stop ends the server if it runs. Its data stays.
func (h *host) stop() error {
	if h.process == nil {
		return nil
	}
	p := h.process
	h.process = nil
	return p.stop()
}

// restart stops the server, wipes its data if asked to, and starts it again.
func (h *host) restart(ctx context.Context, wipe bool) (time.Duration, error) {
	if err := h.stop(); err != nil {
		return 0, err
	}
	if wipe {
		if err := os.RemoveAll(h.dir); err != nil {
			return 0, err
		}
	}
	return h.start(ctx)
}

// repository makes a repository that holds the shared configuration, ready for images.
func (h *host) repository(ctx context.Context, name string) error {
	if err := h.server.createRepository(ctx, h.target.addr, name); err != nil {
		return fmt.Errorf("creating repository %s: %w", name, err)
	}
	c, err := h.target.dial()
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.pushBlob(name, bytesBlob(sharedConfig)); err != nil {
		return fmt.Errorf("pushing the configuration to %s: %w", name, err)
	}
	return nil
}

// process is a running server, leader of a process group of its own.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{} // closed when it has ended
}

func launch(cmd *exec.Cmd, log string) (*process, error) {
	f, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, log: log, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		cmd.Wait() // how it ended is in its log
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop asks the process and its children to end, and kills them when they don't.
func (p *process) stop() error {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		select {
		case <-p.ended: // its group's number may belong to others now
			return nil
		default:
		}
		if err := syscall.Kill(-p.pid(), s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stopping a server: %w", err)
		}
		select {
		case <-p.ended:
			return nil
		case <-time.After(stopTimeout):
		}
	}
	return fmt.Errorf("process %d does not end", p.pid())
}

// lastWords is the end of the process's log, for an error.
func (p *process) lastWords() string {
	b, err := os.ReadFile(p.log)
	if err != nil || len(bytes.TrimSpace(b)) == 0 {
		return ""
	}
	return "; its log ends: " + string(bytes.TrimSpace(b[max(0, len(b)-2000):]))
}

// freeAddress is a loopback address that nothing listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	defer l.Close()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(l.Addr().(*net.TCPAddr).Port)), nil
}
