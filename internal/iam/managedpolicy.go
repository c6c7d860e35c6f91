package iam

import (
	"errors"

	"github.com/coffer-registry/coffer/internal/store"
)

// managedDocument reads the default version of a managed policy. The error is of code NoSuchEntity.
func (s *Store) managedDocument(tx *store.Tx, arn string) (document string, err error) {
	err = tx.QueryRow(`SELECT v.document FROM iam_policy p JOIN iam_policy_version v ON v.policy = p.id AND v.number = p.default_version
		WHERE p.arn = $1`, arn).Scan(&document)
	if errors.Is(err, store.ErrNoRows) {
		return "", Errorf(NoSuchEntity, "Policy %s was not found.", arn)
	}
	return document, err
}
