package clients_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

func TestCrane(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.CreateRepository("team/crane")
	s.CreateRepository("team/other")
	s.feed(t, s.password(t), "crane", "auth", "login", s.host, "--username", "AWS", "--password-stdin")
	repository, other := s.host+"/team/crane", s.host+"/team/other"
	all := layouts(t)

	for _, l := range all {
		t.Run(l.name(), func(t *testing.T) {
			pushed := s.run(t, "crane", "push", l.alone(t).dir, repository+":"+l.tag)
			if pushed != repository+"@"+l.root.Digest {
				t.Errorf("push says %s, expected the digest %s", pushed, l.root.Digest)
			}
			s.holds(t, "team/crane", l)
			if digest := s.run(t, "crane", "digest", repository+":"+l.tag); digest != l.root.Digest {
				t.Errorf("digest says %s, expected %s", digest, l.root.Digest)
			}
			back := filepath.Join(t.TempDir(), l.name())
			s.run(t, "crane", "pull", "--format=oci", repository+":"+l.tag, back)
			sameLayout(t, l, openOnly(t, back))
		})
	}
	if diff := cmp.Diff(tags(all), strings.Fields(s.run(t, "crane", "ls", repository))); diff != "" {
		t.Errorf("ls (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"team/crane", "team/other"}, strings.Fields(s.run(t, "crane", "catalog", s.host))); diff != "" {
		t.Errorf("catalog (-want +got):\n%s", diff)
	}
	s.copies(t, repository, other, all)
	s.appends(t, repository, all[0])
	s.deletes(t, repository, all)
}

// copies takes all images from one repository to another. All blobs are mounted: their bytes don't go through the client.
func (s *server) copies(t *testing.T, from, to string, all []layout) {
	t.Helper()
	mounted := map[string]bool{}
	for _, l := range all {
		_, log := s.outputs(t, "", "crane", "copy", from+":"+l.tag, to+":"+l.tag)
		_, blobs := l.contents(t, l.root)
		for _, b := range blobs {
			if !mounted[b.Digest] && !strings.Contains(log, "mounted blob: "+b.Digest) {
				t.Errorf("copy of %s did not mount %s:\n%s", l.name(), b.Digest, log)
			}
			mounted[b.Digest] = true
		}
		s.holds(t, "team/other", l)
	}
}

// appends adds a layer to an image.
func (s *server) appends(t *testing.T, repository string, base layout) {
	t.Helper()
	layer := filepath.Join(t.TempDir(), "layer.tar")
	plain := newMaker(t, "appended").archive(file{"srv/data", 0o644, bytes.Repeat([]byte("data "), 1000)})
	if err := os.WriteFile(layer, plain, 0o644); err != nil {
		t.Fatal(err)
	}
	s.run(t, "crane", "append", "--base", repository+":"+base.tag, "--new_layer", layer, "--new_tag", repository+":appended")
	image, _ := base.image(t)
	appended := parseManifest(t, []byte(s.run(t, "crane", "manifest", repository+":appended")))
	if n := len(image.Layers); len(appended.Layers) != n+1 || !slices.EqualFunc(image.Layers, appended.Layers[:n], func(a, b descriptor) bool { return a.Digest == b.Digest }) {
		t.Errorf("append made the layers %v of %v", appended.Layers, image.Layers)
	}
	var config struct {
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
	decode(t, s.run(t, "crane", "config", repository+":appended"), &config)
	if want := coffertest.Digest(plain); !slices.Contains(config.RootFS.DiffIDs, want) {
		t.Errorf("append made layers with the contents %v, expected also %s", config.RootFS.DiffIDs, want)
	}
	if exported := s.run(t, "crane", "export", repository+":appended", "-"); !strings.Contains(exported, "srv/data") {
		t.Error("export of the appended image lacks the file that was appended")
	}
}

func (s *server) deletes(t *testing.T, repository string, all []layout) {
	t.Helper()
	index := all[slices.IndexFunc(all, func(l layout) bool { return l.root.MediaType == coffertest.IndexType })]
	child := parseManifest(t, index.blob(t, index.root.Digest)).Manifests[0].Digest
	s.refuse(t, []string{"Requested image referenced by manifest list: [" + index.root.Digest + "]"}, "crane", "delete", repository+"@"+child)
	s.run(t, "crane", "delete", repository+":"+index.tag)
	s.refuse(t, []string{"404"}, "crane", "digest", repository+":"+index.tag)
	s.refuse(t, []string{"MANIFEST_UNKNOWN: Requested image not found"}, "crane", "manifest", repository+":"+index.tag)
	s.refuse(t, []string{"NAME_UNKNOWN: The repository with name 'team/none' does not exist in the registry with id '123456789012'"},
		"crane", "push", all[0].alone(t).dir, s.host+"/team/none:1")
}
