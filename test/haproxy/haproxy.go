// Package haproxy runs Debian's HAProxy in front of servers of a test, as deploy/haproxy.cfg has it but with quicker checks.
package haproxy

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/coffer-registry/coffer/test/process"
)

const config = `
global
    maxconn 500
defaults
    mode http
    timeout connect 2s
    timeout check 2s
    timeout client 1m
    timeout server 1m
    timeout queue 5s
    retries 3
    option redispatch 1
    retry-on conn-failure
frontend registry
    bind %s
    default_backend coffer
backend coffer
    balance leastconn
    option httpchk
    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host coffer
    http-check expect status 200
    default-server check inter 50ms fall 1 rise 1
`

// Server is where a server is reached, and where it says whether it is ready, both as host:port.
type Server struct{ Public, Admin string }

// Start starts a proxy that ends with the test, and returns its URL. The test is skipped where HAProxy isn't installed, unless
// test/setup is to have installed it.
func Start(t testing.TB, servers ...Server) string {
	t.Helper()
	path, err := exec.LookPath("haproxy")
	if err != nil {
		if os.Getenv("COFFER_TEST_DIR") != "" {
			t.Fatal(err)
		}
		t.Skip("haproxy is not installed")
	}
	listen := process.FreeAddress(t)
	text := fmt.Sprintf(config, listen)
	for i, s := range servers {
		_, port, err := net.SplitHostPort(s.Admin)
		if err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("    server s%d %s port %s\n", i, s.Public, port)
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(path, "-db", "-f", file)
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() // It was killed.
		if t.Failed() {
			t.Logf("haproxy: %s", log.Bytes())
		}
	})
	return "http://" + listen
}
