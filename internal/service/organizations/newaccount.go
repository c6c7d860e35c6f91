package organizations

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"

	api "github.com/coffer-registry/coffer/internal/awsapi/organizations"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/organization"
	"github.com/coffer-registry/coffer/internal/store"
)

// Accounts makes and closes accounts, of which several parts of the server keep something.
type Accounts struct {
	IAM          *iam.Store
	Organization *organization.Store
	Keyring      *kms.Keyring
	// Regions are those in which an account has a registry.
	Regions []string
}

// NewAccount is an account that is to be made.
type NewAccount struct {
	Name string
	// Email must be that of no other account; empty for none, which only an operator may leave out.
	Email string
	// Role is the name of the role with which the management account gets in; empty is DefaultRole.
	Role string
	Tags []organization.Tag
}

// DefaultRole is the role with which the management account gets into the accounts that it made.
const DefaultRole = "OrganizationAccountAccessRole"

// Create makes an account with all that it needs: a place in the organization, a role for the management account, and the
// keys of its registries. What AWS finds out too late for an error, such as an address that is taken, is in the state of
// the request that it returns.
func (a *Accounts) Create(tx *store.Tx, n NewAccount) (organization.Request, error) {
	request := organization.Request{AccountName: n.Name, State: organization.Failed}
	if n.Email != "" {
		taken, err := a.Organization.EmailTaken(tx, n.Email)
		if err != nil {
			return request, err
		}
		if taken {
			request.Reason = api.CreateAccountFailureReasonEmailAlreadyExists
			return a.Organization.AddRequest(tx, request)
		}
	}
	id, err := a.freeID(tx)
	if err != nil {
		return request, err
	}
	if err := a.make(tx, id, n); err != nil {
		return request, fmt.Errorf("make account %s: %w", id, err)
	}
	request.Account, request.State = id, organization.Succeeded
	return a.Organization.AddRequest(tx, request)
}

func (a *Accounts) make(tx *store.Tx, id string, n NewAccount) error {
	if err := a.IAM.CreateAccount(tx, id, n.Name, n.Email); err != nil {
		return err
	}
	if err := a.Organization.Join(tx, id); err != nil {
		return err
	}
	if err := a.Organization.Tag(tx, id, n.Tags); err != nil {
		return err
	}
	info, err := a.Organization.Info(tx)
	if err != nil {
		return err
	}
	if err := a.IAM.CreateAccessRole(tx, id, cmp.Or(n.Role, DefaultRole), info.Management); err != nil {
		return err
	}
	return a.Keyring.Ensure(tx, Scopes(a.Regions, id)...)
}

// Scopes are those of the keys of an account's registries.
func Scopes(regions []string, account string) []kms.Scope {
	scopes := make([]kms.Scope, 0, 2*len(regions))
	for _, region := range regions {
		for _, purpose := range []kms.Purpose{kms.PurposeECR, kms.PurposeKMS} {
			scopes = append(scopes, kms.Scope{Purpose: purpose, Account: account, Region: region})
		}
	}
	return scopes
}

// freeID makes the id of an account: 12 random digits that no account has.
func (a *Accounts) freeID(tx *store.Tx) (string, error) {
	for {
		// No leading zero, which tables of figures would lose.
		n, err := rand.Int(rand.Reader, big.NewInt(900_000_000_000))
		if err != nil {
			return "", err
		}
		id := fmt.Sprint(n.Int64() + 100_000_000_000)
		_, err = a.Organization.Account(tx, id)
		var refused *organization.Error
		switch {
		case errors.As(err, &refused):
			return id, nil
		case err != nil:
			return "", err
		}
	}
}

// Close closes an account: from then on nobody of it may do anything. The error is of code AccountNotFoundException,
// AccountAlreadyClosedException or ConstraintViolationException.
func (a *Accounts) Close(tx *store.Tx, id string) error {
	if err := a.Organization.CheckClose(tx, id); err != nil {
		return err
	}
	return a.IAM.CloseAccount(tx, id)
}
