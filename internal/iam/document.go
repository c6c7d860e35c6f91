package iam

import (
	"errors"
	"strings"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// refused turns what package policy refuses of a document into an error of IAM.
func refused(err error) error {
	var malformed *policy.MalformedError
	var oversize *policy.OversizeError
	switch {
	case errors.As(err, &malformed):
		return &Error{MalformedPolicyDocument, malformed.Message}
	case errors.As(err, &oversize):
		return &Error{LimitExceeded, oversize.Message}
	}
	return err
}

// keptTrust judges a trust policy and returns it as it is kept: with unique ids in place of users and roles, so that one who
// is made anew under an old name is not who was trusted. The error is of code MalformedPolicyDocument or LimitExceeded.
func (s *Store) keptTrust(tx *store.Tx, document string) (string, error) {
	if err := policy.CheckTrustSize([]byte(document)); err != nil {
		return "", refused(err)
	}
	var failure error
	p, err := policy.Parse(policy.KindTrust, []byte(document), policy.Options{Resolve: s.Resolve(tx, &failure)})
	if failure != nil {
		return "", failure
	}
	if err != nil {
		return "", refused(err)
	}
	if p.TrustsStrangers() {
		// IAM refuses it too, in words that are not known.
		return "", Errorf(MalformedPolicyDocument, "The policy trusts every repository of token.actions.githubusercontent.com: add a condition on token.actions.githubusercontent.com:sub, such as repo:<organization>/<repository>:*.")
	}
	kept, err := policy.RewritePrincipals([]byte(document), s.Resolve(tx, &failure))
	return string(kept), errors.Join(err, failure)
}

// ShownTrust is a role's trust policy as it is shown: with the ARNs that users and roles have now, and the unique ids of
// those who are gone.
func (s *Store) ShownTrust(tx *store.Tx, r Role) (string, error) {
	var failure error
	shown, err := policy.RewritePrincipals([]byte(r.Trust), s.Name(tx, &failure))
	if err != nil || failure != nil {
		return r.Trust, failure
	}
	return string(shown), nil
}

// Resolve finds the unique ids of users and roles by their ARNs, which are compared with regard to case; a unique id of one
// who exists is its own. It is what policy.Options want; a failure to look is remembered in *failure.
func (s *Store) Resolve(tx *store.Tx, failure *error) func(principal string) (id string, ok bool) {
	name := s.Name(tx, failure)
	return func(principal string) (string, bool) {
		if strings.HasPrefix(principal, ids[KindUser]) || strings.HasPrefix(principal, ids[KindRole]) {
			_, ok := name(principal)
			return principal, ok
		}
		kind, account, path, name, ok := splitARN(principal)
		if !ok || *failure != nil || kind != KindUser && kind != KindRole {
			return "", false
		}
		var found, foundPath, id string
		err := tx.QueryRow(`SELECT id, name, path FROM `+tables[kind]+` WHERE account = $1 AND name_key = $2`, account, nameKey(name)).Scan(&id, &found, &foundPath)
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
