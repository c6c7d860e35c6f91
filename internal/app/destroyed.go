package app

import (
	"context"

	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/store"
)

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
