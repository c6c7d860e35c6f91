package kms

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/coffer-registry/coffer/internal/keymaterial"
	"github.com/coffer-registry/coffer/internal/store"
)

// Whether imported material expires, and whether it was the key's before, by the names of the API.
const (
	MaterialExpires   = "KEY_MATERIAL_EXPIRES"
	MaterialRemains   = "KEY_MATERIAL_DOES_NOT_EXPIRE"
	ImportNew         = "NEW_KEY_MATERIAL"
	ImportExisting    = "EXISTING_KEY_MATERIAL"
	maxMaterialExpiry = 365 * 24 * time.Hour
	// maxImported is how much material may be imported into one key: the first and that of all rotations, with room for what
	// replaces it.
	maxImported = 2 * (MaxOnDemand + 1)
)

// Import is a request to import material.
type Import struct {
	Token, Wrapped []byte
	// Expiration is MaterialExpires, which empty stands for, or MaterialRemains; ValidTo is when it expires.
	Expiration string
	ValidTo    time.Time
	// Type is ImportNew or ImportExisting; empty is the first of these while the key never had material, and then the second.
	Type string
	// Description is shown with the material; empty leaves what was.
	Description string
	// MaterialID is that of the existing material; empty is whichever it is.
	MaterialID string
}

// check refuses what doesn't go together. The error is *Error.
func (in Import) check(key Key, now time.Time) error {
	expires := in.Expiration != MaterialRemains
	switch {
	case expires && in.ValidTo.IsZero():
		return Errorf(CodeValidation, "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
	case !expires && !in.ValidTo.IsZero():
		return Errorf(CodeValidation, "ValidTo must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE")
	case expires && !in.ValidTo.After(now):
		return Errorf(CodeValidation, "ValidTo must be in the future")
	case expires && in.ValidTo.After(now.Add(maxMaterialExpiry)):
		return Errorf(CodeValidation, "ValidTo must be within 365 days")
	case !key.Symmetric() && (in.Type != "" || in.Description != "" || in.MaterialID != ""):
		return Errorf(CodeValidation, "ImportType, KeyMaterialDescription and KeyMaterialId are for symmetric encryption keys only")
	case in.Type == ImportNew && in.MaterialID != "":
		return Errorf(CodeValidation, "KeyMaterialId can't be given with ImportType NEW_KEY_MATERIAL")
	}
	return nil
}

// DraftImport is material that was unwrapped and can be imported.
type DraftImport struct {
	Import
	material keymaterial.Material
}

// DraftImport opens the material of a request, which takes a while. The error is *Error.
func (k *Keys) DraftImport(key Key, in Import) (DraftImport, error) {
	if err := key.Check(ImportKeyMaterial); err != nil {
		return DraftImport{}, err
	}
	if err := in.check(key, k.now()); err != nil {
		return DraftImport{}, err
	}
	m, err := k.unwrapImport(key, in.Token, in.Wrapped)
	return DraftImport{in, m}, err
}

// held is material of a key as a row has it.
type held struct {
	id, state string
	here      bool
}

// heldBy reads what material a key has and had.
func heldBy(tx *store.Tx, key Key) ([]held, error) {
	rows, err := tx.Query(`SELECT material_id, state, wrapped IS NOT NULL FROM kms_material WHERE key = $1 ORDER BY material_id LIMIT $2`, key.ID, 1000)
	if err != nil {
		return nil, fmt.Errorf("read the material of key %s: %w", key.ID, err)
	}
	return store.Collect(rows, func(row store.Scanner) (h held, err error) {
		return h, row.Scan(&h.id, &h.state, &h.here)
	})
}

// Import imports material into a key. The first makes it usable; new material for a symmetric key that has some waits for a
// rotation, and any other must be what the key had. It returns the id of the material. The error is *Error.
func (k *Keys) Import(tx *store.Tx, key Key, d DraftImport) (materialID string, err error) {
	now, err := k.allowed(tx, key, ImportKeyMaterial)
	if err != nil {
		return "", err
	}
	id, err := k.importedID(tx, now, d.material)
	if err != nil {
		return "", err
	}
	all, err := heldBy(tx, now)
	if err != nil {
		return "", err
	}
	known, pending := false, false
	for _, h := range all {
		known = known || h.id == id
		pending = pending || h.state == MaterialPending
	}
	isNew := d.Type == ImportNew || d.Type == "" && len(all) == 0
	switch {
	case isNew && known:
		return "", Errorf(CodeIncorrectKeyMaterial, "The key material is associated with %s already.", now.ARN)
	case isNew && pending:
		return "", Errorf(CodeInvalidState, "%s has key material that is pending rotation already.", now.ARN)
	case isNew && len(all) >= maxImported:
		return "", Errorf(CodeLimitExceeded, "%s has as much key material as a key can have.", now.ARN)
	case !isNew && (!known || d.MaterialID != "" && d.MaterialID != id):
		return "", Errorf(CodeIncorrectKeyMaterial, "The key material is not the one that was imported into %s.", now.ARN)
	case isNew:
		return id, k.addImported(tx, now, id, d)
	}
	return id, k.restoreImported(tx, now, id, d)
}

// expiry is when the material of an import expires; nil for never.
func (d DraftImport) expiry() *time.Time {
	if d.Expiration == MaterialRemains {
		return nil
	}
	return &d.ValidTo
}

// addImported keeps material that the key never had.
func (k *Keys) addImported(tx *store.Tx, key Key, id string, d DraftImport) error {
	if err := k.insertMaterial(tx, key, &draftMaterial{id: id, kind: MaterialImported, material: d.material}); err != nil {
		return err
	}
	state := MaterialPending
	if key.Current == "" {
		state = MaterialCurrent
		if _, err := tx.Exec(`UPDATE kms_key SET current_material = $1 WHERE id = $2`, id, key.ID); err != nil {
			return fmt.Errorf("import material of key %s: %w", key.ID, err)
		}
	}
	_, err := tx.Exec(`UPDATE kms_material SET state = $1, description = $2, valid_to = $3 WHERE key = $4 AND material_id = $5`,
		state, d.Description, d.expiry(), key.ID, id)
	if err != nil {
		return fmt.Errorf("import material of key %s: %w", key.ID, err)
	}
	return k.settle(tx, key)
}

// restoreImported keeps material again that the key had, or sets anew when it expires.
func (k *Keys) restoreImported(tx *store.Tx, key Key, id string, d DraftImport) error {
	raw := d.material.Bytes()
	defer clear(raw)
	wrapped, err := k.keyring.Seal(keyScope(key.Account, key.Region), raw, materialContext(key.ID, id))
	if err != nil {
		return fmt.Errorf("wrap the material of key %s: %w", key.ID, err)
	}
	_, err = tx.Exec(`UPDATE kms_material SET wrapped = $1, valid_to = $2, description = CASE WHEN $3 = '' THEN description ELSE $3 END
		WHERE key = $4 AND material_id = $5`, wrapped, d.expiry(), d.Description, key.ID, id)
	if err != nil {
		return fmt.Errorf("import material of key %s: %w", key.ID, err)
	}
	return k.settle(tx, key)
}

// missingMaterial reports whether a key lacks some of its material; what waits for a rotation does not count.
func missingMaterial(tx *store.Tx, key Key) (bool, error) {
	all, err := heldBy(tx, key)
	usable := false
	for _, h := range all {
		if h.state == MaterialPending {
			continue
		}
		if !h.here {
			return true, err
		}
		usable = true
	}
	return !usable, err
}

// settle gives a key with imported material the state that follows from what of it is there.
func (k *Keys) settle(tx *store.Tx, key Key) error {
	missing, err := missingMaterial(tx, key)
	if err != nil {
		return err
	}
	state := key.State
	switch {
	case key.State == PendingDeletion: // which it stays
	case missing:
		state = PendingImport
	case key.State == PendingImport:
		state = Enabled
	}
	return update(tx, key, "settle the state of", `UPDATE kms_key SET state = $1 WHERE id = $2`, state, key.ID)
}

// importedID is the id of imported material of a key. It is made with a secret of the key that stays when the material is gone, so
// that the same material is known again and the id tells nothing about it.
func (k *Keys) importedID(tx *store.Tx, key Key, m keymaterial.Material) (string, error) {
	secret, err := k.importSecret(tx, key)
	if err == nil && secret == nil {
		secret, err = k.newImportSecret(tx, key)
	}
	if err != nil {
		return "", err
	}
	defer clear(secret)
	id, err := m.ImportedID(secret)
	return hex.EncodeToString(id[:]), err
}

// importSecretContext binds the secret of the ids of imported material to its key.
func importSecretContext(key Key) Context { return Context{"coffer:kms:import-id": key.ID} }

// importSecret is the secret of the ids of a key's imported material; nil while it has none.
func (k *Keys) importSecret(tx *store.Tx, key Key) ([]byte, error) {
	var sealed []byte
	err := tx.QueryRow(`SELECT import_key FROM kms_key WHERE id = $1`, key.ID).Scan(&sealed)
	if err != nil || sealed == nil {
		return nil, err
	}
	secret, err := k.keyring.Open(sealed, importSecretContext(key))
	if err != nil {
		return nil, fmt.Errorf("open the secret of the ids of material of key %s: %w", key.ID, err)
	}
	return secret, nil
}

// newImportSecret makes the secret of the ids of a key's imported material.
func (k *Keys) newImportSecret(tx *store.Tx, key Key) ([]byte, error) {
	secret := make([]byte, 32)
	rand.Read(secret)
	sealed, err := k.keyring.Seal(keyScope(key.Account, key.Region), secret, importSecretContext(key))
	if err != nil {
		return nil, fmt.Errorf("seal the secret of the ids of material of key %s: %w", key.ID, err)
	}
	if _, err := tx.Exec(`UPDATE kms_key SET import_key = $1 WHERE id = $2`, sealed, key.ID); err != nil {
		return nil, fmt.Errorf("keep the secret of the ids of material of key %s: %w", key.ID, err)
	}
	return secret, nil
}

// DeleteImported destroys imported material of a key: the current one if id is empty. The key waits for it to be imported
// again. Material that waits for a rotation is the key's no more. It returns the id; empty if there was nothing to destroy. The error
// is *Error.
func (k *Keys) DeleteImported(tx *store.Tx, key Key, id string) (materialID string, err error) {
	now, err := k.allowed(tx, key, DeleteImportedKeyMaterial)
	if err != nil {
		return "", err
	}
	if id != "" && !now.Symmetric() {
		return "", Errorf(CodeValidation, "KeyMaterialId is for symmetric encryption keys only")
	}
	if id == "" {
		if id = now.Current; id == "" {
			return "", nil
		}
	}
	if err := k.destroyImported(tx, now, id); errors.Is(err, errNoMaterial) {
		return "", Errorf(CodeNotFound, "Key material %s of %s is not found.", id, now.ARN)
	} else if err != nil {
		return "", err
	}
	return id, nil
}

// destroyImported removes imported material. The bytes on the disk follow after the commit.
func (k *Keys) destroyImported(tx *store.Tx, key Key, id string) error {
	gone, err := tx.Exec(`DELETE FROM kms_material WHERE key = $1 AND material_id = $2 AND state = $3`, key.ID, id, MaterialPending)
	if err == nil && gone == 0 {
		gone, err = tx.Exec(`UPDATE kms_material SET wrapped = NULL, valid_to = NULL WHERE key = $1 AND material_id = $2`, key.ID, id)
	}
	if err != nil {
		return fmt.Errorf("destroy material of key %s: %w", key.ID, err)
	}
	if gone == 0 {
		return errNoMaterial
	}
	tx.OnCommit(func() { k.stale.done.Store(false) })
	return k.settle(tx, key)
}

// Expire destroys the imported material whose time has come, each with what record writes in the same transaction, and then its
// bytes on the disk. It returns how much there was. It may run on many servers at once.
func (k *Keys) Expire(ctx context.Context, record func(tx *store.Tx, key Key, materialID string) error) (expired int, err error) {
	for {
		ids, err := k.lookFor(ctx, "material that expired", `SELECT key FROM kms_material WHERE valid_to IS NOT NULL AND valid_to <= $1 ORDER BY valid_to LIMIT $2`,
			k.now(), destroyPage)
		if err != nil {
			return expired, err
		}
		for _, id := range ids {
			n, err := k.expireOne(ctx, id, record)
			if err != nil {
				return expired, err
			}
			expired += n
		}
		if len(ids) < destroyPage {
			return expired, k.scrub(ctx)
		}
	}
}

// expireOne destroys what expired of one key.
func (k *Keys) expireOne(ctx context.Context, keyID string, record func(*store.Tx, Key, string) error) (n int, err error) {
	err = k.db.Update(ctx, func(tx *store.Tx) error {
		n = 0
		rows, err := tx.Query(`SELECT material_id FROM kms_material WHERE key = $1 AND valid_to IS NOT NULL AND valid_to <= $2`, keyID, k.now())
		if err != nil {
			return err
		}
		materials, err := store.Collect(rows, store.Value[string])
		if err != nil || len(materials) == 0 {
			return err
		}
		for _, id := range materials {
			// Each time anew, since the last one may have changed its state.
			key, err := k.Key(tx, keyID)
			if err != nil {
				return err
			}
			if err := k.destroyImported(tx, key, id); err != nil {
				return err
			}
			if err := record(tx, key, id); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("destroy expired material of key %s: %w", keyID, err)
	}
	return n, nil
}
