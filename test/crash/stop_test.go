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

	"github.com/coffer-registry/coffer/test/client"
	"github.com/coffer-registry/coffer/test/process"
)

// slowPush is a push whose bytes come when the test wants.
type slowPush struct {
	feed   *io.PipeWriter
	answer chan client.Answer
	err    chan error
}

// beginPush begins to push a layer and returns when the server has begun to read it.
func beginPush(ctx context.Context, c *client.Client, path string, size int) *slowPush {
	r, feed := io.Pipe()
	p := &slowPush{feed: feed, answer: make(chan client.Answer, 1), err: make(chan error, 1)}
	reading := make(chan struct{})
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got100Continue: func() { close(reading) }})
	c.HTTP.Transport.(*http.Transport).ExpectContinueTimeout = process.Patience
	go func() {
		// A known length keeps the server from taking a body that ends early for the whole.
		a, err := c.V2Body(ctx, http.MethodPost, path, client.Sized{Reader: r, Size: size}, "Expect", "100-continue")
		p.answer <- a
		p.err <- err
	}()
	<-reading
	return p
}

// TestStopDrains tells a server to stop in the middle of a push: it takes no more connections, takes the rest of the push,
// answers it, and ends with success.
func TestStopDrains(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			s, c, b := serving(t, data)
			push := beginPush(t.Context(), c, "team/app/blobs/uploads/?digest="+b.Digest, len(b.Bytes))
			if _, err := push.feed.Write(b.Bytes[:len(b.Bytes)/2]); err != nil {
				t.Fatal(err)
			}
			s.Command.Process.Signal(signal)
			s.Await(t, "stopping; requests under way may finish")
			awaitRefusal(t, s)
			if _, err := io.Copy(push.feed, bytes.NewReader(b.Bytes[len(b.Bytes)/2:])); err != nil {
				t.Fatal(err)
			}
			push.feed.Close()
			client.Must(t, http.StatusCreated)(<-push.answer, <-push.err)
			if status := s.Wait(t); status != 0 || len(s.Errors()) > 0 {
				t.Errorf("it ended with %d:\n%s", status, s.Tail())
			}
			program.Fsck(t, "--data", data)
			program.CheckTrail(t, c.Acknowledged(), c.Requests(), "--data", data)
			c.URL = program.Start(t, data).URL
			if err := c.PullBlob(t.Context(), "team/app", b); err != nil {
				t.Error(err)
			}
		})
	}
}

// serving starts a server with a repository, and makes a layer for it.
func serving(t *testing.T, data string) (*process.Server, *client.Client, client.Blob) {
	t.Helper()
	s := program.Start(t, data)
	c := loggedIn(t, s)
	client.Must(t, http.StatusOK)(c.ECR(t.Context(), "CreateRepository", map[string]any{"repositoryName": "team/app"}, nil))
	return s, c, client.RandomBlob(rand.New(rand.NewPCG(1, 1)), 2<<20)
}

// awaitRefusal waits until the server takes no more connections, which is a moment after it says that it stops.
func awaitRefusal(t *testing.T, s *process.Server) {
	t.Helper()
	for limit := time.Now().Add(process.Patience); ; {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
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
	push := beginPush(t.Context(), c, "team/app/blobs/uploads/?digest="+b.Digest, len(b.Bytes))
	if _, err := push.feed.Write(b.Bytes[:len(b.Bytes)/2]); err != nil {
		t.Fatal(err)
	}
	s.Command.Process.Signal(syscall.SIGTERM)
	s.Await(t, "stopping; requests under way may finish")
	awaitRefusal(t, s)
	began := time.Now()
	s.Command.Process.Signal(syscall.SIGTERM)
	if status := s.Wait(t); status != -1 || s.Command.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("it ended with %d", status)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v to end", took)
	}
	push.feed.Close()
	if a := <-push.answer; <-push.err == nil {
		t.Errorf("the push was answered: %v", a)
	}
	program.Fsck(t, "--data", data)
	program.CheckTrail(t, c.Acknowledged(), c.Requests(), "--data", data)
}
