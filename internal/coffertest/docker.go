package coffertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// withoutNetworks keeps an engine away from the machine's networks and packet filters.
var withoutNetworks = []string{"--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"}

// StartDocker starts a docker engine of the test's own, without networks, which leaves the machine's alone, and returns what
// DOCKER_HOST is for its clients. It ends with the test.
func StartDocker(t testing.TB) string {
	t.Helper()
	host, _ := startDocker(t, func(args []string) *exec.Cmd {
		return exec.Command(Tool(t, "dockerd"), append(args, withoutNetworks...)...)
	})
	return host
}

// StartDockerApart starts a docker engine in a network namespace of its own, in which it makes networks as it likes. It returns what
// DOCKER_HOST is for its clients, and the namespace's path. Both end with the test.
func StartDockerApart(t testing.TB) (host, namespace string) {
	t.Helper()
	host, engine := startDocker(t, func(args []string) *exec.Cmd {
		return exec.Command(Tool(t, "unshare"), append([]string{"--net", "--", "sh", "-c", `ip link set lo up && exec "$@"`, "sh", Tool(t, "dockerd")}, args...)...)
	})
	return host, fmt.Sprintf("/proc/%d/ns/net", engine.Pid)
}

// startDocker starts an engine by a command that is made of its arguments.
func startDocker(t testing.TB, command func(args []string) *exec.Cmd) (host string, engine *os.Process) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("the kernel lets only root run a docker engine")
	}
	dir := t.TempDir()
	t.Cleanup(func() {
		// An engine leaves the namespace of the machine's own networks mounted, if a container used it.
		err := syscall.Unmount(filepath.Join(dir, "exec", "netns", "default"), syscall.MNT_DETACH)
		if err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	})
	socket := filepath.Join(dir, "docker.sock")
	var problems error
	// The overlay driver works on most file systems, but not on one that is an overlay itself.
	for _, driver := range []string{"overlay2", "vfs"} {
		cmd := command([]string{"--data-root", filepath.Join(dir, "data-"+driver), "--exec-root", filepath.Join(dir, "exec"),
			"--host", "unix://" + socket, "--pidfile", filepath.Join(dir, "pid"), "--storage-driver", driver})
		err := startEngine(t, cmd, socket)
		if err == nil {
			return "unix://" + socket, cmd.Process
		}
		problems = errors.Join(problems, err)
	}
	t.Fatalf("dockerd did not start: %v", problems)
	return "", nil
}

// enginePatience is how long an engine may take to start, and to end.
const enginePatience = 60 * time.Second

// startEngine starts an engine and waits until it answers at its socket. The error has its log if it ends before.
func startEngine(t testing.TB, cmd *exec.Cmd, socket string) error {
	t.Helper()
	var log bytes.Buffer // which nobody reads before the process has ended
	cmd.Stderr = &log
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), enginePatience)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		cancel()
	}()
	if err := awaitEngine(ctx, socket); err != nil {
		return fmt.Errorf("%w, %v\n%s", err, end(cmd.Process, ended), &log)
	}
	t.Cleanup(func() {
		err := end(cmd.Process, ended)
		if err != nil {
			t.Errorf("dockerd was told to end: %v", err)
		}
		if t.Failed() {
			t.Logf("dockerd's log:\n%s", &log)
		}
	})
	return nil
}

// awaitEngine waits until an engine answers.
func awaitEngine(ctx context.Context, socket string) error {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/_ping", nil)
		if err != nil {
			return err
		}
		if response, err := (&http.Client{Transport: transport}).Do(r); err == nil {
			if response.Body.Close(); response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return errors.New("it does not answer")
		}
	}
}

// end tells a process to end, and kills it when it takes too long. It returns what the process ended with.
func end(p *os.Process, ended <-chan error) error {
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(enginePatience):
	}
	return errors.Join(errors.New("it had to be killed"), p.Kill(), <-ended)
}
