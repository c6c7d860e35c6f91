package crash

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// slowPush is a push whose bytes come when the test wants.
type slowPush struct {
	feed   *io.PipeWriter
	answer chan answer
	err    chan error
}

// beginPush begins to push a layer and returns when the server has begun to read it.
func beginPush(ctx context.Context, c *client, path string, size int) *slowPush {
	r, feed := io.Pipe()
	p := &slowPush{feed: feed, answer: make(chan answer, 1), err: make(chan error, 1)}
	reading := make(chan struct{})
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got100Continue: func() { close(reading) }})
	c.http.Transport.(*http.Transport).ExpectContinueTimeout = patience
	go func() {
		// A known length keeps the server from taking a body that ends early for the whole.
		a, err := c.v2Body(ctx, http.MethodPost, path, sized{r, size}, "Expect", "100-continue")
		p.answer <- a
		p.err <- err
	}()
	<-reading
	return p
}

// sized is a body whose length is known.
type sized struct {
	io.Reader
	size int
}

// TestStopDrains tells a server to stop in the middle of a push: it takes no more connections, takes the rest of the push,
// answers it, and ends with success.
func TestStopDrains(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			s, c, b := serving(t, data)
			push := beginPush(t.Context(), c, "team/app/blobs/uploads/?digest="+b.digest, len(b.bytes))
			if _, err := push.feed.Write(b.bytes[:len(b.bytes)/2]); err != nil {
				t.Fatal(err)
			}
			s.cmd.Process.Signal(signal)
			s.await(t, "stopping; requests under way may finish")
			awaitRefusal(t, s)
			if _, err := io.Copy(push.feed, bytes.NewReader(b.bytes[len(b.bytes)/2:])); err != nil {
				t.Fatal(err)
			}
			push.feed.Close()
			must(t, http.StatusCreated)(<-push.answer, <-push.err)
			if status := s.wait(t); status != 0 || len(s.errors()) > 0 {
				t.Errorf("it ended with %d:\n%s", status, s.tail())
			}
			fsck(t, data)
			checkTrail(t, data, c.acknowledged(), c.requests.Load())
			c.url = start(t, data).url
			if err := c.pullBlob(t.Context(), "team/app", b); err != nil {
				t.Error(err)
			}
		})
	}
}

// serving starts a server with a repository, and makes a layer for it.
func serving(t *testing.T, data string) (*server, *client, blob) {
	t.Helper()
	s := start(t, data)
	c := loggedIn(t, s)
	must(t, http.StatusOK)(c.ecr(t.Context(), "CreateRepository", map[string]any{"repositoryName": "team/app"}, nil))
	return s, c, randomBlob(rand.New(rand.NewPCG(1, 1)), 2<<20)
}

// awaitRefusal waits until the server takes no more connections, which is a moment after it says that it stops.
func awaitRefusal(t *testing.T, s *server) {
	t.Helper()
	for limit := time.Now().Add(patience); ; {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			return
		}
		conn.Close()
		if time.Now().After(limit) {
			t.Fatal("the server takes new connections while it stops")
		}
	}
}

// TestSecondSignal tells a server twice to stop: it ends at once, in the middle of a push, and nothing is the worse for it.
func TestSecondSignal(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s, c, b := serving(t, data)
	push := beginPush(t.Context(), c, "team/app/blobs/uploads/?digest="+b.digest, len(b.bytes))
	if _, err := push.feed.Write(b.bytes[:len(b.bytes)/2]); err != nil {
		t.Fatal(err)
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	s.await(t, "stopping; requests under way may finish")
	awaitRefusal(t, s)
	began := time.Now()
	s.cmd.Process.Signal(syscall.SIGTERM)
	if status := s.wait(t); status != -1 || s.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("it ended with %d", status)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v to end", took)
	}
	push.feed.Close()
	if a := <-push.answer; <-push.err == nil {
		t.Errorf("the push was answered: %v", a)
	}
	fsck(t, data)
	checkTrail(t, data, c.acknowledged(), c.requests.Load())
}
