package registry

import (
	"errors"
	"fmt"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// NewRegistryPolicy checks the policy of a registry, by the scope that is set. The error is *PolicyError.
func (r *Registry) NewRegistryPolicy(tx *store.Tx, id ID, text string) (Policy, error) {
	scope, err := r.Setting(tx, id, PolicyScope)
	if err != nil {
		return Policy{}, err
	}
	return r.newPolicy(tx, policy.KindRegistry, text, policy.Options{
		Resource: arn.Repository(id.Region, id.Account, "*").String(), RegistryV1: scope == scopeV1,
	})
}

// PutRegistryPolicy gives a registry a policy, in place of any that it has.
func (r *Registry) PutRegistryPolicy(tx *store.Tx, id ID, p Policy) error {
	if _, err := tx.Exec(`INSERT INTO registry_policy (account, region, document) VALUES ($1, $2, $3)
		ON CONFLICT (account, region) DO UPDATE SET document = excluded.document`, id.Account, id.Region, p.document); err != nil {
		return fmt.Errorf("put the policy of registry %s: %w", id.Account, err)
	}
	return changed(tx, id.Account)
}

// RegistryPolicy is the policy of a registry as it is shown. The error is ErrRegistryPolicyNotFound.
func (r *Registry) RegistryPolicy(tx *store.Tx, id ID) (string, error) {
	document, err := registryPolicyDocument(tx, id)
	if err != nil {
		return "", err
	}
	return r.shownPolicy(tx, document)
}

// registryPolicyDocument reads the policy of a registry as it is stored. The error is ErrRegistryPolicyNotFound.
func registryPolicyDocument(tx *store.Tx, id ID) (document string, err error) {
	err = tx.QueryRow(`SELECT document FROM registry_policy WHERE account = $1 AND region = $2`, id.Account, id.Region).Scan(&document)
	if errors.Is(err, store.ErrNoRows) {
		return "", ErrRegistryPolicyNotFound
	}
	if err != nil {
		return "", fmt.Errorf("read the policy of registry %s: %w", id.Account, err)
	}
	return document, nil
}

// DeleteRegistryPolicy takes the policy of a registry away, and returns it. The error is ErrRegistryPolicyNotFound.
func (r *Registry) DeleteRegistryPolicy(tx *store.Tx, id ID) (text string, err error) {
	if text, err = r.RegistryPolicy(tx, id); err != nil {
		return "", err
	}
	if _, err := tx.Exec(`DELETE FROM registry_policy WHERE account = $1 AND region = $2`, id.Account, id.Region); err != nil {
		return "", fmt.Errorf("delete the policy of registry %s: %w", id.Account, err)
	}
	return text, changed(tx, id.Account)
}
