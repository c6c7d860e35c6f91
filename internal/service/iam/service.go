// Package iam is the API of AWS Identity and Access Management: each operation is a value that turns the API's input into
// calls of the identities' store and their outcome into the API's output. It contains no rule of IAM and no authorisation.
package iam

import (
	"net/http"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
)

// Config is what the service works with.
type Config struct {
	IAM *iam.Store
}

// service holds the operations' dependencies.
type service struct{ Config }

// New returns the service.
func New(c Config) *awsapi.Service {
	s := &service{c}
	out := &awsapi.Service{Model: api.Model, EventSource: "iam.amazonaws.com", Problem: problem}
	for _, add := range []func(*awsapi.Service){
		s.addUsers, s.addGroups, s.addAccessKeys, s.addUserTags, s.addInlinePolicies, s.addOIDCProviders, s.addMFADevices,
	} {
		add(out)
	}
	return out
}

// statuses are the HTTP statuses of IAM's error codes.
var statuses = func() map[string]int {
	all := map[string]int{string(iam.AccessDenied): http.StatusForbidden}
	for _, shape := range api.Model.Errors {
		all[shape.Code] = shape.Status
	}
	return all
}()
