package kms

import (
	"context"
	"strings"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// PolicyOf finds the policy and the condition keys of a key, as Attached does, without its grants.
func (k *Keys) PolicyOf(ctx context.Context, r policy.Resource) (policy.ResourceSet, error) {
	set, _, err := k.attached(ctx, r)
	return set, err
}

// Managed returns the key that AWS manages for a service, such as "ecr", in an account and region, and makes it if there is
// none yet.
func (k *Keys) Managed(ctx context.Context, account, region, service string) (key Key, err error) {
	if key, err = k.Find(ctx, account, region, aliasPrefix+managedPrefix+service); err == nil || !isNotFound(err) {
		return key, err
	}
	err = k.db.Update(ctx, func(tx *store.Tx) error {
		key, err = k.EnsureManaged(tx, account, region, service)
		return err
	})
	return key, err
}

// ChangedKey returns the id of the key that a topic of the store says has changed, in itself, its material, its policy or its grants;
// ok is false for other topics.
func ChangedKey(topic string) (id string, ok bool) {
	if id, ok = strings.CutPrefix(topic, topicKey); ok {
		return id, true
	}
	return strings.CutPrefix(topic, topicGrants)
}
