package crash

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// blob is a layer or a config.
type blob struct {
	digest string
	bytes  []byte
}

func newBlob(b []byte) blob { return blob{coffertest.Digest(b), b} }

// randomBlob makes a layer of bytes that don't compress.
func randomBlob(r *rand.Rand, size int) blob {
	b := make([]byte, size+8)
	for i := 0; i < size; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return newBlob(b[:size])
}

// layerSize draws a size: most layers are small, some just around the size of a sealed chunk, a few large.
func layerSize(r *rand.Rand) int {
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

// commonLayers are pushed by everyone into every repository, as base images are.
func commonLayers(r *rand.Rand, n int) []blob {
	layers := make([]blob, n)
	for i := range layers {
		layers[i] = randomBlob(r, layerSize(r))
	}
	return layers
}

// image is a manifest with what it refers to: blobs, or as an index the images of the same repository. It never changes.
type image struct {
	digest    string
	mediaType string
	manifest  []byte
	blobs     []blob
	children  []*image
}

// newImage makes an image that no other is equal to.
func newImage(name string, layers []blob) *image {
	config := newBlob(fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","author":%q}`, name))
	bytes := make([][]byte, len(layers))
	for i, l := range layers {
		bytes[i] = l.bytes
	}
	manifest := coffertest.Manifest(config.bytes, nil, bytes...)
	return &image{digest: coffertest.Digest(manifest), mediaType: coffertest.ManifestType, manifest: manifest, blobs: append([]blob{config}, layers...)}
}

// newIndex makes an index of images.
func newIndex(name string, children []*image) *image {
	list := []coffertest.Descriptor{}
	for _, c := range children {
		list = append(list, coffertest.Describe(coffertest.ManifestType, c.manifest))
	}
	// Texts and numbers always encode.
	manifest, _ := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": coffertest.IndexType, "manifests": list,
		"annotations": map[string]string{"name": name}})
	return &image{digest: coffertest.Digest(manifest), mediaType: coffertest.IndexType, manifest: manifest, children: children}
}
