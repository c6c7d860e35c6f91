package iam

import "github.com/coffer-registry/coffer/internal/store"

// administratorAccess is AWS's policy that allows everything.
const administratorAccess = awsPolicies + "AdministratorAccess"

// CreateAccessRole makes the role with which another account administers a new one: whoever that account lets assume it may
// do everything.
func (s *Store) CreateAccessRole(tx *store.Tx, account, name, trusted string) error {
	r, err := s.CreateRole(tx, Role{Account: account, Name: name,
		Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + RootOf(trusted) + `"},"Action":"sts:AssumeRole"}]}`})
	if err != nil {
		return err
	}
	return s.Attach(tx, Entity{Kind: KindRole, ID: r.ID, Account: account, Name: r.Name, Path: r.Path}, administratorAccess)
}
