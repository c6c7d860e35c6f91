package organization

import (
	"context"
	"errors"
	"fmt"

	"github.com/coffer-registry/coffer/internal/store"
)

// Ensure makes the organization of the accounts, managed by this one, unless there is one already; then it stays managed
// as it is. Accounts that belong to none yet join it.
func (s *Store) Ensure(ctx context.Context, management string) error {
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		_, err := s.Info(tx)
		if e := (*Error)(nil); errors.As(err, &e) {
			err = s.create(tx, management)
		}
		if err != nil {
			return err
		}
		return s.joinAll(tx)
	})
	if err != nil {
		return fmt.Errorf("make the organization: %w", err)
	}
	return nil
}

// create makes the organization as AWS does: with all features, and so with service control policies.
func (s *Store) create(tx *store.Tx, management string) error {
	if err := s.changed(tx); err != nil {
		return err
	}
	root := newID("r-", 4)
	_, err := tx.Exec(`INSERT INTO organization (id, management, root, created_at) VALUES ($1, $2, $3, $4)`,
		newID("o-", 10), management, root, s.now().UnixMicro())
	if err != nil {
		return err
	}
	for _, p := range builtIn {
		if err := s.insertPolicy(tx, p); err != nil {
			return err
		}
	}
	return s.EnablePolicyType(tx, root, ServiceControl)
}

// joinAll lets the accounts join that belong to no organization.
func (s *Store) joinAll(tx *store.Tx) error {
	rows, err := tx.Query(`SELECT id FROM account WHERE id NOT IN (SELECT account FROM organization_account) ORDER BY id`)
	if err != nil {
		return err
	}
	accounts, err := store.Collect(rows, store.Value[string])
	if err != nil {
		return err
	}
	for _, account := range accounts {
		if err := s.Join(tx, account); err != nil {
			return err
		}
	}
	return nil
}
