package seal

import "crypto/cipher"

// layered encrypts twice, under keys that are independent of each other. Both layers are bound to the same additional data.
type layered struct{ inner, outer cipher.AEAD }

// NonceSize is 0: each layer draws its own nonces.
func (l *layered) NonceSize() int { return 0 }

// Overhead is that of both layers.
func (l *layered) Overhead() int { return l.inner.Overhead() + l.outer.Overhead() }

// Seal appends plaintext, sealed twice, to dst.
func (l *layered) Seal(dst, _, plaintext, aad []byte) []byte {
	between := texts.Get().(*[batchChunks * ChunkSize]byte)
	defer texts.Put(between)
	return l.outer.Seal(dst, nil, l.inner.Seal(between[:0], nil, plaintext, aad), aad)
}

// Open appends to dst what Seal was given.
func (l *layered) Open(dst, _, sealed, aad []byte) ([]byte, error) {
	between := texts.Get().(*[batchChunks * ChunkSize]byte)
	defer texts.Put(between)
	once, err := l.outer.Open(between[:0], nil, sealed, aad)
	if err != nil {
		return nil, err
	}
	return l.inner.Open(dst, nil, once, aad)
}
