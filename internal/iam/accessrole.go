package iam

import (
	"fmt"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// administratorAccess is AWS's policy that allows everything.
const administratorAccess = "arn:aws:iam::aws:policy/AdministratorAccess"

// accessSession is how long a session of a role with which another account gets in may last.
const accessSession = 3600

// CreateAccessRole makes the role with which another account administers a new one: whoever that account lets assume it may
// do everything.
func (s *Store) CreateAccessRole(tx *store.Tx, account, name, trusted string) error {
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + RootOf(trusted) + `"},"Action":"sts:AssumeRole"}]}`
	if _, err := policy.Parse(policy.KindTrust, []byte(trust), policy.Options{}); err != nil {
		return malformed(err)
	}
	if err := s.changed(tx, account); err != nil {
		return err
	}
	id := newID(KindRole)
	_, err := tx.Exec(`INSERT INTO iam_role (id, account, name, name_key, path, created_at, boundary, trust, description, max_session, linked_service, used_region)
		VALUES ($1, $2, $3, $4, $5, $6, '', $7, '', $8, '', '')`, id, account, name, nameKey(name), rootPath, s.now().UnixMicro(), trust, accessSession)
	if err != nil {
		return fmt.Errorf("create role %s: %w", name, err)
	}
	_, err = tx.Exec(`INSERT INTO iam_attachment (owner, policy, account) VALUES ($1, $2, $3)`, id, administratorAccess, account)
	return err
}
