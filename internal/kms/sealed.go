package kms

import (
	"fmt"

	"github.com/coffer-registry/coffer/internal/seal"
)

// What is sealed under a service key begins with a version, which tells data keys from anything else, and the id of the
// service key.
const (
	wrapVersion = 1 // a data key
	sealVersion = 2 // other bytes

	sealedHeader = 1 + len(KeyID{})
)

// Seal seals bytes that are no data key, such as the material of a customer's key, under the service key of the scope. They
// are bound to the context. The error is ErrNoKey or ErrRootUnavailable.
func (k *Keyring) Seal(scope Scope, plaintext []byte, c Context) ([]byte, error) {
	return k.seal(sealVersion, scope, plaintext, c)
}

// Open opens what Seal made. The error is ErrUnwrap or ErrRootUnavailable.
func (k *Keyring) Open(sealed []byte, c Context) ([]byte, error) {
	return k.open(sealVersion, sealed, c)
}

func (k *Keyring) seal(version byte, scope Scope, plaintext []byte, c Context) ([]byte, error) {
	if err := k.guard(scope.Purpose); err != nil {
		return nil, err
	}
	id, key, ok := k.find(scope)
	if !ok {
		return nil, noKey(scope)
	}
	header := append([]byte{version}, id[:]...)
	sealed, err := seal.SealBytes(key, encodeContext(header, c), plaintext)
	if err != nil {
		return nil, err
	}
	return append(header, sealed...), nil
}

func (k *Keyring) open(version byte, sealed []byte, c Context) ([]byte, error) {
	if len(sealed) < sealedHeader || sealed[0] != version {
		return nil, fmt.Errorf("%w: unknown format", ErrUnwrap)
	}
	k.mu.RLock()
	found, ok := k.byID[KeyID(sealed[1:sealedHeader])]
	k.mu.RUnlock()
	if !ok {
		return nil, fmt.Errorf("%w: its service key is gone", ErrUnwrap)
	}
	if err := k.guard(found.purpose); err != nil {
		return nil, err
	}
	plaintext, err := seal.OpenBytes(found.Key, encodeContext(sealed[:sealedHeader:sealedHeader], c), sealed[sealedHeader:])
	if err != nil {
		return nil, fmt.Errorf("%w: it was altered or belongs to other data", ErrUnwrap)
	}
	return plaintext, nil
}

// WrappedBy names the service key that a data key is wrapped with; ok is false for what is no wrapped data key.
func WrappedBy(wrapped []byte) (id KeyID, ok bool) {
	if len(wrapped) < sealedHeader || wrapped[0] != wrapVersion {
		return id, false
	}
	return KeyID(wrapped[1:sealedHeader]), true
}
