package sts

import (
	"context"
	"maps"
	"slices"
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

func (s *service) addSAML(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.AssumeRoleWithSAMLRequest, api.AssumeRoleWithSAMLResponse]{
		Action: "sts:AssumeRoleWithSAML",
		Ask:    s.askSAML,
		Read:   s.assumeRoleWithSAML,
		Parameters: func(in *api.AssumeRoleWithSAMLRequest) any {
			return shownInput{RoleARN: in.RoleARN, Provider: in.PrincipalARN, Policy: in.Policy, PolicyARNs: in.PolicyARNs, Duration: in.DurationSeconds}
		},
		Response: func(out *api.AssumeRoleWithSAMLResponse) any {
			return shownOutput{Credentials: shownCredentials(out.Credentials), AssumedRole: shownRole(out.AssumedRoleUser),
				Packed: out.PackedPolicySize, SourceIdentity: out.SourceIdentity}
		},
	})
}

// asserted is what an assertion says of who wants a role, and the session that this makes.
type asserted struct {
	wanted
	provider  iam.Provider
	assertion federation.Assertion
}

// askSAML judges the assertion, and asks the role's trust policy about who it is of.
func (s *service) askSAML(ctx context.Context, _ awsapi.Call, in *api.AssumeRoleWithSAMLRequest) (a awsapi.Asked, err error) {
	if a.Account, err = accountOfRole(in.RoleARN); err != nil {
		return a, err
	}
	found := asserted{wanted: wanted{role: in.RoleARN}}
	if found.provider, err = s.samlProvider(ctx, a.Account, in.PrincipalARN); err != nil {
		return a, awsapi.NotAuthenticated(err)
	}
	if found.assertion, err = s.verifySAML(found.provider, in); err != nil {
		s.tell(err, found.provider.ARN())
		return a, awsapi.NotAuthenticated(err)
	}
	found.session = passedSession(found.assertion.RoleSessionName, found.provider, found.assertion.Passed, found.assertion.Keys)
	found.life = s.assertedLife(in.DurationSeconds, found.assertion)
	if found.roleID, err = s.roleID(ctx, in.RoleARN); err != nil {
		return a, err
	}
	a.Context = policy.Context{}
	maps.Copy(a.Context, found.assertion.Keys)
	maps.Copy(a.Context, found.assertion.TrustKeys)
	putPassed(a.Context, &found.session, found.life)
	a.Questions = policy.Ask(vouchedActions("sts:AssumeRoleWithSAML", &found.session), policy.Resource{ARN: in.RoleARN, Account: a.Account})
	a.Caller = &identity.Caller{
		Principal: policy.Principal{ARN: found.provider.ARN(), Provider: true}, Type: identity.TypeSAML,
		PrincipalID: found.assertion.NameQualifier + ":" + found.assertion.Subject, Name: found.assertion.Subject,
	}
	a.Found = found
	return a, nil
}

// samlProvider finds the provider that a request names, which must be of the role's account.
func (s *service) samlProvider(ctx context.Context, account, arn string) (p iam.Provider, err error) {
	err = s.IAM.View(ctx, func(tx *store.Tx) error {
		p, err = s.IAM.Provider(tx, iam.ProviderSAML, arn)
		return err
	})
	if iam.IsMissing(err) || err == nil && p.Account != account {
		return p, &federation.Error{Code: federation.InvalidIdentityToken, Message: "Specified provider doesn't exist"}
	}
	return p, err
}

// verifySAML judges an assertion, which must offer the role through the provider.
func (s *service) verifySAML(p iam.Provider, in *api.AssumeRoleWithSAMLRequest) (a federation.Assertion, err error) {
	metadata, err := s.Federation.Metadata(p.Metadata)
	if err != nil {
		return a, err
	}
	a, err = s.Federation.VerifySAML(federation.SAMLProvider{Account: p.Account, Name: p.URL, Metadata: metadata}, secret.New(in.SAMLAssertion))
	if err != nil {
		return a, err
	}
	if !slices.Contains(a.Roles, federation.SAMLRole{Role: in.RoleARN, Provider: in.PrincipalARN}) {
		return a, &federation.Error{Code: federation.InvalidIdentityToken, Message: "The assertion does not offer the role through the provider"}
	}
	return a, nil
}

// assertedLife is how long the session is to live: as asked for, but no longer than the assertion allows.
func (s *service) assertedLife(seconds *int64, a federation.Assertion) time.Duration {
	life := lifeOf(seconds, defaultRoleLife)
	if a.SessionDuration != 0 {
		if life = min(life, a.SessionDuration); seconds == nil {
			life = a.SessionDuration
		}
	}
	if !a.SessionEnd.IsZero() {
		life = min(life, a.SessionEnd.Sub(s.Now()))
	}
	return life
}

func (s *service) assumeRoleWithSAML(ctx context.Context, c awsapi.Call, in *api.AssumeRoleWithSAMLRequest) (_ *api.AssumeRoleWithSAMLResponse, err error) {
	found := c.Found.(asserted)
	out := &api.AssumeRoleWithSAMLResponse{Subject: found.assertion.Subject, SubjectType: found.assertion.SubjectType, Issuer: found.assertion.Issuer,
		Audience: found.assertion.Audience, NameQualifier: found.assertion.NameQualifier, SourceIdentity: found.session.SourceIdentity}
	out.Credentials, out.AssumedRoleUser, out.PackedPolicySize, err = s.issueRole(ctx, c, found.wanted, in.Policy, in.PolicyARNs, nil)
	return out, err
}
