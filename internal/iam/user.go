package iam

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/coffer-registry/coffer/internal/store"
)

// User is an IAM user.
type User struct {
	ID, Account, Name, Path string
	CreatedAt               time.Time
	// Boundary is the ARN of the permissions boundary; empty for none.
	Boundary string
	// PasswordUsedAt is when the user last signed in with a password; zero for never.
	PasswordUsedAt time.Time
}

// ARN is the user's Amazon resource name.
func (u User) ARN() string { return KindUser.ARN(u.Account, u.Path, u.Name) }

// usersPerAccount is IAM's quota.
const usersPerAccount = 5000

// CreateUser makes a user. The error is of code EntityAlreadyExists or LimitExceeded.
func (s *Store) CreateUser(tx *store.Tx, account, path, name string) (User, error) {
	u := User{ID: newID(KindUser), Account: account, Name: name, Path: OrRoot(path), CreatedAt: s.now()}
	if err := s.count(tx, "iam_user", account, usersPerAccount, "UsersPerAccount"); err != nil {
		return User{}, err
	}
	if err := s.changed(tx, account); err != nil {
		return User{}, err
	}
	if _, err := s.User(tx, account, name); err == nil {
		return User{}, Errorf(EntityAlreadyExists, "User with name %s already exists.", name)
	} else if !IsMissing(err) {
		return User{}, err
	}
	_, err := tx.Exec(`INSERT INTO iam_user (id, account, name, name_key, path, created_at, boundary, password_reset, password_history)
		VALUES ($1, $2, $3, $4, $5, $6, '', 0, '[]')`, u.ID, account, name, nameKey(name), u.Path, u.CreatedAt.UnixMicro())
	if err != nil {
		return User{}, fmt.Errorf("create user %s: %w", name, err)
	}
	return u, nil
}

// count refuses one entity more than a quota allows.
func (s *Store) count(tx *store.Tx, table, account string, quota int, name string) error {
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM `+table+` WHERE account = $1`, account).Scan(&n); err != nil {
		return err
	}
	if n >= quota {
		return Errorf(LimitExceeded, "Cannot exceed quota for %s: %d", name, quota)
	}
	return nil
}

const userColumns = `id, account, name, path, created_at, boundary, password_used_at`

func scanUser(row store.Scanner) (User, error) {
	var u User
	var created int64
	var used *int64
	if err := row.Scan(&u.ID, &u.Account, &u.Name, &u.Path, &created, &u.Boundary, &used); err != nil {
		return User{}, err
	}
	u.CreatedAt, u.PasswordUsedAt = time.UnixMicro(created), moment(used)
	return u, nil
}

// moment is a time that may be missing.
func moment(micros *int64) time.Time {
	if micros == nil {
		return time.Time{}
	}
	return time.UnixMicro(*micros)
}

// User finds a user by name, without regard to case. The error is of code NoSuchEntity.
func (s *Store) User(tx *store.Tx, account, name string) (User, error) {
	u, err := scanUser(tx.QueryRow(`SELECT `+userColumns+` FROM iam_user WHERE account = $1 AND name_key = $2`, account, nameKey(name)))
	if errors.Is(err, store.ErrNoRows) {
		return User{}, Errorf(NoSuchEntity, "The user with name %s cannot be found.", name)
	}
	return u, err
}

// UserByID finds a user by unique id. The error is of code NoSuchEntity.
func (s *Store) UserByID(tx *store.Tx, account, id string) (User, error) {
	u, err := scanUser(tx.QueryRow(`SELECT `+userColumns+` FROM iam_user WHERE id = $1 AND account = $2`, id, account))
	if errors.Is(err, store.ErrNoRows) {
		return User{}, Errorf(NoSuchEntity, "The user with id %s cannot be found.", id)
	}
	return u, err
}

// UserPage lists users whose path has a prefix, by path and name.
func (s *Store) UserPage(tx *store.Tx, account, prefix string, after Place, n int) (users []User, more bool, err error) {
	return byPath(tx, "iam_user", userColumns, account, prefix, after, n, scanUser)
}

// UpdateUser gives a user another path and name; an empty one stays as it is. The unique id stays, and with it what
// policies say of the user. The error is of code EntityAlreadyExists.
func (s *Store) UpdateUser(tx *store.Tx, u User, path, name string) (User, error) {
	if name != "" && nameKey(name) != nameKey(u.Name) {
		if _, err := s.User(tx, u.Account, name); err == nil {
			return User{}, Errorf(EntityAlreadyExists, "User with name %s already exists.", name)
		} else if !IsMissing(err) {
			return User{}, err
		}
	}
	if err := s.changed(tx, u.Account); err != nil {
		return User{}, err
	}
	u.Path, u.Name = cmp.Or(path, u.Path), cmp.Or(name, u.Name)
	_, err := tx.Exec(`UPDATE iam_user SET name = $1, name_key = $2, path = $3 WHERE id = $4`, u.Name, nameKey(u.Name), u.Path, u.ID)
	return u, err
}

// hindrance is what must be gone before an entity can be deleted.
type hindrance struct{ query, sentence string }

// ofPolicies are the hindrances that users, groups and roles have in common.
var ofPolicies = []hindrance{
	{`SELECT count(*) FROM iam_attachment WHERE owner = $1`, "Cannot delete entity, must detach all policies first."},
	{`SELECT count(*) FROM iam_inline WHERE owner = $1`, "Cannot delete entity, must delete policies first."},
}

var ofUsers = slices.Concat(ofPolicies, []hindrance{
	{`SELECT count(*) FROM access_key WHERE principal = $1`, "Cannot delete entity, must delete access keys first."},
	{`SELECT count(*) FROM iam_user WHERE id = $1 AND password IS NOT NULL`, "Cannot delete entity, must delete login profile first."},
	{`SELECT count(*) FROM iam_membership WHERE member = $1`, "Cannot delete entity, must remove users from group first."},
	{`SELECT count(*) FROM iam_mfa WHERE owner = $1`, "Cannot delete entity, must delete MFA device first."},
})

// unhindered wants nothing to hinder the deletion of an entity. The error is of code DeleteConflict.
func unhindered(tx *store.Tx, id string, all []hindrance) error {
	for _, h := range all {
		var n int
		if err := tx.QueryRow(h.query, id).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return &Error{DeleteConflict, h.sentence}
		}
	}
	return nil
}

// DeleteUser deletes a user. The error is of code DeleteConflict while it has anything that must go before.
func (s *Store) DeleteUser(tx *store.Tx, u User) error {
	if err := unhindered(tx, u.ID, ofUsers); err != nil {
		return err
	}
	if err := s.changed(tx, u.Account); err != nil {
		return err
	}
	for _, query := range []string{`DELETE FROM iam_tag WHERE owner = $1`, `DELETE FROM iam_access WHERE entity = $1`, `DELETE FROM iam_user WHERE id = $1`} {
		if _, err := tx.Exec(query, u.ID); err != nil {
			return err
		}
	}
	return nil
}

// IsMissing reports whether an error says that an entity does not exist.
func IsMissing(err error) bool { return isOf(err, NoSuchEntity) }

// isOf reports whether an error is IAM's of a code.
func isOf(err error, code Code) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}
