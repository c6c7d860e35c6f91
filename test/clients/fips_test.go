package clients_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// While FIPS 140-3 is enforced, clients push and pull as ever. With GOFIPS140 in the environment the program is built with
// that module, as `make test-fips` does.
func TestFIPS(t *testing.T) {
	t.Parallel()
	only := []string{"GODEBUG=fips140=only"}
	s := serveWith(t, only)
	version := exec.Command(built.coffer, "version")
	version.Env = only
	module := `latest`
	if os.Getenv("GOFIPS140") != "" {
		module = `v[0-9.]+`
	}
	if out, err := version.Output(); err != nil || !regexp.MustCompile(`(?m)^FIPS 140-3: module `+module+`, only$`).Match(out) {
		t.Errorf("coffer version: error %v\n%s", err, out)
	}
	hello := helloLayout(t)
	s.run(t, "aws", "ecr", "create-repository", "--repository-name", "team/fips")
	s.feed(t, s.run(t, "aws", "ecr", "get-login-password"), "skopeo", "login", "--tls-verify=false", "--username", "AWS", "--password-stdin", s.host)
	repository := s.host + "/team/fips"
	s.run(t, "skopeo", "copy", "--quiet", "--preserve-digests", "--dest-tls-verify=false", "oci:"+hello.dir+":"+hello.tag, "docker://"+repository+":"+hello.tag)
	s.holds(t, "team/fips", hello)
	back := filepath.Join(t.TempDir(), "back")
	s.run(t, "skopeo", "copy", "--quiet", "--preserve-digests", "--src-tls-verify=false", "docker://"+repository+":"+hello.tag, "oci:"+back+":"+hello.tag)
	sameLayout(t, hello, openLayout(t, back, hello.tag))
	s.refuse(t, []string{"(InvalidInput)", "this server enforces FIPS 140-3, which does not approve HMAC-SHA-1"},
		"aws", "iam", "create-virtual-mfa-device", "--virtual-mfa-device-name", "phone", "--outfile", filepath.Join(s.home, "seed"), "--bootstrap-method", "Base32StringSeed")

	s.startDocker(t)
	image, again := repository+":"+hello.tag, repository+":docker"
	s.run(t, "docker", "pull", "--quiet", image)
	s.run(t, "docker", "tag", image, again)
	s.run(t, "docker", "push", "--quiet", again)
	s.run(t, "docker", "rmi", image, again)
	s.run(t, "docker", "pull", "--quiet", again)
}
