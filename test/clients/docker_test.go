package clients_test

import (
	"errors"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// startDocker starts a docker engine of the test's own, which the clients of s use.
func (s *server) startDocker(t *testing.T) {
	t.Helper()
	s.env = append(s.env, "DOCKER_HOST="+coffertest.StartDocker(t))
}

var pushedDigest = regexp.MustCompile(`digest: (sha256:[0-9a-f]{64}) size: [0-9]+`)

func TestDocker(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.startDocker(t)
	s.CreateRepository("team/docker")
	s.CreateRepository("team/other")
	s.feed(t, s.run(t, "aws", "ecr", "get-login-password"), "docker", "login", "--username", "AWS", "--password-stdin", s.host)
	repository, other := s.host+"/team/docker", s.host+"/team/other"
	all := slices.DeleteFunc(layouts(t), func(l layout) bool { return !forDocker(t, l) })

	for _, l := range all {
		t.Run(l.name(), func(t *testing.T) { s.throughDocker(t, l, repository, other) })
	}
	hello := all[0]
	if got := s.run(t, "docker", "run", "--rm", "--network", "none", repository+":"+hello.tag, "from", "docker"); got != "hello from docker" {
		t.Errorf("run says %q", got)
	}
	s.refusesDocker(t, hello, repository)
}

// forDocker reports whether the engine can take a layout: images only, and releases before 23 can't unpack zstd.
func forDocker(t *testing.T, l layout) bool {
	t.Helper()
	m, ok := l.image(t)
	return ok && !slices.ContainsFunc(m.Layers, func(d descriptor) bool { return strings.HasSuffix(d.MediaType, "+zstd") })
}

// throughDocker pulls an image, pushes it to another repository, removes it, and pulls that.
func (s *server) throughDocker(t *testing.T, l layout, repository, other string) {
	image, _ := l.image(t)
	s.push(t, "team/docker", l)
	from, to := repository+":"+l.tag, other+":"+l.tag
	s.run(t, "docker", "pull", "--quiet", from)
	s.isImage(t, from, image.Config.Digest, repository+"@"+l.root.Digest)

	s.run(t, "docker", "tag", from, to)
	out := s.run(t, "docker", "push", to)
	if !strings.Contains(out, "Mounted from team/docker") {
		t.Errorf("push did not mount the layers:\n%s", out)
	}
	pushed := pushedDigest.FindStringSubmatch(out)
	if pushed == nil || pushed[1] != s.digest(t, "team/other", l.tag) {
		t.Fatalf("push says\n%s\nthe server has %s", out, s.digest(t, "team/other", l.tag))
	}
	again := s.run(t, "docker", "push", to)
	if strings.Count(again, "Layer already exists") != len(image.Layers) || !strings.Contains(again, pushed[0]) {
		t.Errorf("another push of %d layers says\n%s", len(image.Layers), again)
	}

	s.run(t, "docker", "rmi", from, to)
	s.run(t, "docker", "pull", "--quiet", other+"@"+pushed[1])
	s.isImage(t, other+"@"+pushed[1], image.Config.Digest, other+"@"+pushed[1])
}

// isImage checks which image a name stands for: the digest of its config, and one of those of its manifests.
func (s *server) isImage(t *testing.T, name, config, manifest string) {
	t.Helper()
	var got []struct {
		ID          string `json:"Id"`
		RepoDigests []string
	}
	decode(t, s.run(t, "docker", "image", "inspect", name), &got)
	if len(got) != 1 || got[0].ID != config || !slices.Contains(got[0].RepoDigests, manifest) {
		t.Errorf("%s is %+v, expected the image %s of %s", name, got, config, manifest)
	}
}

func (s *server) refusesDocker(t *testing.T, l layout, repository string) {
	t.Helper()
	from := repository + ":" + l.tag
	s.run(t, "docker", "tag", from, s.host+"/team/none:1")
	const missing = "name unknown: The repository with name 'team/none' does not exist in the registry with id '123456789012'"
	s.refuse(t, []string{missing}, "docker", "push", s.host+"/team/none:1")
	s.refuse(t, []string{missing}, "docker", "pull", s.host+"/team/none:1")
	s.refuse(t, []string{"manifest unknown: Requested image not found"}, "docker", "pull", repository+":none")

	s.MustECR("CreateRepository", map[string]string{"repositoryName": "team/fixed", "imageTagMutability": "IMMUTABLE"}, nil)
	fixed := s.host + "/team/fixed:1"
	s.run(t, "docker", "tag", from, fixed)
	s.run(t, "docker", "push", fixed)
	s.refuse(t, []string{"tag invalid: The image tag '1' already exists in the 'team/fixed' repository and cannot be overwritten because the tag is immutable."},
		"docker", "push", fixed)

	cmd, out, problems := s.command(t, "wrong", "docker", "login", "--username", "AWS", "--password-stdin", s.host)
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || !strings.Contains(problems.String(), "401") {
		t.Errorf("login with another password: %v\n%s%s", err, out, problems)
	}
	s.run(t, "docker", "logout", s.host)
	s.refuse(t, []string{"no basic auth credentials"}, "docker", "push", fixed)
}
