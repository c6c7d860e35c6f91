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

	"github.com/coffer-registry/coffer/test/client"
	"github.com/coffer-registry/coffer/test/process"
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
	c *client.Client

	mu      sync.Mutex
	pushed  map[string]*client.Image // acknowledged, by tag
	refused map[string]int           // by error code
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
	s := program.Start(t, data)
	f := &filler{t: t, c: loggedIn(t, s), pushed: map[string]*client.Image{}, refused: map[string]int{}}
	client.Must(t, http.StatusOK)(f.c.ECR(t.Context(), "CreateRepository", map[string]any{"repositoryName": fillRepository}, nil))
	random := rand.New(rand.NewPCG(process.Seed(t), 1))

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
	f.c.Close()
	if status := s.Stop(t); status != 0 {
		t.Errorf("the server ended with %d:\n%s", status, s.Tail())
	}
	for _, line := range s.Errors() {
		if !strings.Contains(line, "no space") {
			t.Errorf("the server's log: %s", line)
		}
	}
	for _, what := range []string{"objects", "the database"} {
		if !strings.Contains(strings.Join(s.Errors(), ""), "no space left for "+what) {
			t.Errorf("there was always space for %s", what)
		}
	}
	program.Fsck(t, "--data", data)
	program.CheckTrail(t, f.c.Acknowledged(), f.c.Requests(), "--data", data)
}

// fill pushes images from several clients until each was refused some times in a row.
func (f *filler) fill(random *rand.Rand, round, size int) {
	var all sync.WaitGroup
	for number := range 4 {
		r := rand.New(rand.NewPCG(random.Uint64(), 0))
		all.Go(func() {
			for n, failed := 0, 0; failed < 5 && n < 1000; n++ {
				if f.push(r, fmt.Sprintf("t%d-%d-%d", round, number, n), size) {
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
		made := f.accepted(f.c.ECR(ctx, "CreateRepository", map[string]any{"repositoryName": fmt.Sprintf("more-%d", n)}, nil))
		begun := f.accepted(f.c.V2(ctx, http.MethodPost, fillRepository+"/blobs/uploads/", nil))
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
	i := client.NewImage(tag, []client.Blob{client.RandomBlob(r, size)})
	byAPI := r.IntN(2) == 0
	for _, b := range i.Blobs {
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

func (f *filler) pushBlob(ctx context.Context, b client.Blob, byAPI bool) (client.Answer, error) {
	if !byAPI {
		return f.c.V2(ctx, http.MethodPost, fillRepository+"/blobs/uploads/?digest="+b.Digest, b.Bytes)
	}
	var out struct{ UploadID string }
	a, err := f.c.ECR(ctx, "InitiateLayerUpload", map[string]any{"repositoryName": fillRepository}, &out)
	if err != nil || a.Status != http.StatusOK {
		return a, err
	}
	a, err = f.c.ECR(ctx, "UploadLayerPart", map[string]any{"repositoryName": fillRepository, "uploadId": out.UploadID,
		"partFirstByte": 0, "partLastByte": len(b.Bytes) - 1, "layerPartBlob": b.Bytes}, nil)
	if err != nil || a.Status != http.StatusOK {
		return a, err
	}
	return f.c.ECR(ctx, "CompleteLayerUpload", map[string]any{"repositoryName": fillRepository, "uploadId": out.UploadID, "layerDigests": []string{b.Digest}}, nil)
}

func (f *filler) pushManifest(ctx context.Context, i *client.Image, tag string, byAPI bool) (client.Answer, error) {
	if byAPI {
		return f.c.ECR(ctx, "PutImage", map[string]any{"repositoryName": fillRepository, "imageTag": tag, "imageManifest": string(i.Manifest)}, nil)
	}
	return f.c.V2(ctx, http.MethodPut, fillRepository+"/manifests/"+tag, i.Manifest, "Content-Type", i.MediaType)
}

// accepted reports whether an answer acknowledges. One that doesn't must be a 503 that says when to try again or why.
func (f *filler) accepted(a client.Answer, err error) bool {
	if err != nil {
		f.t.Errorf("no answer: %v", err)
		return false
	}
	if a.Status < 300 {
		return true
	}
	f.mu.Lock()
	f.refused[a.Code()]++
	f.mu.Unlock()
	if a.Status != http.StatusServiceUnavailable || !strings.Contains(string(a.Body), "can't write to its disk") {
		f.t.Errorf("a full disk is told as %v", a)
	}
	if a.Code() == "UNAVAILABLE" && a.Header.Get("Retry-After") == "" {
		f.t.Errorf("a 503 without Retry-After")
	}
	return false
}

// pullAll pulls all that was acknowledged.
func (f *filler) pullAll() {
	for tag, i := range f.pushed {
		if err := f.c.PullImage(f.t.Context(), fillRepository, tag, i, map[string]bool{}); err != nil {
			f.t.Errorf("pull %s: %v", tag, err)
		}
	}
}

// await waits until a push succeeds again.
func (f *filler) await(r *rand.Rand) {
	ctx, cancel := context.WithTimeout(f.t.Context(), process.Patience)
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
		s := process.Launch(t, program.Command(process.ServeArgs(data)...))
		if s.Serves(t) {
			s.Kill()
			t.Logf("%d bytes are enough", free)
		} else {
			process.Refusal(t, s, "no space left")
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		s = program.Start(t, data)
		if status := s.Stop(t); status != 0 {
			t.Errorf("the server ended with %d", status)
		}
		program.Fsck(t, "--data", data)
		if err := os.RemoveAll(data); err != nil {
			t.Fatal(err)
		}
	}
}
