package kms

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/coffer-registry/coffer/internal/keymaterial"
)

// MaxPlaintext is how many bytes can be encrypted by a key directly.
const MaxPlaintext = 4096

// invalidCiphertext is the refusal of what doesn't open, which says no more.
func invalidCiphertext() *Error { return &Error{Code: CodeInvalidCiphertext} }

// Encrypt encrypts a few bytes, such as a data key, by the current material of a symmetric key. Whoever asks must have been
// authorised. The error is *Error if there is no such key, or if it can't be used as it stands.
func (k *Keys) Encrypt(ctx context.Context, keyARN string, plaintext []byte, c Context) ([]byte, error) {
	blob, _, err := k.EncryptFor(ctx, Encrypt, keyARN, plaintext, c)
	return blob, err
}

// EncryptFor is Encrypt for an operation of the API, and returns the id of the material too.
func (k *Keys) EncryptFor(ctx context.Context, op Operation, keyARN string, plaintext []byte, c Context) (blob []byte, materialID string, err error) {
	s, err := k.standingOf(ctx, keyARN)
	if err != nil {
		return nil, "", err
	}
	if err := s.symmetric(op); err != nil {
		return nil, "", err
	}
	m, err := k.material(ctx, s, s.key.Current)
	if err != nil {
		return nil, "", err
	}
	id, err := uuidBytes(s.key.ID)
	if err != nil {
		return nil, "", err
	}
	blob, err = keymaterial.Encrypt(m.material, keymaterial.Header{KeyID: id, MaterialID: m.id}, plaintext, c)
	if err != nil {
		return nil, "", err
	}
	k.used.note(s.key.ID, op, k.now())
	return blob, s.key.Current, nil
}

// Decrypt opens what Encrypt made, which says itself by which key and material, with the same encryption context. Whoever asks
// must have been authorised. The error is *Error.
func (k *Keys) Decrypt(ctx context.Context, blob []byte, c Context) (plaintext []byte, key Key, materialID string, err error) {
	return k.DecryptFor(ctx, Decrypt, blob, c)
}

// DecryptFor is Decrypt for an operation of the API.
func (k *Keys) DecryptFor(ctx context.Context, op Operation, blob []byte, c Context) (plaintext []byte, key Key, materialID string, err error) {
	id, materialID, err := ParseBlob(blob)
	if err != nil {
		return nil, Key{}, "", err
	}
	s, err := k.standing(ctx, id)
	if err != nil {
		return nil, Key{}, "", err
	}
	if err := s.symmetric(op); err != nil {
		return nil, s.key, "", err
	}
	m, err := k.material(ctx, s, materialID)
	if errors.Is(err, errNoMaterial) {
		return nil, s.key, "", invalidCiphertext()
	}
	if err != nil {
		return nil, s.key, "", err
	}
	plaintext, err = keymaterial.Decrypt(m.material, blob, c)
	if err != nil {
		return nil, s.key, "", invalidCiphertext()
	}
	k.used.note(s.key.ID, op, k.now())
	return plaintext, s.key, materialID, nil
}

// ParseBlob returns the ids of the key and the material that a ciphertext says it was made by. The error is *Error.
func ParseBlob(blob []byte) (keyID, materialID string, err error) {
	h, err := keymaterial.ParseBlob(blob)
	if err != nil {
		return "", "", invalidCiphertext()
	}
	return uuidText(h.KeyID), hex.EncodeToString(h.MaterialID[:]), nil
}

// symmetric refuses an operation for which the key must be usable and symmetric.
func (s *standing) symmetric(op Operation) error {
	if err := s.key.Usable(op, UsageEncrypt); err != nil {
		return err
	}
	if !s.key.Symmetric() {
		return Errorf(CodeInvalidKeyUsage, "%s key spec is %s which is not valid for %s.", s.key.ARN, s.key.Spec, op)
	}
	return nil
}

// standingOf finds a key by its ARN.
func (k *Keys) standingOf(ctx context.Context, keyARN string) (*standing, error) {
	id, err := idOf(keyARN)
	if err != nil {
		return nil, err
	}
	s, err := k.standing(ctx, id)
	if isNotFound(err) || err == nil && s.key.ARN != keyARN {
		return nil, NoSuchKey(keyARN)
	}
	return s, err
}

// isNotFound reports whether an error is that there is no such key.
func isNotFound(err error) bool {
	var refused *Error
	return errors.As(err, &refused) && refused.Code == CodeNotFound
}

// uuidBytes is the id of a key in bytes.
func uuidBytes(id string) (b [16]byte, err error) {
	raw, err := hex.DecodeString(strings.ReplaceAll(strings.TrimPrefix(id, "mrk-"), "-", ""))
	if err != nil || len(raw) != len(b) {
		return b, Errorf(CodeNotFound, "Invalid keyId '%s'", id)
	}
	return [16]byte(raw), nil
}

// uuidText is the inverse of uuidBytes.
func uuidText(b [16]byte) string {
	text := hex.EncodeToString(b[:])
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
}
