package kms

import (
	"context"
	"fmt"

	"github.com/coffer-registry/coffer/internal/seal"
)

// NewBackupKey makes a key for a backup of the installation's database, and has the root of trust wrap it, bound to the installation and
// the backup's name: the service keys are in the backup themselves. Errors are those of the root.
func (k *Keyring) NewBackupKey(ctx context.Context, name string) (key seal.Key, wrapped []byte, err error) {
	root, _, _ := k.current()
	key = seal.NewKey()
	if wrapped, err = root.Wrap(ctx, key.Bytes(), backupContext(k.installation, name)); err != nil {
		return seal.Key{}, nil, fmt.Errorf("wrap the key of the backup: %w", err)
	}
	return key, wrapped, nil
}

// RootName is the name of the root of trust, as --root-key has it, without secrets.
func (k *Keyring) RootName() string {
	root, _, _ := k.current()
	return root.String()
}

// OpenBackupKey has a root of trust unwrap the key of a backup. Errors are those of the root, among them ErrWrongRoot.
func OpenBackupKey(ctx context.Context, root Root, installation, name string, wrapped []byte) (seal.Key, error) {
	raw, err := root.Unwrap(ctx, wrapped, backupContext(installation, name))
	if err != nil {
		return seal.Key{}, fmt.Errorf("open the key of the backup: %w", err)
	}
	return seal.KeyFromBytes(raw)
}

func backupContext(installation, name string) Context {
	return Context{"coffer:installation": installation, "coffer:backup": name}
}
