package sts

import (
	"context"
	"errors"
	"time"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/sts"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/identity"
)

// wanted is the session of a role that a request asks for, as far as it is known before the policies allow it.
type wanted struct {
	// role is the role's ARN, and roleID the unique id of the role that has it before the policies are asked; empty for none.
	role, roleID string
	session      identity.Session
	life         time.Duration
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

// issueRole makes the credentials of a role's session, limited by the policies that are passed. before runs when nothing
// else stands against it any more; nil is nothing to do.
func (s *service) issueRole(ctx context.Context, c awsapi.Call, w wanted, document string, named []api.PolicyDescriptorType,
	before func() error) (*api.Credentials, *api.AssumedRoleUser, *int64, error) {
	role, err := s.role(ctx, c, w.role, w.roleID)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := s.limit(ctx, &w.session, role.Account, document, named); err != nil {
		return nil, nil, nil, err
	}
	if w.life > role.MaxSession {
		return nil, nil, nil, invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	creds, packed, err := s.issue(role.Account, role.ID, w.session, w.life)
	if err != nil {
		return nil, nil, nil, err
	}
	if before != nil {
		if err := before(); err != nil {
			return nil, nil, nil, err
		}
	}
	user := &api.AssumedRoleUser{AssumedRoleID: role.ID + ":" + w.session.Name, Arn: identity.SessionARN(role.Account, role.Name, w.session.Name)}
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
