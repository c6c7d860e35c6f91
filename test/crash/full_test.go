package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// mount mounts a file system on a folder of the test.
func mount(t *testing.T, source, kind string, flags uintptr, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount(source, dir, kind, flags, options); err != nil {
		t.Skipf("the kernel lets the test mount nothing: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// filler pushes images to a disk that fills up.
type filler struct {
	t *testing.T
	c *client

	mu      sync.Mutex
	pushed  map[string]*image // acknowledged, by tag
	refused map[string]int    // by error code
}

const fillRepository = "team/app"

// TestDiskFull fills the disk while images are pushed in both protocols. Who is refused is told so, with a 503; what was
// acknowledged is there, and can be pulled meanwhile. With space again, pushes succeed without a restart.
func TestDiskFull(t *testing.T) {
	disk := mount(t, "tmpfs", "tmpfs", 0, "size=140m")
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 120<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(disk, "data")
	s := start(t, data)
	f := &filler{t: t, c: loggedIn(t, s), pushed: map[string]*image{}, refused: map[string]int{}}
	must(t, http.StatusOK)(f.c.ecr(t.Context(), "CreateRepository", map[string]any{"repositoryName": fillRepository}, nil))
	random := rand.New(rand.NewPCG(seed(t), 1))

	// Large layers fill the disk, small ones the rest of it, and what is left the database alone.
	for round, size := range []int{400 << 10, 20 << 10, 500} {
		f.fill(random, round, size)
	}
	f.fillDatabase()
	t.Logf("%d images acknowledged, refused: %v", len(f.pushed), f.refused)
	if len(f.pushed) == 0 || f.refused["UNAVAILABLE"] == 0 || f.refused["ServiceUnavailableException"] == 0 {
		t.Error("the disk was not full, or it was not told in both protocols")
	}
	f.pullAll()

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	f.await(random)
	f.refused = map[string]int{}
	for n := range 20 {
		f.push(random, fmt.Sprintf("after-%d", n), 100<<10)
	}
	if len(f.refused) > 0 {
		t.Errorf("refused with space on the disk: %v", f.refused)
	}
	f.pullAll()
	f.c.http.CloseIdleConnections()
	if status := s.stop(t); status != 0 {
		t.Errorf("the server ended with %d:\n%s", status, s.tail())
	}
	for _, line := range s.errors() {
		if !strings.Contains(line, "no space") {
			t.Errorf("the server's log: %s", line)
		}
	}
	for _, what := range []string{"objects", "the database"} {
		if !strings.Contains(strings.Join(s.errors(), ""), "no space left for "+what) {
			t.Errorf("there was always space for %s", what)
		}
	}
	fsck(t, data)
	checkTrail(t, data, f.c.acknowledged(), f.c.requests.Load())
}

// fill pushes images from several clients until each was refused some times in a row.
func (f *filler) fill(random *rand.Rand, round, size int) {
	var all sync.WaitGroup
	for client := range 4 {
		r := rand.New(rand.NewPCG(random.Uint64(), 0))
		all.Go(func() {
			for n, failed := 0, 0; failed < 5 && n < 1000; n++ {
				if f.push(r, fmt.Sprintf("t%d-%d-%d", round, client, n), size) {
					failed = 0
				} else {
					failed++
				}
			}
		})
	}
	all.Wait()
}

// fillDatabase makes repositories and begins uploads until that was refused some times in a row.
func (f *filler) fillDatabase() {
	ctx := f.t.Context()
	for n, failed := 0, 0; failed < 10; n++ {
		made := f.accepted(f.c.ecr(ctx, "CreateRepository", map[string]any{"repositoryName": fmt.Sprintf("more-%d", n)}, nil))
		begun := f.accepted(f.c.v2(ctx, http.MethodPost, fillRepository+"/blobs/uploads/", nil))
		if made || begun {
			failed = 0
		} else {
			failed++
		}
	}
}

// push pushes one image, and reports whether it was acknowledged.
func (f *filler) push(r *rand.Rand, tag string, size int) bool {
	ctx := f.t.Context()
	i := newImage(tag, []blob{randomBlob(r, size)})
	byAPI := r.IntN(2) == 0
	for _, b := range i.blobs {
		if !f.accepted(f.pushBlob(ctx, b, byAPI)) {
			return false
		}
	}
	if !f.accepted(f.pushManifest(ctx, i, tag, byAPI)) {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pushed[tag] = i
	return true
}

func (f *filler) pushBlob(ctx context.Context, b blob, byAPI bool) (answer, error) {
	if !byAPI {
		return f.c.v2(ctx, http.MethodPost, fillRepository+"/blobs/uploads/?digest="+b.digest, b.bytes)
	}
	var out struct{ UploadID string }
	a, err := f.c.ecr(ctx, "InitiateLayerUpload", map[string]any{"repositoryName": fillRepository}, &out)
	if err != nil || a.status != http.StatusOK {
		return a, err
	}
	a, err = f.c.ecr(ctx, "UploadLayerPart", map[string]any{"repositoryName": fillRepository, "uploadId": out.UploadID,
		"partFirstByte": 0, "partLastByte": len(b.bytes) - 1, "layerPartBlob": b.bytes}, nil)
	if err != nil || a.status != http.StatusOK {
		return a, err
	}
	return f.c.ecr(ctx, "CompleteLayerUpload", map[string]any{"repositoryName": fillRepository, "uploadId": out.UploadID, "layerDigests": []string{b.digest}}, nil)
}

func (f *filler) pushManifest(ctx context.Context, i *image, tag string, byAPI bool) (answer, error) {
	if byAPI {
		return f.c.ecr(ctx, "PutImage", map[string]any{"repositoryName": fillRepository, "imageTag": tag, "imageManifest": string(i.manifest)}, nil)
	}
	return f.c.v2(ctx, http.MethodPut, fillRepository+"/manifests/"+tag, i.manifest, "Content-Type", i.mediaType)
}

// accepted reports whether an answer acknowledges. One that doesn't must be a 503 that says when to try again or why.
func (f *filler) accepted(a answer, err error) bool {
	if err != nil {
		f.t.Errorf("no answer: %v", err)
		return false
	}
	if a.status < 300 {
		return true
	}
	f.mu.Lock()
	f.refused[a.code()]++
	f.mu.Unlock()
	if a.status != http.StatusServiceUnavailable || !strings.Contains(string(a.body), "can't write to its disk") {
		f.t.Errorf("a full disk is told as %v", a)
	}
	if a.code() == "UNAVAILABLE" && a.header.Get("Retry-After") == "" {
		f.t.Errorf("a 503 without Retry-After")
	}
	return false
}

// pullAll pulls all that was acknowledged.
func (f *filler) pullAll() {
	for tag, i := range f.pushed {
		if err := f.c.pullImage(f.t.Context(), fillRepository, tag, i, map[string]bool{}); err != nil {
			f.t.Errorf("pull %s: %v", tag, err)
		}
	}
}

// await waits until a push succeeds again.
func (f *filler) await(r *rand.Rand) {
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	for n := 0; !f.push(r, fmt.Sprintf("await-%d", n), 1000); n++ {
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			f.t.Fatal("no push succeeds though there is space")
		}
	}
}

// TestStartOnFullDisk starts a server where there is no space: it says so in one line, and starts once there is some.
func TestStartOnFullDisk(t *testing.T) {
	disk := mount(t, "tmpfs", "tmpfs", 0, "size=2m")
	data, ballast := filepath.Join(disk, "data"), filepath.Join(disk, "ballast")
	for _, free := range []int{4 << 10, 40 << 10, 100 << 10, 160 << 10} {
		if err := os.WriteFile(ballast, make([]byte, 2<<20-free), 0o600); err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		s := launch(t, command(serveArgs(data)...))
		if s.serves(t) {
			s.kill()
			t.Logf("%d bytes are enough", free)
		} else {
			refusal(t, s, "no space left")
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		s = start(t, data)
		if status := s.stop(t); status != 0 {
			t.Errorf("the server ended with %d", status)
		}
		fsck(t, data)
		if err := os.RemoveAll(data); err != nil {
			t.Fatal(err)
		}
	}
}
