package app

import (
	"context"

	"github.com/coffer-registry/coffer/internal/audit"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/store"
)

// rotateKeys rotates the keys of KMS that do so by themselves and whose time has come.
func (s *Server) rotateKeys(ctx context.Context) error {
	n, err := s.state.customer.Rotate(ctx, s.recordRotated)
	if n > 0 {
		s.log.Info("rotated keys", "keys", n)
	}
	return err
}

// expireMaterial destroys the imported material of keys whose time has come.
func (s *Server) expireMaterial(ctx context.Context) error {
	n, err := s.state.customer.Expire(ctx, s.recordExpired)
	if n > 0 {
		s.log.Info("destroyed expired material of keys", "materials", n)
	}
	return err
}

// destroyKeys destroys the keys of KMS whose time has come.
func (s *Server) destroyKeys(ctx context.Context) error {
	n, err := s.state.customer.Destroy(ctx, s.recordDestroyed)
	if n > 0 {
		s.log.Info("destroyed keys", "keys", n)
	}
	return err
}

// recordDestroyed leaves the record of a key that was destroyed, which nobody asked for any more.
func (s *Server) recordDestroyed(tx *store.Tx, key kms.Key) error {
	return s.recordKeyEvent(tx, key, "DeleteKey")
}

// recordRotated leaves the record of a rotation, be it by itself or on demand.
func (s *Server) recordRotated(tx *store.Tx, r kms.KeyRotation) error {
	return s.recordKeyEvent(tx, r.Key, "RotateKey", "rotationType", r.Kind, "keyOrigin", r.Key.Origin,
		"previousKeyMaterialId", r.Previous, "currentKeyMaterialId", r.Current)
}

// recordExpired leaves the record of imported material that expired.
func (s *Server) recordExpired(tx *store.Tx, key kms.Key, materialID string) error {
	if !key.Symmetric() {
		return s.recordKeyEvent(tx, key, "DeleteExpiredKeyMaterial")
	}
	return s.recordKeyEvent(tx, key, "DeleteExpiredKeyMaterial", "keyMaterialId", materialID)
}

// recordKeyEvent leaves the record of what KMS did with a key of itself. details are names and values.
func (s *Server) recordKeyEvent(tx *store.Tx, key kms.Key, name string, details ...string) error {
	event := audit.AppendString([]byte(`{"keyId":`), key.ID)
	for i := 0; i < len(details); i += 2 {
		event = append(audit.AppendString(append(event, ','), details[i]), ':')
		event = audit.AppendString(event, details[i+1])
	}
	return s.trail.Append(tx, &audit.Record{
		Identity: audit.Identity{Type: "AWSService", AccountID: key.Account, InvokedBy: "AWS Internal"}, Time: s.now(), Source: "kms.amazonaws.com",
		Name: name, Region: key.Region, SourceIP: "AWS Internal", UserAgent: "AWS Internal", ServiceEvent: append(event, '}'),
		RequestID: audit.NewUUID(), Account: key.Account, Resources: []audit.Resource{{ARN: key.ARN, Account: key.Account, Type: "AWS::KMS::Key"}},
	})
}
