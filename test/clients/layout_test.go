package clients_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// descriptor is one of a manifest or of the index of a layout.
type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	Platform     *platform         `json:"platform,omitempty"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

// manifest is what the tests read of manifests and indexes.
type manifest struct {
	Config    *descriptor  `json:"config"`
	Layers    []descriptor `json:"layers"`
	Manifests []descriptor `json:"manifests"`
	Subject   *descriptor  `json:"subject"`
}

// layout is an OCI image layout in a folder.
type layout struct {
	dir, tag string
	// root is what the tag names, and referrers is what else there is, which refers to it.
	root      descriptor
	referrers []descriptor
}

const refName = "org.opencontainers.image.ref.name"

// openLayout reads the index of a layout.
func openLayout(t *testing.T, dir, tag string) layout {
	t.Helper()
	l := layout{dir: dir, tag: tag}
	text, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range parseManifest(t, text).Manifests {
		if d.Annotations[refName] == tag {
			l.root = d
		} else {
			l.referrers = append(l.referrers, d)
		}
	}
	if l.root.Digest == "" {
		t.Fatalf("the layout %s has no tag %s", dir, tag)
	}
	return l
}

// openOnly reads the index of a layout in which there is one thing only, with or without a tag.
func openOnly(t *testing.T, dir string) layout {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	entries := parseManifest(t, text).Manifests
	if len(entries) != 1 {
		t.Fatalf("the layout %s has %d entries: %s", dir, len(entries), text)
	}
	return layout{dir: dir, root: entries[0]}
}

// alone is a layout of the same bytes without the referrers.
func (l layout) alone(t *testing.T) layout {
	t.Helper()
	m := newMaker(t, l.name())
	manifests, blobs := l.contents(t, l.root)
	for _, d := range append(manifests, blobs...) {
		m.put(d.MediaType, l.blob(t, d.Digest))
	}
	return m.finish(l.tag, l.root)
}

func parseManifest(t *testing.T, text []byte) (m manifest) {
	t.Helper()
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func (l layout) name() string { return filepath.Base(l.dir) }

// blob reads bytes of the layout.
func (l layout) blob(t *testing.T, digest string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(l.dir, "blobs", strings.Replace(digest, ":", "/", 1)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// contents are the manifests to which a descriptor leads, children first and itself last, and the blobs that they refer to.
func (l layout) contents(t *testing.T, from descriptor) (manifests, blobs []descriptor) {
	t.Helper()
	m := parseManifest(t, l.blob(t, from.Digest))
	for _, child := range m.Manifests {
		deeper, deepest := l.contents(t, child)
		manifests, blobs = append(manifests, deeper...), append(blobs, deepest...)
	}
	if m.Config != nil {
		blobs = append(append(blobs, *m.Config), m.Layers...)
	}
	return append(manifests, from), blobs
}

// image is the image that a client of this machine takes; false if the layout holds another artifact.
func (l layout) image(t *testing.T) (m manifest, ok bool) {
	t.Helper()
	m = parseManifest(t, l.blob(t, l.root.Digest))
	for _, child := range m.Manifests {
		if child.Platform != nil && child.Platform.Architecture == runtime.GOARCH {
			m = parseManifest(t, l.blob(t, child.Digest))
		}
	}
	return m, m.Config != nil && m.Config.MediaType == coffertest.ConfigType
}

// sameLayout compares the bytes that a client brought back with what was pushed.
func sameLayout(t *testing.T, want, got layout) {
	t.Helper()
	if got.root.Digest != want.root.Digest {
		t.Errorf("%s came back as %s, pushed was %s", want.name(), got.root.Digest, want.root.Digest)
		return
	}
	manifests, blobs := want.contents(t, want.root)
	for _, d := range append(manifests, blobs...) {
		if b := got.blob(t, d.Digest); coffertest.Digest(b) != d.Digest {
			t.Errorf("%s: %s came back with the digest %s", want.name(), d.Digest, coffertest.Digest(b))
		}
	}
}

// holds compares what the server has with a layout, byte for byte.
func (s *server) holds(t *testing.T, repository string, l layout) {
	t.Helper()
	get := func(path string) coffertest.Response {
		r := s.V2(s.token(), http.MethodGet, "/v2/"+repository+path, nil, "Accept", "*/*")
		if r.Status != http.StatusOK {
			t.Fatalf("GET %s%s: status %d: %s", repository, path, r.Status, r.Body)
		}
		return r
	}
	tagged := get("/manifests/" + l.tag)
	if got := coffertest.Digest(tagged.Body); got != l.root.Digest || tagged.Header.Get("Content-Type") != l.root.MediaType {
		t.Errorf("%s: the server has %s of the type %s, expected %s of %s", l.name(), got, tagged.Header.Get("Content-Type"), l.root.Digest, l.root.MediaType)
	}
	manifests, blobs := l.contents(t, l.root)
	for _, m := range manifests {
		if got := get("/manifests/" + m.Digest); !bytes.Equal(got.Body, l.blob(t, m.Digest)) {
			t.Errorf("%s: the server has another manifest %s", l.name(), m.Digest)
		}
	}
	for _, b := range blobs {
		if got := get("/blobs/" + b.Digest); !bytes.Equal(got.Body, l.blob(t, b.Digest)) {
			t.Errorf("%s: the server has other bytes of %s", l.name(), b.Digest)
		}
	}
}

// push stores a layout on the server, without its referrers.
func (s *server) push(t *testing.T, repository string, l layout) {
	t.Helper()
	manifests, blobs := l.contents(t, l.root)
	for _, b := range blobs {
		s.PushBlob(s.token(), repository, l.blob(t, b.Digest))
	}
	for _, m := range manifests {
		reference := m.Digest
		if m.Digest == l.root.Digest {
			reference = l.tag
		}
		s.PushManifest(s.token(), repository, reference, l.blob(t, m.Digest))
	}
}

// digest is that of the image that a tag points to on the server.
func (s *server) digest(t *testing.T, repository, tag string) string {
	t.Helper()
	r := s.V2(s.token(), http.MethodHead, "/v2/"+repository+"/manifests/"+tag, nil)
	if r.Status != http.StatusOK {
		t.Fatalf("HEAD %s:%s: status %d", repository, tag, r.Status)
	}
	return r.Header.Get("Docker-Content-Digest")
}

// tags are those of the layouts, sorted.
func tags(all []layout) []string {
	var list []string
	for _, l := range all {
		list = append(list, l.tag)
	}
	slices.Sort(list)
	return list
}

// given are the layouts that COFFER_TEST_IMAGES may hold.
var given = [][2]string{
	{"debian12-minbase", "12"}, {"debian12-minbase-zstd", "12-zstd"}, {"distroless-multiarch", "multi"}, {"helm-chart", "0.1.0"},
	{"generic-artifact", "v1"}, {"debian11-mix", "mix"}, {"busybox-static", "static"},
}

// layouts are all layouts: those that the tests make, and those that are given.
func layouts(t *testing.T) []layout {
	t.Helper()
	all := []layout{helloLayout(t), zstdLayout(t), indexLayout(t), chartLayout(t), artifactLayout(t)}
	if dir := os.Getenv("COFFER_TEST_IMAGES"); dir != "" {
		for _, g := range given {
			all = append(all, openLayout(t, filepath.Join(dir, g[0]), g[1]))
		}
	}
	return all
}
