package iam

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/store"
)

// Account is an AWS account.
type Account struct {
	ID, Name, Email string
	CreatedAt       time.Time
	// Active is false for an account that was closed: nobody of it may do anything.
	Active bool
	// TokensAfter is when all sessions and registry tokens issued before became void; zero for never.
	TokensAfter time.Time
	// TokenLifetime is how long a registry token of the account is good for; 0 is the default.
	TokenLifetime time.Duration
}

// ErrNoAccount means that there is no such account.
var ErrNoAccount = errors.New("there is no such account")

type accountKey struct{}

// Account finds an account, from memory if it can. The error is ErrNoAccount.
func (s *Store) Account(ctx context.Context, id string) (Account, error) {
	return cached(&s.cache, id, accountKey{}, func() (a Account, err error) {
		err = s.db.View(ctx, func(tx *store.Tx) error {
			a, err = scanAccount(tx.QueryRow(`SELECT `+accountColumns+` FROM account WHERE id = $1`, id))
			return err
		})
		if errors.Is(err, store.ErrNoRows) {
			return Account{}, ErrNoAccount
		}
		if err != nil {
			return Account{}, fmt.Errorf("look up account %s: %w", id, err)
		}
		return a, nil
	})
}

// The states of accounts, as AWS Organizations calls them.
const (
	statusActive = "ACTIVE"
	statusClosed = "SUSPENDED"
)

const accountColumns = `id, name, email, created_at, status, tokens_after, token_seconds`

func scanAccount(row store.Scanner) (Account, error) {
	var a Account
	var created, after, seconds int64
	var status string
	if err := row.Scan(&a.ID, &a.Name, &a.Email, &created, &status, &after, &seconds); err != nil {
		return Account{}, err
	}
	a.CreatedAt, a.Active = time.UnixMicro(created), status == statusActive
	a.TokenLifetime = time.Duration(seconds) * time.Second
	if after != 0 {
		a.TokensAfter = time.UnixMicro(after)
	}
	return a, nil
}

// AccountExists reports whether there is such an account.
func (s *Store) AccountExists(ctx context.Context, id string) (bool, error) {
	_, err := s.Account(ctx, id)
	if errors.Is(err, ErrNoAccount) {
		return false, nil
	}
	return err == nil, err
}

// Accounts returns the ids of all accounts, sorted.
func (s *Store) Accounts(ctx context.Context) (ids []string, err error) {
	err = s.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT id FROM account ORDER BY id`)
		if err != nil {
			return err
		}
		ids, err = store.Collect(rows, store.Value[string])
		return err
	})
	return ids, err
}

// CreateAccount makes an account. The error is store.ErrUnique if the id is taken.
func (s *Store) CreateAccount(tx *store.Tx, id, name, email string) error {
	if err := s.changed(tx, id); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO account (id, name, email, created_at) VALUES ($1, $2, $3, $4)`, id, name, email, s.now().UnixMicro())
	return err
}

// CloseAccount closes an account: from then on nobody of it may do anything.
func (s *Store) CloseAccount(tx *store.Tx, id string) error {
	if err := s.changed(tx, id); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE account SET status = $2 WHERE id = $1`, id, statusClosed)
	return err
}

// RootOf is the ARN of an account's root principal.
func RootOf(account string) string { return arn.Root(account).String() }
