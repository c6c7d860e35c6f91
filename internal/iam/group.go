package iam

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/coffer-registry/coffer/internal/store"
)

// Group is an IAM group.
type Group struct {
	ID, Account, Name, Path string
	CreatedAt               time.Time
}

// ARN is the group's Amazon resource name.
func (g Group) ARN() string { return KindGroup.ARN(g.Account, g.Path, g.Name) }

// IAM's quotas.
const (
	groupsPerAccount = 300
	groupsPerUser    = 10
)

// CreateGroup makes a group. The error is of code EntityAlreadyExists or LimitExceeded.
func (s *Store) CreateGroup(tx *store.Tx, account, path, name string) (Group, error) {
	g := Group{ID: newID(KindGroup), Account: account, Name: name, Path: OrRoot(path), CreatedAt: s.now()}
	if err := s.count(tx, "iam_group", account, groupsPerAccount, "GroupsPerAccount"); err != nil {
		return Group{}, err
	}
	if err := s.freeGroupName(tx, account, name); err != nil {
		return Group{}, err
	}
	if err := s.changed(tx, account); err != nil {
		return Group{}, err
	}
	_, err := tx.Exec(`INSERT INTO iam_group (id, account, name, name_key, path, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		g.ID, account, name, nameKey(name), g.Path, g.CreatedAt.UnixMicro())
	if err != nil {
		return Group{}, fmt.Errorf("create group %s: %w", name, err)
	}
	return g, nil
}

// freeGroupName wants no group to have a name. The error is of code EntityAlreadyExists.
func (s *Store) freeGroupName(tx *store.Tx, account, name string) error {
	_, err := s.Group(tx, account, name)
	if IsMissing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return Errorf(EntityAlreadyExists, "Group with name %s already exists.", name)
}

const groupColumns = `id, account, name, path, created_at`

func scanGroup(row store.Scanner) (Group, error) {
	var g Group
	var created int64
	if err := row.Scan(&g.ID, &g.Account, &g.Name, &g.Path, &created); err != nil {
		return Group{}, err
	}
	g.CreatedAt = time.UnixMicro(created)
	return g, nil
}

// Group finds a group by name, without regard to case. The error is of code NoSuchEntity.
func (s *Store) Group(tx *store.Tx, account, name string) (Group, error) {
	g, err := scanGroup(tx.QueryRow(`SELECT `+groupColumns+` FROM iam_group WHERE account = $1 AND name_key = $2`, account, nameKey(name)))
	if errors.Is(err, store.ErrNoRows) {
		return Group{}, Errorf(NoSuchEntity, "The group with name %s cannot be found.", name)
	}
	return g, err
}

// GroupPage lists groups whose path has a prefix, by path and name.
func (s *Store) GroupPage(tx *store.Tx, account, prefix string, after Place, n int) (groups []Group, more bool, err error) {
	return byPath(tx, "iam_group", groupColumns, account, prefix, after, n, scanGroup)
}

// UpdateGroup gives a group another path and name; an empty one stays as it is. The error is of code EntityAlreadyExists.
func (s *Store) UpdateGroup(tx *store.Tx, g Group, path, name string) error {
	if name != "" && nameKey(name) != nameKey(g.Name) {
		if err := s.freeGroupName(tx, g.Account, name); err != nil {
			return err
		}
	}
	if err := s.changed(tx, g.Account); err != nil {
		return err
	}
	g.Path, g.Name = cmp.Or(path, g.Path), cmp.Or(name, g.Name)
	_, err := tx.Exec(`UPDATE iam_group SET name = $1, name_key = $2, path = $3 WHERE id = $4`, g.Name, nameKey(g.Name), g.Path, g.ID)
	return err
}

var ofGroups = slices.Concat([]hindrance{
	{`SELECT count(*) FROM iam_membership WHERE group_id = $1`, "Cannot delete entity, must remove users from group first."},
}, ofPolicies)

// DeleteGroup deletes a group. The error is of code DeleteConflict while it has members or policies.
func (s *Store) DeleteGroup(tx *store.Tx, g Group) error {
	if err := unhindered(tx, g.ID, ofGroups); err != nil {
		return err
	}
	if err := s.changed(tx, g.Account); err != nil {
		return err
	}
	_, err := tx.Exec(`DELETE FROM iam_group WHERE id = $1`, g.ID)
	return err
}

// AddMember makes a user a member of a group, if it isn't one. The error is of code LimitExceeded.
func (s *Store) AddMember(tx *store.Tx, g Group, u User) error {
	if err := s.changed(tx, g.Account); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO iam_membership (member, group_id) VALUES ($1, $2) ON CONFLICT (member, group_id) DO NOTHING`, u.ID, g.ID)
	if err != nil {
		return err
	}
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM iam_membership WHERE member = $1`, u.ID).Scan(&n); err != nil {
		return err
	}
	if n > groupsPerUser {
		return Errorf(LimitExceeded, "Cannot exceed quota for GroupsPerUser: %d", groupsPerUser)
	}
	return nil
}

// RemoveMember takes a user out of a group. That it isn't in it is no error.
func (s *Store) RemoveMember(tx *store.Tx, g Group, u User) error {
	if err := s.changed(tx, g.Account); err != nil {
		return err
	}
	_, err := tx.Exec(`DELETE FROM iam_membership WHERE member = $1 AND group_id = $2`, u.ID, g.ID)
	return err
}

// MemberPage lists the members of a group by unique id, after one; an empty one is the beginning.
func (s *Store) MemberPage(tx *store.Tx, group, after string, n int) (users []User, more bool, err error) {
	rows, err := tx.Query(`SELECT `+userColumns+` FROM iam_membership JOIN iam_user ON id = member
		WHERE group_id = $1 AND member > $2 ORDER BY member LIMIT $3`, group, after, n+1)
	if err != nil {
		return nil, false, err
	}
	return cut(rows, n, scanUser)
}

// GroupsOf lists the groups of a user by unique id, after one; an empty one is the beginning.
func (s *Store) GroupsOf(tx *store.Tx, user, after string, n int) (groups []Group, more bool, err error) {
	rows, err := tx.Query(`SELECT `+groupColumns+` FROM iam_membership JOIN iam_group ON id = group_id
		WHERE member = $1 AND group_id > $2 ORDER BY group_id LIMIT $3`, user, after, n+1)
	if err != nil {
		return nil, false, err
	}
	return cut(rows, n, scanGroup)
}
