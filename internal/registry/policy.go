package registry

import (
	"errors"
	"fmt"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// Policy is a policy of a repository or a registry that was checked and may be stored.
type Policy struct {
	// Text is how the policy is shown.
	Text string
	// Compiled is for asking what would be if it were stored.
	Compiled *policy.Policy

	// document is Text with unique ids in place of the ARNs of users and roles, so that one who is made anew under an old
	// name has no part in it.
	document string
}

// PolicyError means that a text can't be the policy of a repository or a registry.
type PolicyError struct {
	Kind policy.Kind
	// UnknownPrincipal is set for a policy that names a user or role that does not exist.
	UnknownPrincipal bool
	// Detail says where and what.
	Detail string
}

func (e *PolicyError) Error() string {
	return fmt.Sprintf("the text is no %s policy: %s", e.Kind, e.Detail)
}

// PrincipalNames finds the unique ids of users and roles by their ARNs, or the ARNs by the ids. A failure to look is noted
// in *failure.
type PrincipalNames func(tx *store.Tx, failure *error) func(principal string) (other string, ok bool)

// nobody knows no user and no role.
func nobody(*store.Tx, *error) func(string) (string, bool) {
	return func(string) (string, bool) { return "", false }
}

// NewPolicy checks the policy of a repository, which need not exist. The error is *PolicyError.
func (r *Registry) NewPolicy(tx *store.Tx, id ID, name, text string) (Policy, error) {
	return r.newPolicy(tx, policy.KindRepository, text, policy.Options{Resource: arn.Repository(id.Region, id.Account, name).String()})
}

func (r *Registry) newPolicy(tx *store.Tx, kind policy.Kind, text string, o policy.Options) (Policy, error) {
	var failure error
	byARN, byID := r.resolve(tx, &failure), r.principalName(tx, &failure)
	unknown := false
	o.Name = kind.String() + " policy"
	o.Resolve = func(principal string) (string, bool) {
		if id, ok := byARN(principal); ok {
			return id, true
		}
		// A policy that was read while one was gone has the id in place of the ARN.
		_, ok := byID(principal)
		unknown = unknown || !ok
		return principal, ok
	}
	compiled, err := policy.Parse(kind, []byte(text), o)
	if failure != nil {
		return Policy{}, fmt.Errorf("look up the principals of a policy: %w", failure)
	}
	var malformed *policy.MalformedError
	if errors.As(err, &malformed) {
		return Policy{}, &PolicyError{Kind: kind, UnknownPrincipal: unknown, Detail: malformed.Detail}
	}
	if err != nil {
		return Policy{}, err
	}
	document, err := policy.RewritePrincipals([]byte(text), byARN)
	if err == nil {
		document, err = policy.Format(document)
	}
	if err = errors.Join(err, failure); err != nil {
		return Policy{}, err
	}
	shown, err := r.shownPolicy(tx, string(document))
	return Policy{Text: shown, Compiled: compiled, document: string(document)}, err
}

// shownPolicy is how a stored policy is shown: with the ARNs of users and roles while they exist, and else their ids.
func (r *Registry) shownPolicy(tx *store.Tx, document string) (string, error) {
	var failure error
	text, err := policy.RewritePrincipals([]byte(document), r.principalName(tx, &failure))
	if err = errors.Join(err, failure); err != nil {
		return "", fmt.Errorf("show a policy: %w", err)
	}
	return string(text), nil
}

// SetPolicy gives a repository a policy, in place of any that it has.
func (r *Registry) SetPolicy(tx *store.Tx, repo Repository, p Policy) error {
	if _, err := tx.Exec(`INSERT INTO repository_policy (repository, document) VALUES ($1, $2)
		ON CONFLICT (repository) DO UPDATE SET document = excluded.document`, repo.id, p.document); err != nil {
		return fmt.Errorf("set the policy of %s: %w", repo.Name, err)
	}
	return changed(tx, repo.Registry.Account)
}

// Policy is the policy of a repository as it is shown. The error is ErrPolicyNotFound.
func (r *Registry) Policy(tx *store.Tx, repo Repository) (string, error) {
	document, err := policyDocument(tx, repo.id)
	if err != nil {
		return "", err
	}
	return r.shownPolicy(tx, document)
}

// policyDocument reads the policy of a repository as it is stored. The error is ErrPolicyNotFound.
func policyDocument(tx *store.Tx, repository int64) (document string, err error) {
	err = tx.QueryRow(`SELECT document FROM repository_policy WHERE repository = $1`, repository).Scan(&document)
	if errors.Is(err, store.ErrNoRows) {
		return "", ErrPolicyNotFound
	}
	if err != nil {
		return "", fmt.Errorf("read the policy of a repository: %w", err)
	}
	return document, nil
}

// DeletePolicy takes the policy of a repository away, and returns it. The error is ErrPolicyNotFound.
func (r *Registry) DeletePolicy(tx *store.Tx, repo Repository) (text string, err error) {
	if text, err = r.Policy(tx, repo); err != nil {
		return "", err
	}
	if _, err := tx.Exec(`DELETE FROM repository_policy WHERE repository = $1`, repo.id); err != nil {
		return "", fmt.Errorf("delete the policy of %s: %w", repo.Name, err)
	}
	return text, changed(tx, repo.Registry.Account)
}
