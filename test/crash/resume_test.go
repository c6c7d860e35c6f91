package crash

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/test/client"
)

// TestKilledBeforeRecording is about one instant that random ones seldom hit: the bytes of a layer are complete and
// durable, and the server is killed before it has recorded the layer. The client, which got no answer, asks how far the
// upload is, is told all bytes, and completes it again.
func TestKilledBeforeRecording(t *testing.T) {
	for _, test := range []struct {
		name string
		size int
	}{
		{"less than a chunk", 1000}, {"a chunk", 64 << 10}, {"a byte more", 64<<10 + 1}, {"several chunks", 421_052},
	} {
		t.Run(test.name, func(t *testing.T) {
			killedBeforeRecording(t, client.RandomBlob(rand.New(rand.NewPCG(1, uint64(test.size))), test.size))
		})
	}
}

func killedBeforeRecording(t *testing.T, b client.Blob) {
	dir := t.TempDir()
	before, after := filepath.Join(dir, "before"), filepath.Join(dir, "after")
	s := program.Start(t, before)
	c := loggedIn(t, s)
	client.Must(t, http.StatusOK)(c.ECR(t.Context(), "CreateRepository", map[string]any{"repositoryName": "team/app"}, nil))
	upload := client.Must(t, http.StatusAccepted)(c.V2(t.Context(), http.MethodPost, "team/app/blobs/uploads/", nil)).Location()
	for _, part := range [][]byte{b.Bytes[:len(b.Bytes)/2], b.Bytes[len(b.Bytes)/2:]} {
		client.Must(t, http.StatusAccepted)(c.V2(t.Context(), http.MethodPatch, upload, part))
	}
	s.Kill()
	if out, err := exec.Command("cp", "-a", before, after).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}

	// One server completes the upload, and what it made of the bytes goes to where the other finds them unrecorded.
	s = program.Start(t, after)
	c.URL = s.URL
	client.Must(t, http.StatusCreated)(c.V2(t.Context(), http.MethodPut, upload+"?digest="+b.Digest, nil))
	s.Kill()
	objects, err := filepath.Glob(filepath.Join(after, "blobs", "*", "*"))
	if err != nil || len(objects) != 1 {
		t.Fatalf("objects: %q, %v", objects, err)
	}
	object := strings.Replace(objects[0], after, before, 1)
	// Of a small layer, nothing was written to a file before it was complete.
	if err := errors.Join(os.MkdirAll(filepath.Dir(object), 0o700), os.Rename(objects[0], object), os.RemoveAll(object+".part")); err != nil {
		t.Fatal(err)
	}
	program.Fsck(t, "--data", before)

	s = program.Start(t, before)
	c.URL = s.URL
	if a := client.Must(t, http.StatusNoContent)(c.V2(t.Context(), http.MethodGet, upload, nil)); a.Header.Get("Range") != "0-"+strconv.Itoa(len(b.Bytes)-1) {
		t.Errorf("the upload is at %s of %d bytes", a.Header.Get("Range"), len(b.Bytes))
	}
	client.Must(t, http.StatusCreated)(c.V2(t.Context(), http.MethodPut, upload+"?digest="+b.Digest, nil))
	if a := client.Must(t, http.StatusOK)(c.V2(t.Context(), http.MethodGet, "team/app/blobs/"+b.Digest, nil)); !bytes.Equal(a.Body, b.Bytes) {
		t.Errorf("the layer has %d other bytes", len(a.Body))
	}
	s.Kill()
	program.Fsck(t, "--data", before)
}
