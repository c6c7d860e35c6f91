package kms

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/keymaterial"
	"github.com/coffer-registry/coffer/internal/store"
)

// How material of a key came.
const (
	MaterialCreated   = "CREATED"
	MaterialAutomatic = "AUTOMATIC"
	MaterialOnDemand  = "ON_DEMAND"
	MaterialImported  = "IMPORTED"
)

// What material of a key is for now.
const (
	MaterialCurrent    = "CURRENT"
	MaterialNonCurrent = "NON_CURRENT"
)

// draftMaterial is material that no row holds yet.
type draftMaterial struct {
	id       string
	kind     string
	material keymaterial.Material
}

// opened is material in memory.
type opened struct {
	id       [32]byte
	material keymaterial.Material
}

// generate makes material. That of RSA waits for its turn, so it is not for transactions.
func (k *Keys) generate(ctx context.Context, spec keymaterial.Spec) (keymaterial.Material, error) {
	if !strings.HasPrefix(string(spec), "RSA_") {
		return keymaterial.Generate(spec)
	}
	select {
	case k.generating <- struct{}{}:
	case <-ctx.Done():
		return keymaterial.Material{}, ctx.Err()
	}
	defer func() { <-k.generating }()
	return keymaterial.Generate(spec)
}

// newMaterial makes the first material of a key, and notes in the key which it is.
func (k *Keys) newMaterial(ctx context.Context, key *Key) (*draftMaterial, error) {
	m, err := k.generate(ctx, keymaterial.Spec(key.Spec))
	if err != nil {
		return nil, fmt.Errorf("make the material of a key: %w", err)
	}
	d := draft(MaterialCreated, m)
	key.Current = d.id
	return d, nil
}

func draft(kind string, m keymaterial.Material) *draftMaterial {
	id := m.ID()
	return &draftMaterial{id: hex.EncodeToString(id[:]), kind: kind, material: m}
}

// materialContext binds wrapped material to its key and its id.
func materialContext(keyID, id string) Context {
	return Context{"coffer:kms:key": keyID, "coffer:kms:material": id}
}

// insertMaterial keeps material of a key, as the current one.
func (k *Keys) insertMaterial(tx *store.Tx, key Key, d *draftMaterial) error {
	wrapped, err := k.keyring.Seal(keyScope(key.Account, key.Region), d.material.Bytes(), materialContext(key.ID, d.id))
	if err != nil {
		return fmt.Errorf("wrap the material of key %s: %w", key.ID, err)
	}
	_, err = tx.Exec(`INSERT INTO kms_material (key, material_id, wrapped, kind, state, description, created_at) VALUES ($1, $2, $3, $4, $5, '', $6)`,
		key.ID, d.id, wrapped, d.kind, MaterialCurrent, k.now())
	if err != nil {
		return fmt.Errorf("keep the material of key %s: %w", key.ID, err)
	}
	return nil
}

// maxOpened bounds how much material of one key is in memory.
const maxOpened = 64

// material finds material of a key by its id, from memory if it can. The error is *Error if it was deleted or expired,
// errNoMaterial if the key never had it, and ErrRootUnavailable.
func (k *Keys) material(ctx context.Context, s *standing, id string) (opened, error) {
	// What is in memory is not to be used either while the root of trust is away for too long.
	if err := k.keyring.Ready(); err != nil {
		return opened{}, Errorf(CodeKeyUnavailable, "%v", err)
	}
	// What is in memory opens no longer than the keys that it came from.
	if err := k.keyring.guard(PurposeKMS); err != nil {
		return opened{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := s.materials[id]; ok {
		// What expires does so while it is in memory too.
		if o.validTo.IsZero() || k.now().Before(o.validTo) {
			return o.opened, nil
		}
	}
	o, err := k.openMaterial(ctx, s.key, id)
	if err != nil {
		return opened{}, err
	}
	if len(s.materials) >= maxOpened {
		clear(s.materials)
	}
	s.materials[id] = o
	return o.opened, nil
}

// errNoMaterial means that a key never had that material.
var errNoMaterial = errors.New("the key has no such material")

// expiring is material in memory that may expire; a zero validTo is for never.
type expiring struct {
	opened
	validTo time.Time
}

// openMaterial reads and unwraps material of a key. The error is errNoMaterial, and *Error if it was deleted or expired.
func (k *Keys) openMaterial(ctx context.Context, key Key, id string) (o expiring, err error) {
	var wrapped []byte
	var validTo *time.Time
	err = k.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT wrapped, valid_to FROM kms_material WHERE key = $1 AND material_id = $2`, key.ID, id).Scan(&wrapped, &validTo)
	})
	switch {
	case errors.Is(err, store.ErrNoRows):
		return o, errNoMaterial
	case err != nil:
		return o, fmt.Errorf("read material of key %s: %w", key.ID, err)
	case wrapped == nil, validTo != nil && !k.now().Before(*validTo):
		return o, isPendingImport.error(key)
	}
	o.validTo = value(validTo)
	o.material, err = k.unwrapMaterial(key, id, wrapped)
	if raw, bad := hex.DecodeString(id); bad == nil && len(raw) == len(o.id) {
		o.id = [32]byte(raw)
	}
	return o, err
}

func (k *Keys) unwrapMaterial(key Key, id string, wrapped []byte) (keymaterial.Material, error) {
	raw, err := k.keyring.Open(wrapped, materialContext(key.ID, id))
	if err != nil {
		return keymaterial.Material{}, fmt.Errorf("material %s of key %s: %w", id, key.ID, err)
	}
	defer clear(raw)
	return keymaterial.FromBytes(keymaterial.Spec(key.Spec), raw)
}
