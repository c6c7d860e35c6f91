package iam

import (
	"strings"

	"github.com/coffer-registry/coffer/internal/store"
)

// SetBoundary makes a managed policy the permissions boundary of a user or role, in place of any other; an empty ARN is
// none. The error is of code NoSuchEntity or PolicyNotAttachable.
func (s *Store) SetBoundary(tx *store.Tx, kind Kind, account, id, arn string) error {
	if arn != "" {
		if err := s.checkBoundary(tx, account, arn); err != nil {
			return err
		}
	}
	if err := s.changed(tx, account); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE `+tables[kind]+` SET boundary = $1 WHERE id = $2`, arn, id)
	return err
}

// checkBoundary wants a managed policy of the account, or one of AWS that is not for services alone.
func (s *Store) checkBoundary(tx *store.Tx, account, arn string) error {
	missing := Errorf(NoSuchEntity, "Scope ARN: %s does not exist or is not attachable.", arn)
	if strings.HasPrefix(arn, awsPolicies+"aws-service-role/") {
		// The sentence of IAM is not known.
		return Errorf(PolicyNotAttachable, "A policy of service-linked roles can't be a permissions boundary.")
	}
	if !strings.HasPrefix(arn, "arn:aws:iam::"+account+":policy/") && !strings.HasPrefix(arn, awsPolicies) {
		return missing
	}
	_, err := s.managedDocument(tx, arn)
	if IsMissing(err) {
		return missing
	}
	return err
}
