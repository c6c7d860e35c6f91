package app

import (
	"context"
	"crypto/fips140"
	"time"

	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/store"
)

// AddAccount makes an account whose root has an access key, and registries in it.
func (s *Server) AddAccount(ctx context.Context, id, keyID string, text secret.Text) error {
	if err := s.state.iam.PutRootKey(ctx, id, keyID, text); err != nil {
		return err
	}
	return s.state.ensureScopes(ctx, s.config)
}

// AddMFADevice makes a device as if it came from a time when FIPS 140-3 was not enforced, if it is now.
func (s *Server) AddMFADevice(ctx context.Context, account, name string, tags ...iam.Tag) error {
	return s.state.db.Update(ctx, func(tx *store.Tx) (err error) {
		fips140.WithoutEnforcement(func() {
			var d iam.MFADevice
			if d, _, err = s.state.iam.CreateMFADevice(tx, account, "", name); err == nil {
				err = s.state.iam.PutTags(tx, account, d.Serial(), tags)
			}
		})
		return err
	})
}

// AssignMFADevice assigns a device without the codes that prove that it is at hand.
func (s *Server) AssignMFADevice(ctx context.Context, serial, owner string) error {
	return s.state.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE iam_mfa SET owner = $1, enabled_at = created_at WHERE serial = $2`, owner, serial)
		return err
	})
}

// RevokeSessions makes void what was issued in an account before a moment.
func (s *Server) RevokeSessions(ctx context.Context, account string, before time.Time) error {
	return s.state.db.Update(ctx, func(tx *store.Tx) error { return s.state.iam.RevokeSessions(tx, account, before) })
}

// WrappedMaterial returns the material of a key of KMS as the database has it.
func (s *Server) WrappedMaterial(ctx context.Context, keyID string) (wrapped []byte, err error) {
	err = s.state.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT wrapped FROM kms_material WHERE key = $1`, keyID).Scan(&wrapped)
	})
	return wrapped, err
}

// DestroyKeys does now what the server does each minute: it destroys the keys whose time has come.
func (s *Server) DestroyKeys(ctx context.Context) error { return s.destroyKeys(ctx) }

// RewrapKeys does now what the server does each second: it wraps the keys of repositories anew whose customer key was rotated.
func (s *Server) RewrapKeys(ctx context.Context) error { return s.rewrapOnce(ctx) }

// AskRoot asks the root of trust as the server does now and then.
func (s *Server) AskRoot(ctx context.Context) error { return s.state.keys.Beat(ctx) }
