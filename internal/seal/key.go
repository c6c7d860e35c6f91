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

const (
	// KeySize is the length of a key in bytes: AES-256.
	KeySize = 32
	// PairSize is the length in bytes of a key of two layers.
	PairSize = 2 * KeySize
)

// Key is a secret key. It never prints: fmt calls no methods on what an unexported field holds and follows a pointer to a
// struct, so there is another pointer before it. The zero value is no key: sealing and opening with it fail.
//
// A key of two layers is two independent keys: what it seals is encrypted and authenticated under the first, and the
// result again under the second.
type Key struct{ material **material }

// material carries the expanded cipher along, because expanding the key costs more than sealing a short text.
type material struct {
	raw  []byte
	aead cipher.AEAD
}

// NewKey returns a fresh random key.
func NewKey() Key { return newKey(KeySize) }

// NewPair returns a fresh random key of two layers.
func NewPair() Key { return newKey(PairSize) }

func newKey(size int) Key {
	raw := make([]byte, size)
	rand.Read(raw)
	k, err := KeyFromBytes(raw)
	if err != nil {
		panic(err) // The length is right, and nothing else can be wrong.
	}
	return k
}

// KeyFromBytes makes a key of its 32 bytes, or one of two layers of its 64. It copies them.
func KeyFromBytes(raw []byte) (Key, error) {
	if len(raw) != KeySize && len(raw) != PairSize {
		return Key{}, fmt.Errorf("a key has %d or %d bytes, not %d", KeySize, PairSize, len(raw))
	}
	m := &material{raw: append([]byte(nil), raw...)}
	inner, err := newAEAD(m.raw[:KeySize])
	if err != nil {
		return Key{}, err
	}
	m.aead = inner
	if len(raw) == PairSize {
		outer, err := newAEAD(m.raw[KeySize:])
		if err != nil {
			return Key{}, err
		}
		m.aead = &layered{inner, outer}
	}
	return Key{&m}, nil
}

func newAEAD(raw []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Pair makes of two keys one of two layers, of which inner is applied first. The error is that of a key that is none or has
// two layers already.
func Pair(inner, outer Key) (Key, error) {
	if len(inner.Bytes()) != KeySize || len(outer.Bytes()) != KeySize {
		return Key{}, errors.New("two keys of one layer make one of two")
	}
	return KeyFromBytes(append(inner.Bytes(), outer.Bytes()...))
}

// Layers is how often the key encrypts: 1, 2, or 0 for no key.
func (k Key) Layers() int {
	if k.material == nil {
		return 0
	}
	return len((*k.material).raw) / KeySize
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
	return append([]byte(nil), (*k.material).raw...)
}

// Equal compares in constant time. The zero value equals nothing.
func (k Key) Equal(other Key) bool {
	return k.material != nil && other.material != nil && subtle.ConstantTimeCompare((*k.material).raw, (*other.material).raw) == 1
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

// SealBytes encrypts a short text: nonce ‖ ciphertext ‖ tag, and with a key of two layers this as the text again. aad says what the text is; OpenBytes needs the same.
func SealBytes(key Key, aad, plaintext []byte) ([]byte, error) {
	aead, err := key.cipher()
	if err != nil {
		return nil, err
	}
	return aead.Seal(make([]byte, 0, len(plaintext)+aead.Overhead()), nil, plaintext, aad), nil
}

// OpenBytes decrypts what SealBytes made. The error is ErrAltered if key, aad or text are not those of then.
func OpenBytes(key Key, aad, sealed []byte) ([]byte, error) {
	aead, err := key.cipher()
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.Overhead() {
		return nil, ErrAltered
	}
	plaintext, err := aead.Open(make([]byte, 0, len(sealed)-aead.Overhead()), nil, sealed, aad)
	if err != nil {
		return nil, ErrAltered
	}
	return plaintext, nil
}
