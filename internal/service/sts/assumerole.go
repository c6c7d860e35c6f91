package sts

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/sts"
	"github.com/coffer-registry/coffer/internal/iam"
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
	roleID  string
	session identity.Session
	life    time.Duration
	proof   proof
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
	found := assumption{session: identity.Session{Kind: identity.RoleSession, Name: in.RoleSessionName}, life: defaultRoleLife}
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
func (s *service) assumeRole(ctx context.Context, c awsapi.Call, in *api.AssumeRoleRequest) (*api.AssumeRoleResponse, error) {
	found := c.Found.(assumption)
	role, err := s.role(ctx, c, in.RoleARN, found.roleID)
	if err != nil {
		return nil, err
	}
	if err := s.limit(ctx, &found.session, role.Account, in.Policy, in.PolicyARNs); err != nil {
		return nil, err
	}
	out := &api.AssumeRoleResponse{SourceIdentity: found.session.SourceIdentity}
	if out.Credentials, out.AssumedRoleUser, out.PackedPolicySize, err = s.issueRole(role, found.session, found.life, func() error {
		return s.take(ctx, c.Caller, &found.proof)
	}); err != nil {
		return nil, err
	}
	return out, nil
}

// roleID is the unique id of the role that has an ARN before the policies are asked about it; empty for none.
func (s *service) roleID(ctx context.Context, name string) (string, error) {
	role, err := s.IAM.ByARN(ctx, name)
	if errors.Is(err, iam.ErrGone) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return role.ID, nil
}

// role finds a role that the policies allowed to be assumed, and so one that was there a moment ago. One that was made anew
// meanwhile is another, whose trust policy was not asked.
func (s *service) role(ctx context.Context, c awsapi.Call, name, id string) (*iam.Standing, error) {
	role, err := s.IAM.ByARN(ctx, name)
	if errors.Is(err, iam.ErrGone) || err == nil && role.ID != id {
		return nil, denied("User: " + c.Caller.Principal.ARN + " is not authorized to perform: sts:AssumeRole on resource: " + name)
	}
	return role, err
}

// issueRole makes the credentials of a role's session. before runs when nothing else stands against it any more; nil is
// nothing to do.
func (s *service) issueRole(role *iam.Standing, session identity.Session, life time.Duration, before func() error) (*api.Credentials, *api.AssumedRoleUser, *int64, error) {
	if life > role.MaxSession {
		return nil, nil, nil, invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	creds, packed, err := s.issue(role.Account, role.ID, session, life)
	if err != nil {
		return nil, nil, nil, err
	}
	if before != nil {
		if err := before(); err != nil {
			return nil, nil, nil, err
		}
	}
	user := &api.AssumedRoleUser{AssumedRoleID: role.ID + ":" + session.Name, Arn: identity.SessionARN(role.Account, role.Name, session.Name)}
	return creds, user, packed, nil
}

// issue makes credentials, and says how much of the room for policies and tags they take; nil is none.
func (s *service) issue(account, owner string, session identity.Session, life time.Duration) (*api.Credentials, *int64, error) {
	c, err := s.Directory.IssueSession(account, owner, session, life)
	if err != nil {
		return nil, nil, err
	}
	out := &api.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.Secret.Reveal(), SessionToken: c.SessionToken.Reveal(), Expiration: awsapi.NewTime(c.Expires.Truncate(time.Second))}
	if c.Packed == 0 {
		return out, nil, nil
	}
	packed := int64(c.Packed)
	return out, &packed, nil
}
