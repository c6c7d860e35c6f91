package kms

import (
	"context"

	"github.com/coffer-registry/coffer/internal/keymaterial"
)

// usedFor finds a key and its material for one operation; an empty usage is whichever the key has.
func (k *Keys) usedFor(ctx context.Context, op Operation, keyARN, usage string) (Key, keymaterial.Material, error) {
	s, err := k.standingOf(ctx, keyARN)
	if err != nil {
		return Key{}, keymaterial.Material{}, err
	}
	if usage == "" {
		usage = s.key.Usage
	}
	if err := s.key.Usable(op, usage); err != nil {
		return Key{}, keymaterial.Material{}, err
	}
	m, err := k.material(ctx, s, s.key.Current)
	return s.key, m.material, err
}

// use runs a cryptographic operation with the material of a key, and notes that the key was used.
func (k *Keys) use(ctx context.Context, op Operation, keyARN, usage string, fn func(keymaterial.Material) error) error {
	key, m, err := k.usedFor(ctx, op, keyARN, usage)
	if err != nil {
		return err
	}
	if err := fn(m); err != nil {
		return refusal(key, err)
	}
	k.used.note(key.ID, op, k.now())
	return nil
}

// Message is what is signed or verified: a message of at most 4096 bytes or its digest, and the algorithm, by the names of the
// API.
type Message struct {
	Algorithm string
	// Type is RAW or DIGEST; empty is RAW.
	Type string
	Text []byte
}

// Sign signs a message by the private key of a pair. Whoever asks must have been authorised. The error is *Error.
func (k *Keys) Sign(ctx context.Context, keyARN string, message Message) (signature []byte, err error) {
	err = k.use(ctx, Sign, keyARN, UsageSign, func(m keymaterial.Material) (err error) {
		signature, err = m.Sign(message.Algorithm, message.Type, message.Text)
		return err
	})
	return signature, err
}

// Verify refuses a signature that is not one of the message by the key. The error is *Error.
func (k *Keys) Verify(ctx context.Context, keyARN string, message Message, signature []byte) error {
	return k.use(ctx, Verify, keyARN, UsageSign, func(m keymaterial.Material) error {
		return m.Verify(message.Algorithm, message.Type, message.Text, signature)
	})
}

// PublicKey returns the public key of a pair as SubjectPublicKeyInfo in DER. The error is *Error.
func (k *Keys) PublicKey(ctx context.Context, keyARN string) (der []byte, err error) {
	key, m, err := k.usedFor(ctx, GetPublicKey, keyARN, "")
	if err != nil {
		return nil, err
	}
	if !keymaterial.Spec(key.Spec).HasPublicKey() {
		return nil, Errorf(CodeUnsupportedOperation, "%s key spec is %s which is not valid for GetPublicKey.", key.ARN, key.Spec)
	}
	return m.PublicKeyDER()
}
