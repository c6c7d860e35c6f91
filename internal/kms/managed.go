package kms

import (
	"context"
	"errors"
	"fmt"

	"github.com/coffer-registry/coffer/internal/store"
)

// managedRotationDays is how often keys rotate that AWS manages.
const managedRotationDays = 365

// EnsureManaged returns the key that AWS manages for a service, such as "ecr", in an account and region, with the alias
// aws/<service>, and makes it if there is none yet. It can be used once the transaction is committed.
func (k *Keys) EnsureManaged(tx *store.Tx, account, region, service string) (Key, error) {
	var id string
	err := tx.QueryRow(`SELECT id FROM kms_key WHERE account = $1 AND region = $2 AND service = $3 AND service <> ''`, account, region, service).Scan(&id)
	if err == nil {
		return k.Key(tx, id)
	}
	if !errors.Is(err, store.ErrNoRows) {
		return Key{}, fmt.Errorf("look for the key that AWS manages for %s: %w", service, err)
	}
	d := Draft{document: managedPolicy(account, region, service), Key: Key{ID: newKeyID(), Account: account, Region: region,
		Spec: SpecSymmetric, Usage: UsageEncrypt, Origin: OriginKMS, Manager: ManagerAWS, State: Enabled,
		Description: "Default key that protects my " + displayName(service) + " data when no other key is defined"}}
	d.Key.ARN = KeyARN(account, region, d.Key.ID)
	if d.material, err = k.newMaterial(context.Background(), &d.Key); err != nil {
		return Key{}, err
	}
	key, err := k.insert(tx, d, service)
	if err != nil {
		return Key{}, err
	}
	key.RotationDays, key.RotationDate = managedRotationDays, key.Created.AddDate(0, 0, managedRotationDays)
	if err := update(tx, key, "rotate", `UPDATE kms_key SET rotation_days = $1, rotation_at = $2 WHERE id = $3`, key.RotationDays, key.RotationDate, key.ID); err != nil {
		return Key{}, err
	}
	return key, k.insertAlias(tx, key, managedPrefix+service)
}

// displayName is what a service is called in the description of its key.
func displayName(service string) string {
	if service == "ecr" {
		return "Elastic Container Registry"
	}
	return service
}
