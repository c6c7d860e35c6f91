package sts

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/sts"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/policy"
)

func (s *service) addFederationToken(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.GetFederationTokenRequest, api.GetFederationTokenResponse]{
		Action: "sts:GetFederationToken",
		Ask:    askFederationToken,
		Read:   s.getFederationToken,
		Parameters: func(in *api.GetFederationTokenRequest) any {
			return shownInput{Name: in.Name, Policy: in.Policy, PolicyARNs: in.PolicyARNs, Duration: in.DurationSeconds, Tags: shownTags(in.Tags)}
		},
		Response: func(out *api.GetFederationTokenResponse) any {
			return shownOutput{Credentials: shownCredentials(out.Credentials), Federated: shownUser(out.FederatedUser), Packed: out.PackedPolicySize}
		},
	})
}

func askFederationToken(_ context.Context, c awsapi.Call, in *api.GetFederationTokenRequest) (a awsapi.Asked, err error) {
	tags, _, err := sessionTags(c.Caller, in.Tags, nil)
	if err != nil {
		return a, err
	}
	a.Context = policy.Context{}
	putSessionTags(a.Context, in.Tags, nil)
	actions := []string{"sts:GetFederationToken"}
	if len(in.Tags) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	account := c.Caller.Principal.Account
	a.Questions = policy.Ask(actions, policy.Resource{ARN: identity.FederatedARN(account, in.Name), Account: account})
	a.Found = tags
	return a, nil
}

func (s *service) getFederationToken(ctx context.Context, c awsapi.Call, in *api.GetFederationTokenRequest) (*api.GetFederationTokenResponse, error) {
	account := c.Caller.Principal.Account
	session := identity.Session{Kind: identity.FederationSession, Name: in.Name, Parent: c.Caller.AccessKeyID, Tags: c.Found.(map[string]string)}
	if err := s.limit(ctx, &session, account, in.Policy, in.PolicyARNs); err != nil {
		return nil, err
	}
	creds, packed, err := s.issue(account, ownerOf(c.Caller), session, userLife(c.Caller, in.DurationSeconds))
	if err != nil {
		return nil, err
	}
	user := &api.FederatedUser{FederatedUserID: account + ":" + in.Name, Arn: identity.FederatedARN(account, in.Name)}
	return &api.GetFederationTokenResponse{Credentials: creds, FederatedUser: user, PackedPolicySize: packed}, nil
}
