package iam

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/store"
)

// update runs fn in a transaction and returns its error.
func (s *Store) update(t *testing.T, fn func(*store.Tx) error) error {
	t.Helper()
	return s.db.Update(t.Context(), fn)
}

// Whatever a user has hinders its deletion, by a sentence of its own, until it is gone.
func TestDeleteUserIsHindered(t *testing.T) {
	s, ann := withUser(t)
	for _, test := range []struct{ insert, remove, want string }{
		{`INSERT INTO iam_attachment (owner, policy, account) VALUES ($1, 'arn:aws:iam::aws:policy/x', '')`, `DELETE FROM iam_attachment`, "Cannot delete entity, must detach all policies first."},
		{`INSERT INTO iam_inline (owner, name, document) VALUES ($1, 'p', '')`, `DELETE FROM iam_inline`, "Cannot delete entity, must delete policies first."},
		{`INSERT INTO access_key (id, account, principal, secret, active, created_at) VALUES ('AKIA1', '123456789012', $1, '', 0, 0)`,
			`DELETE FROM access_key WHERE id = 'AKIA1'`, "Cannot delete entity, must delete access keys first."},
		{`UPDATE iam_user SET password = 'x' WHERE id = $1`, `UPDATE iam_user SET password = NULL`, "Cannot delete entity, must delete login profile first."},
		{`INSERT INTO iam_membership (member, group_id) VALUES ($1, 'AGPA1')`, `DELETE FROM iam_membership`, "Cannot delete entity, must remove users from group first."},
		{`INSERT INTO iam_mfa (serial, account, name, path, seed, owner, drift, last_step, created_at) VALUES ('s', '123456789012', 'm', '/', '', $1, 0, 0, 0)`,
			`DELETE FROM iam_mfa`, "Cannot delete entity, must delete MFA device first."},
	} {
		exec(t, s.db, test.insert, ann.ID)
		err := s.update(t, func(tx *store.Tx) error { return s.DeleteUser(tx, ann) })
		wantRefusal(t, test.insert, err, &Error{DeleteConflict, test.want})
		exec(t, s.db, test.remove)
	}
	tagged(t, s, ann.ID, Tag{"k", "v"})
	exec(t, s.db, `INSERT INTO iam_access (entity, service, action, at, region) VALUES ($1, 'ecr', '', 0, '')`, ann.ID)
	wantRefusal(t, "without anything", s.update(t, func(tx *store.Tx) error { return s.DeleteUser(tx, ann) }), nil)
	for _, table := range []string{"iam_user", "iam_tag", "iam_access"} {
		var n int
		s.mustView(t, func(tx *store.Tx) error { return tx.QueryRow(`SELECT count(*) FROM ` + table).Scan(&n) })
		if n != 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
}

func TestDeleteGroupIsHindered(t *testing.T) {
	s, ann := withUser(t)
	var g Group
	s.mustUpdate(t, func(tx *store.Tx) (err error) { g, err = s.CreateGroup(tx, account, "", "devs"); return err })
	for _, test := range []struct{ insert, remove, want string }{
		{`INSERT INTO iam_attachment (owner, policy, account) VALUES ($1, 'arn:aws:iam::aws:policy/x', '')`, `DELETE FROM iam_attachment`, "Cannot delete entity, must detach all policies first."},
		{`INSERT INTO iam_inline (owner, name, document) VALUES ($1, 'p', '')`, `DELETE FROM iam_inline`, "Cannot delete entity, must delete policies first."},
		{`INSERT INTO iam_membership (member, group_id) VALUES ('` + ann.ID + `', $1)`, `DELETE FROM iam_membership`, "Cannot delete entity, must remove users from group first."},
	} {
		exec(t, s.db, test.insert, g.ID)
		err := s.update(t, func(tx *store.Tx) error { return s.DeleteGroup(tx, g) })
		wantRefusal(t, test.insert, err, &Error{DeleteConflict, test.want})
		exec(t, s.db, test.remove)
	}
	wantRefusal(t, "without anything", s.update(t, func(tx *store.Tx) error { return s.DeleteGroup(tx, g) }), nil)
}

// As many as the quotas allow can be made, and no more.
func TestQuotasOfUsersAndGroups(t *testing.T) {
	s, _ := withUser(t)
	fill := func(table, columns, values string, n int) {
		s.mustUpdate(t, func(tx *store.Tx) error {
			for i := range n {
				id := fmt.Sprintf("x%d", i)
				if _, err := tx.Exec(`INSERT INTO `+table+` (id, account, name, name_key, path, created_at`+columns+`)
					VALUES ($1, $2, $1, $1, '/', 0`+values+`)`, id, account); err != nil {
					return err
				}
			}
			return nil
		})
	}
	fill("iam_user", ", boundary, password_reset, password_history", ", '', 0, '[]'", usersPerAccount-2)
	fill("iam_group", "", "", groupsPerAccount-1)
	user := func(name string) error {
		return s.update(t, func(tx *store.Tx) error { _, err := s.CreateUser(tx, account, "", name); return err })
	}
	group := func(name string) error {
		return s.update(t, func(tx *store.Tx) error { _, err := s.CreateGroup(tx, account, "", name); return err })
	}
	wantRefusal(t, "the last user", user("last"), nil)
	wantRefusal(t, "one more user", user("more"), &Error{LimitExceeded, "Cannot exceed quota for UsersPerAccount: 5000"})
	wantRefusal(t, "the last group", group("last"), nil)
	wantRefusal(t, "one more group", group("more"), &Error{LimitExceeded, "Cannot exceed quota for GroupsPerAccount: 300"})
}

// Pages by path and name go over all that have a prefix, whatever their size, and over nothing else.
func TestPagesByPath(t *testing.T) {
	s, _ := withUser(t)
	s.mustUpdate(t, func(tx *store.Tx) error {
		for _, u := range [][2]string{{"/", "Bob"}, {"/a/", "zoe"}, {"/a/", "Yan"}, {"/a/b/", "x"}, {"/ab/", "w"}, {"/z/", "v"}, {"/~/", "u"}} {
			if _, err := s.CreateUser(tx, account, u[0], u[1]); err != nil {
				return err
			}
		}
		return nil
	})
	exec(t, s.db, `INSERT INTO account (id, name, created_at) VALUES ('999999999999', 'other', 0)`)
	s.mustUpdate(t, func(tx *store.Tx) error { _, err := s.CreateUser(tx, "999999999999", "/a/", "stranger"); return err })
	for prefix, want := range map[string][]string{
		"/": {"ann", "Bob", "Yan", "zoe", "x", "w", "v", "u"}, "/a": {"Yan", "zoe", "x", "w"}, "/a/": {"Yan", "zoe", "x"}, "/a/b/": {"x"}, "/b": nil, "/~": {"u"},
	} {
		for n := 1; n < 10; n++ {
			var got []string
			var after Place
			for more := true; more; {
				var page []User
				s.mustView(t, func(tx *store.Tx) (err error) {
					page, more, err = s.UserPage(tx, account, prefix, after, n)
					return err
				})
				for _, u := range page {
					got = append(got, u.Name)
					after = Place{u.Path, u.Name}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("prefix %s, pages of %d:\n%s", prefix, n, diff)
			}
		}
		// A place outside of the prefix leads nowhere else.
		s.mustView(t, func(tx *store.Tx) error {
			page, _, err := s.UserPage(tx, account, prefix, Place{"", "x"}, 100)
			if len(page) != len(want) {
				t.Errorf("prefix %s from before it: %d users", prefix, len(page))
			}
			return err
		})
	}
}
