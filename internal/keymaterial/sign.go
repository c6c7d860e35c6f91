package keymaterial

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // crypto.SHA224 and crypto.SHA256
	_ "crypto/sha512" // crypto.SHA384 and crypto.SHA512
	"crypto/x509"
	"fmt"
)

// How a message to be signed is given, by the names of the API.
const (
	Raw    = "RAW"
	Digest = "DIGEST"
)

// MaxMessage is how many bytes a message that is signed or authenticated may have.
const MaxMessage = 4096

// scheme is how an algorithm signs.
type scheme struct {
	hash crypto.Hash
	pss  bool
	// only is the one way in which the message can be given; empty if both can be.
	only string
}

func schemeOf(algorithm string) scheme {
	switch algorithm {
	case PSSSHA256:
		return scheme{hash: crypto.SHA256, pss: true}
	case PSSSHA384:
		return scheme{hash: crypto.SHA384, pss: true}
	case PSSSHA512:
		return scheme{hash: crypto.SHA512, pss: true}
	case PKCS1SHA256, ECDSASHA256:
		return scheme{hash: crypto.SHA256}
	case PKCS1SHA384, ECDSASHA384:
		return scheme{hash: crypto.SHA384}
	case PKCS1SHA512, ECDSASHA512:
		return scheme{hash: crypto.SHA512}
	case Ed25519SHA512:
		return scheme{only: Raw}
	case Ed25519PHSHA512:
		return scheme{hash: crypto.SHA512, only: Digest}
	}
	return scheme{}
}

// toSign is what the scheme signs of a message. The error is ErrMessage.
func (s scheme) toSign(algorithm, messageType string, message []byte) ([]byte, error) {
	if messageType == "" {
		messageType = Raw
	}
	switch {
	case messageType != Raw && messageType != Digest:
		return nil, fmt.Errorf("%w: message type %s is not supported", ErrMessage, messageType)
	case s.only != "" && messageType != s.only:
		return nil, fmt.Errorf("%w: algorithm %s requires the message type %s", ErrMessage, algorithm, s.only)
	case len(message) > MaxMessage:
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrMessage, MaxMessage)
	case messageType == Raw && s.hash == 0:
		return message, nil
	case messageType == Raw:
		h := s.hash.New()
		h.Write(message)
		return h.Sum(nil), nil
	case len(message) != s.hash.Size():
		return nil, fmt.Errorf("%w: digest is invalid length for algorithm %s", ErrMessage, algorithm)
	}
	return message, nil
}

// Sign signs a message, given Raw or as its Digest. Signatures by RSA are as PKCS #1 has them, with a salt as long as the hash for
// PSS; those by ECDSA are in DER. The errors are ErrUnsupported and ErrMessage.
func (m Material) Sign(algorithm, messageType string, message []byte) ([]byte, error) {
	s, err := m.of(SignVerify, algorithm)
	if err != nil {
		return nil, err
	}
	how := schemeOf(algorithm)
	text, err := how.toSign(algorithm, messageType, message)
	if err != nil {
		return nil, err
	}
	var options crypto.SignerOpts = how.hash
	if how.pss {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: how.hash}
	}
	signature, err := s.private.Sign(rand.Reader, text, options)
	if err != nil {
		return nil, fmt.Errorf("sign by %s: %w", algorithm, err)
	}
	return signature, nil
}

// Verify returns ErrSignature if the signature is not one that Sign makes of the message. The other errors are ErrUnsupported and
// ErrMessage.
func (m Material) Verify(algorithm, messageType string, message, signature []byte) error {
	s, err := m.of(SignVerify, algorithm)
	if err != nil {
		return err
	}
	how := schemeOf(algorithm)
	text, err := how.toSign(algorithm, messageType, message)
	if err != nil {
		return err
	}
	var valid bool
	switch public := s.private.Public().(type) {
	case *rsa.PublicKey:
		if how.pss {
			valid = rsa.VerifyPSS(public, how.hash, text, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		} else {
			valid = rsa.VerifyPKCS1v15(public, how.hash, text, signature) == nil
		}
	case *ecdsa.PublicKey:
		valid = ecdsa.VerifyASN1(public, text, signature)
	case ed25519.PublicKey:
		valid = ed25519.VerifyWithOptions(public, text, signature, &ed25519.Options{Hash: how.hash}) == nil
	}
	if !valid {
		return ErrSignature
	}
	return nil
}

// PublicKeyDER is the public key as SubjectPublicKeyInfo in DER. The error is ErrUnsupported.
func (m Material) PublicKeyDER() ([]byte, error) {
	if !m.Spec().HasPublicKey() {
		return nil, fmt.Errorf("%w: keys of spec %s have no public key", ErrUnsupported, m.Spec())
	}
	der, err := x509.MarshalPKIXPublicKey((*m.secret).private.Public())
	if err != nil {
		return nil, fmt.Errorf("encode a public key: %w", err)
	}
	return der, nil
}
