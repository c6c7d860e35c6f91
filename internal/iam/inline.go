package iam

import (
	"errors"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// PutInline puts a policy into a user, group or role, in place of any other of that name. The error is of code
// MalformedPolicyDocument, or LimitExceeded if all its inline policies are too large together.
func (s *Store) PutInline(tx *store.Tx, owner Entity, name, document string) error {
	if _, err := policy.Parse(policy.KindIdentity, []byte(document), policy.Options{}); err != nil {
		return refused(err)
	}
	rows, err := tx.Query(`SELECT document FROM iam_inline WHERE owner = $1 AND name <> $2`, owner.ID, name)
	if err != nil {
		return err
	}
	all, err := store.Collect(rows, func(row store.Scanner) (text []byte, err error) {
		var other string
		err = row.Scan(&other)
		return []byte(other), err
	})
	if err != nil {
		return err
	}
	if err := policy.CheckInlineSize(string(owner.Kind), owner.Name, append(all, []byte(document))...); err != nil {
		return refused(err)
	}
	if err := s.changed(tx, owner.Account); err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO iam_inline (owner, name, document) VALUES ($1, $2, $3)
		ON CONFLICT (owner, name) DO UPDATE SET document = excluded.document`, owner.ID, name, document)
	return err
}

// Inline finds an inline policy of a user, group or role, as it was given. The error is of code NoSuchEntity.
func (s *Store) Inline(tx *store.Tx, owner Entity, name string) (document string, err error) {
	err = tx.QueryRow(`SELECT document FROM iam_inline WHERE owner = $1 AND name = $2`, owner.ID, name).Scan(&document)
	if errors.Is(err, store.ErrNoRows) {
		return "", noInline(owner, name)
	}
	return document, err
}

func noInline(owner Entity, name string) error {
	return Errorf(NoSuchEntity, "The %s policy with name %s cannot be found.", owner.Kind, name)
}

// DeleteInline takes an inline policy away from a user, group or role. The error is of code NoSuchEntity.
func (s *Store) DeleteInline(tx *store.Tx, owner Entity, name string) error {
	n, err := tx.Exec(`DELETE FROM iam_inline WHERE owner = $1 AND name = $2`, owner.ID, name)
	if err != nil {
		return err
	}
	if n == 0 {
		return noInline(owner, name)
	}
	return s.changed(tx, owner.Account)
}

// InlinePage lists at most n names of inline policies of an owner that come after one; an empty one is the beginning.
func (s *Store) InlinePage(tx *store.Tx, owner, after string, n int) (names []string, more bool, err error) {
	rows, err := tx.Query(`SELECT name FROM iam_inline WHERE owner = $1 AND name > $2 ORDER BY name LIMIT $3`, owner, after, n+1)
	if err != nil {
		return nil, false, err
	}
	return cut(rows, n, store.Value[string])
}
