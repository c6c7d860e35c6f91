package clients_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/federation/federationtest"
)

// What boto3 makes of answers: classes of exceptions, pages, times, presigned addresses. testdata/boto.py does the work.
func TestBoto(t *testing.T) {
	t.Parallel()
	s := serve(t, "--region", "us-east-1", "--region", "eu-central-1")
	script := s.botoScript(t, "boto.py")
	hello := helloLayout(t)
	got := s.run(t, "env", "IMAGE="+hello.dir, "MANIFEST="+hello.root.Digest, "python3", script)
	// That all parts ran is as much part of the test as that none failed.
	if want := "exceptions\nlayers\npaginators\nreferrers\npresigned\nsessions"; got != want {
		t.Errorf("the script went through\n%s\nexpected\n%s", got, want)
	}
}

// botoScript is the path of a script in testdata for which boto3 is there.
func (s *server) botoScript(t *testing.T, name string) string {
	t.Helper()
	if cmd, _, problems := s.command(t, "", "python3", "-c", "import boto3"); cmd.Run() != nil {
		t.Fatalf("boto3 is not installed: run test/setup\n%s", problems)
	}
	script, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	// Looked at here, it counts when the go command asks whether anything changed since the last run.
	if _, err := os.Stat(script); err != nil {
		t.Fatal(err)
	}
	return script
}

// servedOperations are the operations that docs/operations.md says are served, by service.
func servedOperations(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	served := map[string][]string{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		service, _, _ := strings.Cut(section, " ")
		for _, row := range regexp.MustCompile(`(?m)^\| (\w+) \| yes`).FindAllStringSubmatch(section, -1) {
			served[service] = append(served[service], row[1])
		}
	}
	return served
}

// Every operation of IAM, STS and Organizations that is served, and those of ECR that are about access. The script
// testdata/boto_identity.py calls them, and fails if it left one out.
func TestBotoIdentity(t *testing.T) {
	t.Parallel()
	issuer, corp := federationtest.NewIssuer(t), federationtest.NewSAMLProvider(t)
	authority := filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(authority, issuer.Authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serveWith(t, []string{"SSL_CERT_FILE=" + authority})
	all := servedOperations(t)
	delete(all, "ecr")
	delete(all, "kms")
	served, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	got := s.run(t, "env", "SERVED="+string(served), "ISSUER="+issuer.URL, "TOKEN="+issuer.Mint(nil).Reveal(), "METADATA="+corp.Metadata(),
		"ASSERTION="+corp.Response(federationtest.SAMLResponse{Roles: []string{"arn:aws:iam::123456789012:role/staff,arn:aws:iam::123456789012:saml-provider/corp"}}).Reveal(),
		"python3", s.botoScript(t, "boto_identity.py"))
	if want := "users\npasswords\npolicies\nempty\nfactors\nfederation\nsessions\norganization\nregistry\nfarewell"; got != want {
		t.Errorf("the script went through\n%s\nexpected\n%s", got, want)
	}
}

// Every operation of KMS that is served. The script testdata/boto_kms.py calls them, and fails if it left one out.
func TestBotoKMS(t *testing.T) {
	t.Parallel()
	s := serve(t)
	served, err := json.Marshal(servedOperations(t)["kms"])
	if err != nil {
		t.Fatal(err)
	}
	got := s.run(t, "env", "SERVED="+string(served), "python3", s.botoScript(t, "boto_kms.py"))
	if want := "keys\naliases\nencryption\nenvelopes\ngrants\npolicies\ntags\nunsupported\ndeletion"; got != want {
		t.Errorf("the script went through\n%s\nexpected\n%s", got, want)
	}
}
