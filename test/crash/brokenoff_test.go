package crash

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"testing"
)

// TestBrokenOff breaks off pushes before anything of them was acknowledged: nobody goes on with them, so that nothing may
// be left of them. Else whoever repeats a push over a bad line fills the disk.
func TestBrokenOff(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := start(t, data)
	c := loggedIn(t, s)
	must(t, http.StatusOK)(c.ecr(t.Context(), "CreateRepository", map[string]any{"repositoryName": "team/app"}, nil))
	b := randomBlob(rand.New(rand.NewPCG(1, 1)), 4<<20)
	whole := "team/app/blobs/uploads/?digest=" + b.digest
	begun := location(must(t, http.StatusAccepted)(c.v2(t.Context(), http.MethodPost, "team/app/blobs/uploads/", nil)))

	breakOff(t, c, http.MethodPost, whole, b.bytes)
	breakOff(t, c, http.MethodPatch, begun, b.bytes)
	// These bytes have another digest.
	must(t, http.StatusBadRequest)(c.v2(t.Context(), http.MethodPost, whole, b.bytes[1:]))

	if status := s.stop(t); status != 0 {
		t.Errorf("the server ended with %d", status)
	}
	fsck(t, data)
	if left, err := filepath.Glob(filepath.Join(data, "blobs", "*", "*")); err != nil || len(left) > 0 {
		t.Errorf("something is left: %q, %v", left, err)
	}
}

// breakOff sends most of a body and goes away.
func breakOff(t *testing.T, c *client, method, path string, body []byte) {
	t.Helper()
	r, feed := io.Pipe()
	broken := make(chan error, 1)
	go func() {
		_, err := c.v2Body(t.Context(), method, path, r)
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
