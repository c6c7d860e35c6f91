package iam

import (
	"errors"
	"strings"

	"github.com/coffer-registry/coffer/internal/store"
)

// SetAlias gives an account an alias, which stands for its id, in place of any other. No two accounts have the same. The
// error is of code EntityAlreadyExists or InvalidInput.
func (s *Store) SetAlias(tx *store.Tx, account, alias string) error {
	if len(alias) == 12 && strings.Trim(alias, "0123456789") == "" {
		// IAM's sentence is not known.
		return Errorf(InvalidInput, "An account alias must not have the form of an account ID.")
	}
	var owner string
	err := tx.QueryRow(`SELECT id FROM account WHERE alias = $1`, alias).Scan(&owner)
	if err == nil && owner != account {
		return Errorf(EntityAlreadyExists, "The account alias %s already exists.", alias)
	}
	if err != nil && !errors.Is(err, store.ErrNoRows) {
		return err
	}
	return s.writeAlias(tx, account, &alias)
}

// DeleteAlias takes an account's alias away. The error is of code NoSuchEntity if it has another or none.
func (s *Store) DeleteAlias(tx *store.Tx, account, alias string) error {
	current, err := s.Alias(tx, account)
	if err != nil {
		return err
	}
	if current != alias {
		return Errorf(NoSuchEntity, "The account alias with name %s cannot be found.", alias)
	}
	return s.writeAlias(tx, account, nil)
}

func (s *Store) writeAlias(tx *store.Tx, account string, alias *string) error {
	if err := s.changed(tx, account); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE account SET alias = $1 WHERE id = $2`, alias, account)
	return err
}

// Alias is the alias of an account; empty for none.
func (s *Store) Alias(tx *store.Tx, account string) (string, error) {
	var alias *string
	err := tx.QueryRow(`SELECT alias FROM account WHERE id = $1`, account).Scan(&alias)
	if err != nil || alias == nil {
		return "", err
	}
	return *alias, nil
}
