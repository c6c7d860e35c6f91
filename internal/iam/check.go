package iam

import (
	"context"
	"errors"
	"fmt"

	"github.com/coffer-registry/coffer/internal/store"
)

// Checked counts what a check has looked at.
type Checked struct {
	// Identities are users, groups, roles and identity providers.
	Identities int64
	// Policies are documents: trust policies, inline ones, and each version of managed ones.
	Policies int64
	// AccessKeys are those that are not active too, Passwords those of users, and Devices virtual MFA devices.
	AccessKeys, Passwords, Devices int64
	// Links are memberships of groups, attachments of managed policies, and what has tags.
	Links int64
}

// Check holds every row against the rows and the key that it depends on: that every document can be read, every sealed
// secret opened, every hash is one, and that what is referred to exists. It tells fault in one sentence of each thing that
// is wrong. metadata reads the document of a SAML provider. Nothing may write meanwhile. The error is one that keeps the
// check from going on.
func (s *Store) Check(ctx context.Context, metadata func(document string) error, fault func(string)) (Checked, error) {
	c := &checker{s: s, ctx: ctx, metadata: metadata, fault: fault}
	for _, check := range []func() error{
		c.accounts, c.users, c.groups, c.roles, c.inlinePolicies, c.managedPolicies, c.versions, c.accessKeys, c.devices, c.providers,
		c.memberships, c.attachments, c.tags,
	} {
		if err := check(); err != nil {
			return c.done, err
		}
	}
	return c.done, nil
}

// checkPage is how many rows a check reads at once.
const checkPage = 500

type checker struct {
	s        *Store
	ctx      context.Context // of the one call of Check that the checker lives for
	metadata func(document string) error
	fault    func(string)
	done     Checked
	// last is the entity that was looked up last, since what refers to it comes together.
	last Entity
}

func (c *checker) faultf(format string, args ...any) { c.fault(fmt.Sprintf(format, args...)) }

// eachRow looks at all rows of a query, in pages, each on a snapshot of its own. The query takes the key after which to go on,
// in its parts, and then how many rows it may return; key is that of a row, that of the zero value the beginning.
func eachRow[T any](c *checker, query string, scan func(store.Scanner) (T, error), key func(T) []any, look func(*store.Tx, T) error) error {
	var none T
	after := key(none)
	for {
		var page []T
		err := c.s.db.View(c.ctx, func(tx *store.Tx) error {
			rows, err := tx.Query(query, append(after, checkPage)...)
			if err != nil {
				return err
			}
			if page, err = store.Collect(rows, scan); err != nil {
				return err
			}
			for _, row := range page {
				if err := look(tx, row); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(page) == 0 {
			return err
		}
		after = key(page[len(page)-1])
	}
}

// entity finds a user, group or role by unique id. found is whether there is one; if not, its ARN is the id.
func (c *checker) entity(tx *store.Tx, id string) (e Entity, found bool, err error) {
	if c.last.ID == id {
		return c.last, c.last.Kind != "", nil
	}
	c.last = Entity{ID: id}
	for _, kind := range []Kind{KindUser, KindGroup, KindRole} {
		err := tx.QueryRow(`SELECT account, name, path FROM `+tables[kind]+` WHERE id = $1`, id).Scan(&c.last.Account, &c.last.Name, &c.last.Path)
		if err == nil {
			c.last.Kind = kind
			return c.last, true, nil
		}
		if !errors.Is(err, store.ErrNoRows) {
			return Entity{}, false, err
		}
	}
	return c.last, false, nil
}

// managed looks whether there is a managed policy, one of AWS or of an account, that something of the account refers to:
// it tells so of what, which says what refers to it how.
func (c *checker) managed(tx *store.Tx, what, account, arn string) error {
	if _, ok := awsByARN[arn]; ok {
		return nil
	}
	var owner string
	err := tx.QueryRow(`SELECT account FROM iam_policy WHERE arn = $1`, arn).Scan(&owner)
	switch {
	case errors.Is(err, store.ErrNoRows):
		c.faultf("%s %s, which does not exist", what, arn)
	case err != nil:
		return err
	case owner != account:
		c.faultf("%s %s, which belongs to account %s", what, arn, owner)
	}
	return nil
}
