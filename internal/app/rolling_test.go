package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/test/haproxy"
	"github.com/coffer-registry/coffer/test/process"
)

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
	var places []haproxy.Server
	for range 3 {
		places = append(places, haproxy.Server{Public: process.FreeAddress(t), Admin: process.FreeAddress(t)})
	}
	start := func(i int) *coffertest.Server {
		return s.replica(t, coffertest.Configure(func(c *app.Config) {
			c.Listen, c.AdminListen, c.DrainDelay = places[i].Public, places[i].Admin, 3*time.Second
		}))
	}
	var replicas []*coffertest.Server
	for i := range places {
		replicas = append(replicas, start(i))
	}
	url := haproxy.Start(t, places...)
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
		waitFor(t, "the replica to be ready", func() bool { return answers("http://"+places[i].Admin+"/readyz", http.StatusOK) })
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
