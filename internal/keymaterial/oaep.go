package keymaterial

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"hash"
)

// oaepHash is that of an algorithm of encryption or of wrapping by RSA.
func oaepHash(algorithm string) func() hash.Hash {
	if needsSHA1(algorithm) {
		return sha1.New
	}
	return sha256.New
}

// EncryptAsymmetric encrypts a message by the public key of RSA material. The errors are ErrUnsupported, ErrEnforced, and
// ErrMessage if the message is longer than algorithm and key allow.
func (m Material) EncryptAsymmetric(algorithm string, plaintext []byte) ([]byte, error) {
	private, err := m.rsa(algorithm)
	if err != nil {
		return nil, err
	}
	newHash := oaepHash(algorithm)
	if most := private.Size() - 2*newHash().Size() - 2; len(plaintext) > most {
		return nil, fmt.Errorf("%w: algorithm %s and key spec %s encrypt at most %d bytes", ErrMessage, algorithm, m.Spec(), most)
	}
	ciphertext, err := rsa.EncryptOAEP(newHash(), rand.Reader, &private.PublicKey, plaintext, nil)
	if err != nil {
		return nil, fmt.Errorf("encrypt by %s: %w", algorithm, err)
	}
	return ciphertext, nil
}

// DecryptAsymmetric opens what was encrypted by the public key of RSA material. The errors are ErrUnsupported, ErrEnforced and
// ErrCiphertext.
func (m Material) DecryptAsymmetric(algorithm string, ciphertext []byte) ([]byte, error) {
	private, err := m.rsa(algorithm)
	if err != nil {
		return nil, err
	}
	return openOAEP(private, algorithm, ciphertext)
}

func openOAEP(private *rsa.PrivateKey, algorithm string, ciphertext []byte) ([]byte, error) {
	plaintext, err := rsa.DecryptOAEP(oaepHash(algorithm)(), nil, private, ciphertext, nil)
	if err != nil {
		return nil, ErrCiphertext
	}
	return plaintext, nil
}

// rsa is the private key of material that an algorithm of encryption by RSA is for.
func (m Material) rsa(algorithm string) (*rsa.PrivateKey, error) {
	s, err := m.of(EncryptDecrypt, algorithm)
	if err != nil {
		return nil, err
	}
	private, ok := s.private.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%w: algorithm %s is incompatible with key spec %s", ErrUnsupported, algorithm, s.spec)
	}
	return private, nil
}
