package client

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// Blob is a layer or a config.
type Blob struct {
	Digest string
	Bytes  []byte
}

func NewBlob(b []byte) Blob { return Blob{coffertest.Digest(b), b} }

// RandomBlob makes a layer of bytes that don't compress.
func RandomBlob(r *rand.Rand, size int) Blob {
	b := make([]byte, size+8)
	for i := 0; i < size; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return NewBlob(b[:size])
}

// LayerSize draws a size: most layers are small, some just around the size of a sealed chunk, a few large.
func LayerSize(r *rand.Rand) int {
	switch n := r.IntN(20); {
	case n < 10:
		return 1 + r.IntN(4<<10)
	case n < 14:
		return 64<<10 - 2 + r.IntN(5)
	case n < 19:
		return 1 + r.IntN(300<<10)
	}
	return 1<<20 + r.IntN(2<<20)
}

// CommonLayers are pushed by everyone into every repository, as base images are.
func CommonLayers(r *rand.Rand, n int) []Blob {
	layers := make([]Blob, n)
	for i := range layers {
		layers[i] = RandomBlob(r, LayerSize(r))
	}
	return layers
}

// Image is a manifest with what it refers to: blobs, or as an index the images of the same repository. It never changes.
type Image struct {
	Digest    string
	MediaType string
	Manifest  []byte
	Blobs     []Blob
	Children  []*Image
}

// NewImage makes an image that no other is equal to.
func NewImage(name string, layers []Blob) *Image {
	config := NewBlob(fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","author":%q}`, name))
	bytes := make([][]byte, len(layers))
	for i, l := range layers {
		bytes[i] = l.Bytes
	}
	manifest := coffertest.Manifest(config.Bytes, nil, bytes...)
	return &Image{Digest: coffertest.Digest(manifest), MediaType: coffertest.ManifestType, Manifest: manifest, Blobs: append([]Blob{config}, layers...)}
}

// NewIndex makes an index of images.
func NewIndex(name string, children []*Image) *Image {
	list := []coffertest.Descriptor{}
	for _, c := range children {
		list = append(list, coffertest.Describe(coffertest.ManifestType, c.Manifest))
	}
	// Texts and numbers always encode.
	manifest, _ := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": coffertest.IndexType, "manifests": list,
		"annotations": map[string]string{"name": name}})
	return &Image{Digest: coffertest.Digest(manifest), MediaType: coffertest.IndexType, Manifest: manifest, Children: children}
}
