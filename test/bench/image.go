package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar+gzip"

	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30

	// tailSize is how much of a blob is its own; the rest it shares with the other blobs of its source.
	tailSize = sha512.Size
	// busyRetries is how often a push is tried that the server puts off with 429.
	busyRetries = 600
)

// blob is content with its digest. It can be sent any number of times.
type blob struct {
	digest string
	size   int64
	parts  [][]byte
}

// source makes blobs of one size of which no two are equal. They share all but the last bytes, and with them the state
// of the hash, so that making one costs the load generator a microsecond and not a pass over its bytes.
type source struct {
	size   int64
	prefix [][]byte
	state  []byte
}

// newSource prepares blobs of size bytes, at least tailSize.
func newSource(size int64) (*source, error) {
	if size < tailSize {
		return nil, fmt.Errorf("a blob of %d bytes is too small", size)
	}
	block := make([]byte, min(size-tailSize, mib))
	rand.NewChaCha8(sha256.Sum256([]byte("coffer bench"))).Read(block)
	s := &source{size: size}
	h := sha256.New()
	for left := size - tailSize; left > 0; {
		p := block[:min(left, int64(len(block)))]
		s.prefix = append(s.prefix, p)
		h.Write(p)
		left -= int64(len(p))
	}
	var err error
	if s.state, err = h.(encoding.BinaryMarshaler).MarshalBinary(); err != nil {
		return nil, fmt.Errorf("saving the state of a hash: %w", err)
	}
	return s, nil
}

// blob returns the n-th blob, the same in every run.
func (s *source) blob(n uint64) (blob, error) {
	tail := sha512.Sum512(binary.BigEndian.AppendUint64(nil, n))
	h := sha256.New()
	if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(s.state); err != nil {
		return blob{}, fmt.Errorf("restoring the state of a hash: %w", err)
	}
	h.Write(tail[:])
	parts := append(make([][]byte, 0, len(s.prefix)+1), s.prefix...)
	return blob{digest: "sha256:" + hex.EncodeToString(h.Sum(nil)), size: s.size, parts: append(parts, tail[:])}, nil
}

// bytesBlob is the blob of the given bytes.
func bytesBlob(p []byte) blob {
	return blob{digest: digestOf(p), size: int64(len(p)), parts: [][]byte{p}}
}

func digestOf(p []byte) string {
	sum := sha256.Sum256(p)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// sharedConfig is the image configuration that all images of a repository name; it is pushed once.
var sharedConfig = []byte(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}`)

// manifest is an OCI image manifest of the shared configuration and one layer. The note tells manifests of the same
// layer apart.
func manifest(layer blob, note string) []byte {
	return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},`+
		`"layers":[{"mediaType":%q,"digest":%q,"size":%d}],"annotations":{"org.opencontainers.image.title":%q}}`,
		manifestType, configType, digestOf(sharedConfig), len(sharedConfig), layerType, layer.digest, layer.size, note)
}

// pushBlob uploads a blob by POST and one PUT. A 429 is waited out as Retry-After says.
func (c *conn) pushBlob(repository string, b blob) error {
	for range busyRetries {
		r, err := c.do("POST", "/v2/"+repository+"/blobs/uploads/", "")
		if err != nil {
			return err
		}
		if r.status == http.StatusTooManyRequests {
			c.pause(r)
			continue
		}
		if r.status != http.StatusAccepted {
			return fmt.Errorf("starting an upload: status %d: %s", r.status, r.problem)
		}
		path, err := uploadPath(r.location, b.digest)
		if err != nil {
			return err
		}
		if r, err = c.do("PUT", path, "application/octet-stream", b.parts...); err != nil {
			return err
		}
		if r.status == http.StatusTooManyRequests {
			c.pause(r)
			continue
		}
		if r.status != http.StatusCreated {
			return fmt.Errorf("finishing an upload: status %d: %s", r.status, r.problem)
		}
		return nil
	}
	return fmt.Errorf("the server put off a push %d times", busyRetries)
}

func (c *conn) pause(r response) { time.Sleep(max(r.retryAfter, 100*time.Millisecond)) }

// uploadPath is the request target that finishes the upload at location, which may be absolute.
func uploadPath(location, digest string) (string, error) {
	u, err := url.Parse(location)
	if err != nil || !strings.HasPrefix(u.Path, "/") {
		return "", fmt.Errorf("an upload's location is %q", location)
	}
	q := u.Query()
	q.Set("digest", digest)
	return u.EscapedPath() + "?" + q.Encode(), nil
}

// pushManifest stores a manifest under a tag or its digest.
func (c *conn) pushManifest(repository, reference string, m []byte) error {
	_, err := c.expect(http.StatusCreated, "PUT", "/v2/"+repository+"/manifests/"+reference, manifestType, m)
	return err
}

// get returns the body of a GET.
func (c *conn) get(path string) ([]byte, error) {
	var b bytes.Buffer
	if _, err := c.getTo(&b, path); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// getTo copies the body of a GET into w and returns its length.
func (c *conn) getTo(w io.Writer, path string) (int64, error) {
	c.sink = w
	defer func() { c.sink = nil }()
	r, err := c.expect(http.StatusOK, "GET", path, "")
	return r.length, err
}
