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
			killedBeforeRecording(t, randomBlob(rand.New(rand.NewPCG(1, uint64(test.size))), test.size))
		})
	}
}

func killedBeforeRecording(t *testing.T, b blob) {
	dir := t.TempDir()
	before, after := filepath.Join(dir, "before"), filepath.Join(dir, "after")
	s := start(t, before)
	c := loggedIn(t, s)
	must(t, http.StatusOK)(c.ecr(t.Context(), "CreateRepository", map[string]any{"repositoryName": "team/app"}, nil))
	upload := location(must(t, http.StatusAccepted)(c.v2(t.Context(), http.MethodPost, "team/app/blobs/uploads/", nil)))
	for _, part := range [][]byte{b.bytes[:len(b.bytes)/2], b.bytes[len(b.bytes)/2:]} {
		must(t, http.StatusAccepted)(c.v2(t.Context(), http.MethodPatch, upload, part))
	}
	s.kill()
	if out, err := exec.Command("cp", "-a", before, after).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}

	// One server completes the upload, and what it made of the bytes goes to where the other finds them unrecorded.
	s = start(t, after)
	c.url = s.url
	must(t, http.StatusCreated)(c.v2(t.Context(), http.MethodPut, upload+"?digest="+b.digest, nil))
	s.kill()
	objects, err := filepath.Glob(filepath.Join(after, "blobs", "*", "*"))
	if err != nil || len(objects) != 1 {
		t.Fatalf("objects: %q, %v", objects, err)
	}
	object := strings.Replace(objects[0], after, before, 1)
	// Of a small layer, nothing was written to a file before it was complete.
	if err := errors.Join(os.MkdirAll(filepath.Dir(object), 0o700), os.Rename(objects[0], object), os.RemoveAll(object+".part")); err != nil {
		t.Fatal(err)
	}
	fsck(t, before)

	s = start(t, before)
	c.url = s.url
	if a := must(t, http.StatusNoContent)(c.v2(t.Context(), http.MethodGet, upload, nil)); a.header.Get("Range") != "0-"+strconv.Itoa(len(b.bytes)-1) {
		t.Errorf("the upload is at %s of %d bytes", a.header.Get("Range"), len(b.bytes))
	}
	must(t, http.StatusCreated)(c.v2(t.Context(), http.MethodPut, upload+"?digest="+b.digest, nil))
	if a := must(t, http.StatusOK)(c.v2(t.Context(), http.MethodGet, "team/app/blobs/"+b.digest, nil)); !bytes.Equal(a.body, b.bytes) {
		t.Errorf("the layer has %d other bytes", len(a.body))
	}
	s.kill()
	fsck(t, before)
}
