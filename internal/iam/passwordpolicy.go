package iam

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// PasswordPolicy is what an account wants of its users' passwords. It is kept as JSON of these names.
type PasswordPolicy struct {
	// MinimumLength is in characters.
	MinimumLength                                                      int64
	RequireSymbols, RequireNumbers, RequireUppercase, RequireLowercase bool
	// AllowUsersToChangePassword lets every user change its own password, whatever its policies say short of denying it.
	AllowUsersToChangePassword bool
	// MaxPasswordAge is after how many days a password expires; 0 for never. HardExpiry says that only an administrator can
	// then set another one where passwords are asked for.
	MaxPasswordAge int64
	HardExpiry     bool
	// ReusePrevention is how many earlier passwords, that of the moment among them, can't be set again.
	ReusePrevention int64
}

// DefaultMinimumLength is that of a policy which says nothing of it.
const DefaultMinimumLength = 6

// PasswordPolicy finds the password policy of an account. The error is of code NoSuchEntity.
func (s *Store) PasswordPolicy(tx *store.Tx, account string) (PasswordPolicy, error) {
	p, err := s.passwordPolicy(tx, account)
	if err == nil && p == nil {
		return PasswordPolicy{}, noPasswordPolicy(account)
	}
	if err != nil {
		return PasswordPolicy{}, err
	}
	return *p, nil
}

func noPasswordPolicy(account string) error {
	return Errorf(NoSuchEntity, "The Password Policy with domain name %s cannot be found.", account)
}

// passwordPolicy finds the password policy of an account; nil is none.
func (s *Store) passwordPolicy(tx *store.Tx, account string) (*PasswordPolicy, error) {
	var text *string
	err := tx.QueryRow(`SELECT password_policy FROM account WHERE id = $1`, account).Scan(&text)
	if errors.Is(err, store.ErrNoRows) || err == nil && text == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p := &PasswordPolicy{}
	if err := json.Unmarshal([]byte(*text), p); err != nil {
		return nil, fmt.Errorf("read the password policy of account %s: %w", account, err)
	}
	return p, nil
}

// PutPasswordPolicy gives an account a password policy in place of any other.
func (s *Store) PutPasswordPolicy(tx *store.Tx, account string, p PasswordPolicy) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return s.savePasswordPolicy(tx, account, string(text))
}

// DeletePasswordPolicy makes an account have no password policy. The error is of code NoSuchEntity.
func (s *Store) DeletePasswordPolicy(tx *store.Tx, account string) error {
	if _, err := s.PasswordPolicy(tx, account); err != nil {
		return err
	}
	return s.savePasswordPolicy(tx, account, nil)
}

func (s *Store) savePasswordPolicy(tx *store.Tx, account string, text any) error {
	if err := s.changed(tx, account); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE account SET password_policy = $1 WHERE id = $2`, text, account)
	return err
}

// Expires is when a password that was set at a time expires; zero for never.
func (p PasswordPolicy) Expires(set time.Time) time.Time {
	if p.MaxPasswordAge == 0 {
		return time.Time{}
	}
	return set.Add(time.Duration(p.MaxPasswordAge) * 24 * time.Hour)
}

// symbols are the characters that IAM counts as symbols.
const symbols = "!@#$%^&*()_+-=[]{}|'"

// classes are the classes of characters in a password.
type classes struct{ upper, lower, number, symbol bool }

func classesOf(password string) (c classes) {
	for _, r := range password {
		switch {
		case r >= 'A' && r <= 'Z':
			c.upper = true
		case r >= 'a' && r <= 'z':
			c.lower = true
		case r >= '0' && r <= '9':
			c.number = true
		case strings.ContainsRune(symbols, r):
			c.symbol = true
		}
	}
	return c
}

var errPasswordPolicy = &Error{PasswordPolicyViolation, "Password does not conform to the account password policy."}

// conforms judges a password by a policy. The error is of code PasswordPolicyViolation.
func (p PasswordPolicy) conforms(password string) error {
	c := classesOf(password)
	if int64(utf8.RuneCountInString(password)) < p.MinimumLength ||
		p.RequireUppercase && !c.upper || p.RequireLowercase && !c.lower || p.RequireNumbers && !c.number || p.RequireSymbols && !c.symbol {
		return errPasswordPolicy
	}
	return nil
}

// conformsByDefault judges a password of an account that has no policy: it has eight characters of three classes, and is
// neither the account's name nor its mail address. The error is of code PasswordPolicyViolation.
func conformsByDefault(password string, a Account) error {
	c, n := classesOf(password), 0
	for _, has := range []bool{c.upper, c.lower, c.number, c.symbol} {
		if has {
			n++
		}
	}
	if utf8.RuneCountInString(password) < 8 || n < 3 || strings.EqualFold(password, a.Name) || strings.EqualFold(password, a.Email) {
		return errPasswordPolicy
	}
	return nil
}

// mayChangeOwnPassword is what a password policy that lets users change their passwords allows them. Nobody can change any
// password but its own that way.
var mayChangeOwnPassword, _ = policy.Load(policy.KindIdentity, []byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow",
	"Action":["iam:ChangePassword","iam:GetAccountPasswordPolicy"],"Resource":"*"}}`), policy.Options{Name: "AllowUsersToChangePassword"})

// ofPasswordPolicy are the policies that a user has by the account's password policy.
func (s *Store) ofPasswordPolicy(tx *store.Tx, account string) ([]*policy.Policy, error) {
	p, err := s.passwordPolicy(tx, account)
	if err != nil || p == nil || !p.AllowUsersToChangePassword {
		return nil, err
	}
	return []*policy.Policy{mayChangeOwnPassword}, nil
}
