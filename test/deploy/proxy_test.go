package deploy_test

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// behind is a server behind a proxy with one of the files under deploy, in which its names and ports are put in place.
type behind struct {
	program
	url, data string
	// astray counts the requests that went to a server that said that it is stopping.
	astray *atomic.Int64
}

// place is what stands in a proxy's file for a server, and the ports that it has in the test.
type place struct{ name, port, admin string }

// process runs a program until the test ends, by SIGTERM.
func (p program) process(t testing.TB, name string, args ...string) {
	t.Helper()
	if !filepath.IsAbs(name) {
		name = coffertest.Tool(t, name)
	}
	cmd := exec.Command(name, args...)
	var log bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.dir, p.env, &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s says\n%s", name, &log)
		}
	})
}

// answers waits until a URL answers with a status.
func answers(t testing.TB, url string, status int) {
	t.Helper()
	await(t, url+" answers", func() bool {
		r, err := http.Get(url)
		if err != nil {
			return false
		}
		return r.Body.Close() == nil && r.StatusCode == status
	})
}

// servers are three: one that serves, one that stops, and one that is gone.
func servers(t testing.TB, b *behind) []place {
	t.Helper()
	serving := place{"coffer-1", freePort(t), freePort(t)}
	trusting := b.program
	trusting.env = append([]string{"COFFER_DATA=" + b.data, "COFFER_LISTEN=127.0.0.1:" + serving.port, "COFFER_ADMIN_LISTEN=127.0.0.1:" + serving.admin,
		"COFFER_TRUSTED_PROXY=127.0.0.1", "COFFER_ROOT_ACCESS_KEY_ID=" + coffertest.AccessKeyID,
		"COFFER_ROOT_SECRET_ACCESS_KEY=" + coffertest.SecretAccessKey}, b.env...)
	trusting.process(t, coffer(t), "serve")
	answers(t, "http://127.0.0.1:"+serving.admin+"/readyz", http.StatusOK)

	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "the server is stopping", http.StatusServiceUnavailable)
	}))
	public := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		b.astray.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(admin.Close)
	t.Cleanup(public.Close)
	return []place{serving, {"coffer-2", portOf(t, public.URL), portOf(t, admin.URL)}, {"coffer-3", freePort(t), freePort(t)}}
}

func portOf(t testing.TB, url string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// configuration is a copy of a proxy's file, in which each text must be there.
func configuration(t testing.TB, name string, replaced [][2]string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top(t), "deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	s := string(text)
	for _, r := range replaced {
		if !strings.Contains(s, r[0]) {
			t.Fatalf("%s has no %q", name, r[0])
		}
		s = strings.ReplaceAll(s, r[0], r[1])
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(s), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func newBehind(t testing.TB) (b behind, port string) {
	t.Helper()
	p := newProgram(t)
	port = freePort(t)
	return behind{program: p, url: "http://127.0.0.1:" + port, data: filepath.Join(p.dir, "data"), astray: new(atomic.Int64)}, port
}

func TestHAProxy(t *testing.T) {
	t.Parallel()
	b, port := newBehind(t)
	health := freePort(t)
	replaced := [][2]string{{"bind :5000", "bind 127.0.0.1:" + port}, {"127.0.0.1:8404", "127.0.0.1:" + health}}
	for _, s := range servers(t, &b) {
		replaced = append(replaced, [2]string{s.name + " " + s.name + ":5000", s.name + " 127.0.0.1:" + s.port + " port " + s.admin})
	}
	path := configuration(t, "haproxy.cfg", replaced)
	b.run(t, "haproxy", "-c", "-f", path)
	b.process(t, "haproxy", "-f", path)
	answers(t, "http://127.0.0.1:"+health+"/healthz", http.StatusOK)
	// It finds out about a server that stops by its health, and until then may send requests there.
	await(t, "no request goes astray", func() bool {
		before := b.astray.Load()
		for range 10 {
			b.try(t, "", "curl", "-s", "-o", os.DevNull, b.url+"/v2/")
		}
		return b.astray.Load() == before
	})
	before := b.astray.Load()
	b.serves(t)
	if n := b.astray.Load() - before; n > 0 {
		t.Errorf("%d requests went to a server that is stopping", n)
	}
}

func TestNginx(t *testing.T) {
	t.Parallel()
	b, port := newBehind(t)
	replaced := [][2]string{{"        listen 5000;", "        listen 127.0.0.1:" + port + ";"}, {"/tmp/nginx.pid", filepath.Join(b.dir, "nginx.pid")},
		{"http {", "http { client_body_temp_path " + b.dir + "/body; proxy_temp_path " + b.dir + "/proxy; fastcgi_temp_path " + b.dir + "/f; uwsgi_temp_path " + b.dir + "/u; scgi_temp_path " + b.dir + "/s;"}}
	for i, s := range servers(t, &b) {
		if i == 0 {
			replaced = append(replaced, [2]string{s.name + ":5000", "127.0.0.1:" + s.port})
			continue
		}
		if i == 1 { // nginx can't tell that one is stopping, but that one is gone
			s.port = freePort(t)
		}
		replaced = append(replaced, [2]string{s.name + ":5000", "127.0.0.1:" + s.port})
	}
	path := configuration(t, "nginx.conf", replaced)
	b.run(t, "nginx", "-t", "-c", path)
	b.process(t, "nginx", "-c", path, "-g", "daemon off;")
	answers(t, b.url+"/v2/", http.StatusUnauthorized)
	b.serves(t)
}

// serves pushes and pulls through the proxy, and checks that policies and the trail know the client and not the proxy.
func (b behind) serves(t testing.TB) {
	t.Helper()
	s := coffertest.Connect(t, b.url)
	s.CreateRepository("team/app")
	token := s.Token()
	large := bytes.Repeat([]byte("coffer! "), 8<<20/8*5)
	for range 3 {
		s.PushImage(token, "team/app", "1", large)
	}
	if got := s.V2(token, http.MethodGet, "/v2/team/app/blobs/"+coffertest.Digest(large), nil); !bytes.Equal(got.Body, large) {
		t.Errorf("of %d bytes there are %d, status %d", len(large), len(got.Body), got.Status)
	}
	// A client at an address of its own that says that it is another, over TLS.
	out := b.run(t, "curl", "-sS", "--interface", "127.0.0.9", "-H", "X-Forwarded-For: 203.0.113.7", "-H", "X-Forwarded-Proto: https",
		"-H", "Forwarded: for=203.0.113.7", "-D", "-", "-u", "AWS:wrong", b.url+"/v2/team/app/tags/list")
	if host := strings.TrimPrefix(b.url, "http://"); !strings.Contains(out, `Basic realm="http://`+host+`/"`) {
		t.Errorf("the answer is\n%s", out)
	}
	// A path that a proxy might clean is signed and served as it is.
	if got := s.V2(token, http.MethodGet, "/v2//team/app/tags/list", nil); got.Status == http.StatusMovedPermanently {
		t.Errorf("a path with two slashes has status %d", got.Status)
	}
	await(t, "the client's address is in the trail", func() bool {
		trail := b.run(t, coffer(t), "audit", "tail", "--data", b.data, "--lines", "100")
		if strings.Contains(trail, "203.0.113.7") {
			t.Fatalf("a client chose its address:\n%s", trail)
		}
		return strings.Contains(trail, `"sourceIPAddress":"127.0.0.9"`)
	})
}
