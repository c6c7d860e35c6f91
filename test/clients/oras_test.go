package clients_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// referrers are what oras discovers.
type referrers struct {
	Digest    string
	Referrers []struct{ Digest, ArtifactType string }
}

func (r referrers) byType() map[string]string {
	all := map[string]string{}
	for _, one := range r.Referrers {
		all[one.ArtifactType] = one.Digest
	}
	return all
}

func TestOras(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.CreateRepository("team/oras")
	s.CreateRepository("team/other")
	s.feed(t, s.password(t), "oras", "login", "--plain-http", s.host, "--username", "AWS", "--password-stdin")
	repository, other := s.host+"/team/oras", s.host+"/team/other"
	all := layouts(t)
	for _, l := range all {
		t.Run(l.name(), func(t *testing.T) { s.copiesWithReferrers(t, l, repository, other) })
	}
	if diff := cmp.Diff(tags(all), strings.Fields(s.run(t, "oras", "repo", "tags", repository))); diff != "" {
		t.Errorf("repo tags (-want +got):\n%s", diff)
	}
	s.pushesFiles(t, repository)
}

// copiesWithReferrers takes an image and what refers to it into a repository, on to a second one, and back.
func (s *server) copiesWithReferrers(t *testing.T, l layout, repository, other string) {
	s.run(t, "oras", "copy", "--recursive", "--from-oci-layout", l.dir+":"+l.tag, repository+":"+l.tag)
	s.holds(t, "team/oras", l)
	s.run(t, "oras", "copy", "--recursive", repository+":"+l.tag, other+":"+l.tag)
	s.holds(t, "team/other", l)

	want := map[string]string{}
	for _, r := range l.referrers {
		want[r.ArtifactType] = r.Digest
	}
	var found referrers
	decode(t, s.run(t, "oras", "discover", "--format", "json", other+":"+l.tag), &found)
	if diff := cmp.Diff(want, found.byType()); found.Digest != l.root.Digest || diff != "" {
		t.Errorf("discover finds %s (-want +got):\n%s", found.Digest, diff)
	}
	if len(l.referrers) > 0 {
		first := l.referrers[0]
		var filtered referrers
		decode(t, s.run(t, "oras", "discover", "--format", "json", "--artifact-type", first.ArtifactType, repository+":"+l.tag), &filtered)
		if diff := cmp.Diff(map[string]string{first.ArtifactType: first.Digest}, filtered.byType()); diff != "" {
			t.Errorf("discover of one type (-want +got):\n%s", diff)
		}
	}

	back := filepath.Join(t.TempDir(), l.name())
	s.run(t, "oras", "copy", "--recursive", "--to-oci-layout", other+":"+l.tag, back+":"+l.tag)
	got := openLayout(t, back, l.tag)
	sameLayout(t, l, got)
	for _, r := range l.referrers {
		sameLayout(t, layout{dir: l.dir, root: r}, layout{dir: back, root: r})
	}
}

// pushesFiles makes an artifact of files, attaches another to it, and takes both back.
func (s *server) pushesFiles(t *testing.T, repository string) {
	t.Helper()
	for name, text := range map[string]string{"report.txt": "all is well\n", "signature.txt": "signed\n"} {
		if err := os.WriteFile(filepath.Join(s.home, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const artifactType, signatureType = "application/vnd.example.report", "application/vnd.example.signature"
	s.run(t, "oras", "push", repository+":report", "--artifact-type", artifactType, "report.txt:text/plain")
	s.run(t, "oras", "attach", repository+":report", "--artifact-type", signatureType, "signature.txt:text/plain")

	var found referrers
	decode(t, s.run(t, "oras", "discover", "--format", "json", repository+":report"), &found)
	if found.Digest != s.digest(t, "team/oras", "report") || len(found.Referrers) != 1 || found.Referrers[0].ArtifactType != signatureType {
		t.Fatalf("discover finds %+v", found)
	}
	for reference, want := range map[string]string{":report": "report.txt", "@" + found.Referrers[0].Digest: "signature.txt"} {
		dir := t.TempDir()
		s.run(t, "oras", "pull", "--output", dir, repository+reference)
		got, err := os.ReadFile(filepath.Join(dir, want))
		pushed, _ := os.ReadFile(filepath.Join(s.home, want))
		if err != nil || !slices.Equal(got, pushed) {
			t.Errorf("pull %s gives %q, %v, expected %q", want, got, err, pushed)
		}
	}

	s.run(t, "oras", "tag", repository+":report", "stable")
	if s.digest(t, "team/oras", "stable") != found.Digest {
		t.Error("tag gave another image the name")
	}
	s.run(t, "oras", "manifest", "delete", "--force", repository+"@"+found.Digest)
	s.refuse(t, []string{"not found"}, "oras", "manifest", "fetch", repository+":stable")
	s.refuse(t, []string{"The repository with name 'team/none' does not exist in the registry with id '123456789012'"},
		"oras", "push", s.host+"/team/none:1", "report.txt")
}
