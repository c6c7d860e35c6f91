// Package iam is the API of AWS Identity and Access Management: each operation is a value that turns the API's input into
// calls of the identities' store and their outcome into the API's output. It contains no rule of IAM and no authorisation.
package iam

import (
	"context"
	"net/http"
	"time"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/policy"
)

// Config is what the service works with.
type Config struct {
	IAM *iam.Store
	// Gather finds what the gate would decide by, as access.Policies does.
	Gather func(ctx context.Context, caller identity.Caller, region string, q policy.Question, given policy.Context, now time.Time) (policy.Request, policy.PolicySet, error)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// service holds the operations' dependencies.
type service struct{ Config }

// New returns the service.
func New(c Config) *awsapi.Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &service{c}
	out := &awsapi.Service{Model: api.Model, EventSource: "iam.amazonaws.com", Problem: problem, Admit: admit}
	for _, add := range []func(*awsapi.Service){
		s.addUsers, s.addGroups, s.addAccessKeys, s.addLoginProfiles, s.addPasswordPolicy, s.addUserTags, s.addInlinePolicies,
		s.addRoles, s.addServiceLinkedRoles, s.addManagedPolicies, s.addPolicyVersions, s.addAttachments, s.addBoundaries, s.addOIDCProviders, s.addSAMLProviders, s.addMFADevices,
		s.addAliases, s.addSummary, s.addCredentialReports, s.addDetails, s.addServiceAccess, s.addSimulator, s.addContextKeys, s.addUnused,
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
