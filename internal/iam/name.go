package iam

import (
	"errors"

	"github.com/coffer-registry/coffer/internal/store"
)

// Name finds the ARNs of users and roles by their unique ids, the other way round than Resolve, for documents that are shown.
// A failure to look is remembered in *failure.
func (s *Store) Name(tx *store.Tx, failure *error) func(id string) (arn string, ok bool) {
	return func(id string) (string, bool) {
		if *failure != nil {
			return "", false
		}
		for _, kind := range []Kind{KindUser, KindRole} {
			var account, path, name string
			err := tx.QueryRow(`SELECT account, path, name FROM `+tables[kind]+` WHERE id = $1`, id).Scan(&account, &path, &name)
			if err == nil {
				return kind.ARN(account, path, name), true
			}
			if !errors.Is(err, store.ErrNoRows) {
				*failure = err
				return "", false
			}
		}
		return "", false
	}
}
