package sts

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/sts"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/policy"
)

// Lives of role sessions: unless the client says otherwise, and at most if a role assumes another.
const (
	defaultRoleLife = time.Hour
	maxChainedLife  = time.Hour
)

func (s *service) addAssumeRole(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.AssumeRoleRequest, api.AssumeRoleResponse]{
		Action: "sts:AssumeRole",
		Ask:    s.askAssumeRole,
		Read:   s.assumeRole,
		Parameters: func(in *api.AssumeRoleRequest) any {
			return shownInput{RoleARN: in.RoleARN, SessionName: in.RoleSessionName, Policy: in.Policy, PolicyARNs: in.PolicyARNs,
				Duration: in.DurationSeconds, Tags: shownTags(in.Tags), Transitive: in.TransitiveTagKeys, ExternalID: in.ExternalID,
				Serial: in.SerialNumber, SourceIdentity: in.SourceIdentity}
		},
		Response: func(out *api.AssumeRoleResponse) any {
			return shownOutput{Credentials: shownCredentials(out.Credentials), AssumedRole: shownRole(out.AssumedRoleUser),
				Packed: out.PackedPolicySize, SourceIdentity: out.SourceIdentity}
		},
	})
}

// assumption is what Ask finds out of an AssumeRole: the session as far as it is known before the role is.
type assumption struct {
	wanted
	proof proof
}

// askAssumeRole asks about the role as it is named, whether or not there is one: the answer is the same.
func (s *service) askAssumeRole(ctx context.Context, c awsapi.Call, in *api.AssumeRoleRequest) (a awsapi.Asked, err error) {
	account, err := accountOfRole(in.RoleARN)
	if err != nil {
		return a, err
	}
	if len(in.ProvidedContexts) > 0 {
		return a, invalid("ProvidedContexts are not taken here.") // there is no provider of contexts
	}
	found := assumption{wanted: wanted{role: in.RoleARN, session: identity.Session{Kind: identity.RoleSession, Name: in.RoleSessionName}}}
	if found.life, err = chainedLife(c.Caller, in.DurationSeconds); err != nil {
		return a, err
	}
	if found.session.Tags, found.session.Transitive, err = sessionTags(c.Caller, in.Tags, in.TransitiveTagKeys); err != nil {
		return a, err
	}
	if found.session.SourceIdentity, err = sourceIdentity(c.Caller, in.SourceIdentity); err != nil {
		return a, err
	}
	if found.proof, err = s.prove(ctx, c.Caller, in.SerialNumber, in.TokenCode); err != nil {
		return a, err
	}
	found.session.MFA = s.provedAt(c.Caller, &found.proof)
	if found.roleID, err = s.roleID(ctx, in.RoleARN); err != nil {
		return a, err
	}
	a.Context = policy.Context{}
	putAssumption(a.Context, in, &found)
	actions := []string{"sts:AssumeRole"}
	if len(in.Tags) > 0 || len(found.session.Transitive) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	if found.session.SourceIdentity != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	a.Questions = policy.Ask(actions, policy.Resource{ARN: in.RoleARN, Account: account})
	a.Found = found
	return a, nil
}

// putAssumption adds the condition keys of an AssumeRole.
func putAssumption(keys policy.Context, in *api.AssumeRoleRequest, found *assumption) {
	keys.Put("sts:RoleSessionName", in.RoleSessionName)
	keys.Put("sts:DurationSeconds", strconv.Itoa(int(found.life/time.Second)))
	if in.ExternalID != "" {
		keys.Put("sts:ExternalId", in.ExternalID)
	}
	if found.session.SourceIdentity != "" {
		keys.Put("sts:SourceIdentity", found.session.SourceIdentity)
	}
	putSessionTags(keys, in.Tags, found.session.Transitive)
	found.proof.putKeys(keys)
}

// accountOfRole is the account in the ARN of a role.
func accountOfRole(role string) (string, error) {
	a, err := arn.Parse(role)
	if err != nil || a.Partition != "aws" || a.Service != "iam" || a.Region != "" || !strings.HasPrefix(a.Resource, "role/") || !isAccount(a.Account) {
		return "", invalid(role + " is invalid")
	}
	return a.Account, nil
}

func isAccount(text string) bool {
	return len(text) == 12 && strings.Trim(text, "0123456789") == ""
}

// chainedLife is how long the session is to live. That of a role that another role's session assumes is short.
func chainedLife(c identity.Caller, seconds *int64) (time.Duration, error) {
	life := lifeOf(seconds, defaultRoleLife)
	if c.Session != nil && c.Session.Kind == identity.RoleSession && life > maxChainedLife {
		return 0, invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}
	return life, nil
}

func lifeOf(seconds *int64, otherwise time.Duration) time.Duration {
	if seconds == nil {
		return otherwise
	}
	return time.Duration(*seconds) * time.Second
}

// sourceIdentity is that of the new session: once it is set it stays along a chain of sessions.
func sourceIdentity(c identity.Caller, wanted string) (string, error) {
	if c.Session == nil || c.Session.SourceIdentity == "" {
		return wanted, nil
	}
	if wanted != "" && wanted != c.Session.SourceIdentity {
		// The sentence of STS is not known.
		return "", denied("The source identity of the calling session is set and can't be changed.")
	}
	return c.Session.SourceIdentity, nil
}

// assumeRole makes the session of a role that the caller may assume.
func (s *service) assumeRole(ctx context.Context, c awsapi.Call, in *api.AssumeRoleRequest) (_ *api.AssumeRoleResponse, err error) {
	found := c.Found.(assumption)
	out := &api.AssumeRoleResponse{SourceIdentity: found.session.SourceIdentity}
	out.Credentials, out.AssumedRoleUser, out.PackedPolicySize, err = s.issueRole(ctx, c, found.wanted, in.Policy, in.PolicyARNs, func() error {
		return s.take(ctx, c.Caller, &found.proof)
	})
	return out, err
}
