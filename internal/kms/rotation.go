package kms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coffer-registry/coffer/internal/keymaterial"
	"github.com/coffer-registry/coffer/internal/store"
)

// Bounds of how many days pass between two rotations of a key by itself, and how many do unless somebody says otherwise.
const (
	MinRotationDays     = 90
	MaxRotationDays     = 2560
	DefaultRotationDays = 365
)

// MaxOnDemand is how many times a key can be rotated on demand.
const MaxOnDemand = 25

const (
	// soon is how long before a rotation by itself a key is not rotated on demand.
	soon = 20 * time.Minute
	// late is how much later than it was due a rotation may be for the next to keep to the days on which they were.
	late = 24 * time.Hour
	// MaterialPending is the state of imported material that waits for a rotation.
	MaterialPending = "PENDING_ROTATION"
)

// rotatable refuses keys whose material can't be rotated. The error is *Error.
func rotatable(key Key) error {
	if !key.Symmetric() {
		return Errorf(CodeUnsupportedOperation, "%s key spec is %s which is not valid for this operation.", key.ARN, key.Spec)
	}
	return nil
}

// EnableRotation has a key rotate by itself every so many days from now on; 0 is for DefaultRotationDays. A key that does so
// already and whose days stay the same keeps its schedule. The error is *Error.
func (k *Keys) EnableRotation(tx *store.Tx, key Key, days int64) error {
	now, err := k.allowed(tx, key, EnableKeyRotation)
	if err != nil {
		return err
	}
	if err := rotatable(now); err != nil {
		return err
	}
	if days == 0 {
		days = DefaultRotationDays
	}
	if days < MinRotationDays || days > MaxRotationDays {
		return Errorf(CodeValidation, "RotationPeriodInDays must be between %d and %d", MinRotationDays, MaxRotationDays)
	}
	if now.RotationDays == days {
		return nil
	}
	return update(tx, key, "enable the rotation of", `UPDATE kms_key SET rotation_days = $1, rotation_at = $2 WHERE id = $3`,
		days, k.now().AddDate(0, 0, int(days)), key.ID)
}

// DisableRotation ends that a key rotates by itself. The error is *Error.
func (k *Keys) DisableRotation(tx *store.Tx, key Key) error {
	now, err := k.allowed(tx, key, DisableKeyRotation)
	if err != nil {
		return err
	}
	if err := rotatable(now); err != nil {
		return err
	}
	return update(tx, key, "disable the rotation of", `UPDATE kms_key SET rotation_days = NULL, rotation_at = NULL WHERE id = $1`, key.ID)
}

// RotationStatus is whether and when a key rotates by itself.
type RotationStatus struct {
	Enabled bool
	// Days are how many pass between two rotations, and Next is when the next one is due.
	Days int64
	Next time.Time
}

// RotationStatus returns whether and when a key rotates by itself, which one that is to be destroyed doesn't. The error is *Error.
func (k *Keys) RotationStatus(tx *store.Tx, key Key) (RotationStatus, error) {
	now, err := k.allowed(tx, key, GetKeyRotationStatus)
	if err != nil {
		return RotationStatus{}, err
	}
	if err := rotatable(now); err != nil {
		return RotationStatus{}, err
	}
	if now.RotationDays == 0 || now.State == PendingDeletion {
		return RotationStatus{}, nil
	}
	return RotationStatus{Enabled: true, Days: now.RotationDays, Next: now.RotationDate}, nil
}

// KeyRotation is that material took the place of other material.
type KeyRotation struct {
	Key Key
	// Kind is MaterialAutomatic or MaterialOnDemand.
	Kind string
	// Previous and Current are the ids of the material before and after.
	Previous, Current string
}

// RotateOnDemand gives a key other material now: fresh, or what was imported for that. The schedule by which it rotates by itself
// stays. The error is *Error.
func (k *Keys) RotateOnDemand(tx *store.Tx, key Key) (KeyRotation, error) {
	now, err := k.allowed(tx, key, RotateKeyOnDemand)
	if err != nil {
		return KeyRotation{}, err
	}
	if err := rotatable(now); err != nil {
		return KeyRotation{}, err
	}
	if !now.RotationDate.IsZero() && k.now().Add(soon).After(now.RotationDate) {
		return KeyRotation{}, Errorf(CodeConflict, "%s will be rotated automatically within the next 20 minutes.", now.ARN)
	}
	var before int
	err = tx.QueryRow(`SELECT count(*) FROM kms_material WHERE key = $1 AND rotated_at IS NOT NULL AND kind <> $2`, key.ID, MaterialAutomatic).Scan(&before)
	if err != nil {
		return KeyRotation{}, fmt.Errorf("count the rotations of key %s: %w", key.ID, err)
	}
	if before >= MaxOnDemand {
		return KeyRotation{}, Errorf(CodeLimitExceeded, "%s was rotated on demand %d times, which is as many as a key can be.", now.ARN, before)
	}
	if now.Origin == OriginExternal {
		return k.rotateToImported(tx, now)
	}
	return k.rotate(tx, now, MaterialOnDemand)
}

// rotate makes fresh material the current one of a key.
func (k *Keys) rotate(tx *store.Tx, key Key, kind string) (KeyRotation, error) {
	m, err := keymaterial.Generate(keymaterial.Spec(key.Spec))
	if err != nil {
		return KeyRotation{}, fmt.Errorf("make material of key %s: %w", key.ID, err)
	}
	d := draft(kind, m)
	if err := k.insertMaterial(tx, key, d); err != nil {
		return KeyRotation{}, err
	}
	return k.promote(tx, key, d.id, kind)
}

// rotateToImported makes imported material the current one of a key that waits for that.
func (k *Keys) rotateToImported(tx *store.Tx, key Key) (KeyRotation, error) {
	var id string
	err := tx.QueryRow(`SELECT material_id FROM kms_material WHERE key = $1 AND state = $2 AND wrapped IS NOT NULL AND (valid_to IS NULL OR valid_to > $3)`,
		key.ID, MaterialPending, k.now()).Scan(&id)
	switch {
	case errors.Is(err, store.ErrNoRows):
		return KeyRotation{}, Errorf(CodeInvalidState, "%s has no imported key material that is pending rotation.", key.ARN)
	case err != nil:
		return KeyRotation{}, fmt.Errorf("look for material of key %s: %w", key.ID, err)
	}
	return k.promote(tx, key, id, MaterialOnDemand)
}

// promote makes material current that took the place of other material. What is current no longer decrypts still.
func (k *Keys) promote(tx *store.Tx, key Key, id, kind string) (KeyRotation, error) {
	for _, step := range []struct {
		statement string
		args      []any
	}{
		{`UPDATE kms_material SET state = $1 WHERE key = $2 AND material_id = $3`, []any{MaterialNonCurrent, key.ID, key.Current}},
		{`UPDATE kms_material SET state = $1, rotated_at = $2 WHERE key = $3 AND material_id = $4`, []any{MaterialCurrent, k.now(), key.ID, id}},
		{`UPDATE kms_key SET current_material = $1 WHERE id = $2`, []any{id, key.ID}},
	} {
		n, err := tx.Exec(step.statement, step.args...)
		if err != nil || n != 1 {
			return KeyRotation{}, fmt.Errorf("rotate key %s: %d rows: %w", key.ID, n, err)
		}
	}
	return KeyRotation{Key: key, Kind: kind, Previous: key.Current, Current: id}, touchKey(tx, key.ID)
}

// Rotate rotates the keys that do so by themselves and whose time has come, each with what record writes in the same transaction.
// It returns how many there were. A disabled key waits until it is enabled. It may run on many servers at once: the one that comes
// first rotates a key, once however often it was due.
func (k *Keys) Rotate(ctx context.Context, record func(*store.Tx, KeyRotation) error) (rotated int, err error) {
	for {
		ids, err := k.lookFor(ctx, "keys to rotate", `SELECT id FROM kms_key WHERE rotation_at IS NOT NULL AND rotation_at <= $1 AND state = $2
			ORDER BY rotation_at LIMIT $3`, k.now(), Enabled, destroyPage)
		if err != nil {
			return rotated, err
		}
		for _, id := range ids {
			done, err := k.rotateOne(ctx, id, record)
			if err != nil {
				return rotated, err
			}
			if done {
				rotated++
			}
		}
		if len(ids) < destroyPage {
			return rotated, nil
		}
	}
}

// lookFor finds ids of keys.
func (k *Keys) lookFor(ctx context.Context, what, query string, args ...any) (ids []string, err error) {
	err = k.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(query, args...)
		if err != nil {
			return err
		}
		ids, err = store.Collect(rows, store.Value[string])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", what, err)
	}
	return ids, nil
}

// rotateOne rotates a key if it is due still.
func (k *Keys) rotateOne(ctx context.Context, id string, record func(*store.Tx, KeyRotation) error) (done bool, err error) {
	err = k.db.Update(ctx, func(tx *store.Tx) error {
		done = false
		key, err := k.Key(tx, id)
		if isNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		now := k.now()
		if key.State != Enabled || key.RotationDate.IsZero() || now.Before(key.RotationDate) {
			return nil
		}
		// Only who moves the date rotates.
		moved, err := tx.Exec(`UPDATE kms_key SET rotation_at = $1 WHERE id = $2 AND rotation_at = $3`, nextRotation(key, now), id, key.RotationDate)
		if err != nil || moved == 0 {
			return err
		}
		r, err := k.rotate(tx, key, MaterialAutomatic)
		if err != nil {
			return err
		}
		done = true
		return record(tx, r)
	})
	if err != nil {
		return false, fmt.Errorf("rotate key %s: %w", id, err)
	}
	return done, nil
}

// nextRotation is when a key that is rotated now is due next.
func nextRotation(key Key, now time.Time) time.Time {
	from := key.RotationDate
	if now.Sub(from) > late {
		from = now
	}
	return from.AddDate(0, 0, int(key.RotationDays))
}

// MaterialInfo is what is shown of material of a key.
type MaterialInfo struct {
	ID, Kind, State, Description string
	// Here is false for imported material that was deleted or expired.
	Here bool
	// Rotated is when it took the place of other material, and ValidTo when it expires; zero for never.
	Rotated, ValidTo time.Time
	created          time.Time
}

// Place is where material stands in the list.
func (m MaterialInfo) Place() MaterialPlace { return MaterialPlace{m.created, m.ID} }

// MaterialPlace is a place in the list of a key's material; the zero value is before all.
type MaterialPlace struct {
	At time.Time
	ID string
}

// Rotations lists the material of a key, in the order in which it came, after a place and at most limit: only that which took the
// place of other material, or all. The error is *Error.
func (k *Keys) Rotations(tx *store.Tx, key Key, all bool, after MaterialPlace, limit int) ([]MaterialInfo, error) {
	now, err := k.allowed(tx, key, ListKeyRotations)
	if err != nil {
		return nil, err
	}
	if err := rotatable(now); err != nil {
		return nil, err
	}
	query := `SELECT material_id, kind, state, description, wrapped IS NOT NULL, created_at, rotated_at, valid_to FROM kms_material
		WHERE key = $1 AND (created_at > $2 OR created_at = $2 AND material_id > $3)`
	if !all {
		query += ` AND rotated_at IS NOT NULL`
	}
	at := after.At
	if at.IsZero() {
		at = time.UnixMicro(0)
	}
	rows, err := tx.Query(query+` ORDER BY created_at, material_id LIMIT $4`, key.ID, at, after.ID, limit)
	if err != nil {
		return nil, fmt.Errorf("list the material of key %s: %w", key.ID, err)
	}
	return store.Collect(rows, func(row store.Scanner) (m MaterialInfo, err error) {
		var rotated, validTo *time.Time
		err = row.Scan(&m.ID, &m.Kind, &m.State, &m.Description, &m.Here, &m.created, &rotated, &validTo)
		m.Rotated, m.ValidTo = value(rotated), value(validTo)
		return m, err
	})
}
