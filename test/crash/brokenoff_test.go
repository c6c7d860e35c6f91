package crash

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/coffer-registry/coffer/test/client"
)

// TestBrokenOff breaks off pushes before anything of them was acknowledged: nobody goes on with them, so that nothing may
// be left of them. Else whoever repeats a push over a bad line fills the disk.
func TestBrokenOff(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := program.Start(t, data)
	c := loggedIn(t, s)
	client.Must(t, http.StatusOK)(c.ECR(t.Context(), "CreateRepository", map[string]any{"repositoryName": "team/app"}, nil))
	b := client.RandomBlob(rand.New(rand.NewPCG(1, 1)), 4<<20)
	whole := "team/app/blobs/uploads/?digest=" + b.Digest
	begun := client.Must(t, http.StatusAccepted)(c.V2(t.Context(), http.MethodPost, "team/app/blobs/uploads/", nil)).Location()

	breakOff(t, c, http.MethodPost, whole, b.Bytes)
	breakOff(t, c, http.MethodPatch, begun, b.Bytes)
	// These bytes have another digest.
	client.Must(t, http.StatusBadRequest)(c.V2(t.Context(), http.MethodPost, whole, b.Bytes[1:]))

	if status := s.Stop(t); status != 0 {
		t.Errorf("the server ended with %d", status)
	}
	program.Fsck(t, "--data", data)
	if left, err := filepath.Glob(filepath.Join(data, "blobs", "*", "*")); err != nil || len(left) > 0 {
		t.Errorf("something is left: %q, %v", left, err)
	}
}

// breakOff sends most of a body and goes away.
func breakOff(t *testing.T, c *client.Client, method, path string, body []byte) {
	t.Helper()
	r, feed := io.Pipe()
	broken := make(chan error, 1)
	go func() {
		_, err := c.V2Body(t.Context(), method, path, r)
		broken <- err
	}()
	if _, err := io.Copy(feed, bytes.NewReader(body[:len(body)*3/4])); err != nil {
		t.Fatal(err)
	}
	feed.CloseWithError(errors.New("the line is bad"))
	if err := <-broken; err == nil {
		t.Errorf("%s %s was broken off and answered", method, path)
	}
}
