package iam

import (
	"encoding/json"

	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

// accounts reads the password policy of every account that has one.
func (c *checker) accounts() error {
	return eachRow(c, `SELECT id FROM account WHERE id > $1 AND password_policy IS NOT NULL ORDER BY id LIMIT $2`, store.Value[string],
		func(id string) []any { return []any{id} },
		func(tx *store.Tx, id string) error {
			var text string
			if err := tx.QueryRow(`SELECT password_policy FROM account WHERE id = $1`, id).Scan(&text); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(text), &PasswordPolicy{}); err != nil {
				c.faultf("account %s: its password policy can't be read: %v", id, err)
			}
			return nil
		})
}

// users looks whether what is kept of every user's passwords are hashes, and for its boundary.
func (c *checker) users() error {
	return eachRow(c, `SELECT `+userColumns+` FROM iam_user WHERE id > $1 ORDER BY id LIMIT $2`, scanUser,
		func(u User) []any { return []any{u.ID} },
		func(tx *store.Tx, u User) error {
			c.done.Identities++
			l, err := c.s.login(tx, u)
			if err != nil {
				c.faultf("user %s: its passwords can't be read: %v", u.ARN(), err)
			}
			if l.hash != nil {
				c.done.Passwords++
				if _, err := parseHash(string(l.hash)); err != nil {
					c.faultf("user %s: its password can't be read: %v", u.ARN(), err)
				}
			}
			for i, hash := range l.earlier {
				if _, err := parseHash(hash); err != nil {
					c.faultf("user %s: number %d of its earlier passwords can't be read: %v", u.ARN(), i+1, err)
				}
			}
			return c.boundary(tx, "user "+u.ARN(), u.Account, u.Boundary)
		})
}

// accessKeys opens the secret of every access key, and looks for whose it is.
func (c *checker) accessKeys() error {
	type key struct {
		id, account, principal string
		sealed                 []byte
	}
	return eachRow(c, `SELECT id, account, principal, secret FROM access_key WHERE id > $1 ORDER BY id LIMIT $2`,
		func(row store.Scanner) (k key, err error) {
			return k, row.Scan(&k.id, &k.account, &k.principal, &k.sealed)
		},
		func(k key) []any { return []any{k.id} },
		func(tx *store.Tx, k key) error {
			c.done.AccessKeys++
			if _, err := seal.OpenBytes(c.s.secrets, secretContext(k.id), k.sealed); err != nil {
				c.faultf("access key %s: its secret can't be opened: %v", k.id, err)
			}
			if k.principal == RootOf(k.account) {
				return nil
			}
			return c.belongsToUser(tx, "access key "+k.id, k.account, k.principal)
		})
}

// belongsToUser looks for the user of an account that something belongs to.
func (c *checker) belongsToUser(tx *store.Tx, what, account, id string) error {
	e, found, err := c.entity(tx, id)
	switch {
	case err != nil:
		return err
	case !found:
		c.faultf("%s belongs to %s, which does not exist", what, id)
	case e.Kind != KindUser:
		c.faultf("%s belongs to %s, which is no user", what, e.ARN())
	case e.Account != account:
		c.faultf("%s belongs to account %s and to %s", what, account, e.ARN())
	}
	return nil
}

// devices opens the seed of every MFA device, and looks for whose it is.
func (c *checker) devices() error {
	return eachRow(c, `SELECT serial FROM iam_mfa WHERE serial > $1 ORDER BY serial LIMIT $2`, store.Value[string],
		func(serial string) []any { return []any{serial} },
		func(tx *store.Tx, serial string) error {
			c.done.Devices++
			d, err := c.s.MFADevice(tx, serial)
			if err != nil {
				return err
			}
			what := "MFA device " + serial
			if d.Serial() != serial {
				c.faultf("%s: its account, path and name make %s", what, d.Serial())
			} else if _, err := seal.OpenBytes(c.s.secrets, seedContext(serial), d.seed); err != nil {
				c.faultf("%s: its seed can't be opened: %v", what, err)
			}
			if (d.Owner == "") != d.EnabledAt.IsZero() {
				c.faultf("%s: it has only one of an owner and a time since when", what)
			}
			if d.Owner == "" || d.Owner == d.Account {
				return nil
			}
			return c.belongsToUser(tx, what, d.Account, d.Owner)
		})
}
