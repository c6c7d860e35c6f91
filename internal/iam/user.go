package iam

import (
	"errors"
	"fmt"
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

// IsMissing reports whether an error says that an entity does not exist.
func IsMissing(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == NoSuchEntity
}
