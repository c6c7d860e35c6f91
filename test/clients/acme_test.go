package clients_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/tlsconfig/tlstest"
	"github.com/coffer-registry/coffer/test/process"
)

// The names that are asked for; all names are on this machine.
const (
	acmeName     = "registry.coffer.test"
	acmeRegistry = coffertest.Account + ".dkr.ecr." + coffertest.Region + ".coffer.test"
)

// pebble is an ACME server for tests, which checks names as the public ones do.
type pebble struct {
	directory, management, ca string
	// public and http are where it checks names: by handshakes, and by HTTP.
	public, http string
	stop         func()
}

func startPebble(t *testing.T) *pebble {
	t.Helper()
	authority := tlstest.NewAuthority(t)
	certificate, key := authority.Issue(t, tlstest.Wanted{}).Write(t, t.TempDir())
	listen, management := process.FreeAddress(t), process.FreeAddress(t)
	p := &pebble{directory: "https://" + listen + "/dir", management: "https://" + management, ca: authority.Write(t), public: process.FreeAddress(t), http: process.FreeAddress(t)}
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": listen, "managementListenAddress": management, "certificate": certificate, "privateKey": key,
		"httpPort": port(t, p.http), "tlsPort": port(t, p.public), "retryAfter": map[string]int{"authz": 1, "order": 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "pebble.json")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(coffertest.Tool(t, "pebble"), "-config", path, "-dnsserver", serveNames(t))
	cmd.Env = []string{"PEBBLE_VA_NOSLEEP=1"}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	log := &watched{ready: "ACME directory available at", seen: make(chan bool, 1), pipe: out}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		log.read()
		ended <- cmd.Wait()
	}()
	stopped := false
	p.stop = func() {
		if stopped {
			return
		}
		stopped = true
		// It ends by the signal, which is an error to who waits for it.
		if err := end(cmd.Process, ended, 10*time.Second); err != nil && !strings.Contains(err.Error(), "signal: terminated") {
			t.Errorf("pebble was told to end: %v", err)
		}
		if t.Failed() {
			t.Logf("pebble's log:\n%s", log.text())
		}
	}
	t.Cleanup(p.stop)
	if !<-log.seen {
		t.Fatalf("pebble did not start: %v\n%s", <-ended, log.text())
	}
	// It says so before it listens.
	for _, address := range []string{listen, management} {
		for until := time.Now().Add(20 * time.Second); ; {
			c, err := net.Dial("tcp", address)
			if err == nil {
				c.Close()
				break
			}
			if time.Now().After(until) {
				t.Fatal(err)
			}
		}
	}
	return p
}

// roots are those of the certificates that it issues.
func (p *pebble) roots(t *testing.T) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(p.ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	defer transport.CloseIdleConnections()
	r, err := (&http.Client{Transport: transport}).Get(p.management + "/roots/0")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if text, err = io.ReadAll(r.Body); err != nil {
		t.Fatal(err)
	}
	issued := x509.NewCertPool()
	if !issued.AppendCertsFromPEM(text) {
		t.Fatalf("pebble's root is %q", text)
	}
	return issued
}

func port(t *testing.T, address string) int {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return a.Port
}

// serveNames answers DNS over TCP: every name is at 127.0.0.1, and has nothing else.
func serveNames(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				answerNames(c)
			})
		}
	})
	return l.Addr().String()
}

// answerNames answers the questions of a connection, each with its length before it.
func answerNames(c net.Conn) {
	for {
		var length [2]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(c, question); err != nil {
			return
		}
		answer := answerName(question)
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// answerName answers a question of DNS (RFC 1035).
func answerName(question []byte) []byte {
	const header = 12
	end := header
	for end < len(question) && question[end] != 0 {
		end += int(question[end]) + 1
	}
	end += 5 // the root's label, type and class
	if end > len(question) {
		return nil
	}
	out := append([]byte(nil), question[:end]...)
	binary.BigEndian.PutUint16(out[2:], 0x8580) // an answer, from who knows
	for i, n := range []uint16{1, 0, 0, 0} {
		binary.BigEndian.PutUint16(out[4+2*i:], n)
	}
	const typeA = 1
	if binary.BigEndian.Uint16(question[end-4:]) != typeA {
		return out
	}
	binary.BigEndian.PutUint16(out[6:], 1)
	return append(out, 0xc0, header, 0, typeA, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1)
}

// withACME starts a server that is stopped with the test, in a folder that outlives it.
func withACME(t *testing.T, data, listen string, p *pebble, flags ...string) {
	t.Helper()
	s := &server{data: data, home: t.TempDir()}
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.home, "GODEBUG=" + os.Getenv("GODEBUG"), "COFFER_ROOT_ACCESS_KEY_ID=" + coffertest.AccessKeyID, "COFFER_ROOT_SECRET_ACCESS_KEY=" + coffertest.SecretAccessKey}
	s.start(t, env, append([]string{"--listen", listen, "--acme-directory", p.directory, "--acme-ca", p.ca, "--acme-email", "ops@coffer.test",
		"--acme-domain", acmeName, "--acme-domain", acmeRegistry}, flags...))
}

// certificateFor is what a handshake for a name gets, if the roots vouch for it.
func certificateFor(address, name string, roots *x509.CertPool) (*x509.Certificate, error) {
	c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: name})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0], nil
}

func TestACME(t *testing.T) {
	t.Parallel()
	p := startPebble(t)
	roots := p.roots(t)
	data := filepath.Join(t.TempDir(), "data")
	var first *x509.Certificate
	// The ACME server, which has no certificate itself, checks the names all the same.
	t.Run("by handshakes", func(t *testing.T) {
		withACME(t, data, p.public, p, "--tls-client-ca", tlstest.NewAuthority(t).Write(t), "--tls-client-auth", "required")
		for _, name := range []string{acmeName, acmeRegistry} {
			got, err := certificateFor(p.public, name, roots)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if name == acmeName {
				first = got
			}
		}
		if _, err := certificateFor(p.public, "other.coffer.test", roots); err == nil || !strings.Contains(err.Error(), "internal error") {
			t.Errorf("for another name: %v", err)
		}
		// A connection for challenges carries no requests.
		c, err := tls.Dial("tcp", p.public, &tls.Config{InsecureSkipVerify: true, ServerName: acmeName, NextProtos: []string{"acme-tls/1"}})
		if err == nil {
			t.Error("a handshake for a challenge comes about where none is under way")
			c.Close()
		}
		entries, err := os.ReadDir(filepath.Join(data, "acme"))
		if err != nil || len(entries) != 3 { // the key of the account, and two certificates
			t.Errorf("kept are %v, %v", entries, err)
		}
		for _, e := range entries {
			if info, err := e.Info(); err != nil || info.Mode() != fs.FileMode(0o600) {
				t.Errorf("%s: %v %v", e.Name(), info.Mode(), err)
			}
		}
	})
	if t.Failed() {
		return
	}
	t.Run("by HTTP", func(t *testing.T) {
		listen := process.FreeAddress(t)
		withACME(t, filepath.Join(t.TempDir(), "data"), listen, p, "--acme-http-listen", p.http)
		if _, err := certificateFor(listen, acmeRegistry, roots); err != nil {
			t.Error(err)
		}
		r, err := http.Get("http://" + p.http + "/v2/")
		if err != nil {
			t.Fatal(err)
		}
		defer http.DefaultClient.CloseIdleConnections()
		defer r.Body.Close()
		if text, err := io.ReadAll(r.Body); err != nil || r.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "Use HTTPS.") {
			t.Errorf("a request of others gets %d %q, %v", r.StatusCode, text, err)
		}
	})
	p.stop()
	t.Run("without the ACME server", func(t *testing.T) {
		withACME(t, data, p.public, p)
		got, err := certificateFor(p.public, acmeName, roots)
		if err != nil || !got.Equal(first) {
			t.Errorf("%v, %v", got, err)
		}
	})
}
