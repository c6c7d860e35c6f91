package iam

import (
	"time"

	"github.com/coffer-registry/coffer/internal/store"
)

// SetTokenLifetime says how long the registry tokens of an account are good for that are issued from now on. The error is
// ErrNoAccount.
func (s *Store) SetTokenLifetime(tx *store.Tx, account string, life time.Duration) error {
	if err := s.changed(tx, account); err != nil {
		return err
	}
	n, err := tx.Exec(`UPDATE account SET token_seconds = $1 WHERE id = $2`, int64(life/time.Second), account)
	if err == nil && n == 0 {
		err = ErrNoAccount
	}
	return err
}
