package iam

import "github.com/coffer-registry/coffer/internal/store"

// CheckManaged wants a managed policy to exist, for a session that is to have it. The error is of code ValidationError.
func (s *Store) CheckManaged(tx *store.Tx, arn string) error {
	_, err := s.managedDocument(tx, arn)
	if IsMissing(err) {
		// The sentence of STS is not known; this is the one of IAM for policies that are attached.
		return Errorf(ValidationError, "Policy %s does not exist or is not attachable.", arn)
	}
	return err
}
