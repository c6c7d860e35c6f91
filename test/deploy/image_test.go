package deploy_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// builtAt is when images of tests are built, in seconds since 1970.
const builtAt = 1_800_000_000

// maxImage bounds the image, in bytes.
const maxImage = 24 << 20

// imageOnce builds the image once for all tests.
var imageOnce = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "coffer-image-") })

func TestMain(m *testing.M) {
	status := m.Run()
	if dir, err := imageOnce(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(status)
}

var imageLock sync.Mutex

// image is the file of the image, as make image makes it.
func image(t testing.TB) string {
	t.Helper()
	imageLock.Lock()
	defer imageLock.Unlock()
	dir, err := imageOnce()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "coffer-image.tar")
	if _, err := os.Stat(path); err != nil {
		makeImage(t, "image", path, filepath.Join(dir, "build"))
	}
	return path
}

// makeImage makes an image of the project by its Makefile.
func makeImage(t testing.TB, target, path, build string) {
	t.Helper()
	p := program{dir: top(t), env: append(os.Environ(), fmt.Sprint("SOURCE_DATE_EPOCH=", builtAt), "GOPROXY=off")}
	p.run(t, "make", target, "IMAGE="+path, "IMAGE_BUILD="+build)
}

// entries are the files of a tar.
func entries(t testing.TB, r io.Reader) (headers []*tar.Header, content map[string][]byte) {
	t.Helper()
	content = map[string][]byte{}
	for r := tar.NewReader(r); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return headers, content
		}
		if err != nil {
			t.Fatal(err)
		}
		headers = append(headers, h)
		if content[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// unpacked is an image as its file has it.
type unpacked struct {
	headers []*tar.Header
	content map[string][]byte
	id      string
	config  struct {
		Architecture, OS, Created string
		Config                    struct {
			User, WorkingDir, StopSignal string
			Entrypoint, Cmd, Env         []string
			ExposedPorts, Volumes        map[string]struct{}
			Labels                       map[string]string
			Healthcheck                  struct{ Test []string }
		}
	}
}

func unpack(t testing.TB, path string) (u unpacked) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() > maxImage {
		t.Errorf("the image has %d bytes, error %v", info.Size(), err)
	}
	_, archive := entries(t, f)
	for name, content := range archive {
		if hash, ok := strings.CutPrefix(name, "blobs/sha256/"); ok && hash != "" {
			if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != hash {
				t.Errorf("%s is another digest's", name)
			}
		}
	}
	var parts []struct {
		Config           string
		RepoTags, Layers []string
	}
	decode(t, string(archive["manifest.json"]), &parts)
	if len(parts) != 1 || len(parts[0].Layers) != 1 {
		t.Fatalf("the image is %s", archive["manifest.json"])
	}
	decode(t, string(archive[parts[0].Config]), &u.config)
	u.id = "sha256:" + filepath.Base(parts[0].Config)
	r, err := gzip.NewReader(bytes.NewReader(archive[parts[0].Layers[0]]))
	if err != nil {
		t.Fatal(err)
	}
	u.headers, u.content = entries(t, r)
	return u
}

// TestImageHolds lists all that is in the image: a program, what it trusts, and an empty folder.
func TestImageHolds(t *testing.T) {
	t.Parallel()
	u := unpack(t, image(t))
	var got []string
	for _, h := range u.headers {
		got = append(got, fmt.Sprintf("%s %s %d:%d", h.FileInfo().Mode(), h.Name, h.Uid, h.Gid))
		if h.ModTime.Unix() != builtAt {
			t.Errorf("%s is of %v", h.Name, h.ModTime)
		}
	}
	want := []string{
		"drwx------ data/ 65532:65532",
		"drwxr-xr-x etc/ 0:0",
		"-rw-r--r-- etc/group 0:0",
		"-rw-r--r-- etc/passwd 0:0",
		"drwxr-xr-x etc/ssl/ 0:0",
		"drwxr-xr-x etc/ssl/certs/ 0:0",
		"-rw-r--r-- etc/ssl/certs/ca-certificates.crt 0:0",
		"drwxr-xr-x usr/ 0:0",
		"drwxr-xr-x usr/bin/ 0:0",
		"-rwxr-xr-x usr/bin/coffer 0:0",
		"drwxr-xr-x usr/share/ 0:0",
		"drwxr-xr-x usr/share/doc/ 0:0",
		"drwxr-xr-x usr/share/doc/coffer/ 0:0",
		"-rw-r--r-- usr/share/doc/coffer/LICENSE 0:0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	c := u.config.Config
	if c.User != "65532:65532" || c.StopSignal != "SIGTERM" || u.config.OS != "linux" || u.config.Created != "2027-01-15T08:00:00Z" {
		t.Errorf("the configuration is %+v", u.config)
	}
	if !slices.Equal(c.Entrypoint, []string{"/usr/bin/coffer"}) || !slices.Equal(c.Cmd, []string{"serve"}) ||
		!slices.Equal(c.Healthcheck.Test, []string{"CMD", "/usr/bin/coffer", "health"}) {
		t.Errorf("it runs %q %q, and %q for its health", c.Entrypoint, c.Cmd, c.Healthcheck.Test)
	}
	if len(c.ExposedPorts) != 2 || len(c.Volumes) != 1 {
		t.Errorf("ports %v, volumes %v", c.ExposedPorts, c.Volumes)
	}
	for name, want := range map[string]string{"licenses": "Apache-2.0", "source": "https://github.com/coffer-registry/coffer", "created": "2027-01-15T08:00:00Z"} {
		if got := c.Labels["org.opencontainers.image."+name]; got != want {
			t.Errorf("label %s is %q", name, got)
		}
	}
	if c.Labels["org.opencontainers.image.version"] == "" {
		t.Errorf("labels are %v", c.Labels)
	}
}

// TestImageIsReproducible makes it again elsewhere.
func TestImageIsReproducible(t *testing.T) {
	t.Parallel()
	first, dir := image(t), t.TempDir()
	second := filepath.Join(dir, "again.tar")
	makeImage(t, "image", second, filepath.Join(dir, "elsewhere"))
	a, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(second)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Errorf("two images of one source: %s and %s", coffertest.Digest(a), coffertest.Digest(b))
	}
}

// TestImageRefuses makes images of what would not run.
func TestImageRefuses(t *testing.T) {
	t.Parallel()
	p := program{dir: top(t), env: os.Environ()}
	dir := t.TempDir()
	out, text := filepath.Join(dir, "out.tar"), filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	tool := filepath.Join(dir, "image")
	p.run(t, "go", "build", "-o", tool, "./deploy/image")
	dynamic := filepath.Join(dir, "dynamic")
	p.env = append(p.env, "CGO_ENABLED=1")
	p.run(t, "go", "build", "-o", dynamic, "-ldflags=-linkmode=external", "./deploy/image")
	p.refuse(t, text+" is not a program of Go", tool, "-binary", text, "-out", out)
	p.refuse(t, dynamic+" needs libraries, which the image has none of; build it with CGO_ENABLED=0", tool, "-binary", dynamic, "-out", out)
	p.refuse(t, "read the program", tool, "-binary", filepath.Join(dir, "none"), "-out", out)
	p.env = append(p.env, "SOURCE_DATE_EPOCH=yesterday")
	p.refuse(t, `SOURCE_DATE_EPOCH "yesterday" is not a number of seconds`, tool, "-binary", tool, "-out", out)
	if _, err := os.Stat(out); err == nil {
		t.Error("it made an image all the same")
	}
}

// container is a coffer that runs in a container, on the networks of the machine.
type container struct {
	program
	name, host string
	server     *coffertest.Server
}

// freePort finds a port of loopback for a program that has to be told one.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// start runs a container as strictly as an engine can, with its data in a volume.
func (p program) start(t testing.TB, name, volume string, more ...string) container {
	t.Helper()
	c := container{program: p, name: name}
	args := slices.Concat([]string{"run", "--detach", "--name", name, "--network", "host", "--read-only", "--cap-drop", "ALL",
		"--security-opt", "no-new-privileges", "--volume", volume + ":/data",
		"--env", "COFFER_LISTEN=127.0.0.1:0", "--env", "COFFER_ADMIN_LISTEN=127.0.0.1:" + freePort(t),
		"--env", "COFFER_ROOT_ACCESS_KEY_ID=" + coffertest.AccessKeyID, "--env", "COFFER_ROOT_SECRET_ACCESS_KEY=" + coffertest.SecretAccessKey,
		"--health-interval", "1s"}, more, []string{"coffer"})
	p.run(t, "docker", args...)
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := p.try(t, "", "docker", "logs", name)
			t.Logf("the log of %s:\n%s", name, log)
		}
	})
	await(t, "the container is healthy", func() bool {
		switch out := p.run(t, "docker", "inspect", "--format", "{{.State.Status}} {{.State.Health.Status}}", name); out {
		case "running healthy":
			return true
		case "running starting", "created starting":
			return false
		default:
			log, _ := p.try(t, "", "docker", "logs", name)
			t.Fatalf("the container is %s:\n%s", out, log)
			return false
		}
	})
	for line := range strings.Lines(p.run(t, "docker", "exec", name, "/usr/bin/coffer", "env")) {
		if url, ok := strings.CutPrefix(strings.TrimSpace(line), "export AWS_ENDPOINT_URL="); ok {
			c.server = coffertest.Connect(t, strings.Trim(url, "'"))
		}
	}
	_, address, _ := strings.Cut(c.server.URL, "://")
	c.host = strings.Replace(address, "127.0.0.1", "localhost", 1)
	return c
}

// stop stops the container as docker does it, and checks that it ended by itself and well.
func (c container) stop(t testing.TB) {
	t.Helper()
	c.run(t, "docker", "stop", "--time", "60", c.name)
	if out := c.run(t, "docker", "inspect", "--format", "{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}", c.name); out != "exited 0 false" {
		t.Errorf("stopped, it is %s", out)
	}
	c.run(t, "docker", "rm", c.name)
}

// TestImageInDocker pushes to a container and pulls from it, and from another one with the same data.
func TestImageInDocker(t *testing.T) {
	t.Parallel()
	p := newProgram(t, "DOCKER_HOST="+coffertest.StartDocker(t))
	p.run(t, "docker", "load", "--input", image(t))
	if id := p.run(t, "docker", "image", "inspect", "--format", "{{.Id}}", "coffer"); id != unpack(t, image(t)).id {
		t.Errorf("the engine knows it as %s", id)
	}
	c := p.start(t, "first", "data")
	c.confined(t)

	c.server.CreateRepository("team/app")
	c.login(t)
	name := c.host + "/team/app:1"
	p.feed(t, "", "docker", "import", "--change", `CMD ["/hello"]`, oneFile(t), name)
	p.run(t, "docker", "push", "--quiet", name)
	id := p.run(t, "docker", "image", "inspect", "--format", "{{.Id}}", name)
	c.stop(t)

	c = p.start(t, "second", "data")
	c.login(t)
	p.run(t, "docker", "rmi", name)
	again := c.host + "/team/app:1"
	p.run(t, "docker", "pull", "--quiet", again)
	if got := p.run(t, "docker", "image", "inspect", "--format", "{{.Id}}", again); got != id {
		t.Errorf("it pulled %s, and pushed %s", got, id)
	}
	c.stop(t)
	p.run(t, "docker", "run", "--rm", "--network", "none", "--read-only", "--volume", "data:/data", "coffer", "fsck", "--keys")
}

// confined checks that the process has no rights, and the image nothing that would help whoever breaks into it.
func (c container) confined(t testing.TB) {
	t.Helper()
	pid := c.run(t, "docker", "inspect", "--format", "{{.State.Pid}}", c.name)
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Uid:\t65532\t65532\t65532\t65532\n", "Gid:\t65532\t65532\t65532\t65532\n", "CapEff:\t0000000000000000\n", "NoNewPrivs:\t1\n"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("it lacks %q:\n%s", want, status)
		}
	}
	for _, shell := range []string{"sh", "/bin/sh", "bash", "busybox"} {
		c.refuse(t, "unable to start container process", "docker", "exec", c.name, shell)
	}
	// The data folder alone can be written.
	out, err := c.try(t, "", "docker", "exec", c.name, "/usr/bin/coffer", "root-key", "create", "/usr/bin/key")
	if err == nil || !strings.Contains(out, "read-only file system") && !strings.Contains(out, "permission denied") {
		t.Errorf("a file beside the program: %v, %s", err, out)
	}
}

func (c container) login(t testing.TB) {
	t.Helper()
	password := c.feed(t, "", "aws", "--endpoint-url", c.server.URL, "ecr", "get-login-password")
	c.feed(t, password, "docker", "login", "--username", "AWS", "--password-stdin", c.host)
}

// oneFile is a tar with one file of 1 MiB.
func oneFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "files.tar")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(f)
	err = w.WriteHeader(&tar.Header{Name: "hello", Mode: 0o755, Size: 1 << 20, ModTime: time.Unix(builtAt, 0)})
	if err == nil {
		_, err = w.Write(bytes.Repeat([]byte("coffer! "), 1<<17))
	}
	if err := errors.Join(err, w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestImageElsewhere gives it to other programs that take images.
func TestImageElsewhere(t *testing.T) {
	t.Parallel()
	p, dir := newProgram(t), t.TempDir()
	u := unpack(t, image(t))
	for _, from := range []string{"oci-archive:" + image(t) + ":latest", "docker-archive:" + image(t) + ":coffer:latest"} {
		to := filepath.Join(dir, strings.Split(from, ":")[0])
		p.run(t, "skopeo", "--insecure-policy", "copy", from, "oci:"+to+":copy")
		var got struct {
			OS     string
			Config struct{ User string }
		}
		decode(t, p.run(t, "skopeo", "inspect", "--config", "oci:"+to+":copy"), &got)
		if got.OS != "linux" || got.Config.User != u.config.Config.User {
			t.Errorf("%s is %+v", from, got)
		}
	}
	if os.Geteuid() != 0 {
		return // the rest needs rights on mounts
	}
	podman := func(args ...string) string {
		return p.run(t, "podman", append([]string{"--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--tmpdir", filepath.Join(dir, "tmp"),
			"--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file"}, args...)...)
	}
	podman("load", "--input", image(t))
	if user := podman("image", "inspect", "--format", "{{.User}}", "coffer"); user != u.config.Config.User {
		t.Errorf("podman runs it as %s", user)
	}
}
