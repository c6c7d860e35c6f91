package clients_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// podman is the command line of a podman that keeps everything in a folder of the test's.
type podman []string

func (s *server) newPodman(t *testing.T) podman {
	t.Helper()
	dir := t.TempDir()
	// Podman leaves its storage mounted on itself.
	t.Cleanup(func() {
		if err := syscall.Unmount(filepath.Join(dir, "root-overlay", "overlay"), syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	})
	with := func(driver string) podman {
		return podman{"--root", filepath.Join(dir, "root-"+driver), "--runroot", filepath.Join(dir, "run-"+driver), "--tmpdir", filepath.Join(dir, "tmp"),
			"--storage-driver", driver, "--cgroup-manager", "cgroupfs", "--events-backend", "file"}
	}
	// The overlay driver works on most file systems, but not on one that is an overlay itself.
	overlay := with("overlay")
	if cmd, _, _ := s.command(t, "", "podman", overlay.args("info")...); cmd.Run() == nil {
		return overlay
	}
	return with("vfs")
}

func (p podman) args(args ...string) []string { return slices.Concat(p, args) }

func TestPodman(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("the kernel lets only root run containers without further configuration")
	}
	s := serve(t)
	s.CreateRepository("team/podman")
	s.CreateRepository("team/other")
	p := s.newPodman(t)
	run := func(args ...string) string {
		t.Helper()
		return s.run(t, "podman", p.args(args...)...)
	}
	if got := s.feed(t, s.run(t, "aws", "ecr", "get-login-password"), "podman",
		p.args("login", "--tls-verify=false", "--username", "AWS", "--password-stdin", s.host)...); got != "Login Succeeded!" {
		t.Errorf("login says %q", got)
	}
	repository, other := s.host+"/team/podman", s.host+"/team/other"
	all := slices.DeleteFunc(layouts(t), func(l layout) bool { _, ok := l.image(t); return !ok })

	for _, l := range all {
		t.Run(l.name(), func(t *testing.T) {
			image, _ := l.image(t)
			s.push(t, "team/podman", l)
			from, to := repository+":"+l.tag, other+":"+l.tag
			expect := func(name, digest string) {
				t.Helper()
				id, _, _ := strings.Cut(run("pull", "--quiet", "--tls-verify=false", name), "\n")
				if "sha256:"+id != image.Config.Digest {
					t.Errorf("pull %s gives the image %s, expected %s", name, id, image.Config.Digest)
				}
				if digests := run("image", "inspect", "--format", "{{join .RepoDigests \" \"}}", id); !strings.Contains(digests, "@"+digest) {
					t.Errorf("%s has the digests %s, expected %s", name, digests, digest)
				}
			}
			expect(from, l.root.Digest)
			// The layers are packed anew, so that the image has another digest.
			file := filepath.Join(t.TempDir(), "digest")
			run("push", "--quiet", "--tls-verify=false", "--digestfile", file, from, to)
			digest, err := os.ReadFile(file)
			if err != nil || string(digest) != s.digest(t, "team/other", l.tag) {
				t.Fatalf("push says %s, %v, the server has %s", digest, err, s.digest(t, "team/other", l.tag))
			}
			run("rmi", "--force", image.Config.Digest)
			expect(to, string(digest))
		})
	}
	// A machine may not let root raise its limits, as podman otherwise does.
	if got := run("run", "--rm", "--network=none", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", other+":"+all[0].tag, "from", "podman"); got != "hello from podman" {
		t.Errorf("run says %q", got)
	}
	const missing = "name unknown: The repository with name 'team/none' does not exist in the registry with id '123456789012'"
	s.refuse(t, []string{missing}, "podman", p.args("push", "--tls-verify=false", other+":"+all[0].tag, s.host+"/team/none:1")...)
	s.refuse(t, []string{missing}, "podman", p.args("pull", "--tls-verify=false", s.host+"/team/none:1")...)
	s.refuse(t, []string{"manifest unknown: Requested image not found"}, "podman", p.args("pull", "--tls-verify=false", repository+":none")...)
	cmd, out, problems := s.command(t, "wrong", "podman", p.args("login", "--tls-verify=false", "--username", "AWS", "--password-stdin", s.host)...)
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || !strings.Contains(problems.String(), "invalid username/password") {
		t.Errorf("login with another password: %v\n%s%s", err, out, problems)
	}
}
