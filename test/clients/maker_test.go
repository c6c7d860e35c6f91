package clients_test

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// maker writes a layout.
type maker struct {
	t   *testing.T
	dir string
}

func newMaker(t *testing.T, name string) *maker {
	t.Helper()
	m := &maker{t: t, dir: filepath.Join(t.TempDir(), name)}
	if err := os.MkdirAll(filepath.Join(m.dir, "blobs", "sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	m.write("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	return m
}

func (m *maker) write(name string, b []byte) {
	if err := os.WriteFile(filepath.Join(m.dir, name), b, 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// put adds a blob.
func (m *maker) put(mediaType string, b []byte) descriptor {
	digest := coffertest.Digest(b)
	m.write("blobs/"+strings.Replace(digest, ":", "/", 1), b)
	return descriptor{MediaType: mediaType, Digest: digest, Size: int64(len(b))}
}

// encode adds a blob of JSON.
func (m *maker) encode(mediaType string, v any) descriptor {
	b, err := json.Marshal(v)
	if err != nil {
		m.t.Fatal(err)
	}
	return m.put(mediaType, b)
}

// manifest adds a manifest. extra are further members.
func (m *maker) manifest(config descriptor, extra map[string]any, layers ...descriptor) descriptor {
	all := map[string]any{"schemaVersion": 2, "mediaType": coffertest.ManifestType, "config": config, "layers": layers}
	for name, value := range extra {
		all[name] = value
	}
	return m.encode(coffertest.ManifestType, all)
}

// finish writes the index, in which the first entry has the tag, and opens the layout.
func (m *maker) finish(tag string, root descriptor, referrers ...descriptor) layout {
	tagged := root
	tagged.Annotations = map[string]string{refName: tag}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": coffertest.IndexType, "manifests": append([]descriptor{tagged}, referrers...)})
	if err != nil {
		m.t.Fatal(err)
	}
	m.write("index.json", index)
	return openLayout(m.t, m.dir, tag)
}

// compression is how a layer is packed.
type compression struct {
	suffix string // of the media type
	writer func(io.Writer) (io.WriteCloser, error)
}

var (
	withGzip = compression{"+gzip", func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }}
	withZstd = compression{"+zstd", func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }}
)

// file is one of a layer.
type file struct {
	name string
	mode int64
	body []byte
}

// image adds an image that runs hello, of one layer with the program and one more for each further file.
func (m *maker) image(arch string, pack compression, files ...file) descriptor {
	program, err := os.ReadFile(built.hello)
	if err != nil {
		m.t.Fatal(err)
	}
	var layers []descriptor
	var diffs []string
	for _, f := range append([]file{{"hello", 0o755, program}}, files...) {
		plain := m.archive(f)
		diffs = append(diffs, coffertest.Digest(plain))
		layers = append(layers, m.put(coffertest.LayerType+pack.suffix, m.pack(pack, plain)))
	}
	config := m.encode(coffertest.ConfigType, map[string]any{
		"architecture": arch, "os": "linux", "created": "2024-07-03T09:46:40Z",
		"config": map[string]any{"Entrypoint": []string{"/hello"}}, "rootfs": map[string]any{"type": "layers", "diff_ids": diffs},
	})
	return m.manifest(config, nil, layers...)
}

func (m *maker) archive(f file) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.body)), Typeflag: tar.TypeReg})
	if err == nil {
		_, err = w.Write(f.body)
	}
	if err = cmp.Or(err, w.Close()); err != nil {
		m.t.Fatal(err)
	}
	return b.Bytes()
}

func (m *maker) pack(c compression, plain []byte) []byte {
	var b bytes.Buffer
	w, err := c.writer(&b)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		m.t.Fatal(err)
	}
	return b.Bytes()
}

// helloLayout is an image with a list of its contents and a signature that refer to it.
func helloLayout(t *testing.T) layout {
	t.Helper()
	m := newMaker(t, "hello")
	image := m.image(runtime.GOARCH, withGzip, file{"etc/motd", 0o644, []byte("good morning\n")})
	empty := m.put("application/vnd.oci.empty.v1+json", []byte("{}"))
	refer := func(artifactType, body string) descriptor {
		d := m.manifest(empty, map[string]any{"artifactType": artifactType, "subject": image}, m.put(artifactType, []byte(body)))
		d.ArtifactType = artifactType
		return d
	}
	return m.finish("hello", image, refer("application/spdx+json", `{"spdxVersion":"SPDX-2.3"}`), refer("application/vnd.example.signature", "signed"))
}

func zstdLayout(t *testing.T) layout {
	t.Helper()
	m := newMaker(t, "hello-zstd")
	return m.finish("zstd", m.image(runtime.GOARCH, withZstd, file{"etc/issue", 0o644, []byte("zstd\n")}))
}

// indexLayout is an index of images of two architectures, and of an attestation as build tools make it.
func indexLayout(t *testing.T) layout {
	t.Helper()
	m := newMaker(t, "hello-index")
	var entries []descriptor
	for _, arch := range []string{runtime.GOARCH, "s390x"} {
		d := m.image(arch, withGzip, file{"etc/arch", 0o644, []byte(arch + "\n")})
		d.Platform = &platform{arch, "linux"}
		entries = append(entries, d)
	}
	attestation := m.manifest(m.put(coffertest.ConfigType, []byte("{}")), nil,
		m.put("application/vnd.in-toto+json", []byte(`{"_type":"https://in-toto.io/Statement/v0.1"}`)))
	attestation.Platform = &platform{"unknown", "unknown"}
	attestation.Annotations = map[string]string{
		"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": entries[0].Digest,
	}
	entries = append(entries, attestation)
	index := m.encode(coffertest.IndexType, map[string]any{"schemaVersion": 2, "mediaType": coffertest.IndexType, "manifests": entries})
	return m.finish("index", index)
}

// chartLayout is a package for Kubernetes as helm pushes it.
func chartLayout(t *testing.T) layout {
	t.Helper()
	m := newMaker(t, "chart")
	config := m.put("application/vnd.cncf.helm.config.v1+json", []byte(`{"name":"demo","version":"1.2.3","apiVersion":"v2"}`))
	content := m.pack(withGzip, m.archive(file{"demo/Chart.yaml", 0o644, []byte("apiVersion: v2\nname: demo\nversion: 1.2.3\n")}))
	return m.finish("1.2.3", m.manifest(config, map[string]any{"annotations": map[string]string{"org.opencontainers.image.title": "demo"}},
		m.put("application/vnd.cncf.helm.chart.content.v1.tar+gzip", content)))
}

// artifactLayout is an artifact that is not an image.
func artifactLayout(t *testing.T) layout {
	t.Helper()
	m := newMaker(t, "artifact")
	body := m.put("text/plain", []byte("policy \"allow\" {}\n"))
	body.Annotations = map[string]string{"org.opencontainers.image.title": "policy.txt"}
	empty := m.put("application/vnd.oci.empty.v1+json", []byte("{}"))
	return m.finish("policy", m.manifest(empty, map[string]any{"artifactType": "application/vnd.example.policy.v1"}, body))
}
