package clients_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The clients over TLS, with the authority that the server made: what "coffer env" gives is all that the AWS CLI needs, and
// docker takes the authority from its folder.
func TestTLS(t *testing.T) {
	t.Parallel()
	s := serve(t, ownCredentials, "--tls-dev")
	if url := s.variable(t, "AWS_ENDPOINT_URL"); !strings.HasPrefix(url, "https://127.0.0.1:") {
		t.Errorf("AWS_ENDPOINT_URL is %s", url)
	}
	var authorization struct {
		AuthorizationData []struct{ ProxyEndpoint string }
	}
	s.aws(t, &authorization, "get-authorization-token")
	if got := authorization.AuthorizationData[0].ProxyEndpoint; got != "https://"+s.host {
		t.Errorf("proxyEndpoint is %s, expected https://%s", got, s.host)
	}
	s.aws(t, nil, "create-repository", "--repository-name", "team/app")
	s.refuse(t, []string{"SSL validation failed"}, "env", "-u", "AWS_CA_BUNDLE", "aws", "ecr", "describe-repositories")

	t.Run("skopeo", s.tlsSkopeo)
	t.Run("crane", s.tlsCrane)
	t.Run("docker", s.tlsDocker)
	t.Run("curl", s.tlsCurl)
	t.Run("audit", s.tlsAudit)
}

// skopeo verifies names on loopback too, unlike docker.
func (s *server) tlsSkopeo(t *testing.T) {
	hello := helloLayout(t)
	folder := t.TempDir()
	ca, err := os.ReadFile(s.variable(t, "AWS_CA_BUNDLE"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "ca.crt"), ca, 0o644); err != nil {
		t.Fatal(err)
	}
	login := "AWS:" + s.run(t, "aws", "ecr", "get-login-password")
	s.run(t, "skopeo", "copy", "--quiet", "--preserve-digests", "--all", "--dest-creds", login, "--dest-cert-dir", folder, "oci:"+hello.dir+":"+hello.tag, "docker://"+s.host+"/team/app:"+hello.tag)
	s.refuse(t, []string{"x509: certificate signed by unknown authority"}, "skopeo", "inspect", "--creds", login, "docker://"+s.host+"/team/app:"+hello.tag)
	back := s.run(t, "skopeo", "inspect", "--creds", login, "--cert-dir", folder, "--format", "{{.Digest}}", "docker://"+s.host+"/team/app:"+hello.tag)
	if back != hello.root.Digest {
		t.Errorf("skopeo finds %s, expected %s", back, hello.root.Digest)
	}
}

// crane takes the authority as all programs in Go do.
func (s *server) tlsCrane(t *testing.T) {
	ca := "SSL_CERT_FILE=" + s.variable(t, "AWS_CA_BUNDLE")
	address := strings.TrimPrefix(s.URL, "https://")
	s.feed(t, s.run(t, "aws", "ecr", "get-login-password"), "env", ca, "crane", "auth", "login", address, "--username", "AWS", "--password-stdin")
	if tags := s.run(t, "env", ca, "crane", "ls", address+"/team/app"); tags != helloLayout(t).tag {
		t.Errorf("tags are %q", tags)
	}
	s.refuse(t, []string{"x509: certificate signed by unknown authority"}, "crane", "ls", address+"/team/app")
}

func (s *server) tlsDocker(t *testing.T) {
	s.startDocker(t)
	s.feed(t, s.run(t, "aws", "ecr", "get-login-password"), "docker", "login", "--username", "AWS", "--password-stdin", s.host)
	s.aws(t, nil, "create-repository", "--repository-name", "team/docker")
	from, to := s.host+"/team/app:"+helloLayout(t).tag, s.host+"/team/docker:1"
	s.run(t, "docker", "pull", "--quiet", from)
	s.run(t, "docker", "tag", from, to)
	pushed := pushedDigest.FindStringSubmatch(s.run(t, "docker", "push", to))
	if pushed == nil {
		t.Fatal("push tells no digest")
	}
	s.run(t, "docker", "rmi", from, to)
	s.run(t, "docker", "pull", "--quiet", s.host+"/team/docker@"+pushed[1])
}

// curl speaks HTTP/2 where it can, and gets all headers.
func (s *server) tlsCurl(t *testing.T) {
	ca := s.variable(t, "AWS_CA_BUNDLE")
	out := s.run(t, "curl", "--silent", "--show-error", "--cacert", ca, "--include", s.URL+"/v2/")
	for _, want := range []string{"HTTP/2 401", "strict-transport-security: max-age=31536000", "x-content-type-options: nosniff", `www-authenticate: Basic realm="` + s.URL + `/"`} {
		if !strings.Contains(out, want) {
			t.Errorf("curl gets\n%s\nexpected %s", out, want)
		}
	}
	plain := strings.Replace(s.URL, "https:", "http:", 1)
	if out := s.run(t, "curl", "--silent", "--show-error", "--include", plain+"/v2/"); !strings.HasPrefix(out, "HTTP/1.0 400") || !strings.Contains(out, "Client sent an HTTP request to an HTTPS server.") {
		t.Errorf("plain HTTP gets\n%s", out)
	}
}

// tlsAudit looks for the connection in the records.
func (s *server) tlsAudit(t *testing.T) {
	out := s.run(t, built.coffer, "audit", "tail", "--data", s.data, "-n", "50")
	type record struct {
		EventName  string
		TLSDetails struct{ TLSVersion, CipherSuite, ClientProvidedHostHeader string } `json:"tlsDetails"`
	}
	var records []record
	for line := range strings.Lines(out) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	i := slices.IndexFunc(records, func(r record) bool { return r.EventName == "CreateRepository" })
	if i < 0 {
		t.Fatalf("there is no record of CreateRepository in\n%s", out)
	}
	d := records[i].TLSDetails
	if d.TLSVersion != "TLSv1.3" || !strings.HasPrefix(d.CipherSuite, "TLS_AES_") || "https://"+d.ClientProvidedHostHeader != s.URL {
		t.Errorf("tlsDetails are %+v", d)
	}
}
