package keymaterial

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

// Header says by which key and which of its material a ciphertext was made.
type Header struct {
	// KeyID are the bytes of the UUID that the key's id is.
	KeyID [16]byte
	// MaterialID is that of the material.
	MaterialID [32]byte
}

// MaxPlaintext is how many bytes a message may have, and MaxBlob how many a ciphertext may.
const (
	MaxPlaintext = 4096
	MaxBlob      = 6144
)

const (
	blobVersion = 1
	saltSize    = 16
	headerSize  = 1 + 16 + 32 + saltSize
	nonceSize   = 12
	tagSize     = 16
	// Overhead is how many bytes a ciphertext has more than its message.
	Overhead = headerSize + nonceSize + tagSize
)

// Encrypt encrypts a message of at most MaxPlaintext bytes by symmetric material: version ‖ key id ‖ material id ‖ salt ‖ nonce ‖
// ciphertext ‖ tag. Decrypt needs the same context. The errors are ErrUnsupported and ErrMessage.
func Encrypt(m Material, h Header, plaintext []byte, context map[string]string) ([]byte, error) {
	if len(plaintext) > MaxPlaintext {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrMessage, MaxPlaintext)
	}
	blob := make([]byte, 0, Overhead+len(plaintext))
	blob = append(blob, blobVersion)
	blob = append(blob, h.KeyID[:]...)
	blob = append(blob, h.MaterialID[:]...)
	blob = blob[:headerSize]
	rand.Read(blob[headerSize-saltSize:])
	aead, err := m.messageCipher(blob[headerSize-saltSize:])
	if err != nil {
		return nil, err
	}
	return aead.Seal(blob, nil, plaintext, additionalData(blob, context)), nil
}

// ParseBlob returns what a ciphertext says of itself, which only Decrypt proves. The error is ErrCiphertext.
func ParseBlob(blob []byte) (Header, error) {
	if len(blob) < Overhead || len(blob) > MaxBlob || blob[0] != blobVersion {
		return Header{}, ErrCiphertext
	}
	return Header{KeyID: [16]byte(blob[1:17]), MaterialID: [32]byte(blob[17:49])}, nil
}

// Decrypt opens what Encrypt made of the same material and context. The errors are ErrUnsupported, and ErrCiphertext for all that
// is wrong with the rest.
func Decrypt(m Material, blob []byte, context map[string]string) ([]byte, error) {
	if _, err := ParseBlob(blob); err != nil {
		return nil, err
	}
	header, sealed := blob[:headerSize], blob[headerSize:]
	aead, err := m.messageCipher(header[headerSize-saltSize:])
	if err != nil {
		return nil, err
	}
	plaintext, err := aead.Open(make([]byte, 0, len(sealed)-nonceSize-tagSize), nil, sealed, additionalData(header, context))
	if err != nil {
		return nil, ErrCiphertext
	}
	return plaintext, nil
}

// messageCipher is that of one message.
func (m Material) messageCipher(salt []byte) (cipher.AEAD, error) {
	s, err := m.of(EncryptDecrypt, Symmetric)
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Key(sha256.New, s.raw, salt, "coffer kms message key", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	clear(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// additionalData is what a message is bound to: the pairs of the context in the order of their keys, each text after its length,
// and the header, whose length is always the same.
func additionalData(header []byte, context map[string]string) []byte {
	size := 4 + len(header)
	for key, value := range context {
		size += 8 + len(key) + len(value)
	}
	data := binary.BigEndian.AppendUint32(make([]byte, 0, size), uint32(len(context)))
	for _, key := range slices.Sorted(maps.Keys(context)) {
		data = append(binary.BigEndian.AppendUint32(data, uint32(len(key))), key...)
		data = append(binary.BigEndian.AppendUint32(data, uint32(len(context[key]))), context[key]...)
	}
	return append(data, header...)
}
