// Package organizations is the API of AWS Organizations: each operation is a value that turns the API's input into calls of
// the organization's store and their outcome into the API's output. It contains no rule of Organizations and no
// authorisation, save that AWS keeps the organization to its management account.
package organizations

import (
	"context"
	"errors"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/organizations"
	"github.com/coffer-registry/coffer/internal/organization"
	"github.com/coffer-registry/coffer/internal/store"
)

// Config is what the service works with.
type Config struct {
	Organization *organization.Store
	// Accounts makes and closes accounts.
	Accounts *Accounts
}

// service holds the operations' dependencies.
type service struct{ Config }

// New returns the service.
func New(c Config) *awsapi.Service {
	s := &service{c}
	out := &awsapi.Service{Model: api.Model, EventSource: "organizations.amazonaws.com", Problem: problem, Global: true}
	for _, add := range []func(*awsapi.Service){
		s.addOrganization, s.addUnits, s.addAccounts, s.addPolicies, s.addAttachments, s.addResourceTags,
	} {
		add(out)
	}
	return out
}

// problem turns a refusal of the organization's rules into what the client is told; nil for an error that no client can
// bring about.
func problem(err error) *awsapi.Error {
	var refused *organization.Error
	if !errors.As(err, &refused) {
		return nil
	}
	out := api.Model.Error(string(refused.Code), refused.Message)
	if refused.Reason != "" {
		out.Members = map[string]any{"Reason": refused.Reason}
	}
	return out
}

// view runs a read of the organization in one snapshot.
func view[O any](ctx context.Context, s *service, fn func(*store.Tx) (*O, error)) (out *O, err error) {
	err = s.Organization.View(ctx, func(tx *store.Tx) error {
		out, err = fn(tx)
		return err
	})
	return out, err
}
