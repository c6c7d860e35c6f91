package iam

import (
	"encoding/json"
	"errors"

	"github.com/coffer-registry/coffer/internal/store"
)

// groups counts the groups. What there is to check of them is checked with what refers to them.
func (c *checker) groups() error {
	return eachRow(c, `SELECT id FROM iam_group WHERE id > $1 ORDER BY id LIMIT $2`, store.Value[string],
		func(id string) []any { return []any{id} },
		func(*store.Tx, string) error { c.done.Identities++; return nil })
}

// memberships looks for both ends of every membership.
func (c *checker) memberships() error {
	type membership struct{ member, group string }
	return eachRow(c, `SELECT member, group_id FROM iam_membership WHERE (member, group_id) > ($1, $2) ORDER BY member, group_id LIMIT $3`,
		func(row store.Scanner) (m membership, err error) { return m, row.Scan(&m.member, &m.group) },
		func(m membership) []any { return []any{m.member, m.group} },
		func(tx *store.Tx, m membership) error {
			c.done.Links++
			group, found, err := c.entity(tx, m.group)
			switch {
			case err != nil:
				return err
			case !found:
				c.faultf("%s is a member of group %s, which does not exist", m.member, m.group)
				return nil
			case group.Kind != KindGroup:
				c.faultf("%s is a member of %s, which is no group", m.member, group.ARN())
				return nil
			}
			return c.belongsToUser(tx, "a membership of group "+group.ARN(), group.Account, m.member)
		})
}

// tags looks for whatever has tags.
func (c *checker) tags() error {
	return eachRow(c, `SELECT DISTINCT owner FROM iam_tag WHERE owner > $1 ORDER BY owner LIMIT $2`, store.Value[string],
		func(owner string) []any { return []any{owner} },
		func(tx *store.Tx, owner string) error {
			c.done.Links++
			var n int64
			err := tx.QueryRow(`SELECT (SELECT count(*) FROM iam_user WHERE id = $1) + (SELECT count(*) FROM iam_role WHERE id = $1) +
				(SELECT count(*) FROM iam_policy WHERE id = $1) + (SELECT count(*) FROM iam_mfa WHERE serial = $1) +
				(SELECT count(*) FROM iam_provider WHERE arn = $1)`, owner).Scan(&n)
			if err == nil && n == 0 {
				c.faultf("tags belong to %s, which does not exist or has none", owner)
			}
			return err
		})
}

// providers reads what every identity provider consists of. One is read at a time, since their documents may be large.
func (c *checker) providers() error {
	return eachRow(c, `SELECT arn FROM iam_provider WHERE arn > $1 ORDER BY arn LIMIT $2`, store.Value[string],
		func(arn string) []any { return []any{arn} },
		func(tx *store.Tx, arn string) error {
			c.done.Identities++
			var kind, clients, thumbprints string
			p := Provider{}
			err := tx.QueryRow(`SELECT kind, account, url, clients, thumbprints, metadata FROM iam_provider WHERE arn = $1`, arn).
				Scan(&kind, &p.Account, &p.URL, &clients, &thumbprints, &p.Metadata)
			if err != nil {
				return err
			}
			p.Kind = ProviderKind(kind)
			what := "identity provider " + arn
			if err := errors.Join(json.Unmarshal([]byte(clients), &p.Clients), json.Unmarshal([]byte(thumbprints), &p.Thumbprints)); err != nil {
				c.faultf("%s: its audiences or thumbprints can't be read: %v", what, err)
				return nil
			}
			c.provider(what, arn, p)
			return nil
		})
}

// provider looks whether an identity provider is one.
func (c *checker) provider(what, arn string, p Provider) {
	if p.ARN() != arn {
		c.faultf("%s: its kind, account and name make %s", what, p.ARN())
	}
	if err := p.check(); err != nil {
		c.faultf("%s: %v", what, err)
	}
	switch p.Kind {
	case ProviderOIDC:
		if err := checkIssuer(p.URL); err != nil {
			c.faultf("%s: %v: %s", what, err, p.URL)
		}
	case ProviderSAML:
		if err := c.metadata(p.Metadata); err != nil {
			c.faultf("%s: its metadata can't be read: %v", what, err)
		}
	}
}
