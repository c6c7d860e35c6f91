// Package internal_test states which package may import which, with the reason beside it.
package internal_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/coffer-registry/coffer/"

// tier is a layer of the house.
type tier struct {
	name     string
	packages []string // by their paths below internal
	reason   string
}

// tiers are all layers, from the ground up. A package imports those below its own, no other.
var tiers = []tier{
	{"values", []string{"arn", "oci", "policy", "sigv4", "seal", "secret", "strictjson", "keymaterial", "x500", "cache"},
		"functions of values, without context or I/O: property tests and fuzzers need nothing but them"},
	{"engines", []string{"store", "blob", "kms", "rootkey", "audit", "job", "tlsconfig"},
		"they keep rows, bytes, keys, records and certificates, and know nothing of what these mean"},
	{"domain", []string{"registry", "iam", "organization", "identity", "federation"},
		"the rules of a registry and of its identities, without protocols and without authorisation"},
	{"edge", []string{"access", "ecrtext", "awsapi", "awsapi/ecr", "awsapi/iam", "awsapi/kms", "awsapi/organizations", "awsapi/sts", "awsapi/gen", "service/ecr", "service/iam",
		"service/kms", "service/organizations", "service/sts", "ociserver"},
		"protocols: they turn requests into calls of the domain"},
	{"whole", []string{"app", "coffertest"},
		"app alone knows all others; coffertest runs it in tests"},
	{"commands", []string{"../cmd/coffer", "app/docgen"}, "flags and output, nothing else"},
}

// sideways are the imports within a tier that are meant; any other is a sign that two packages are one.
var sideways = map[string][]string{
	"oci":                   {"strictjson"},
	"policy":                {"arn", "strictjson"},
	"sigv4":                 {"secret"},
	"kms":                   {"store"},
	"rootkey":               {"kms"}, // whose roots it has
	"audit":                 {"store"},
	"job":                   {"store"},
	"identity":              {"iam", "organization"},
	"access":                {},
	"awsapi":                {"access"},
	"awsapi/ecr":            {"awsapi"},
	"awsapi/sts":            {"awsapi"},
	"awsapi/iam":            {"awsapi"},
	"awsapi/kms":            {"awsapi"},
	"awsapi/organizations":  {"awsapi"},
	"service/ecr":           {"awsapi", "awsapi/ecr", "ecrtext"},
	"service/sts":           {"awsapi", "awsapi/sts"},
	"service/iam":           {"awsapi", "awsapi/iam"},
	"service/kms":           {"awsapi", "awsapi/kms"},
	"service/organizations": {"awsapi", "awsapi/organizations"},
	"ociserver":             {"access", "ecrtext"},
	"coffertest":            {"app"},
}

// outside says which modules may be imported, and by whom.
var outside = []struct {
	module string
	by     []string
	reason string
}{
	{"golang.org/x/sync", []string{"registry"}, "the key of a repository is opened once for all who wait for it"},
	{"github.com/jackc/pgx/v5/pgconn", []string{"store"}, "nothing of the engine shows outside of store"},
	{"github.com/jackc/pgx/v5/pgproto3", []string{"store"}, "nothing of the engine shows outside of store"},
	{"modernc.org/sqlite", []string{"store"}, "nothing of the engine shows outside of store"},
	{"github.com/klauspost/compress", []string{"audit"}, "segments of the trail are compressed"},
	{"github.com/aws/aws-sdk-go-v2", []string{"blob"}, "the object store is spoken to by S3 in one place"},
	{"github.com/aws/smithy-go", []string{"blob"}, "it comes with aws-sdk-go-v2, whose errors and middleware it has"},
	{"github.com/prometheus/client_golang", []string{"app"}, "metrics are served by app alone"},
	{"github.com/go-jose/go-jose/v4", []string{"federation"}, "tokens of outside providers are verified in one place"},
	{"golang.org/x/crypto/acme", []string{"tlsconfig"}, "certificates come from one place, and the client of ACME servers stays out of all else"},
	{"rsc.io/qr", []string{"service/iam"}, "the seeds of MFA devices are shown as pictures to be scanned"},
	{"github.com/russellhaering/goxmldsig", []string{"federation"}, "signatures of XML are dangerous enough in one place"},
	{"github.com/beevik/etree", []string{"federation"}, "it comes with goxmldsig"},
	{"github.com/miekg/pkcs11", []string{"rootkey"}, "tokens are spoken to by C, in builds with the tag pkcs11 alone"},
	{"github.com/alecthomas/kong", []string{"../cmd/coffer"}, "flags belong to the commands"},
}

type listed struct {
	ImportPath string
	Imports    []string
	Doc        string
	Name       string
}

func list(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Doc,Name", "../internal/...", "../cmd/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if p.ImportPath != module+"internal" { // this test itself
			all = append(all, p)
		}
	}
}

// short is a package's path below internal.
func short(importPath string) (string, bool) {
	rest, ok := strings.CutPrefix(importPath, module)
	if !ok {
		return "", false
	}
	if below, ok := strings.CutPrefix(rest, "internal/"); ok {
		return below, true
	}
	return "../" + rest, true
}

func tierOf(name string) int {
	return slices.IndexFunc(tiers, func(t tier) bool { return slices.Contains(t.packages, name) })
}

// testSuites are packages of tests that several test packages run; they import what they test.
func testSuite(name string) bool { return strings.HasSuffix(path.Base(name), "test") }

func TestImports(t *testing.T) {
	for _, p := range list(t) {
		name, _ := short(p.ImportPath)
		tier := tierOf(name)
		if tier < 0 && !testSuite(name) {
			t.Errorf("package %s is in no tier: add it to the table", name)
			continue
		}
		for _, imported := range p.Imports {
			if other, ours := short(imported); ours {
				checkOurs(t, name, other)
			} else if strings.Contains(strings.Split(imported, "/")[0], ".") && !testSuite(name) {
				checkOutside(t, name, imported)
			}
		}
	}
}

func checkOurs(t *testing.T, name, other string) {
	if testSuite(name) && name != "coffertest" {
		return
	}
	if testSuite(other) && other != "coffertest" && name != "coffertest" {
		t.Errorf("%s imports the tests %s", name, other)
		return
	}
	from, to := tierOf(name), tierOf(other)
	switch {
	case to > from:
		t.Errorf("%s (%s) imports %s (%s): %s", name, tiers[from].name, other, tiers[to].name, tiers[from].reason)
	case to == from && !slices.Contains(sideways[name], other) && name != "app":
		t.Errorf("%s imports %s, beside it: add it to the table if that is meant", name, other)
	}
}

func checkOutside(t *testing.T, name, imported string) {
	for _, o := range outside {
		if imported != o.module && !strings.HasPrefix(imported, o.module+"/") {
			continue
		}
		if !slices.Contains(o.by, name) {
			t.Errorf("%s imports %s: %s", name, imported, o.reason)
		}
		return
	}
	t.Errorf("%s imports %s, which is in no table", name, imported)
}

// Every package says what it is for, what it promises and what is not its job.
func TestPackageDocs(t *testing.T) {
	for _, p := range list(t) {
		if p.Doc == "" {
			t.Errorf("package %s has no doc comment", p.ImportPath)
		}
	}
}
