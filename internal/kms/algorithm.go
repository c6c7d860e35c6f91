package kms

import (
	"context"
	"errors"

	"github.com/coffer-registry/coffer/internal/keymaterial"
)

// AlgorithmSymmetric is that of symmetric keys.
const AlgorithmSymmetric = keymaterial.Symmetric

// Algorithms are those that the key can be used with.
func (k Key) Algorithms() []string { return keymaterial.Spec(k.Spec).Algorithms(k.Usage) }

// EncryptAsymmetric encrypts a few bytes by the public part of a key, for an operation of the API. Whoever asks must have been
// authorised. The error is *Error.
func (k *Keys) EncryptAsymmetric(ctx context.Context, op Operation, keyARN, algorithm string, plaintext []byte) ([]byte, error) {
	s, m, err := k.asymmetric(ctx, op, keyARN)
	if err != nil {
		return nil, err
	}
	blob, err := m.EncryptAsymmetric(algorithm, plaintext)
	if err != nil {
		return nil, refusal(s.key, err)
	}
	k.used.note(s.key.ID, op, k.now())
	return blob, nil
}

// DecryptAsymmetric opens what was encrypted by the public part of a key, for an operation of the API. Whoever asks must have
// been authorised. The error is *Error.
func (k *Keys) DecryptAsymmetric(ctx context.Context, op Operation, keyARN, algorithm string, blob []byte) ([]byte, error) {
	s, m, err := k.asymmetric(ctx, op, keyARN)
	if err != nil {
		return nil, err
	}
	plaintext, err := m.DecryptAsymmetric(algorithm, blob)
	if err != nil {
		return nil, refusal(s.key, err)
	}
	k.used.note(s.key.ID, op, k.now())
	return plaintext, nil
}

// asymmetric finds the material of a key that encrypts by a public part.
func (k *Keys) asymmetric(ctx context.Context, op Operation, keyARN string) (*standing, keymaterial.Material, error) {
	s, err := k.standingOf(ctx, keyARN)
	if err != nil {
		return nil, keymaterial.Material{}, err
	}
	if err := s.key.Usable(op, UsageEncrypt); err != nil {
		return nil, keymaterial.Material{}, err
	}
	m, err := k.material(ctx, s, s.key.Current)
	return s, m.material, err
}

// refusal is what a client is told of what material refused.
func refusal(key Key, err error) error {
	switch {
	case errors.Is(err, keymaterial.ErrCiphertext):
		return invalidCiphertext()
	case errors.Is(err, keymaterial.ErrSignature):
		return &Error{Code: CodeInvalidSignature}
	case errors.Is(err, keymaterial.ErrMac):
		return &Error{Code: CodeInvalidMac}
	case errors.Is(err, keymaterial.ErrMessage):
		return Errorf(CodeValidation, "%s", err)
	case errors.Is(err, keymaterial.ErrUnsupported), errors.Is(err, keymaterial.ErrEnforced):
		return Errorf(CodeInvalidKeyUsage, "%s: %s", key.ARN, err)
	}
	return err
}
