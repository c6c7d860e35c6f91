// Package keymaterial is the cryptography of the keys of KMS: which specs of keys there are and what each can do, their secret
// material, and encrypting, signing and authenticating with it. It also opens material that a customer wrapped to import it.
//
// Material never prints. A ciphertext of symmetric material says itself by which key and material it was made; every message has a
// key of its own, derived from the material and a random salt, so that no number of messages wears a key out. docs/format.md is the
// normative description, with vectors. All but what needs SHA-1 works where FIPS 140-3 is enforced; that is refused there in clear words.
//
// Not its job: where material is kept and how it is wrapped there, who may use it, and the states of keys.
package keymaterial

import (
	"crypto/fips140"
	"errors"
	"fmt"
	"slices"
)

// Errors of this package. They say what was wrong with what was given, and nothing of the material.
var (
	// ErrUnsupported means that there is no such spec, or that the material can't do what was asked.
	ErrUnsupported = errors.New("unsupported")
	// ErrEnforced means that an algorithm is one of those which FIPS 140-3 forbids, where it is enforced.
	ErrEnforced = errors.New("forbidden while FIPS 140-3 is enforced")
	// ErrMaterial means that bytes are no material of the spec.
	ErrMaterial = errors.New("invalid key material")
	// ErrMessage means that a message or digest does not have a length that the algorithm takes.
	ErrMessage = errors.New("invalid message")
	// ErrCiphertext means that a ciphertext does not open: it was altered, or key or context are not those of then.
	ErrCiphertext = errors.New("invalid ciphertext")
	// ErrSignature means that a signature is not one of the message.
	ErrSignature = errors.New("invalid signature")
	// ErrMac means that an authentication code is not that of the message.
	ErrMac = errors.New("invalid message authentication code")
)

// Spec is the kind of a key, by its name in the API.
type Spec string

// The specs of keys that can be made.
const (
	SymmetricDefault Spec = "SYMMETRIC_DEFAULT"
	HMAC224          Spec = "HMAC_224"
	HMAC256          Spec = "HMAC_256"
	HMAC384          Spec = "HMAC_384"
	HMAC512          Spec = "HMAC_512"
	RSA2048          Spec = "RSA_2048"
	RSA3072          Spec = "RSA_3072"
	RSA4096          Spec = "RSA_4096"
	P256             Spec = "ECC_NIST_P256"
	P384             Spec = "ECC_NIST_P384"
	P521             Spec = "ECC_NIST_P521"
	Edwards25519     Spec = "ECC_NIST_EDWARDS25519"
)

// What a key can be for, by the names of the API.
const (
	EncryptDecrypt    = "ENCRYPT_DECRYPT"
	SignVerify        = "SIGN_VERIFY"
	GenerateVerifyMac = "GENERATE_VERIFY_MAC"
)

// The algorithms that can be used with keys, by their names in the API.
const (
	Symmetric       = "SYMMETRIC_DEFAULT"
	OAEPSHA1        = "RSAES_OAEP_SHA_1"
	OAEPSHA256      = "RSAES_OAEP_SHA_256"
	PSSSHA256       = "RSASSA_PSS_SHA_256"
	PSSSHA384       = "RSASSA_PSS_SHA_384"
	PSSSHA512       = "RSASSA_PSS_SHA_512"
	PKCS1SHA256     = "RSASSA_PKCS1_V1_5_SHA_256"
	PKCS1SHA384     = "RSASSA_PKCS1_V1_5_SHA_384"
	PKCS1SHA512     = "RSASSA_PKCS1_V1_5_SHA_512"
	ECDSASHA256     = "ECDSA_SHA_256"
	ECDSASHA384     = "ECDSA_SHA_384"
	ECDSASHA512     = "ECDSA_SHA_512"
	Ed25519SHA512   = "ED25519_SHA_512"
	Ed25519PHSHA512 = "ED25519_PH_SHA_512"
	HMACSHA224      = "HMAC_SHA_224"
	HMACSHA256      = "HMAC_SHA_256"
	HMACSHA384      = "HMAC_SHA_384"
	HMACSHA512      = "HMAC_SHA_512"
)

// usage is something that a key of a spec can be for, and the algorithms for that as DescribeKey lists them.
type usage struct {
	name       string
	algorithms []string
}

// traits are what is known of a spec.
type traits struct {
	spec Spec
	// size is that of the secret in bytes, or of the modulus in bits for RSA.
	size   int
	usages []usage
}

func rsaUsages() []usage {
	return []usage{
		{EncryptDecrypt, []string{OAEPSHA1, OAEPSHA256}},
		{SignVerify, []string{PKCS1SHA256, PKCS1SHA384, PKCS1SHA512, PSSSHA256, PSSSHA384, PSSSHA512}},
	}
}

// specs are all that can be made. Those of the API that are missing are refused: no curve secp256k1, SM2 or ML-DSA is to be had
// in a validated module.
var specs = []traits{
	{SymmetricDefault, 32, []usage{{EncryptDecrypt, []string{Symmetric}}}},
	{HMAC224, 28, []usage{{GenerateVerifyMac, []string{HMACSHA224}}}},
	{HMAC256, 32, []usage{{GenerateVerifyMac, []string{HMACSHA256}}}},
	{HMAC384, 48, []usage{{GenerateVerifyMac, []string{HMACSHA384}}}},
	{HMAC512, 64, []usage{{GenerateVerifyMac, []string{HMACSHA512}}}},
	{RSA2048, 2048, rsaUsages()},
	{RSA3072, 3072, rsaUsages()},
	{RSA4096, 4096, rsaUsages()},
	{P256, 32, []usage{{SignVerify, []string{ECDSASHA256}}}},
	{P384, 48, []usage{{SignVerify, []string{ECDSASHA384}}}},
	{P521, 66, []usage{{SignVerify, []string{ECDSASHA512}}}},
	{Edwards25519, 32, []usage{{SignVerify, []string{Ed25519PHSHA512, Ed25519SHA512}}}},
}

// Specs are those of the keys that can be made.
func Specs() []Spec {
	all := make([]Spec, len(specs))
	for i, t := range specs {
		all[i] = t.spec
	}
	return all
}

func (s Spec) traits() (traits, error) {
	if i := slices.IndexFunc(specs, func(t traits) bool { return t.spec == s }); i >= 0 {
		return specs[i], nil
	}
	return traits{}, fmt.Errorf("%w: keys of the spec %q can't be made", ErrUnsupported, string(s))
}

// Check returns ErrUnsupported for a spec of which no keys can be made.
func (s Spec) Check() error {
	_, err := s.traits()
	return err
}

// Usages are what keys of the spec can be for; none for a spec that is not supported.
func (s Spec) Usages() []string {
	t, _ := s.traits()
	var all []string
	for _, u := range t.usages {
		all = append(all, u.name)
	}
	return all
}

// DefaultUsage is what a key is for when nothing is said: the API lets only symmetric keys be made so, and it is empty for all
// others.
func (s Spec) DefaultUsage() string {
	if s == SymmetricDefault {
		return EncryptDecrypt
	}
	return ""
}

// Algorithms are those that keys of the spec and the usage work with, in the order of DescribeKey. Those that are forbidden here
// are left out.
func (s Spec) Algorithms(use string) []string {
	t, _ := s.traits()
	i := slices.IndexFunc(t.usages, func(u usage) bool { return u.name == use })
	if i < 0 {
		return nil
	}
	all := slices.Clone(t.usages[i].algorithms)
	if fips140.Enforced() {
		all = slices.DeleteFunc(all, needsSHA1)
	}
	return all
}

// HasPublicKey reports whether keys of the spec are pairs.
func (s Spec) HasPublicKey() bool {
	switch s {
	case RSA2048, RSA3072, RSA4096, P256, P384, P521, Edwards25519:
		return true
	}
	return false
}

// needsSHA1 reports whether an algorithm is one of those that can't be had where FIPS 140-3 is enforced.
func needsSHA1(algorithm string) bool { return algorithm == OAEPSHA1 || algorithm == WrapAESSHA1 }

// checkAlgorithm refuses an algorithm that is not one of the usage for the spec. The errors are ErrUnsupported and ErrEnforced.
func (s Spec) checkAlgorithm(use, algorithm string) error {
	t, err := s.traits()
	if err != nil {
		return err
	}
	known := slices.ContainsFunc(t.usages, func(u usage) bool { return u.name == use && slices.Contains(u.algorithms, algorithm) })
	if !known {
		return fmt.Errorf("%w: algorithm %s is incompatible with key spec %s", ErrUnsupported, algorithm, s)
	}
	return checkEnforced(algorithm)
}

func checkEnforced(algorithm string) error {
	if needsSHA1(algorithm) && fips140.Enforced() {
		return fmt.Errorf("algorithm %s uses SHA-1, which is %w", algorithm, ErrEnforced)
	}
	return nil
}
