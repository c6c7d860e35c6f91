package iam

import (
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// roles reads the trust policy of every role, and looks for its boundary.
func (c *checker) roles() error {
	return eachRow(c, `SELECT `+roleColumns+` FROM iam_role WHERE id > $1 ORDER BY id LIMIT $2`, scanRole,
		func(r Role) []any { return []any{r.ID} },
		func(tx *store.Tx, r Role) error {
			c.done.Identities++
			c.done.Policies++
			if _, err := policy.Load(policy.KindTrust, []byte(r.Trust), policy.Options{}); err != nil {
				c.faultf("role %s: its trust policy can't be read, so that nobody can assume it: %v", r.ARN(), err)
			}
			return c.boundary(tx, "role "+r.ARN(), r.Account, r.Boundary)
		})
}

// boundary looks for the permissions boundary of a user or role.
func (c *checker) boundary(tx *store.Tx, who, account, arn string) error {
	if arn == "" {
		return nil
	}
	return c.managed(tx, who+": its permissions boundary is", account, arn)
}

// inlinePolicies reads every inline policy, and looks for who has it.
func (c *checker) inlinePolicies() error {
	type inline struct{ owner, name, document string }
	return eachRow(c, `SELECT owner, name, document FROM iam_inline WHERE (owner, name) > ($1, $2) ORDER BY owner, name LIMIT $3`,
		func(row store.Scanner) (p inline, err error) { return p, row.Scan(&p.owner, &p.name, &p.document) },
		func(p inline) []any { return []any{p.owner, p.name} },
		func(tx *store.Tx, p inline) error {
			c.done.Policies++
			e, found, err := c.entity(tx, p.owner)
			if err != nil {
				return err
			}
			if !found {
				c.faultf("inline policy %s belongs to %s, which does not exist", p.name, p.owner)
				return nil
			}
			if _, err := policy.Load(policy.KindIdentity, []byte(p.document), policy.Options{}); err != nil {
				c.faultf("%s %s: its inline policy %s can't be read and denies everything: %v", e.Kind, e.ARN(), p.name, err)
			}
			return nil
		})
}

// managedPolicies looks whether every managed policy is found by its name and has a version that counts.
func (c *checker) managedPolicies() error {
	type managed struct {
		id, arn, account, path, name string
		number, versions             int64
	}
	return eachRow(c, `SELECT p.id, p.arn, p.account, p.path, p.name, p.default_version,
		(SELECT count(*) FROM iam_policy_version v WHERE v.policy = p.id AND v.number = p.default_version)
		FROM iam_policy p WHERE p.id > $1 ORDER BY p.id LIMIT $2`,
		func(row store.Scanner) (p managed, err error) {
			return p, row.Scan(&p.id, &p.arn, &p.account, &p.path, &p.name, &p.number, &p.versions)
		},
		func(p managed) []any { return []any{p.id} },
		func(_ *store.Tx, p managed) error {
			if arn := KindPolicy.ARN(p.account, p.path, p.name); arn != p.arn {
				c.faultf("policy %s: it is kept as %s", arn, p.arn)
			}
			if p.versions == 0 {
				c.faultf("policy %s: its default version %s does not exist, so that it denies everything", p.arn, VersionID(p.number))
			}
			return nil
		})
}

// versions reads every version of every managed policy.
func (c *checker) versions() error {
	type version struct {
		policy, arn, document string
		number                int64
	}
	return eachRow(c, `SELECT v.policy, v.number, v.document, coalesce(p.arn, '') FROM iam_policy_version v LEFT JOIN iam_policy p ON p.id = v.policy
		WHERE (v.policy, v.number) > ($1, $2) ORDER BY v.policy, v.number LIMIT $3`,
		func(row store.Scanner) (v version, err error) {
			return v, row.Scan(&v.policy, &v.number, &v.document, &v.arn)
		},
		func(v version) []any { return []any{v.policy, v.number} },
		func(_ *store.Tx, v version) error {
			c.done.Policies++
			if v.arn == "" {
				c.faultf("a version %s belongs to policy %s, which does not exist", VersionID(v.number), v.policy)
			} else if _, err := policy.Load(policy.KindManaged, []byte(v.document), policy.Options{}); err != nil {
				c.faultf("policy %s: its version %s can't be read and denies everything: %v", v.arn, VersionID(v.number), err)
			}
			return nil
		})
}

// attachments looks for both ends of every attachment of a managed policy.
func (c *checker) attachments() error {
	type attachment struct{ owner, policy, account string }
	return eachRow(c, `SELECT owner, policy, account FROM iam_attachment WHERE (owner, policy) > ($1, $2) ORDER BY owner, policy LIMIT $3`,
		func(row store.Scanner) (a attachment, err error) { return a, row.Scan(&a.owner, &a.policy, &a.account) },
		func(a attachment) []any { return []any{a.owner, a.policy} },
		func(tx *store.Tx, a attachment) error {
			c.done.Links++
			e, found, err := c.entity(tx, a.owner)
			switch {
			case err != nil:
				return err
			case !found:
				c.faultf("policy %s is attached to %s, which does not exist", a.policy, a.owner)
				return nil
			case e.Account != a.account:
				c.faultf("%s %s: the attachment of policy %s says that it belongs to account %s", e.Kind, e.ARN(), a.policy, a.account)
			}
			return c.managed(tx, string(e.Kind)+" "+e.ARN()+": it has policy", e.Account, a.policy)
		})
}
