package app_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/policy"
)

// held lets requests of one action in, one at a time, when the test says so.
type held struct {
	action  string
	entered chan struct{}
	release chan struct{}
}

func hold(action string) *held {
	return &held{action: action, entered: make(chan struct{}), release: make(chan struct{})}
}

func (h *held) option(_ *app.Config, o *app.Options) {
	o.Evaluate = func(r policy.Request) policy.Decision {
		if len(r.Questions) > 0 && r.Questions[0].Action == h.action {
			h.entered <- struct{}{}
			<-h.release
		}
		return policy.Evaluate(r, policy.PolicySet{})
	}
}

// refusesConnections waits until nobody listens at an address any more.
func refusesConnections(address string) {
	for {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		conn.Close()
	}
}

// TestStopDrains stops a server with a request under way: nobody else comes in, the request is answered, its change and
// its record are kept, and only then is the server gone.
func TestStopDrains(t *testing.T) {
	running := goleak.IgnoreCurrent() // such as what keeps the database server of other tests
	h := hold("ecr:CreateRepository")
	s := coffertest.Start(t, h.option, func(c *app.Config, _ *app.Options) { c.AdminListen = "127.0.0.1:0" })
	c := s.Config
	ready := s.Request(http.MethodGet, "/readyz", nil)
	ready.URL.Host = strings.TrimPrefix(s.AdminURL(), "http://")
	answered, stopped := make(chan coffertest.Response, 1), make(chan error, 1)
	go func() { answered <- s.ECR("CreateRepository", map[string]any{"repositoryName": "late"}) }()
	<-h.entered
	go func() { stopped <- s.Server.Stop() }()
	refusesConnections(strings.TrimPrefix(s.URL, "http://"))
	select {
	case err := <-stopped:
		t.Fatalf("it stopped with a request under way: %v", err)
	default:
	}
	if r := s.Do(ready); r.Status != http.StatusServiceUnavailable || string(r.Body) != "the server is stopping\n" {
		t.Errorf("/readyz while it stops: status %d: %s", r.Status, r.Body)
	}
	close(h.release)
	if r := <-answered; r.Status != http.StatusOK {
		t.Errorf("status %d: %s", r.Status, r.Body)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	s.Server = nil
	s.Client.CloseIdleConnections()
	if _, err := app.ReadEndpoint(c.Data); err == nil {
		t.Error("it left its address")
	}
	goleak.VerifyNone(t, running)

	again := coffertest.Start(t, coffertest.Data(c.Data))
	var out struct {
		Repositories []struct{ RepositoryName string }
	}
	again.MustECR("DescribeRepositories", struct{}{}, &out)
	if len(out.Repositories) != 1 || out.Repositories[0].RepositoryName != "late" {
		t.Errorf("repositories are %v", out.Repositories)
	}
	if trail := again.Trail(); len(trail) == 0 || trail[0].EventName != "CreateRepository" || trail[0].ErrorCode != "" {
		t.Errorf("the trail is %+v", trail)
	}
}

// TestStopWritesTheTrail: the record of a request that was answered is on disk when the server has stopped.
func TestStopWritesTheTrail(t *testing.T) {
	s := coffertest.Start(t)
	s.MustECR("DescribeRepositories", struct{}{}, nil)
	s.ECR("DescribeRepositories", map[string]any{"repositoryNames": []string{"none"}})
	s.Stop()
	var text bytes.Buffer
	if err := app.Tail(t.Context(), s.Config, app.TailOptions{Lines: 10}, &text); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(text.String(), `"eventName":"DescribeRepositories"`); n != 2 || strings.Count(text.String(), "RepositoryNotFoundException") != 1 {
		t.Errorf("the trail is %s", &text)
	}
}

// TestStopWhileBusy stops servers under load: all that was answered is there, and Stop reports nothing.
func TestStopWhileBusy(t *testing.T) {
	s := coffertest.Start(t)
	var mu sync.Mutex
	var made []string
	var wg sync.WaitGroup
	enough := make(chan struct{})
	for g := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("r%d/n%d", g, i)
				body := []byte(`{"repositoryName":"` + name + `"}`)
				r := s.Request(http.MethodPost, "/", bytes.NewReader(body), "Content-Type", "application/x-amz-json-1.1",
					"X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.CreateRepository")
				s.Sign(r, body, "ecr")
				response, err := s.Client.Do(r)
				if err != nil {
					return // The server is gone.
				}
				io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if response.StatusCode != http.StatusOK {
					t.Errorf("status %d", response.StatusCode)
					return
				}
				mu.Lock()
				if made = append(made, name); len(made) == 20 {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	<-enough
	if err := s.Server.Stop(); err != nil {
		t.Error(err)
	}
	s.Server = nil
	wg.Wait()
	s.Client.CloseIdleConnections()
	again := coffertest.Start(t, coffertest.Data(s.Config.Data))
	again.MustECR("DescribeRepositories", map[string]any{"repositoryNames": made[:20]}, nil)
	for _, name := range made[20:] {
		again.MustECR("DescribeRepositories", map[string]any{"repositoryNames": []string{name}}, nil)
	}
}

// TestIdleConnectionsDontHoldUpStop has a client that keeps its connection.
func TestIdleConnectionsDontHoldUpStop(t *testing.T) {
	s := coffertest.Start(t)
	address := strings.TrimPrefix(s.URL, "http://")
	s.MustECR("DescribeRepositories", struct{}{}, nil) // keeps its connection
	kept, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	if _, err := kept.Write([]byte("GET /v2/ HTTP/1.1\r\nHost: h\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(kept), nil)
	if err != nil || r.StatusCode != http.StatusUnauthorized {
		t.Fatalf("%v, error %v", r, err)
	}
	begun := time.Now()
	s.Stop()
	if took := time.Since(begun); took > 20*time.Second { // of the 30 that requests have
		t.Errorf("it took %v", took)
	}
}

// TestControl reads the trail through a running server, whose folder has a path that is longer than the address of a
// socket may be.
func TestControl(t *testing.T) {
	for name, data := range map[string]string{
		"short": filepath.Join(t.TempDir(), "d"), "long": filepath.Join(t.TempDir(), strings.Repeat("long", 30), strings.Repeat("path", 30)),
	} {
		t.Run(name, func(t *testing.T) {
			s := coffertest.Start(t, coffertest.Data(data))
			if info, err := os.Stat(filepath.Join(data, "control")); err != nil || info.Mode() != os.ModeSocket|0o600 {
				t.Errorf("%v, error %v", info, err)
			}
			for _, repository := range []string{"aa", "bb", "cc"} {
				s.CreateRepository(repository)
			}
			s.MustECR("DescribeRepositories", struct{}{}, nil) // noted only
			for lines, want := range []int{0, 1, 2, 3, 4, 4} {
				var text bytes.Buffer
				if err := app.Tail(t.Context(), s.Config, app.TailOptions{Lines: lines}, &text); err != nil {
					t.Fatal(err)
				}
				if n := strings.Count(text.String(), "\n"); n != want {
					t.Errorf("%d lines of %d: %s", n, lines, &text)
				}
			}
			s.Stop()
			var text bytes.Buffer
			if err := app.Tail(t.Context(), s.Config, app.TailOptions{Lines: 2}, &text); err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(text.String(), "\n"); n != 2 {
				t.Errorf("from the folder: %d lines", n)
			}
			err := app.Tail(t.Context(), s.Config, app.TailOptions{Follow: true}, io.Discard)
			if want := "no server runs on the data folder " + data + ", so that nothing new comes; leave --follow out"; err == nil || err.Error() != want {
				t.Errorf("error is %v", err)
			}
			starts(t, s.Config)
		})
	}
}

// lines tells of each line that is written.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		l <- string(line)
	}
	return len(p), nil
}

func TestControlFollows(t *testing.T) {
	running := goleak.IgnoreCurrent() // such as what keeps the database server of other tests
	s := coffertest.Start(t)
	s.CreateRepository("before")
	ctx, cancel := context.WithCancel(t.Context())
	out, ended := make(lines, 10), make(chan error, 1)
	go func() { ended <- app.Tail(ctx, s.Config, app.TailOptions{Lines: 1, Follow: true}, out) }()
	if line := <-out; !strings.Contains(line, `"repositoryName":"before"`) {
		t.Errorf("first comes %s", line)
	}
	s.CreateRepository("after")
	if line := <-out; !strings.Contains(line, `"repositoryName":"after"`) {
		t.Errorf("then comes %s", line)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("told to end, it says %v", err)
	}
	// A server that stops does not wait for who follows, who learns that it was not the end of the trail.
	go func() { ended <- app.Tail(t.Context(), s.Config, app.TailOptions{Lines: 1, Follow: true}, out) }()
	<-out
	s.Stop()
	if err := <-ended; err == nil || !strings.HasPrefix(err.Error(), "the server ") {
		t.Errorf("error is %v", err)
	}
	goleak.VerifyNone(t, running)
}

// failing is a client that goes away.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestControlErrors(t *testing.T) {
	s := coffertest.Start(t)
	s.CreateRepository("aa")
	gone := errors.New("gone")
	if err := app.Tail(t.Context(), s.Config, app.TailOptions{Lines: 1}, failing{gone}); !errors.Is(err, gone) {
		t.Errorf("error is %v", err)
	}
	if err := app.Tail(t.Context(), s.Config, app.TailOptions{Lines: -1}, io.Discard); err == nil || !strings.Contains(err.Error(), "400 Bad Request: lines is not a number") {
		t.Errorf("error is %v", err)
	}
	c := coffertest.Config(t)
	want := "the data folder " + c.Data + " holds no database; start a server with it first: coffer serve --data " + c.Data
	if err := app.Tail(t.Context(), c, app.TailOptions{Lines: 1}, io.Discard); err == nil || err.Error() != want {
		t.Errorf("error is %v", err)
	}
	if _, err := os.Stat(c.Data); err == nil {
		t.Error("it made a data folder")
	}
}

// TestAdmin asks the admin port, which is no other's.
func TestAdmin(t *testing.T) {
	if s := coffertest.Start(t); s.AdminURL() != "" {
		t.Errorf("turned off, it is at %s", s.AdminURL())
	}
	s := coffertest.Start(t, func(c *app.Config, _ *app.Options) { c.AdminListen = "127.0.0.1:0" })
	admin := s.AdminURL()
	for path, want := range map[string]string{"/healthz": `{"status":"ok",`, "/readyz": "ok\n", "/metrics": "go_goroutines "} {
		r, err := s.Client.Get(admin + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != http.StatusOK || !strings.Contains(string(text), want) {
			t.Errorf("%s: status %d, error %v: %.100s", path, r.StatusCode, err, text)
		}
		if r := s.Do(s.Request(http.MethodGet, path, nil)); r.Status != http.StatusNotFound {
			t.Errorf("%s on the public port: status %d", path, r.Status)
		}
	}
	if r, err := s.Client.Get(admin + "/v2/"); err != nil || r.StatusCode != http.StatusNotFound {
		t.Errorf("/v2/ on the admin port: %v, error %v", r, err)
	} else {
		r.Body.Close()
	}
	s.Stop()
	refusesConnections(strings.TrimPrefix(admin, "http://"))
}
