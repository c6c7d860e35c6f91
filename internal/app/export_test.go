package app

import (
	"context"

	"github.com/coffer-registry/coffer/internal/secret"
)

// AddAccount makes an account whose root has an access key, and registries in it.
func (s *Server) AddAccount(ctx context.Context, id, keyID string, text secret.Text) error {
	if err := s.state.iam.PutRootKey(ctx, id, keyID, text); err != nil {
		return err
	}
	return s.state.ensureScopes(ctx, s.config)
}
