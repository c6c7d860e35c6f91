package clients_test

import (
	"path/filepath"
	"testing"
)

// Clients without credentials pull from a repository that is open to everyone, where the server allows that, and from no
// other; and they still find out that there is something to log in to.
func TestClientsWithoutCredentials(t *testing.T) {
	t.Parallel()
	s := serve(t, "--allow-anonymous")
	hello := layouts(t)[0].alone(t)
	s.feed(t, s.password(t), "crane", "auth", "login", s.host, "--username", "AWS", "--password-stdin")
	for _, name := range []string{"team/public", "team/private"} {
		s.CreateRepository(name)
		s.run(t, "crane", "push", hello.dir, s.host+"/"+name+":1")
	}
	s.run(t, "crane", "auth", "logout", s.host)
	s.run(t, "aws", "ecr", "set-repository-policy", "--repository-name", "team/public", "--policy-text", `{"Version":"2012-10-17","Statement":{
		"Effect":"Allow","Principal":"*","Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer","ecr:BatchCheckLayerAvailability","ecr:ListImages"]}}`)
	public, private := s.host+"/team/public:1", s.host+"/team/private:1"
	if digest := s.run(t, "crane", "digest", public); digest != hello.root.Digest {
		t.Errorf("crane says %s, expected %s", digest, hello.root.Digest)
	}
	back := filepath.Join(t.TempDir(), "crane")
	s.run(t, "crane", "pull", "--format=oci", public, back)
	sameLayout(t, hello, openOnly(t, back))
	back = filepath.Join(t.TempDir(), "skopeo")
	s.run(t, "skopeo", "copy", "--quiet", "--preserve-digests", "--src-no-creds", "--src-tls-verify=false", "docker://"+public, "oci:"+back+":"+hello.tag)
	sameLayout(t, hello, openLayout(t, back, hello.tag))
	s.refuse(t, []string{"401 Unauthorized"}, "crane", "digest", private)
	s.refuse(t, []string{"401 Unauthorized"}, "crane", "push", hello.dir, s.host+"/team/public:2")
	s.refuse(t, []string{"unauthorized"}, "skopeo", "inspect", "--no-creds", "--tls-verify=false", "docker://"+private)
	s.feed(t, s.password(t), "crane", "auth", "login", s.host, "--username", "AWS", "--password-stdin")
	s.run(t, "crane", "digest", private)
}
