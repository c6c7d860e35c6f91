package kms

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

const (
	settingInstallation = "installation"
	// settingRootCheck is the installation's id, sealed under a root key that wraps the service keys itself. It is there
	// only until the first start with installation keys.
	settingRootCheck = "root-check"
)

// errChanged means that another process was quicker with what this one was about to do.
var errChanged = fmt.Errorf("the installation key was just changed by another server; %w", store.ErrOvertaken)

// openInstallation finds the installation key, making it where there is none. Each round prepares with the root what a
// transaction then does if nothing has changed meanwhile.
func (k *Keyring) openInstallation(ctx context.Context) error {
	for range 10 {
		err := k.tryInstallation(ctx)
		if !errors.Is(err, errChanged) {
			return err
		}
	}
	return errChanged
}

func (k *Keyring) tryInstallation(ctx context.Context) error {
	var id, check []byte
	var r record
	var rows []serviceRow
	err := k.db.View(ctx, func(tx *store.Tx) (err error) {
		if id, err = setting(tx, settingInstallation); err != nil {
			return err
		}
		if check, err = setting(tx, settingRootCheck); err != nil {
			return err
		}
		if r, err = getRecord(tx); err != nil {
			return err
		}
		rows, err = serviceRows(tx)
		return err
	})
	switch {
	case err != nil:
		return err
	case id == nil:
		return k.makeInstallation(ctx)
	case r.ID == "":
		return k.bringOver(ctx, id, check, rows)
	}
	if err := r.checkKind(k.root.String()); err != nil {
		return err
	}
	key, err := r.open(ctx, k.root, string(id))
	if err != nil {
		return err
	}
	k.installation = string(id)
	k.adopt(r, key)
	return nil
}

// makeInstallation makes the database an installation of this root.
func (k *Keyring) makeInstallation(ctx context.Context) error {
	id := rand.Text()
	r, key, err := newRecord(ctx, k.root, id)
	if err != nil {
		return err
	}
	err = k.db.Update(ctx, func(tx *store.Tx) error {
		other, err := setting(tx, settingInstallation)
		if err != nil {
			return err
		}
		if other != nil {
			return errChanged
		}
		if err := checkEmpty(tx); err != nil {
			return err
		}
		if err := putSetting(tx, settingInstallation, []byte(id)); err != nil {
			return err
		}
		return putRecord(tx, r)
	})
	if err != nil {
		return err
	}
	k.installation = id
	k.adopt(r, key)
	return nil
}

// checkEmpty refuses to make an installation of a database that has keys already, as one that was restored in part.
func checkEmpty(tx *store.Tx) error {
	var n int
	err := tx.QueryRow(`SELECT (SELECT count(*) FROM service_key) + (SELECT count(*) FROM setting WHERE name IN ($1, $2))`,
		settingInstallationKey, settingRootCheck).Scan(&n)
	if err == nil && n > 0 {
		err = errors.New("the database has keys and no installation: it was restored in part; restore it whole from your backup")
	}
	return err
}

// bringOver puts an installation key between a root and the service keys that it wrapped itself.
func (k *Keyring) bringOver(ctx context.Context, id, check []byte, rows []serviceRow) error {
	root, ok := k.root.(DirectRoot)
	if !ok {
		return ErrWrongRoot
	}
	opened, err := root.OpenDirect(ctx, []byte(settingRootCheck), check)
	if err != nil && !errors.Is(err, seal.ErrAltered) {
		return err
	}
	if err != nil || !bytes.Equal(opened, id) {
		return ErrWrongRoot
	}
	r, key, err := newRecord(ctx, k.root, string(id))
	if err != nil {
		return err
	}
	wrapped := map[string][]byte{}
	for _, row := range rows {
		raw, err := root.OpenDirect(ctx, row.context(), row.wrapped)
		if err != nil {
			return fmt.Errorf("service key %s: %w", row.id, err)
		}
		if wrapped[row.id], err = seal.SealBytes(key, row.context(), raw); err != nil {
			return err
		}
	}
	err = k.db.Update(ctx, func(tx *store.Tx) error {
		now, err := getRecord(tx)
		if err != nil {
			return err
		}
		again, err := serviceRows(tx)
		if err != nil {
			return err
		}
		if now.ID != "" || len(again) != len(rows) {
			return errChanged
		}
		for _, row := range rows {
			if err := row.rewrap(tx, wrapped[row.id]); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(`DELETE FROM setting WHERE name = $1`, settingRootCheck); err != nil {
			return err
		}
		return putRecord(tx, r)
	})
	if err != nil {
		return err
	}
	k.installation = string(id)
	k.adopt(r, key)
	return nil
}

// adopt goes on with an installation key.
func (k *Keyring) adopt(r record, key seal.Key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.record, k.wrapping[r.ID] = r, key
}

// current returns the root and the installation key that it wrapped.
func (k *Keyring) current() (Root, record, seal.Key) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.root, k.record, k.wrapping[k.record.ID]
}

// wrappingKey is the installation key that wraps the service keys as the transaction sees them.
func (k *Keyring) wrappingKey(tx *store.Tx) (seal.Key, error) {
	r, err := getRecord(tx)
	if err != nil {
		return seal.Key{}, err
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	key, ok := k.wrapping[r.ID]
	if !ok {
		k.made.Add(1)
		return seal.Key{}, errChanged
	}
	return key, nil
}

// serviceRow is a service key at rest.
type serviceRow struct {
	id      string
	scope   Scope
	wrapped []byte
}

// serviceRows reads all service keys.
func serviceRows(tx *store.Tx) ([]serviceRow, error) {
	rows, err := tx.Query(`SELECT id, purpose, account, region, wrapped FROM service_key`)
	if err != nil {
		return nil, err
	}
	return store.Collect(rows, func(row store.Scanner) (r serviceRow, err error) {
		return r, row.Scan(&r.id, &r.scope.Purpose, &r.scope.Account, &r.scope.Region, &r.wrapped)
	})
}

// context binds a wrapped service key to its row.
func (r serviceRow) context() []byte {
	return encodeContext(nil, Context{"id": r.id, "purpose": string(r.scope.Purpose), "account": r.scope.Account, "region": r.scope.Region})
}

// rewrap replaces what is wrapped.
func (r serviceRow) rewrap(tx *store.Tx, wrapped []byte) error {
	_, err := tx.Exec(`UPDATE service_key SET wrapped = $1 WHERE id = $2`, wrapped, r.id)
	return err
}

// open unwraps a service key. The error is seal.ErrAltered.
func (r serviceRow) open(installation seal.Key) (seal.Key, error) {
	raw, err := seal.OpenBytes(installation, r.context(), r.wrapped)
	if err != nil {
		return seal.Key{}, fmt.Errorf("service key %s: %w", r.id, err)
	}
	return seal.KeyFromBytes(raw)
}
