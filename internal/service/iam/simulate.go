package iam

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/policy"
)

func (s *service) addSimulator(out *awsapi.Service) {
	awsapi.Add(out, onAccount(awsapi.Op[api.SimulateCustomPolicyRequest, api.SimulatePolicyResponse]{
		Action: "iam:SimulateCustomPolicy",
		Read:   s.simulateCustomPolicy,
	}))
	awsapi.Add(out, onARN(awsapi.Op[api.SimulatePrincipalPolicyRequest, api.SimulatePolicyResponse]{
		Action: "iam:SimulatePrincipalPolicy",
		Read:   s.simulatePrincipalPolicy,
	}, func(in *api.SimulatePrincipalPolicyRequest) string { return in.PolicySourceARN }))
}

var errInvalidCaller = iam.Errorf(iam.InvalidInput, "Invalid caller - Caller must be an IAM user in this context.")

// simulateCustomPolicy simulates policies that the client gives.
func (s *service) simulateCustomPolicy(ctx context.Context, c awsapi.Call, in *api.SimulateCustomPolicyRequest) (*api.SimulatePolicyResponse, error) {
	m, err := s.newSimulation(ctx, c, in)
	if err != nil {
		return nil, err
	}
	return m.page(ctx, in)
}

// simulatePrincipalPolicy simulates the policies of a user, group or role as the gate would ask them.
func (s *service) simulatePrincipalPolicy(ctx context.Context, c awsapi.Call, in *api.SimulatePrincipalPolicyRequest) (*api.SimulatePolicyResponse, error) {
	account := c.Caller.Principal.Account
	source, err := s.policySource(ctx, account, in.PolicySourceARN)
	if err != nil {
		return nil, err
	}
	common := &api.SimulateCustomPolicyRequest{PolicyInputList: in.PolicyInputList, PermissionsBoundaryPolicyInputList: in.PermissionsBoundaryPolicyInputList,
		ActionNames: in.ActionNames, ResourceARNs: in.ResourceARNs, ResourcePolicy: in.ResourcePolicy, ResourceOwner: in.ResourceOwner,
		CallerARN: in.CallerARN, ContextEntries: in.ContextEntries, MaxItems: in.MaxItems, Marker: in.Marker}
	if common.CallerARN == "" && source.Kind == iam.KindUser {
		common.CallerARN = in.PolicySourceARN
	}
	m, err := s.newSimulation(ctx, c, common)
	if err != nil {
		return nil, err
	}
	caller := identity.Caller{Principal: nobodyOf(account), Standing: source}
	if source.Kind != iam.KindGroup {
		caller = identity.Simulated(source, m.now)
	}
	if in.CallerARN == "" {
		m.caller = caller
	}
	m.source = &caller
	return m.page(ctx, common)
}

// newSimulation reads an input. The error is of code InvalidInput.
func (s *service) newSimulation(ctx context.Context, c awsapi.Call, in *api.SimulateCustomPolicyRequest) (*simulation, error) {
	m := &simulation{service: s, actions: in.ActionNames, resources: in.ResourceARNs, resourcePolicy: in.ResourcePolicy,
		compiled: map[policy.Kind]*policy.Policy{}, region: c.Region, now: s.Now()}
	account := c.Caller.Principal.Account
	if in.ResourcePolicy != "" && in.CallerARN == "" {
		return nil, errInvalidCaller
	}
	var err error
	m.caller.Principal = nobodyOf(account)
	if in.CallerARN != "" {
		if m.caller, err = s.simulatedCaller(ctx, account, in.CallerARN); err != nil {
			return nil, err
		}
	}
	if m.owner = m.caller.Principal.Account; in.ResourceOwner != "" {
		if m.owner, err = ownerOf(in.ResourceOwner); err != nil {
			return nil, err
		}
	}
	if m.given, err = givenKeys(in.ContextEntries); err != nil {
		return nil, err
	}
	if m.policies, err = inputPolicies("PolicyInputList", in.PolicyInputList); err != nil {
		return nil, err
	}
	if len(in.PermissionsBoundaryPolicyInputList) > 1 {
		return nil, iam.Errorf(iam.InvalidInput, "Invalid Input - There can be only one permissions boundary policy.")
	}
	if m.boundary, err = inputPolicies("PermissionsBoundaryPolicyInputList", in.PermissionsBoundaryPolicyInputList); err != nil {
		return nil, err
	}
	if len(m.resources) == 0 {
		m.resources = []string{"*"}
	}
	return m, m.check()
}

// actionName is the form of an action, which must not have wildcards.
var actionName = regexp.MustCompile(`^[A-Za-z0-9-]+:[A-Za-z0-9]+$`)

// check wants actions and resources to be what they should, and not too many.
func (m *simulation) check() error {
	// The sentences of IAM are not known.
	for _, action := range m.actions {
		if !actionName.MatchString(action) {
			return iam.Errorf(iam.InvalidInput, "Invalid Input - %s is not the name of an action.", action)
		}
	}
	for _, resource := range m.resources {
		if _, err := arn.Parse(resource); err != nil && resource != "*" {
			return iam.Errorf(iam.InvalidInput, "Invalid Input - %s is not the ARN of a resource.", resource)
		}
	}
	if len(m.actions) == 0 {
		return iam.Errorf(iam.InvalidInput, "Invalid Input - There must be at least one action.")
	}
	if len(m.actions)*len(m.resources) > maxAnswers {
		return iam.Errorf(iam.InvalidInput, "Invalid Input - There can be at most %d combinations of an action with a resource.", maxAnswers)
	}
	return nil
}

// nobodyOf is a user of an account whom nothing names.
func nobodyOf(account string) policy.Principal {
	return policy.Principal{ARN: iam.KindUser.ARN(account, "/", "simulation"), Account: account}
}

// simulatedCaller is a user by its ARN, whether or not there is one, of which no more is known than the ARN says.
func (s *service) simulatedCaller(ctx context.Context, account, text string) (c identity.Caller, err error) {
	a, err := arn.Parse(text)
	if err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "user/") || len(a.Account) != 12 {
		return c, errInvalidCaller
	}
	c.Principal = policy.Principal{ARN: text, Account: a.Account}
	c.Keys = policy.Context{"aws:principalarn": {text}, "aws:principalaccount": {a.Account}, "aws:principaltype": {"User"},
		"aws:username": {text[strings.LastIndexByte(text, '/')+1:]}}
	if a.Account != account {
		return c, nil
	}
	st, err := s.IAM.ByARN(ctx, text)
	if errors.Is(err, iam.ErrGone) {
		return c, nil
	}
	if err == nil {
		c.Principal.ID = st.ID // by which the policies of resources know users
	}
	return c, err
}

// ownerOf is the account in the ARN of its root.
func ownerOf(text string) (string, error) {
	a, err := arn.Parse(text)
	if err != nil || text != iam.RootOf(a.Account) {
		return "", iam.Errorf(iam.InvalidInput, "Invalid Input - The owner of resources must be the ARN of an account, such as %s.", iam.RootOf("123456789012"))
	}
	return a.Account, nil
}

// inputPolicies compiles the documents of a member of the input. They are called by its name and a number.
func inputPolicies(member string, documents []string) (policies []*policy.Policy, err error) {
	for i, document := range documents {
		name := member + "." + strconv.Itoa(i+1)
		p, err := policy.Parse(policy.KindIdentity, []byte(document), policy.Options{Name: name})
		if err != nil {
			return nil, invalidPolicy(name, err)
		}
		policies = append(policies, p)
	}
	return policies, nil
}

// invalidPolicy is the refusal of a document that is only simulated.
func invalidPolicy(name string, err error) error {
	var m *policy.MalformedError
	if errors.As(err, &m) {
		return iam.Errorf(iam.InvalidInput, "Invalid Input - %s: %s", name, m.Message)
	}
	return err
}
