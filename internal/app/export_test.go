package app

import (
	"context"
	"time"

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

// RevokeSessions makes void what was issued in an account before a moment.
func (s *Server) RevokeSessions(ctx context.Context, account string, before time.Time) error {
	return s.state.db.Update(ctx, func(tx *store.Tx) error { return s.state.iam.RevokeSessions(tx, account, before) })
}

// AskRoot asks the root of trust as the server does now and then.
func (s *Server) AskRoot(ctx context.Context) error { return s.state.keys.Beat(ctx) }
