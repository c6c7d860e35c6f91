package app

import (
	"context"
	"time"

	"github.com/coffer-registry/coffer/internal/audit"
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
	parameters := append(audit.AppendString([]byte(`{"keyId":`), key.ARN), '}')
	return s.trail.Append(tx, &audit.Record{
		Identity: audit.Identity{Type: "AWSService", AccountID: key.Account, InvokedBy: "AWS Internal"}, Time: time.Now(), Source: "kms.amazonaws.com",
		Name: "DeleteKey", Region: key.Region, SourceIP: "AWS Internal", UserAgent: "AWS Internal", Parameters: parameters,
		RequestID: audit.NewUUID(), Account: key.Account, Resources: []audit.Resource{{ARN: key.ARN, Account: key.Account, Type: "AWS::KMS::Key"}},
	})
}
