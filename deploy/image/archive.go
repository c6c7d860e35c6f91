package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// file is a file of a layer; a folder's name ends with a slash.
type file struct {
	name string
	mode int64
	// owner is the number of the user and of the group that it belongs to.
	owner   int
	content []byte
}

// layer is the compressed tar of files, and the digest that it has uncompressed.
type layer struct {
	content []byte
	diff    string
}

// makeLayer makes a layer of files in their order, all of one time.
func makeLayer(files []file, at time.Time) (layer, error) {
	plain, err := makeTar(files, at)
	if err != nil {
		return layer{}, err
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return layer{}, err
	}
	if _, err := w.Write(plain); err != nil {
		return layer{}, err
	}
	if err := w.Close(); err != nil {
		return layer{}, err
	}
	return layer{content: b.Bytes(), diff: digest(plain)}, nil
}

func makeTar(files []file, at time.Time) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Uid: f.owner, Gid: f.owner, Size: int64(len(f.content)), ModTime: at, Format: tar.FormatUSTAR}
		if strings.HasSuffix(f.name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("write %s: %w", f.name, err)
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, fmt.Errorf("write %s: %w", f.name, err)
		}
	}
	return b.Bytes(), w.Close()
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// digests are those by which an image is known: engines of before 25 show that of the config, registries that of the manifest.
type digests struct{ manifest, config string }

// makeArchive makes the tar of an image: a layout of the OCI image specification, with the manifest.json that docker load of
// all versions reads beside it.
func makeArchive(name string, p program, l layer, at time.Time) ([]byte, digests, error) {
	config, err := json.Marshal(makeConfig(p, l, at))
	if err != nil {
		return nil, digests{}, err
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config":      describe("application/vnd.oci.image.config.v1+json", config, nil),
		"layers":      []any{describe("application/vnd.oci.image.layer.v1.tar+gzip", l.content, nil)},
		"annotations": labels(p, at),
	})
	if err != nil {
		return nil, digests{}, err
	}
	tags := []string{name + ":latest", name + ":" + p.tag()}
	var listed []any
	for _, tag := range tags {
		_, version, _ := strings.Cut(tag, ":")
		listed = append(listed, describe("application/vnd.oci.image.manifest.v1+json", manifest,
			map[string]string{"io.containerd.image.name": "docker.io/library/" + tag, "org.opencontainers.image.ref.name": version}))
	}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": listed})
	if err != nil {
		return nil, digests{}, err
	}
	legacy, err := json.Marshal([]any{map[string]any{"Config": blobPath(config), "RepoTags": tags, "Layers": []string{blobPath(l.content)}}})
	if err != nil {
		return nil, digests{}, err
	}
	archive, err := makeTar([]file{
		{name: "blobs/", mode: 0o755}, {name: "blobs/sha256/", mode: 0o755},
		{name: blobPath(config), mode: 0o644, content: config},
		{name: blobPath(l.content), mode: 0o644, content: l.content},
		{name: blobPath(manifest), mode: 0o644, content: manifest},
		{name: "index.json", mode: 0o644, content: index},
		{name: "manifest.json", mode: 0o644, content: legacy},
		{name: "oci-layout", mode: 0o644, content: []byte(`{"imageLayoutVersion":"1.0.0"}`)},
	}, at)
	return archive, digests{digest(manifest), digest(config)}, err
}

func blobPath(b []byte) string { return "blobs/sha256/" + strings.TrimPrefix(digest(b), "sha256:") }

// describe makes a descriptor. Marshalled maps have their keys in order, so that equal ones make equal bytes.
func describe(mediaType string, b []byte, annotations map[string]string) map[string]any {
	d := map[string]any{"mediaType": mediaType, "digest": digest(b), "size": len(b)}
	if annotations != nil {
		d["annotations"] = annotations
	}
	return d
}
