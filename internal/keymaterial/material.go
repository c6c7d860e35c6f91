package keymaterial

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"io"
	"log/slog"
)

// Material is the secret of a key. It never prints: fmt calls no methods on what an unexported field holds and follows a pointer
// to a struct, so there is another pointer before it. The zero value is no material: all that is done with it fails.
type Material struct{ secret **secret }

// secret carries the parsed key along, because parsing one costs more than using it.
type secret struct {
	spec Spec
	// raw are the bytes of a symmetric or HMAC key, and PKCS #8 in DER of a private key.
	raw []byte
	// private is the parsed private key; nil for symmetric and HMAC keys.
	private crypto.Signer
}

// Generate makes random material. The error is ErrUnsupported.
func Generate(spec Spec) (Material, error) {
	t, err := spec.traits()
	if err != nil {
		return Material{}, err
	}
	if !spec.HasPublicKey() {
		raw := make([]byte, t.size)
		rand.Read(raw)
		return newMaterial(&secret{spec: spec, raw: raw}), nil
	}
	private, err := generatePrivate(t)
	if err != nil {
		return Material{}, fmt.Errorf("make a key of spec %s: %w", spec, err)
	}
	return fromPrivate(spec, private)
}

func generatePrivate(t traits) (crypto.Signer, error) {
	switch t.spec {
	case RSA2048, RSA3072, RSA4096:
		return rsa.GenerateKey(rand.Reader, t.size)
	case Edwards25519:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return ecdsa.GenerateKey(curve(t.spec), rand.Reader)
}

func curve(spec Spec) elliptic.Curve {
	switch spec {
	case P256:
		return elliptic.P256()
	case P384:
		return elliptic.P384()
	case P521:
		return elliptic.P521()
	}
	return nil
}

// FromBytes makes material of what Bytes returned, or of what a customer imports: the bytes of a symmetric or HMAC key in their
// right number, or a private key as PKCS #8 in DER. It copies them. The errors are ErrUnsupported and ErrMaterial.
func FromBytes(spec Spec, raw []byte) (Material, error) {
	t, err := spec.traits()
	if err != nil {
		return Material{}, err
	}
	if spec.HasPublicKey() {
		return parsePrivate(t, raw)
	}
	if len(raw) != t.size {
		return Material{}, fmt.Errorf("%w: material of spec %s has %d bytes", ErrMaterial, spec, t.size)
	}
	return newMaterial(&secret{spec: spec, raw: append([]byte(nil), raw...)}), nil
}

// parsePrivate reads a private key and checks that it is of the spec. What the parser has against it stays inside, since that may
// tell of the secret.
func parsePrivate(t traits, der []byte) (Material, error) {
	var whole asn1.RawValue
	rest, malformed := asn1.Unmarshal(der, &whole)
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil || malformed != nil || len(rest) > 0 {
		return Material{}, fmt.Errorf("%w: it is no private key as PKCS #8 in DER", ErrMaterial)
	}
	var fits bool
	switch key := parsed.(type) {
	case *rsa.PrivateKey:
		fits = key.N.BitLen() == t.size && len(key.Primes) == 2 && key.E == rsaExponent
	case *ecdsa.PrivateKey:
		fits = key.Curve == curve(t.spec)
	case ed25519.PrivateKey:
		fits = t.spec == Edwards25519
	}
	private, ok := parsed.(crypto.Signer)
	if !fits || !ok {
		return Material{}, fmt.Errorf("%w: the private key is not of spec %s", ErrMaterial, t.spec)
	}
	return fromPrivate(t.spec, private)
}

// rsaExponent is the only public exponent that keys may have.
const rsaExponent = 65537

// fromPrivate keeps a private key in its one canonical form, so that equal keys have equal bytes.
func fromPrivate(spec Spec, private crypto.Signer) (Material, error) {
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return Material{}, fmt.Errorf("encode a key of spec %s: %w", spec, err)
	}
	return newMaterial(&secret{spec: spec, raw: raw, private: private}), nil
}

func newMaterial(s *secret) Material { return Material{&s} }

// Spec is the spec of the material; empty for the zero value.
func (m Material) Spec() Spec {
	if m.secret == nil {
		return ""
	}
	return (*m.secret).spec
}

// Bytes returns a copy of the secret, to be wrapped. It is nil for the zero value.
func (m Material) Bytes() []byte {
	if m.secret == nil {
		return nil
	}
	return append([]byte(nil), (*m.secret).raw...)
}

// Equal compares in constant time. The zero value equals nothing.
func (m Material) Equal(other Material) bool {
	return m.secret != nil && other.secret != nil && (*m.secret).spec == (*other.secret).spec &&
		subtle.ConstantTimeCompare((*m.secret).raw, (*other.secret).raw) == 1
}

// ID is the id of material that Generate made: a function of the secret that can't be told from random bytes by who doesn't have
// it. For what a customer imports, which may be easy to guess, it is ImportedID.
func (m Material) ID() [32]byte {
	if m.secret == nil {
		return [32]byte{}
	}
	id, err := hkdf.Key(sha256.New, (*m.secret).raw, nil, "coffer key material id", 32)
	if err != nil {
		panic(err) // The lengths are right, and nothing else can be wrong.
	}
	return [32]byte(id)
}

// ImportedID is the id of imported material: the same for the same material and the same key, which is a secret of at least 16
// bytes. Who doesn't have the key can't test guesses of the material by it. The error is ErrMaterial.
func (m Material) ImportedID(key []byte) ([32]byte, error) {
	if m.secret == nil || len(key) < 16 {
		return [32]byte{}, fmt.Errorf("%w: there is no material, or the key of its id is too short", ErrMaterial)
	}
	mac := hmac.New(sha256.New, key)
	io.WriteString(mac, "coffer imported key material id\x00"+string((*m.secret).spec)+"\x00")
	mac.Write((*m.secret).raw)
	return [32]byte(mac.Sum(nil)), nil
}

const redacted = "[key material]"

// String hides the material.
func (Material) String() string { return redacted }

// GoString hides the material.
func (Material) GoString() string { return redacted }

// Format hides the material from every verb.
func (Material) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue hides the material.
func (Material) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the material.
func (Material) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// of returns the secret of material of one of the specs. The error is ErrUnsupported.
func (m Material) of(use, algorithm string) (*secret, error) {
	if m.secret == nil {
		return nil, fmt.Errorf("%w: there is no material", ErrUnsupported)
	}
	s := *m.secret
	return s, s.spec.checkAlgorithm(use, algorithm)
}
