package iam

import (
	"time"

	"github.com/coffer-registry/coffer/internal/store"
)

// RevokeSessions makes void what was issued in an account before a moment: all sessions, and all registry tokens, those of
// long-term access keys among them. What was void stays so. The error is ErrNoAccount.
func (s *Store) RevokeSessions(tx *store.Tx, account string, before time.Time) error {
	if err := s.changed(tx, account); err != nil {
		return err
	}
	n, err := tx.Exec(`UPDATE account SET tokens_after = CASE WHEN tokens_after < $2 THEN $2 ELSE tokens_after END WHERE id = $1`,
		account, before.UnixMicro())
	if err == nil && n == 0 {
		err = ErrNoAccount
	}
	return err
}
