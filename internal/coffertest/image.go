package coffertest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
)

// Digest is the sha256 digest of bytes.
func Digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Descriptor describes bytes in a manifest.
type Descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int    `json:"size"`
}

// Describe makes the descriptor of bytes.
func Describe(mediaType string, b []byte) Descriptor {
	return Descriptor{MediaType: mediaType, Digest: Digest(b), Size: len(b)}
}

// Media types of the images of tests.
const (
	ManifestType = "application/vnd.oci.image.manifest.v1+json"
	IndexType    = "application/vnd.oci.image.index.v1+json"
	ConfigType   = "application/vnd.oci.image.config.v1+json"
	LayerType    = "application/vnd.oci.image.layer.v1.tar"
)

// Manifest makes an image manifest of a config and layers. extra are further members, such as a subject.
func Manifest(config []byte, extra map[string]any, layers ...[]byte) []byte {
	m := map[string]any{"schemaVersion": 2, "mediaType": ManifestType, "config": Describe(ConfigType, config)}
	list := []Descriptor{}
	for _, l := range layers {
		list = append(list, Describe(LayerType, l))
	}
	m["layers"] = list
	for name, value := range extra {
		m[name] = value
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // Only a test that passes what can't be encoded brings it about.
	}
	return text
}

// CreateRepository makes a repository.
func (s *Server) CreateRepository(name string) {
	s.t.Helper()
	s.MustECR("CreateRepository", map[string]any{"repositoryName": name}, nil)
}

// PushBlob pushes a blob in one request.
func (s *Server) PushBlob(token, repository string, b []byte) {
	s.t.Helper()
	r := s.V2(token, http.MethodPost, "/v2/"+repository+"/blobs/uploads/?digest="+Digest(b), b)
	if r.Status != http.StatusCreated {
		s.t.Fatalf("push a blob to %s: status %d: %s", repository, r.Status, r.Body)
	}
}

// PushManifest pushes a manifest under a tag or a digest, and returns its digest.
func (s *Server) PushManifest(token, repository, reference string, manifest []byte) string {
	s.t.Helper()
	var m struct{ MediaType string }
	if err := json.Unmarshal(manifest, &m); err != nil {
		s.t.Fatal(err)
	}
	r := s.V2(token, http.MethodPut, "/v2/"+repository+"/manifests/"+reference, manifest, "Content-Type", m.MediaType)
	if r.Status != http.StatusCreated {
		s.t.Fatalf("push %s:%s: status %d: %s", repository, reference, r.Status, r.Body)
	}
	return r.Header.Get("Docker-Content-Digest")
}

// PushImage pushes an image with these layers under a tag, and returns its digest and its manifest.
func (s *Server) PushImage(token, repository, tag string, layers ...[]byte) (digest string, manifest []byte) {
	s.t.Helper()
	config := []byte(`{"architecture":"amd64","os":"linux"}`)
	for _, b := range append([][]byte{config}, layers...) {
		s.PushBlob(token, repository, b)
	}
	manifest = Manifest(config, nil, layers...)
	return s.PushManifest(token, repository, tag, manifest), manifest
}
