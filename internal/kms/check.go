package kms

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// Checked counts what Check has looked at.
type Checked struct{ Keys, Materials int64 }

// checkPage is how many keys are looked at in one snapshot.
const checkPage = 100

// Check opens the material of every key and holds keys, aliases and grants against each other. It tells fault in one sentence of
// each thing that is wrong.
func (k *Keys) Check(ctx context.Context, fault func(string)) (done Checked, err error) {
	c := &keyChecker{k: k, fault: func(format string, args ...any) { fault(fmt.Sprintf(format, args...)) }}
	for last := ""; ; {
		var ids []string
		err := k.View(ctx, func(tx *store.Tx) error {
			rows, err := tx.Query(`SELECT id FROM kms_key WHERE id > $1 ORDER BY id LIMIT $2`, last, checkPage)
			if err != nil {
				return err
			}
			if ids, err = store.Collect(rows, store.Value[string]); err != nil {
				return err
			}
			for _, id := range ids {
				if err := c.key(tx, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return c.done, fmt.Errorf("check the keys of KMS: %w", err)
		}
		if len(ids) < checkPage {
			return c.done, nil
		}
		last = ids[len(ids)-1]
	}
}

type keyChecker struct {
	k     *Keys
	done  Checked
	fault func(format string, args ...any)
}

func (c *keyChecker) key(tx *store.Tx, id string) error {
	key, err := c.k.Key(tx, id)
	if err != nil {
		return err
	}
	c.done.Keys++
	document, err := policyDocument(tx, key)
	if err != nil {
		return err
	}
	if _, err := policy.Load(policy.KindKey, []byte(document), policy.Options{}); err != nil {
		c.fault("key %s: its policy can't be read: %v", key.ARN, err)
	}
	if (key.State == PendingDeletion) == key.DeletionDate.IsZero() {
		c.fault("key %s is %s, but its date of deletion is %v", key.ARN, key.State, key.DeletionDate)
	}
	return c.materials(tx, key)
}

// materials opens all that a key has, and looks for the current one.
func (c *keyChecker) materials(tx *store.Tx, key Key) error {
	rows, err := tx.Query(`SELECT material_id, wrapped FROM kms_material WHERE key = $1 ORDER BY material_id`, key.ID)
	if err != nil {
		return err
	}
	defer rows.Close()
	current := key.Current == ""
	for rows.Next() {
		var id string
		var wrapped []byte
		if err := rows.Scan(&id, &wrapped); err != nil {
			return err
		}
		c.done.Materials++
		current = current || id == key.Current
		if wrapped == nil { // imported material that was deleted
			continue
		}
		m, err := c.k.unwrapMaterial(key, id, wrapped)
		if err != nil {
			c.fault("key %s: %v", key.ARN, err)
			continue
		}
		if is := m.ID(); key.Origin == OriginKMS && hex.EncodeToString(is[:]) != id {
			c.fault("key %s: its material %s is another", key.ARN, id)
		}
	}
	if !current || key.Current == "" && key.State != PendingImport && key.Origin == OriginKMS {
		c.fault("key %s: its current material %q is missing", key.ARN, key.Current)
	}
	return rows.Err()
}
