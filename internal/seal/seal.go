// Package seal is the encrypted form of objects and of short texts.
//
// An object is a header and chunks of 64 KiB, each encrypted and authenticated with AES-256-GCM under the object's own
// data key and bound to the object, to its place and to whether it is the last. So any byte that is flipped, moved, cut off
// or added is found before what it stands for is given out, and any range can be read without the rest. docs/format.md is
// the normative description, with vectors.
//
// Under a key of two layers each chunk is encrypted twice, and the object is of the second version of the format.
//
// Only nonces that the standard library draws at random are used, which its FIPS 140-3 module insists on.
//
// Not its job: where keys come from and how they are wrapped, and where the sealed bytes are kept.
package seal

import (
	"encoding/binary"
	"errors"
	"sync"
)

const (
	// ChunkSize is how many bytes of plaintext a chunk holds; only the last may hold fewer.
	ChunkSize = 64 << 10

	headerSize    = 32
	nonceSize     = 12
	tagSize       = 16
	chunkOverhead = nonceSize + tagSize // of one layer
	maxLayers     = 2

	// batchChunks is how many chunks are moved at once between memory and the object.
	batchChunks = 4
	batchSize   = headerSize + batchChunks*(ChunkSize+maxLayers*chunkOverhead)
)

// Errors of this package.
var (
	// ErrAltered means that sealed bytes are not what was written under this key, for this object, at this place.
	ErrAltered = errors.New("sealed data was altered, cut short or belongs elsewhere")
	// ErrFormat means that an object doesn't begin as one of the version does that its key is for.
	ErrFormat = errors.New("not a sealed object of a known version")
)

// ObjectID is what an object's chunks are bound to. An id is used for one object only.
type ObjectID [16]byte

// magic begins every object; the byte behind it is the version of the format, which is the number of layers.
var magic = [7]byte{'c', 'o', 'f', 'f', 'e', 'r', 0}

func appendHeader(b []byte, id ObjectID, layers int) []byte {
	b = append(append(b, magic[:]...), byte(layers))
	b = append(b, id[:]...)
	b = binary.BigEndian.AppendUint32(b, ChunkSize)
	return binary.BigEndian.AppendUint32(b, 0)
}

// checkHeader fails with ErrFormat or, if the header is that of another object, with ErrAltered. An object has as many
// layers as its key.
func checkHeader(h []byte, id ObjectID, layers int) error {
	if [7]byte(h[:7]) != magic || int(h[7]) != layers || binary.BigEndian.Uint32(h[24:]) != ChunkSize || binary.BigEndian.Uint32(h[28:]) != 0 {
		return ErrFormat
	}
	if ObjectID(h[8:24]) != id {
		return ErrAltered
	}
	return nil
}

// place is the additional data that binds a chunk: object id ‖ index ‖ whether it is the last.
type place [25]byte

func newPlace(id ObjectID) (p place) {
	copy(p[:], id[:])
	return p
}

func (p *place) at(index int64, final bool) []byte {
	binary.BigEndian.PutUint64(p[16:], uint64(index))
	p[24] = 0
	if final {
		p[24] = 1
	}
	return p[:]
}

// sealedSize is the length of a sealed object that holds size bytes in chunks of so much overhead.
func sealedSize(size, overhead int64) int64 {
	return headerSize + size + chunks(size)*overhead
}

// chunks is how many chunks hold size bytes: an empty object has one, which is empty.
func chunks(size int64) int64 { return max(1, (size+ChunkSize-1)/ChunkSize) }

// plainSize is the inverse of sealedSize. ok is false if no object has that length.
func plainSize(sealed, overhead int64) (size int64, ok bool) {
	body := sealed - headerSize
	if body < overhead {
		return 0, false
	}
	full, rest := body/(ChunkSize+overhead), body%(ChunkSize+overhead)
	size = full * ChunkSize
	if rest > 0 {
		size += rest - overhead
	}
	return size, sealedSize(size, overhead) == sealed
}

// The buffers are large enough to be worth keeping.
var (
	batches = sync.Pool{New: func() any { return new([batchSize]byte) }}
	texts   = sync.Pool{New: func() any { return new([batchChunks * ChunkSize]byte) }}
	pending = sync.Pool{New: func() any { return new([ChunkSize]byte) }}
)
