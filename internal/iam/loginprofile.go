package iam

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/store"
)

// LoginProfile is a user's having a password.
type LoginProfile struct {
	CreatedAt time.Time
	// ResetRequired says that the user must set another password where the password is asked for.
	ResetRequired bool
}

// login is what is kept of a user's password.
type login struct {
	profile LoginProfile
	// hash is that of the password, nil for none, and earlier are those of the ones before, newest first.
	hash    []byte
	earlier []string
}

func (s *Store) login(tx *store.Tx, u User) (l login, err error) {
	var made *int64
	var reset int64
	var earlier string
	err = tx.QueryRow(`SELECT password, password_made_at, password_reset, password_history FROM iam_user WHERE id = $1`, u.ID).
		Scan(&l.hash, &made, &reset, &earlier)
	if err != nil {
		return l, err
	}
	l.profile = LoginProfile{CreatedAt: moment(made), ResetRequired: reset == 1}
	if err := json.Unmarshal([]byte(earlier), &l.earlier); err != nil {
		return l, fmt.Errorf("read the earlier passwords of user %s: %w", u.Name, err)
	}
	return l, nil
}

// LoginProfile finds the login profile of a user. The error is of code NoSuchEntity.
func (s *Store) LoginProfile(tx *store.Tx, u User) (LoginProfile, error) {
	l, err := s.login(tx, u)
	if err == nil && l.hash == nil {
		return LoginProfile{}, noLogin(u)
	}
	return l.profile, err
}

func noLogin(u User) error {
	return Errorf(NoSuchEntity, "Login Profile for User %s cannot be found.", u.Name)
}

// keptPasswords is how many hashes of earlier passwords are kept: as many as a policy can forbid, less that of the moment.
const keptPasswords = 23

// NewPassword is a password for a user that was found good and hashed, outside of any transaction since that takes long.
type NewPassword struct {
	user    User
	hash    string
	before  []byte // the hash of the password that it replaces; nil for none
	earlier string // the hashes of those before, that one among them, as JSON
}

// PreparePassword judges a password for a user and hashes it. It is for a user that has none if first is set, and else for
// one that has. The error is of code PasswordPolicyViolation, EntityAlreadyExists or NoSuchEntity.
func (s *Store) PreparePassword(ctx context.Context, u User, first bool, password secret.Text) (NewPassword, error) {
	l, err := s.judgePassword(ctx, u, first, password)
	if err != nil {
		return NewPassword{}, err
	}
	hash, err := s.hashing.hash(ctx, password)
	if err != nil {
		return NewPassword{}, err
	}
	if l.hash != nil {
		l.earlier = append([]string{string(l.hash)}, l.earlier...)
	}
	return NewPassword{user: u, hash: hash, before: l.hash, earlier: listText(l.earlier[:min(len(l.earlier), keptPasswords)])}, nil
}

// judgePassword judges a password by the account's policy, and returns what there was before it.
func (s *Store) judgePassword(ctx context.Context, u User, first bool, password secret.Text) (login, error) {
	var l login
	var policy *PasswordPolicy
	var account Account
	err := s.db.View(ctx, func(tx *store.Tx) (err error) {
		if l, err = s.login(tx, u); err != nil {
			return err
		}
		if policy, err = s.passwordPolicy(tx, u.Account); err != nil {
			return err
		}
		account, err = scanAccount(tx.QueryRow(`SELECT `+accountColumns+` FROM account WHERE id = $1`, u.Account))
		return err
	})
	switch {
	case err != nil:
		return l, fmt.Errorf("look up the password of user %s: %w", u.Name, err)
	case first && l.hash != nil:
		return l, Errorf(EntityAlreadyExists, "Login Profile for user %s already exists.", u.Name)
	case !first && l.hash == nil:
		return l, noLogin(u)
	case policy == nil:
		return l, conformsByDefault(password.Reveal(), account)
	}
	if err := policy.conforms(password.Reveal()); err != nil {
		return l, err
	}
	return l, s.unusedPassword(ctx, l, policy.ReusePrevention, password)
}

// unusedPassword wants a password to be none of the last n. The error is of code PasswordPolicyViolation.
func (s *Store) unusedPassword(ctx context.Context, l login, n int64, password secret.Text) error {
	last := l.earlier
	if l.hash != nil {
		last = append([]string{string(l.hash)}, last...)
	}
	for _, hash := range last[:min(int64(len(last)), n)] {
		same, err := s.hashing.matches(ctx, hash, password)
		if err != nil {
			return err
		}
		if same {
			return errPasswordPolicy
		}
	}
	return nil
}

// CheckOwnPassword wants a user to know its password. After ten wrong ones it knows none for a while. The error is of code
// AccessDenied or NoSuchEntity.
func (s *Store) CheckOwnPassword(ctx context.Context, u User, password secret.Text) error {
	var l login
	err := s.db.View(ctx, func(tx *store.Tx) (err error) { l, err = s.login(tx, u); return err })
	if err == nil && l.hash == nil {
		return noLogin(u)
	}
	if err != nil {
		return err
	}
	var failure error
	// IAM's sentence is not known.
	refusal := s.guesses.judge(u.ID, s.now(), Errorf(AccessDenied, "The old password is incorrect."), func() (right bool) {
		right, failure = s.hashing.matches(ctx, string(l.hash), password)
		return right
	})
	if failure != nil {
		return failure
	}
	return refusal
}

// SavePassword makes a prepared password the user's. The error is of code EntityTemporarilyUnmodifiable if it has another
// one since that was prepared, or none, or if the user is gone.
func (s *Store) SavePassword(tx *store.Tx, p NewPassword, resetRequired bool) (LoginProfile, error) {
	if err := s.changed(tx, p.user.Account); err != nil {
		return LoginProfile{}, err
	}
	now := s.now().UnixMicro()
	query := `UPDATE iam_user SET password = $1, password_set_at = $2, password_reset = $3, password_history = $4 WHERE id = $5 AND password = $6`
	args := []any{[]byte(p.hash), now, resetRequired, p.earlier, p.user.ID, p.before}
	if p.before == nil {
		query = `UPDATE iam_user SET password = $1, password_set_at = $2, password_made_at = $2, password_reset = $3, password_history = $4
			WHERE id = $5 AND password IS NULL`
		args = args[:5]
	}
	n, err := tx.Exec(query, args...)
	if err == nil && n == 0 {
		err = Errorf(EntityTemporarilyUnmodifiable, "The password of user %s is being changed by another request. Please try again.", p.user.Name)
	}
	if err != nil {
		return LoginProfile{}, err
	}
	return s.LoginProfile(tx, p.user)
}

// RequireReset says whether a user must set another password where the password is asked for. The error is of code
// NoSuchEntity.
func (s *Store) RequireReset(tx *store.Tx, u User, required bool) error {
	return s.changeLogin(tx, u, `UPDATE iam_user SET password_reset = $1 WHERE id = $2 AND password IS NOT NULL`, required, u.ID)
}

// DeleteLoginProfile takes the password of a user away, and what is known of earlier ones. The error is of code NoSuchEntity.
func (s *Store) DeleteLoginProfile(tx *store.Tx, u User) error {
	return s.changeLogin(tx, u, `UPDATE iam_user SET password = NULL, password_set_at = NULL, password_made_at = NULL, password_reset = 0,
		password_history = '[]' WHERE id = $1 AND password IS NOT NULL`, u.ID)
}

func (s *Store) changeLogin(tx *store.Tx, u User, query string, args ...any) error {
	if err := s.changed(tx, u.Account); err != nil {
		return err
	}
	n, err := tx.Exec(query, args...)
	if err == nil && n == 0 {
		return noLogin(u)
	}
	return err
}
