package iam

import (
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// PutInline puts a policy into a user, group or role, in place of any other of that name. The error is of code
// MalformedPolicyDocument or LimitExceeded.
func (s *Store) PutInline(tx *store.Tx, account, owner, name, document string) error {
	if _, err := policy.Parse(policy.KindIdentity, []byte(document), policy.Options{}); err != nil {
		return malformed(err)
	}
	if err := s.changed(tx, account); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO iam_inline (owner, name, document) VALUES ($1, $2, $3)
		ON CONFLICT (owner, name) DO UPDATE SET document = excluded.document`, owner, name, document)
	return err
}
