package kms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/coffer-registry/coffer/internal/keymaterial"
)

// importValid is how long the parameters of an import can be used.
const importValid = 24 * time.Hour

// ImportParameters are what a customer needs to import material: a public key to wrap it by, and the token that goes with it.
type ImportParameters struct {
	// PublicKey is SubjectPublicKeyInfo in DER.
	PublicKey, Token []byte
	ValidTo          time.Time
}

// importToken is what a token holds, sealed: the private half of the wrapping key and what it is for. So nothing is kept of an
// import that may never come, and any server can finish it.
type importToken struct {
	Spec      string `json:"s"`
	Algorithm string `json:"a"`
	// Until is when the token expires, in microseconds.
	Until   int64  `json:"u"`
	Private []byte `json:"p"`
}

// importContext binds a token to its key.
func importContext(keyID string) Context { return Context{"coffer:kms:import": keyID} }

// wrappingError turns a refusal of a wrapping into what the client is told.
func wrappingError(err error) error {
	if errors.Is(err, keymaterial.ErrUnsupported) || errors.Is(err, keymaterial.ErrEnforced) {
		return Errorf(CodeUnsupportedOperation, "%v", err)
	}
	return err
}

// ImportParameters makes what is needed to import material of a key. The error is *Error.
func (k *Keys) ImportParameters(ctx context.Context, key Key, wrappingSpec, algorithm string) (p ImportParameters, err error) {
	if err := key.Check(GetParametersForImport); err != nil {
		return p, err
	}
	wrapping := keymaterial.Spec(wrappingSpec)
	if err := keymaterial.CheckWrapping(keymaterial.Spec(key.Spec), wrapping, algorithm); err != nil {
		return p, wrappingError(err)
	}
	m, err := k.generate(ctx, wrapping)
	if err != nil {
		return p, fmt.Errorf("make a wrapping key: %w", err)
	}
	if p.PublicKey, err = m.PublicKeyDER(); err != nil {
		return p, err
	}
	p.ValidTo = k.now().Add(importValid)
	private := m.Bytes()
	defer clear(private)
	text, err := json.Marshal(importToken{Spec: wrappingSpec, Algorithm: algorithm, Until: p.ValidTo.UnixMicro(), Private: private})
	if err != nil {
		return p, err
	}
	defer clear(text)
	p.Token, err = k.keyring.Seal(keyScope(key.Account, key.Region), text, importContext(key.ID))
	return p, err
}

// unwrapImport opens material that was wrapped by the parameters of an import of the key. The error is *Error.
func (k *Keys) unwrapImport(key Key, token, wrapped []byte) (keymaterial.Material, error) {
	var none keymaterial.Material
	text, err := k.keyring.Open(token, importContext(key.ID))
	if errors.Is(err, ErrUnwrap) {
		return none, Errorf(CodeInvalidImportToken, "The import token is invalid or is associated with a different KMS key.")
	}
	if err != nil {
		return none, fmt.Errorf("open an import token of key %s: %w", key.ID, err)
	}
	defer clear(text)
	var t importToken
	if err := json.Unmarshal(text, &t); err != nil {
		return none, fmt.Errorf("read an import token of key %s: %w", key.ID, err)
	}
	defer clear(t.Private)
	if !k.now().Before(time.UnixMicro(t.Until)) {
		return none, Errorf(CodeExpiredImportToken, "The import token is expired.")
	}
	private, err := keymaterial.FromBytes(keymaterial.Spec(t.Spec), t.Private)
	if err != nil {
		return none, fmt.Errorf("read the wrapping key of an import of key %s: %w", key.ID, err)
	}
	raw, err := private.Unwrap(t.Algorithm, wrapped)
	if errors.Is(err, keymaterial.ErrCiphertext) {
		return none, Errorf(CodeInvalidCiphertext, "The encrypted key material can't be decrypted.")
	}
	if err != nil {
		return none, wrappingError(err)
	}
	defer clear(raw)
	m, err := keymaterial.FromBytes(keymaterial.Spec(key.Spec), raw)
	if errors.Is(err, keymaterial.ErrMaterial) {
		return none, Errorf(CodeIncorrectKeyMaterial, "%v", err)
	}
	return m, err
}
