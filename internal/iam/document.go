package iam

import (
	"errors"
	"strings"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// malformed is the refusal of a document.
func malformed(err error) error {
	var m *policy.MalformedError
	if errors.As(err, &m) {
		return &Error{MalformedPolicyDocument, m.Message}
	}
	return err
}

// Resolve finds the unique ids of users and roles by their ARNs, which are compared with regard to case. It is what
// policy.Options want; a failure to look is remembered in *failure.
func (s *Store) Resolve(tx *store.Tx, failure *error) func(arn string) (id string, ok bool) {
	return func(arn string) (string, bool) {
		kind, account, path, name, ok := splitARN(arn)
		if !ok || *failure != nil {
			return "", false
		}
		var found, foundPath, id string
		table := map[Kind]string{KindUser: "iam_user", KindRole: "iam_role"}[kind]
		if table == "" {
			return "", false
		}
		err := tx.QueryRow(`SELECT id, name, path FROM `+table+` WHERE account = $1 AND name_key = $2`, account, nameKey(name)).Scan(&id, &found, &foundPath)
		if err != nil {
			if !errors.Is(err, store.ErrNoRows) {
				*failure = err
			}
			return "", false
		}
		return id, found == name && foundPath == path
	}
}

// splitARN takes an entity's ARN apart.
func splitARN(text string) (kind Kind, account, path, name string, ok bool) {
	rest, ok := strings.CutPrefix(text, "arn:aws:iam::")
	if !ok {
		return "", "", "", "", false
	}
	account, rest, _ = strings.Cut(rest, ":")
	first, last := strings.IndexByte(rest, '/'), strings.LastIndexByte(rest, '/')
	if first < 0 || len(account) != 12 {
		return "", "", "", "", false
	}
	return Kind(rest[:first]), account, rest[first : last+1], rest[last+1:], true
}
