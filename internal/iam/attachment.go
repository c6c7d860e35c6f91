package iam

import (
	"strconv"
	"strings"

	"github.com/coffer-registry/coffer/internal/store"
)

// attachmentsPerOwner are IAM's quotas, and what they are called.
var attachmentsPerOwner = map[Kind]struct {
	quota int
	name  string
}{
	KindUser: {10, "PoliciesPerUser"}, KindGroup: {10, "PoliciesPerGroup"}, KindRole: {20, "PoliciesPerRole"},
}

// Attach attaches a managed policy to a user, group or role, if it isn't attached. The error is of code InvalidInput,
// NoSuchEntity, PolicyNotAttachable or LimitExceeded.
func (s *Store) Attach(tx *store.Tx, owner Entity, arn string) error {
	if err := s.attachable(tx, owner, arn); err != nil {
		return err
	}
	if err := s.changed(tx, owner.Account); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO iam_attachment (owner, policy, account) VALUES ($1, $2, $3) ON CONFLICT (owner, policy) DO NOTHING`, owner.ID, arn, owner.Account)
	if err != nil {
		return err
	}
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM iam_attachment WHERE owner = $1`, owner.ID).Scan(&n); err != nil {
		return err
	}
	if limit := attachmentsPerOwner[owner.Kind]; n > limit.quota {
		return Errorf(LimitExceeded, "Cannot exceed quota for %s: %d", limit.name, limit.quota)
	}
	return nil
}

// attachable wants a managed policy of the owner's account, or one of AWS that is not for services alone.
func (s *Store) attachable(tx *store.Tx, owner Entity, arn string) error {
	if err := checkPolicyARN(arn); err != nil {
		return err
	}
	missing := Errorf(NoSuchEntity, "Policy %s does not exist or is not attachable.", arn)
	if strings.HasPrefix(arn, awsPolicies+"aws-service-role/") {
		return Errorf(PolicyNotAttachable, "Cannot attach a Service Role Policy to a Customer Role.")
	}
	if !strings.HasPrefix(arn, "arn:aws:iam::"+owner.Account+":policy/") && !strings.HasPrefix(arn, awsPolicies) {
		return missing
	}
	_, err := s.managedDocument(tx, arn)
	if IsMissing(err) {
		return missing
	}
	return err
}

// Detach takes a managed policy away from a user, group or role. The error is of code NoSuchEntity.
func (s *Store) Detach(tx *store.Tx, owner Entity, arn string) error {
	n, err := tx.Exec(`DELETE FROM iam_attachment WHERE owner = $1 AND policy = $2`, owner.ID, arn)
	if err != nil {
		return err
	}
	if n == 0 {
		return noPolicy(arn)
	}
	return s.changed(tx, owner.Account)
}

func noPolicy(arn string) error { return Errorf(NoSuchEntity, "Policy %s was not found.", arn) }

// AttachedPage lists at most n ARNs of managed policies of an owner, whose paths have a prefix, that come after one; an empty
// one is the beginning.
func (s *Store) AttachedPage(tx *store.Tx, owner, prefix, after string, n int) (arns []string, more bool, err error) {
	rows, err := tx.Query(`SELECT policy FROM iam_attachment WHERE owner = $1 AND policy > $2 ORDER BY policy`, owner, after)
	if err != nil {
		return nil, false, err
	}
	// No more than a quota's worth.
	all, err := store.Collect(rows, store.Value[string])
	if err != nil {
		return nil, false, err
	}
	for _, arn := range all {
		_, rest, _ := strings.Cut(arn, ":policy")
		if strings.HasPrefix(rest, prefix) {
			arns = append(arns, arn)
		}
	}
	if len(arns) > n {
		return arns[:n], true, nil
	}
	return arns, false, nil
}

// PolicyName is the name of a managed policy, which ends its ARN.
func PolicyName(arn string) string { return policyName(arn) }

// Usage of a managed policy, by which its entities can be listed.
const (
	UsedAsPermissions = "PermissionsPolicy"
	UsedAsBoundary    = "PermissionsBoundary"
)

// AttachedTo lists at most n entities that use a managed policy as usage says, or in either way if it is empty, by unique id
// after one; an empty one is the beginning. kind limits them to one kind, if it isn't empty.
func (s *Store) AttachedTo(tx *store.Tx, account, arn, usage string, kind Kind, prefix, after string, n int) (entities []Entity, more bool, err error) {
	parts := attachedParts(usage, kind)
	if len(parts) == 0 {
		return nil, false, nil
	}
	rows, err := tx.Query(attachedQuery(parts),
		account, arn, after, prefix, prefix+afterPaths, n+1)
	if err != nil {
		return nil, false, err
	}
	return cut(rows, n, func(row store.Scanner) (Entity, error) {
		e := Entity{Account: account}
		var kind string
		err := row.Scan(&kind, &e.ID, &e.Name, &e.Path)
		e.Kind = Kind(kind)
		return e, err
	})
}

// attachedParts are the queries of AttachedTo for each kind and usage that is asked for.
func attachedParts(usage string, kind Kind) (parts []string) {
	part := func(k Kind, from, id string) {
		// Paths are compared as texts that have no index, so that the index by policy or boundary is used.
		part := `SELECT '` + string(k) + `' AS kind, e.id AS id, e.name AS name, e.path AS path FROM ` + from + ` AND ` + id + ` > $3
			AND e.path || '' >= $4 AND e.path || '' < $5 ORDER BY ` + id + ` LIMIT $6`
		parts = append(parts, `SELECT kind, id, name, path FROM (`+part+`) AS part`+strconv.Itoa(len(parts)))
	}
	for _, k := range []Kind{KindGroup, KindRole, KindUser} {
		if kind != "" && kind != k {
			continue
		}
		if usage != UsedAsBoundary {
			part(k, `iam_attachment a JOIN `+tables[k]+` e ON e.id = a.owner WHERE a.account = $1 AND a.policy = $2`, `a.owner`)
		}
		if usage != UsedAsPermissions && k != KindGroup {
			part(k, tables[k]+` e WHERE e.account = $1 AND e.boundary = $2 AND e.boundary <> ''`, `e.id`)
		}
	}
	return parts
}

// attachedQuery joins the parts of AttachedTo, none of which has more rows than are asked for.
func attachedQuery(parts []string) string {
	return `SELECT kind, id, name, path FROM (` + strings.Join(parts, ` UNION `) + `) AS used ORDER BY id LIMIT $6`
}
