// Package keymaterial is a stand-in.
package keymaterial

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
)

type Spec string
type Material struct{ raw []byte }
type Header struct {
	KeyID      [16]byte
	MaterialID [32]byte
}

func Generate(s Spec) (Material, error) {
	m := Material{make([]byte, 32)}
	rand.Read(m.raw)
	return m, nil
}
func FromBytes(s Spec, raw []byte) (Material, error) { return Material{slices.Clone(raw)}, nil }
func (m Material) Bytes() []byte                     { return slices.Clone(m.raw) }
func (m Material) ID() [32]byte                      { return sha256.Sum256(m.raw) }
func aad(h []byte, c map[string]string) []byte {
	for _, k := range slices.Sorted(maps.Keys(c)) {
		h = append(append(append(append(h, byte(len(k))), k...), byte(len(c[k]))), c[k]...)
	}
	return h
}
func Encrypt(m Material, h Header, p []byte, c map[string]string) ([]byte, error) {
	b, _ := aes.NewCipher(m.raw)
	g, _ := cipher.NewGCMWithRandomNonce(b)
	head := append(append([]byte{1}, h.KeyID[:]...), h.MaterialID[:]...)
	return append(slices.Clone(head), g.Seal(nil, nil, p, aad(slices.Clone(head), c))...), nil
}
func ParseBlob(b []byte) (h Header, err error) {
	if len(b) < 77 || b[0] != 1 {
		return h, errors.New("x")
	}
	copy(h.KeyID[:], b[1:])
	copy(h.MaterialID[:], b[17:])
	return h, nil
}
func Decrypt(m Material, b []byte, c map[string]string) ([]byte, error) {
	k, _ := aes.NewCipher(m.raw)
	g, _ := cipher.NewGCMWithRandomNonce(k)
	return g.Open(nil, nil, b[49:], aad(slices.Clone(b[:49]), c))
}
