package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
)

// proxyConfig is HAProxy's, as in deploy/haproxy.cfg, with quicker checks.
const proxyConfig = `
global
    maxconn 500
defaults
    mode http
    timeout connect 5s
    timeout client 1m
    timeout server 1m
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

// addresses are free ones on loopback, which stay the servers' when they are started again.
func addresses(t *testing.T, count int) (list []string) {
	t.Helper()
	for range count {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		list = append(list, l.Addr().String())
	}
	return list
}

// startProxy starts HAProxy before servers, which are pairs of public and admin addresses, and returns its URL.
func startProxy(t *testing.T, servers [][2]string) string {
	t.Helper()
	path, err := exec.LookPath("haproxy")
	if err != nil {
		if os.Getenv("COFFER_TEST_DIR") != "" {
			t.Fatal(err)
		}
		t.Skip("haproxy is not installed")
	}
	listen := addresses(t, 1)[0]
	text := fmt.Sprintf(proxyConfig, listen)
	for i, s := range servers {
		_, port, _ := net.SplitHostPort(s[1])
		text += fmt.Sprintf("    server s%d %s port %s\n", i, s[0], port)
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
		cmd.Wait()
		if t.Failed() {
			t.Logf("haproxy: %s", log.Bytes())
		}
	})
	return "http://" + listen
}

// waitFor asks until a condition holds.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func answers(url string, status int) bool {
	resp, err := http.Get(url)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == status
}

// TestRollingRestart restarts three replicas one after the other behind a proxy, while clients push and pull: not one request fails.
func TestRollingRestart(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	s := newShared(t)
	free := addresses(t, 6)
	var places [][2]string
	for i := range 3 {
		places = append(places, [2]string{free[2*i], free[2*i+1]})
	}
	start := func(i int) *coffertest.Server {
		return s.replica(t, coffertest.Configure(func(c *app.Config) {
			c.Listen, c.AdminListen, c.DrainDelay = places[i][0], places[i][1], time.Second
		}))
	}
	var replicas []*coffertest.Server
	for i := range places {
		replicas = append(replicas, start(i))
	}
	url := startProxy(t, places)
	waitFor(t, "the proxy", func() bool { return answers(url+"/v2/", http.StatusUnauthorized) })
	client := coffertest.At(t, url)
	client.CreateRepository("app")
	token := client.Token()
	client.PushImage(token, "app", "first", bytes.Repeat([]byte("x"), 1<<20))

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var requests atomic.Int64
	var load sync.WaitGroup
	for worker := range 4 {
		load.Go(func() {
			c := &loadClient{t: t, url: url, token: token, requests: &requests, client: &http.Client{Transport: &http.Transport{}}}
			defer c.client.CloseIdleConnections()
			for i := 0; ctx.Err() == nil; i++ {
				if err := c.pushAndPull(fmt.Sprintf("w%d", worker), i); err != nil {
					t.Errorf("worker %d: %v", worker, err)
					return
				}
			}
		})
	}
	for i := range replicas {
		before := requests.Load()
		waitFor(t, "requests", func() bool { return requests.Load() > before+50 || t.Failed() })
		replicas[i].Stop()
		replicas[i] = start(i)
		waitFor(t, "the replica to be ready", func() bool { return answers("http://"+places[i][1]+"/readyz", http.StatusOK) })
	}
	before := requests.Load()
	waitFor(t, "requests", func() bool { return requests.Load() > before+50 || t.Failed() })
	stop()
	load.Wait()
	t.Logf("%d requests", requests.Load())
}

// loadClient pushes and pulls, and takes any answer but success for an error.
type loadClient struct {
	t          *testing.T
	url, token string
	requests   *atomic.Int64
	client     *http.Client
}

func (c *loadClient) pushAndPull(tag string, i int) error {
	config := []byte("{}")
	layer := bytes.Repeat(fmt.Appendf(nil, "%s %d ", tag, i), 1+i%2000)
	manifest := coffertest.Manifest(config, nil, layer)
	for _, content := range [][]byte{config, layer} {
		location, err := c.do(http.MethodPost, "/v2/app/blobs/uploads/", nil, http.StatusAccepted)
		if err != nil {
			return err
		}
		if _, err := c.do(http.MethodPatch, location.Get("Location"), content, http.StatusAccepted); err != nil {
			return err
		}
		if _, err := c.do(http.MethodPut, location.Get("Location")+"?digest="+coffertest.Digest(content), nil, http.StatusCreated); err != nil {
			return err
		}
	}
	if _, err := c.do(http.MethodPut, "/v2/app/manifests/"+tag, manifest, http.StatusCreated); err != nil {
		return err
	}
	for _, path := range []string{"manifests/" + tag, "blobs/" + coffertest.Digest(layer)} {
		if _, err := c.do(http.MethodGet, "/v2/app/"+path, nil, http.StatusOK); err != nil {
			return err
		}
	}
	return nil
}

func (c *loadClient) do(method, path string, body []byte, want int) (http.Header, error) {
	r, err := http.NewRequest(method, c.url+strings.TrimPrefix(path, c.url), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Basic "+c.token)
	if method == http.MethodPut && strings.Contains(path, "/manifests/") {
		r.Header.Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	c.requests.Add(1)
	if resp.StatusCode != want {
		return nil, fmt.Errorf("%s %s: status %d: %s", method, path, resp.StatusCode, text)
	}
	return resp.Header, nil
}
