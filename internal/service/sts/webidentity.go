package sts

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/sts"
	"github.com/coffer-registry/coffer/internal/federation"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addWebIdentity(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.AssumeRoleWithWebIdentityRequest, api.AssumeRoleWithWebIdentityResponse]{
		Action: "sts:AssumeRoleWithWebIdentity",
		Ask:    s.askWebIdentity,
		Read:   s.assumeRoleWithWebIdentity,
		Parameters: func(in *api.AssumeRoleWithWebIdentityRequest) any {
			return shownInput{RoleARN: in.RoleARN, SessionName: in.RoleSessionName, Policy: in.Policy, PolicyARNs: in.PolicyARNs, Duration: in.DurationSeconds}
		},
		Response: func(out *api.AssumeRoleWithWebIdentityResponse) any {
			return shownOutput{Credentials: shownCredentials(out.Credentials), AssumedRole: shownRole(out.AssumedRoleUser),
				Packed: out.PackedPolicySize, SourceIdentity: out.SourceIdentity}
		},
	})
}

// vouched is what an identity provider says of who wants a role, and the session that this makes.
type vouched struct {
	wanted
	provider iam.Provider
	claims   federation.Claims
}

// askWebIdentity judges the token, and asks the role's trust policy about who holds it.
func (s *service) askWebIdentity(ctx context.Context, _ awsapi.Call, in *api.AssumeRoleWithWebIdentityRequest) (a awsapi.Asked, err error) {
	if a.Account, err = accountOfRole(in.RoleARN); err != nil {
		return a, err
	}
	if in.ProviderID != "" {
		// The sentence of STS is not known.
		return a, invalid("ProviderId is for OAuth 2.0 access tokens, which are not taken here; leave it out for an ID token.")
	}
	token := secret.New(in.WebIdentityToken)
	found := vouched{wanted: wanted{role: in.RoleARN, life: lifeOf(in.DurationSeconds, defaultRoleLife)}}
	if found.provider, err = s.issuerOf(ctx, a.Account, token); err != nil {
		return a, awsapi.NotAuthenticated(err)
	}
	found.claims, err = s.Federation.Verify(ctx, federation.OIDCProvider{URL: found.provider.URL, ClientIDs: found.provider.Clients,
		Thumbprints: found.provider.Thumbprints}, token)
	if err != nil {
		s.tell(err, found.provider.ARN())
		return a, awsapi.NotAuthenticated(err)
	}
	found.session = passedSession(in.RoleSessionName, found.provider, found.claims.Passed, found.claims.Keys)
	if found.roleID, err = s.roleID(ctx, in.RoleARN); err != nil {
		return a, err
	}
	a.Context = policy.Context{}
	maps.Copy(a.Context, found.claims.Keys)
	maps.Copy(a.Context, found.claims.TrustKeys)
	putPassed(a.Context, &found.session, found.life)
	a.Questions = policy.Ask(vouchedActions("sts:AssumeRoleWithWebIdentity", &found.session), policy.Resource{ARN: in.RoleARN, Account: a.Account})
	a.Caller = &identity.Caller{
		Principal: policy.Principal{ARN: found.provider.ARN(), Provider: true}, Type: identity.TypeWebIdentity,
		PrincipalID: found.claims.Issuer + ":" + found.claims.Audience + ":" + found.claims.Subject, Name: found.claims.Subject,
	}
	a.Found = found
	return a, nil
}

// issuerOf finds the provider in an account whose token this claims to be.
func (s *service) issuerOf(ctx context.Context, account string, token secret.Text) (p iam.Provider, err error) {
	issuer, err := federation.Issuer(token)
	if err != nil {
		return p, err
	}
	p = iam.Provider{Kind: iam.ProviderOIDC, Account: account, URL: issuer}
	err = s.IAM.View(ctx, func(tx *store.Tx) error {
		p, err = s.IAM.Provider(tx, iam.ProviderOIDC, p.ARN())
		return err
	})
	if iam.IsMissing(err) {
		return p, &federation.Error{Code: federation.InvalidIdentityToken, Message: "No OpenIDConnect provider found in your account for " + issuer}
	}
	return p, err
}

// passedSession is the session that a provider's word makes.
func passedSession(name string, p iam.Provider, passed federation.Passed, keys policy.Context) identity.Session {
	return identity.Session{Kind: identity.RoleSession, Name: name, Tags: passed.Tags, Transitive: passed.TransitiveTagKeys,
		SourceIdentity: passed.SourceIdentity, Provider: p.ARN(), ProviderKeys: keys}
}

// putPassed adds the condition keys of a session that a provider's word makes.
func putPassed(keys policy.Context, session *identity.Session, life time.Duration) {
	keys.Put("sts:RoleSessionName", session.Name)
	keys.Put("sts:DurationSeconds", strconv.Itoa(int(life/time.Second)))
	if session.SourceIdentity != "" {
		keys.Put("sts:SourceIdentity", session.SourceIdentity)
	}
	tags := make([]api.Tag, 0, len(session.Tags))
	for _, key := range slices.Sorted(maps.Keys(session.Tags)) {
		tags = append(tags, api.Tag{Key: key, Value: session.Tags[key]})
	}
	putSessionTags(keys, tags, session.Transitive)
}

// vouchedActions are the actions that a role's trust policy must allow to the provider.
func vouchedActions(action string, session *identity.Session) []string {
	actions := []string{action}
	if len(session.Tags) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	if session.SourceIdentity != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	return actions
}

func (s *service) assumeRoleWithWebIdentity(ctx context.Context, c awsapi.Call, in *api.AssumeRoleWithWebIdentityRequest) (_ *api.AssumeRoleWithWebIdentityResponse, err error) {
	found := c.Found.(vouched)
	out := &api.AssumeRoleWithWebIdentityResponse{Provider: found.provider.ARN(), Audience: found.claims.Audience,
		SubjectFromWebIdentityToken: found.claims.Subject, SourceIdentity: found.session.SourceIdentity}
	out.Credentials, out.AssumedRoleUser, out.PackedPolicySize, err = s.issueRole(ctx, c, found.wanted, in.Policy, in.PolicyARNs, nil)
	return out, err
}

// tell leaves in the log why a provider's word was not taken, which the client is told in AWS's sentence only.
func (s *service) tell(err error, provider string) {
	var refused *federation.Error
	if errors.As(err, &refused) && s.told.room(s.Now()) {
		s.Log.Info("refuse a token or assertion", "provider", provider, "reason", refused.Error())
	}
}
