package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// KeySize is the length of a key in bytes: AES-256.
const KeySize = 32

// Key is a secret key. It never prints: fmt calls no methods on what an unexported field holds and follows a pointer to a
// struct, so there is another pointer before it. The zero value is no key: sealing and opening with it fail.
type Key struct{ material **material }

// material carries the expanded cipher along, because expanding the key costs more than sealing a short text.
type material struct {
	raw  [KeySize]byte
	aead cipher.AEAD
}

// NewKey returns a fresh random key.
func NewKey() Key {
	var raw [KeySize]byte
	rand.Read(raw[:])
	k, err := KeyFromBytes(raw[:])
	if err != nil {
		panic(err) // The length is right, and nothing else can be wrong.
	}
	return k
}

// KeyFromBytes makes a key of its 32 bytes, which it copies.
func KeyFromBytes(raw []byte) (Key, error) {
	if len(raw) != KeySize {
		return Key{}, fmt.Errorf("a key has %d bytes, not %d", KeySize, len(raw))
	}
	m := &material{raw: [KeySize]byte(raw)}
	block, err := aes.NewCipher(m.raw[:])
	if err != nil {
		return Key{}, err
	}
	if m.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return Key{}, err
	}
	return Key{&m}, nil
}

var errNoKey = errors.New("no key")

func (k Key) cipher() (cipher.AEAD, error) {
	if k.material == nil {
		return nil, errNoKey
	}
	return (*k.material).aead, nil
}

// Bytes returns a copy of the key, to be wrapped. It is nil for the zero value.
func (k Key) Bytes() []byte {
	if k.material == nil {
		return nil
	}
	return append([]byte(nil), (*k.material).raw[:]...)
}

// Equal compares in constant time. The zero value equals nothing.
func (k Key) Equal(other Key) bool {
	return k.material != nil && other.material != nil && subtle.ConstantTimeCompare((*k.material).raw[:], (*other.material).raw[:]) == 1
}

const redacted = "[key]"

// String hides the key.
func (Key) String() string { return redacted }

// GoString hides the key.
func (Key) GoString() string { return redacted }

// Format hides the key from every verb.
func (Key) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue hides the key.
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the key.
func (Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// SealBytes encrypts a short text: nonce ‖ ciphertext ‖ tag. aad says what the text is; OpenBytes needs the same.
func SealBytes(key Key, aad, plaintext []byte) ([]byte, error) {
	aead, err := key.cipher()
	if err != nil {
		return nil, err
	}
	return aead.Seal(make([]byte, 0, len(plaintext)+chunkOverhead), nil, plaintext, aad), nil
}

// OpenBytes decrypts what SealBytes made. The error is ErrAltered if key, aad or text are not those of then.
func OpenBytes(key Key, aad, sealed []byte) ([]byte, error) {
	aead, err := key.cipher()
	if err != nil {
		return nil, err
	}
	if len(sealed) < chunkOverhead {
		return nil, ErrAltered
	}
	plaintext, err := aead.Open(make([]byte, 0, len(sealed)-chunkOverhead), nil, sealed, aad)
	if err != nil {
		return nil, ErrAltered
	}
	return plaintext, nil
}
