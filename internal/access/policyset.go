package access

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/organization"
	"github.com/coffer-registry/coffer/internal/policy"
)

// Attached finds what is attached to the resource of a question, from memory if it can: its policies and the condition keys
// of its own. region is that of the request, for resources that name none. What it returns is shared and never changes.
type Attached func(ctx context.Context, region string, q policy.Question) (policy.ResourceSet, error)

// Policies finds the policies that decide about a request.
type Policies struct {
	IAM          *iam.Store
	Organization *organization.Store
	// Resources finds what is attached to resources, by the service in their ARNs, or of the action where they have none.
	Resources map[string]Attached
}

// controlled are the services whose resources the organization's resource control policies limit.
var controlled = map[string]bool{"ecr": true, "sts": true, "kms": true}

// gather finds all that decides about questions of a request. An error means that it could not be found out, and so that
// nothing is allowed.
func (p *Policies) gather(ctx context.Context, caller identity.Caller, region string, questions []policy.Question, place *circumstances) (policy.PolicySet, policy.Principal, error) {
	set := policy.PolicySet{Context: caller.Keys, Resources: place.resources}
	principal := caller.Principal
	if err := p.ofCaller(ctx, caller, &set); err != nil {
		return set, principal, err
	}
	if principal.Account != "" {
		standing, err := p.Organization.Standing(ctx, principal.Account)
		if err != nil {
			return set, principal, err
		}
		principal.Management, set.SCP = standing.Management, standing.SCP
		place.putPrincipal(standing)
	}
	if err := p.ofResources(ctx, region, questions, place); err != nil {
		return set, principal, err
	}
	if caller.Session != nil {
		place.overrideTags(caller.Session.TransitiveTags())
	}
	return set, principal, nil
}

// ofCaller finds the policies on the principal's side.
func (p *Policies) ofCaller(ctx context.Context, caller identity.Caller, set *policy.PolicySet) error {
	if caller.Standing != nil {
		set.Identity, set.Boundary = caller.Standing.Policies, caller.Standing.Boundary
	}
	s := caller.Session
	if s == nil || !s.HasPolicies() {
		return nil
	}
	set.Session = s.Documents()
	for i, arn := range s.PolicyARNs {
		if i == 0 { // what the session holds is not to be appended to
			set.Session = append([]*policy.Policy(nil), set.Session...)
		}
		managed, err := p.IAM.Managed(ctx, caller.Principal.Account, arn)
		if err != nil {
			return err
		}
		set.Session = append(set.Session, managed)
	}
	return nil
}

// ofResources finds what is attached to the resources. The account of the first one is in the context of the request;
// resources of other accounts have their own.
func (p *Policies) ofResources(ctx context.Context, region string, questions []policy.Question, place *circumstances) error {
	for i, q := range questions {
		if _, known := place.resources[q.Resource]; known {
			continue
		}
		attached, err := p.attached(ctx, region, q)
		if err != nil {
			return err
		}
		standing, err := p.owner(ctx, q.Resource.Account)
		if err != nil {
			return err
		}
		service, _, _ := strings.Cut(q.Action, ":")
		if standing != nil && !standing.Management && controlled[service] {
			attached.RCP = standing.RCP
		}
		switch {
		case i == 0:
			place.putOwner(q.Resource.Account, standing)
		case q.Resource.Account != questions[0].Resource.Account:
			attached.Context = withOwner(attached.Context, q.Resource.Account, standing)
		}
		place.resources[q.Resource] = attached
	}
	return nil
}

func (p *Policies) attached(ctx context.Context, region string, q policy.Question) (policy.ResourceSet, error) {
	find := p.Resources[serviceOf(q)]
	if find == nil {
		return policy.ResourceSet{}, nil
	}
	if closed, err := p.closed(ctx, q.Resource.Account); closed || err != nil {
		return policy.ResourceSet{}, err
	}
	set, err := find(ctx, region, q)
	if err != nil {
		return set, fmt.Errorf("look up the policies of %s: %w", q.Resource.ARN, err)
	}
	return set, nil
}

// closed reports whether an account was closed, whose resources then let nobody in, from other accounts or without any.
func (p *Policies) closed(ctx context.Context, account string) (bool, error) {
	a, err := p.IAM.Account(ctx, account)
	if errors.Is(err, iam.ErrNoAccount) {
		return false, nil
	}
	return err == nil && !a.Active, err
}

func (p *Policies) owner(ctx context.Context, account string) (*organization.Standing, error) {
	if account == "" {
		return nil, nil
	}
	return p.Organization.Standing(ctx, account)
}

// serviceOf is the service that the resource of a question belongs to: that of its ARN, in any partition, or of the action.
func serviceOf(q policy.Question) string {
	if rest, ok := strings.CutPrefix(q.Resource.ARN, "arn:"); ok {
		_, rest, _ = strings.Cut(rest, ":")
		service, _, _ := strings.Cut(rest, ":")
		return service
	}
	service, _, _ := strings.Cut(q.Action, ":")
	return service
}
