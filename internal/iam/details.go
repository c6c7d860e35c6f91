package iam

import "github.com/coffer-registry/coffer/internal/store"

// InlinePolicy is a policy that is part of a user, group or role.
type InlinePolicy struct{ Name, Document string }

// InlinePolicies are the inline policies of an owner, by its unique id, as they were given.
func (s *Store) InlinePolicies(tx *store.Tx, owner string) ([]InlinePolicy, error) {
	rows, err := tx.Query(`SELECT name, document FROM iam_inline WHERE owner = $1 ORDER BY name`, owner)
	if err != nil {
		return nil, err
	}
	return store.Collect(rows, func(row store.Scanner) (InlinePolicy, error) {
		var p InlinePolicy
		err := row.Scan(&p.Name, &p.Document)
		return p, err
	})
}

// Attached are the ARNs of the managed policies of an owner, by its unique id.
func (s *Store) Attached(tx *store.Tx, owner string) ([]string, error) {
	rows, err := tx.Query(`SELECT policy FROM iam_attachment WHERE owner = $1 ORDER BY policy`, owner)
	if err != nil {
		return nil, err
	}
	return store.Collect(rows, store.Value[string])
}

// GroupNames are the names of the groups that a user is in.
func (s *Store) GroupNames(tx *store.Tx, user string) ([]string, error) {
	rows, err := tx.Query(`SELECT g.name FROM iam_membership m JOIN iam_group g ON g.id = m.group_id WHERE m.member = $1 ORDER BY g.name_key`, user)
	if err != nil {
		return nil, err
	}
	return store.Collect(rows, store.Value[string])
}
