package kms

import (
	"fmt"

	"github.com/coffer-registry/coffer/internal/seal"
)

// Seal seals bytes that are no data key, such as the material of a customer's key, under the service key of the scope. They
// are bound to the context. The error is ErrNoKey.
func (k *Keyring) Seal(scope Scope, plaintext []byte, c Context) ([]byte, error) {
	id, service, ok := k.find(scope)
	if !ok {
		return nil, noKey(scope)
	}
	header := append([]byte{sealVersion}, id[:]...)
	sealed, err := seal.SealBytes(service, encodeContext(header, c), plaintext)
	if err != nil {
		return nil, err
	}
	return append(header, sealed...), nil
}

// sealVersion begins what Seal made, so that it is never taken for a wrapped data key.
const sealVersion = 2

// Open opens what Seal made. The error is ErrUnwrap.
func (k *Keyring) Open(sealed []byte, c Context) ([]byte, error) {
	const header = 1 + len(KeyID{})
	if len(sealed) < header || sealed[0] != sealVersion {
		return nil, fmt.Errorf("%w: unknown format", ErrUnwrap)
	}
	k.mu.RLock()
	service, ok := k.byID[KeyID(sealed[1:header])]
	k.mu.RUnlock()
	if !ok {
		return nil, fmt.Errorf("%w: its service key is gone", ErrUnwrap)
	}
	plaintext, err := seal.OpenBytes(service, encodeContext(sealed[:header:header], c), sealed[header:])
	if err != nil {
		return nil, fmt.Errorf("%w: it was altered or belongs to other data", ErrUnwrap)
	}
	return plaintext, nil
}
