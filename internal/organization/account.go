package organization

import (
	"errors"
	"time"

	"github.com/coffer-registry/coffer/internal/store"
)

// Account is an account as a part of the organization.
type Account struct {
	ID, Name, Email string
	// Active is false for one that was closed.
	Active bool
	// Parent is the root or unit that it hangs in.
	Parent   string
	JoinedAt time.Time
}

// MaxAccounts bounds the accounts of the organization, closed ones among them. AWS allows as many, on request.
const MaxAccounts = 10_000

const accountNotFound = "You specified an account that doesn't exist."

// accountQuery reads accounts, which are rows of package iam.
const accountQuery = `SELECT a.id, a.name, a.email, a.status, o.parent, o.joined_at FROM organization_account o JOIN account a ON a.id = o.account `

func scanAccount(row store.Scanner) (Account, error) {
	var a Account
	var status string
	var joined int64
	err := row.Scan(&a.ID, &a.Name, &a.Email, &status, &a.Parent, &joined)
	a.Active, a.JoinedAt = status == "ACTIVE", time.UnixMicro(joined)
	return a, err
}

// Account finds an account. The error is of code AccountNotFoundException.
func (s *Store) Account(tx *store.Tx, id string) (Account, error) {
	a, err := scanAccount(tx.QueryRow(accountQuery+`WHERE o.account = $1`, id))
	if errors.Is(err, store.ErrNoRows) {
		return Account{}, Errorf(AccountNotFound, accountNotFound)
	}
	return a, err
}

// Accounts lists the accounts by id, after one id.
func (s *Store) Accounts(tx *store.Tx, after string, n int) ([]Account, error) {
	rows, err := tx.Query(accountQuery+`WHERE o.account > $1 ORDER BY o.account LIMIT $2`, after, n)
	if err != nil {
		return nil, err
	}
	return store.Collect(rows, scanAccount)
}

// AccountsOf lists the accounts that hang directly in a parent, by id, after one id. The error is of code
// ParentNotFoundException.
func (s *Store) AccountsOf(tx *store.Tx, parent, after string, n int) ([]Account, error) {
	if err := s.checkParent(tx, parent, ParentNotFound); err != nil {
		return nil, err
	}
	rows, err := tx.Query(accountQuery+`WHERE o.parent = $1 AND o.account > $2 ORDER BY o.account LIMIT $3`, parent, after, n)
	if err != nil {
		return nil, err
	}
	return store.Collect(rows, scanAccount)
}

// EmailTaken reports whether an account has this address.
func (s *Store) EmailTaken(tx *store.Tx, email string) (bool, error) {
	var n int
	err := tx.QueryRow(`SELECT count(*) FROM account a JOIN organization_account o ON o.account = a.id WHERE lower(a.email) = lower($1)`, email).Scan(&n)
	return n > 0, err
}

// Parent finds the root or unit that a unit or account hangs in. The error is of code ChildNotFoundException.
func (s *Store) Parent(tx *store.Tx, child string) (parent string, err error) {
	if KindOf(child) == KindUnit {
		err = tx.QueryRow(`SELECT parent FROM organization_unit WHERE id = $1`, child).Scan(&parent)
	} else {
		parent, err = s.parentOf(tx, child)
	}
	if errors.Is(err, store.ErrNoRows) {
		return "", Errorf(ChildNotFound, "You specified a child that doesn't exist.")
	}
	return parent, err
}

// parentOf finds the root or unit that an account hangs in. The error is store.ErrNoRows.
func (s *Store) parentOf(tx *store.Tx, account string) (parent string, err error) {
	return parent, tx.QueryRow(`SELECT parent FROM organization_account WHERE account = $1`, account).Scan(&parent)
}

// Join makes an account part of the organization: it hangs in the root, and has the policies that allow everything of each
// type that is enabled. The error is of code ConstraintViolationException.
func (s *Store) Join(tx *store.Tx, account string) error {
	info, err := s.Info(tx)
	if err != nil {
		return err
	}
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM organization_account`).Scan(&n); err != nil {
		return err
	}
	if n >= MaxAccounts {
		return violated("ACCOUNT_NUMBER_LIMIT_EXCEEDED", "You have exceeded the allowed number of AWS accounts.")
	}
	if err := s.changed(tx); err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO organization_account (account, parent, joined_at) VALUES ($1, $2, $3)`, account, info.Root, s.now().UnixMicro())
	if err != nil {
		return err
	}
	return s.attachDefaults(tx, account)
}

// Move hangs an account into another root or unit. The error is of code AccountNotFoundException,
// SourceParentNotFoundException, DestinationParentNotFoundException or DuplicateAccountException.
func (s *Store) Move(tx *store.Tx, account, from, to string) error {
	a, err := s.Account(tx, account)
	if err != nil {
		return err
	}
	if err := s.checkParent(tx, from, SourceParentNotFound); err != nil {
		return err
	}
	if err := s.checkParent(tx, to, DestinationParentNotFound); err != nil {
		return err
	}
	if a.Parent == to {
		return Errorf(DuplicateAccount, "That account is already present in the specified destination.")
	}
	if a.Parent != from {
		return Errorf(AccountNotFound, accountNotFound)
	}
	if err := s.changed(tx); err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE organization_account SET parent = $2 WHERE account = $1`, account, to)
	return err
}

// CheckClose looks whether an account may be closed: the management account may not. The error is of code
// AccountNotFoundException, AccountAlreadyClosedException or ConstraintViolationException.
func (s *Store) CheckClose(tx *store.Tx, account string) error {
	a, err := s.Account(tx, account)
	if err != nil {
		return err
	}
	info, err := s.Info(tx)
	if err != nil {
		return err
	}
	switch {
	case account == info.Management:
		return violated("CANNOT_CLOSE_MANAGEMENT_ACCOUNT", "You can't close the management account.")
	case !a.Active:
		return Errorf(AccountAlreadyClosed, "You attempted to close an account that is already closed.")
	}
	return nil
}
