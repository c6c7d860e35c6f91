package iam

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// Policy is a managed policy.
type Policy struct {
	// ID is the unique id, Account "aws" for a policy of AWS.
	ID, Account, Name, Path string
	Description             string
	CreatedAt               time.Time
	// UpdatedAt is when its last version was made.
	UpdatedAt time.Time
	// DefaultVersion is the number of the version that counts.
	DefaultVersion int64
	lastVersion    int64
}

// ARN is the policy's Amazon resource name.
func (p Policy) ARN() string { return KindPolicy.ARN(p.Account, p.Path, p.Name) }

// OfAWS reports whether it is one of AWS, which nobody changes.
func (p Policy) OfAWS() bool { return p.Account == awsAccount }

// Changeable wants the policy to be one that its account may change. The error is of code AccessDenied.
func (p Policy) Changeable() error {
	if p.OfAWS() {
		// The sentence of IAM is not known.
		return Errorf(AccessDenied, "The policy %s is managed by AWS and can't be changed.", p.ARN())
	}
	return nil
}

// Version is a version of a managed policy.
type Version struct {
	Number    int64
	Document  string
	CreatedAt time.Time
}

// IAM's quotas.
const (
	policiesPerAccount = 1500
	versionsPerPolicy  = 5
)

// managedDocument reads the default version of a managed policy. The error is of code NoSuchEntity.
func (s *Store) managedDocument(tx *store.Tx, arn string) (document string, err error) {
	if p, ok := awsByARN[arn]; ok {
		return p.document, nil
	}
	err = tx.QueryRow(`SELECT v.document FROM iam_policy p JOIN iam_policy_version v ON v.policy = p.id AND v.number = p.default_version
		WHERE p.arn = $1`, arn).Scan(&document)
	if errors.Is(err, store.ErrNoRows) {
		return "", noPolicy(arn)
	}
	return document, err
}

// CreatePolicy makes a managed policy of what p says, with a first version. The error is of code EntityAlreadyExists,
// LimitExceeded or MalformedPolicyDocument.
func (s *Store) CreatePolicy(tx *store.Tx, p Policy, document string) (Policy, error) {
	if err := checkManaged(document); err != nil {
		return Policy{}, err
	}
	if err := s.count(tx, "iam_policy", p.Account, policiesPerAccount, "PoliciesPerAccount"); err != nil {
		return Policy{}, err
	}
	p.ID, p.Path, p.CreatedAt, p.DefaultVersion, p.lastVersion = newID(KindPolicy), OrRoot(p.Path), s.now(), 1, 1
	p.UpdatedAt = p.CreatedAt
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM iam_policy WHERE account = $1 AND name_key = $2`, p.Account, nameKey(p.Name)).Scan(&n); err != nil {
		return Policy{}, err
	}
	if n > 0 {
		return Policy{}, Errorf(EntityAlreadyExists, "A policy called %s already exists. Duplicate names are not allowed.", p.Name)
	}
	if err := s.changed(tx, p.Account); err != nil {
		return Policy{}, err
	}
	_, err := tx.Exec(`INSERT INTO iam_policy (id, account, name, name_key, path, arn, description, created_at, updated_at, default_version, last_version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`, p.ID, p.Account, p.Name, nameKey(p.Name), p.Path, p.ARN(), p.Description,
		p.CreatedAt.UnixMicro(), p.UpdatedAt.UnixMicro(), p.DefaultVersion, p.lastVersion)
	if err != nil {
		return Policy{}, fmt.Errorf("create policy %s: %w", p.Name, err)
	}
	return p, s.insertVersion(tx, p, document)
}

// checkManaged judges the document of a managed policy.
func checkManaged(document string) error {
	if err := policy.CheckManagedSize([]byte(document)); err != nil {
		return refused(err)
	}
	_, err := policy.Parse(policy.KindManaged, []byte(document), policy.Options{})
	return refused(err)
}

func (s *Store) insertVersion(tx *store.Tx, p Policy, document string) error {
	_, err := tx.Exec(`INSERT INTO iam_policy_version (policy, number, document, created_at) VALUES ($1, $2, $3, $4)`,
		p.ID, p.lastVersion, document, p.UpdatedAt.UnixMicro())
	return err
}

const policyColumns = `id, account, name, path, description, created_at, updated_at, default_version, last_version`

func scanPolicy(row store.Scanner) (Policy, error) {
	var p Policy
	var created, updated int64
	err := row.Scan(&p.ID, &p.Account, &p.Name, &p.Path, &p.Description, &created, &updated, &p.DefaultVersion, &p.lastVersion)
	p.CreatedAt, p.UpdatedAt = time.UnixMicro(created), time.UnixMicro(updated)
	return p, err
}

// checkPolicyARN wants the ARN of a managed policy, whether or not there is one. The error is of code InvalidInput.
func checkPolicyARN(arn string) error {
	rest, _ := strings.CutPrefix(arn, "arn:aws:iam::")
	account, name, ok := strings.Cut(rest, ":policy/")
	if !ok || name == "" || account != awsAccount && (len(account) != 12 || strings.Trim(account, "0123456789") != "") {
		return Errorf(InvalidInput, "ARN %s is not valid.", arn)
	}
	return nil
}

// Policy finds a managed policy of an account, or one of AWS, by ARN. The error is of code InvalidInput or NoSuchEntity.
func (s *Store) Policy(tx *store.Tx, account, arn string) (Policy, error) {
	if err := checkPolicyARN(arn); err != nil {
		return Policy{}, err
	}
	if p, ok := awsByARN[arn]; ok {
		return p.policy(), nil
	}
	p, err := scanPolicy(tx.QueryRow(`SELECT `+policyColumns+` FROM iam_policy WHERE arn = $1`, arn))
	if errors.Is(err, store.ErrNoRows) || err == nil && p.Account != account {
		return Policy{}, noPolicy(arn)
	}
	return p, err
}

// PolicyUse counts the users, groups and roles of an account that a managed policy is attached to, and the users and roles
// whose boundary it is.
func (s *Store) PolicyUse(tx *store.Tx, account, arn string) (attached, boundaries int64, err error) {
	err = errors.Join(
		tx.QueryRow(`SELECT count(*) FROM iam_attachment WHERE account = $1 AND policy = $2`, account, arn).Scan(&attached),
		tx.QueryRow(`SELECT (SELECT count(*) FROM iam_user WHERE boundary = $2 AND boundary <> '' AND account = $1) +
			(SELECT count(*) FROM iam_role WHERE boundary = $2 AND boundary <> '' AND account = $1)`, account, arn).Scan(&boundaries))
	return attached, boundaries, err
}

// PolicyFilter says which managed policies to list.
type PolicyFilter struct {
	// Prefix is that of their paths.
	Prefix string
	// Local and AWS are whether to list the account's own and those of AWS.
	Local, AWS bool
	// Attached leaves out those that nobody uses, and Usage those that nobody uses as it says; empty is either.
	Attached bool
	Usage    string
}

// used reports whether a filter lets a policy through that is used so often.
func (f PolicyFilter) used(attached, boundaries int64) bool {
	switch f.Usage {
	case UsedAsPermissions:
		return attached > 0
	case UsedAsBoundary:
		return boundaries > 0
	}
	return !f.Attached || attached > 0
}

// PolicyPage lists managed policies: those of AWS first, each by path and name. after holds the account of the last one
// before, "aws" for those of AWS, and its path and name; empty texts are the beginning.
func (s *Store) PolicyPage(tx *store.Tx, account string, f PolicyFilter, after []string, n int) (page []Policy, more bool, err error) {
	if f.AWS && (after[0] == "" || after[0] == awsAccount) {
		for _, p := range awsManaged {
			if !strings.HasPrefix(p.path, f.Prefix) || after[0] != "" && p.path+"\x00"+p.name <= after[1]+"\x00"+after[2] {
				continue
			}
			attached, boundaries, err := s.PolicyUse(tx, account, p.arn())
			if err != nil {
				return nil, false, err
			}
			if f.used(attached, boundaries) {
				page = append(page, p.policy())
			}
		}
	}
	if f.Local && len(page) <= n {
		place := Place{}
		if after[0] == account {
			place = Place{Path: after[1], Name: after[2]}
		}
		local, err := s.localPolicies(tx, account, f, place, n+1-len(page))
		if err != nil {
			return nil, false, err
		}
		page = append(page, local...)
	}
	if len(page) > n {
		return page[:n], true, nil
	}
	return page, false, nil
}

// localPolicies lists at most n managed policies of the account.
func (s *Store) localPolicies(tx *store.Tx, account string, f PolicyFilter, place Place, n int) (all []Policy, err error) {
	for more := true; more && len(all) < n; {
		var some []Policy
		if some, more, err = byPath(tx, "iam_policy", policyColumns, account, f.Prefix, place, n, scanPolicy); err != nil {
			return nil, err
		}
		for _, p := range some {
			attached, boundaries, err := s.PolicyUse(tx, account, p.ARN())
			if err != nil {
				return nil, err
			}
			if f.used(attached, boundaries) && len(all) < n {
				all = append(all, p)
			}
			place = Place{Path: p.Path, Name: p.Name}
		}
	}
	return all, nil
}

// DeletePolicy deletes a managed policy and its default version. The error is of code DeleteConflict or AccessDenied.
func (s *Store) DeletePolicy(tx *store.Tx, p Policy) error {
	if err := p.Changeable(); err != nil {
		return err
	}
	attached, boundaries, err := s.PolicyUse(tx, p.Account, p.ARN())
	if err != nil {
		return err
	}
	if attached > 0 || boundaries > 0 {
		return Errorf(DeleteConflict, "Cannot delete a policy attached to entities.")
	}
	var versions int
	if err := tx.QueryRow(`SELECT count(*) FROM iam_policy_version WHERE policy = $1`, p.ID).Scan(&versions); err != nil {
		return err
	}
	if versions > 1 {
		return Errorf(DeleteConflict, "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
	}
	if err := s.changed(tx, p.Account); err != nil {
		return err
	}
	for _, query := range []string{`DELETE FROM iam_tag WHERE owner = $1`, `DELETE FROM iam_policy_version WHERE policy = $1`, `DELETE FROM iam_policy WHERE id = $1`} {
		if _, err := tx.Exec(query, p.ID); err != nil {
			return err
		}
	}
	return nil
}
