// Package conformance_test runs the conformance suite of the OCI distribution specification against a server.
package conformance_test

import (
	"encoding/base64"
	"encoding/xml"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// testCase is one test of the suite, in its JUnit report.
type testCase struct {
	Name    string `xml:"name,attr"`
	Status  string `xml:"status,attr"` // passed, skipped, failure or error
	Problem string `xml:"system-out"`
}

// The categories of the specification.
const (
	pull       = "pull"
	push       = "push"
	discovery  = "content discovery"
	management = "content management"
)

// category says which part of the specification a test is about; empty for one that this table doesn't know.
func category(name string) string {
	segments := strings.Split(name, "/")
	group, last := "", segments[len(segments)-1]
	if len(segments) > 1 {
		group = segments[len(segments)-2]
	}
	switch {
	case strings.HasSuffix(last, "-delete"), strings.HasSuffix(last, "-cancel"):
		return management
	case last == "tag-list", last == "tag list", last == "referrers":
		return discovery
	case strings.HasPrefix(last, "blob-post-"), strings.HasPrefix(last, "blob-patch-"), strings.HasPrefix(last, "blob-mount"), last == "manifest-put":
		return push
	case group == "push" && strings.HasPrefix(last, "manifest-by-"):
		return push
	case last == "ping", last == "get-missing", last == "blob-get", last == "blob-head", last == "manifest-get", strings.HasPrefix(last, "range "):
		return pull
	case strings.HasPrefix(last, "manifest-by-"), strings.HasPrefix(last, "manifest-head-by-"), last == "by-digest", last == "by-tag":
		return pull
	}
	return ""
}

// meant are the tests that are skipped because the registry answers in another way that the specification allows: layers
// are mounted only from a repository that is named, and only where an image refers to them, as Amazon ECR has it; the
// suite mounts blobs that nothing refers to.
var meant = []string{
	"OCI Conformance Test/sha256 blobs/mount anonymous/blob-mount-anonymous",
	"OCI Conformance Test/sha256 blobs/mount/blob-mount",
}

// Everything that the suite can test is on, also what the specification leaves open, except for two things that Amazon ECR
// does not have: digests of SHA-512, and indexes whose images are missing.
func TestDistributionSpecification(t *testing.T) {
	t.Run("HTTP", func(t *testing.T) { conforms(t, coffertest.Start(t), "OCI_TLS=disabled") })
	// The suite takes the authority from the environment.
	t.Run("TLS", func(t *testing.T) {
		s := coffertest.Start(t, coffertest.TLS())
		conforms(t, s, "OCI_TLS=enabled", "SSL_CERT_FILE="+s.CAPath())
	})
}

// conforms runs the suite with more in its environment.
func conforms(t *testing.T, s *coffertest.Server, more ...string) {
	suite := coffertest.Tool(t, "conformance")
	s.CreateRepository("conformance/one")
	s.CreateRepository("conformance/two")
	login, err := base64.StdEncoding.DecodeString(s.Token())
	if err != nil {
		t.Fatal(err)
	}
	user, password, _ := strings.Cut(string(login), ":")
	_, host, _ := strings.Cut(s.URL, "://")
	results := t.TempDir()

	cmd := exec.Command(suite)
	cmd.Dir = results
	cmd.Env = append(os.Environ(), "OCI_CONFIGURATION=/dev/null", "OCI_VERSION=1.1", "OCI_RESULTS_DIR="+results,
		"OCI_REGISTRY="+host, "OCI_USERNAME="+user, "OCI_PASSWORD="+password,
		"OCI_REPO1=conformance/one", "OCI_REPO2=conformance/two", "OCI_LOG=error",
		"OCI_API_BLOBS_DIGEST_HEADER=true", "OCI_API_BLOBS_UPLOAD_CANCEL=true", "OCI_API_MANIFESTS_DIGEST_HEADER=true",
		"OCI_DATA_SHA512=false", "OCI_DATA_SPARSE=false")
	cmd.Env = append(cmd.Env, more...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the suite: %v\n%s", err, failures(string(out)))
	}
	check(t, readReport(t, filepath.Join(results, "junit.xml")))
}

// failures leaves of the suite's output the lines that say what is wrong.
func failures(out string) string {
	if !strings.Contains(out, ": FAIL") {
		return out
	}
	var lines []string
	keep := false
	for line := range strings.Lines(out) {
		if strings.Contains(line, "Test/") {
			keep = strings.Contains(line, ": FAIL") || strings.Contains(line, ": Error")
		}
		if keep {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func readReport(t *testing.T, path string) []testCase {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Suites []struct {
			Cases []testCase `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	var all []testCase
	for _, s := range report.Suites {
		all = append(all, s.Cases...)
	}
	return all
}

// check holds the report against what is promised: each category was tested, all tests passed, and none was left out but
// those that are meant.
func check(t *testing.T, cases []testCase) {
	t.Helper()
	passed := map[string]int{}
	var skipped []string
	for _, c := range cases {
		part := category(c.Name)
		switch {
		case part == "":
			t.Errorf("%s is a test of no category: add it to the table", c.Name)
		case c.Status == "passed":
			passed[part]++
		case c.Status == "skipped":
			skipped = append(skipped, c.Name)
		default:
			t.Errorf("%s: %s: %s", c.Name, c.Status, c.Problem)
		}
	}
	// About half of what the suite has at the moment, so that a newer one may change without leaving a part out.
	for part, least := range map[string]int{pull: 125, push: 70, discovery: 12, management: 70} {
		if passed[part] < least {
			t.Errorf("%s: %d tests passed, expected at least %d", part, passed[part], least)
		}
	}
	slices.Sort(skipped)
	if diff := cmp.Diff(meant, skipped); diff != "" {
		t.Errorf("tests skipped (-meant +found):\n%s", diff)
	}
	for _, part := range slices.Sorted(maps.Keys(passed)) {
		t.Logf("%s: %d passed", part, passed[part])
	}
}
