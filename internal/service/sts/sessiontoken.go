package sts

import (
	"context"
	"time"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/sts"
	"github.com/coffer-registry/coffer/internal/identity"
)

// Lives of sessions of users and federated users: unless the client says otherwise, and at most of those of a root.
const (
	defaultUserLife = 12 * time.Hour
	maxRootLife     = time.Hour
)

func (s *service) addSessionToken(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.GetSessionTokenRequest, api.GetSessionTokenResponse]{
		Action: "sts:GetSessionToken",
		Ask:    s.askSessionToken,
		Read:   s.getSessionToken,
		Parameters: func(in *api.GetSessionTokenRequest) any {
			return shownInput{Duration: in.DurationSeconds, Serial: in.SerialNumber}
		},
		Response: func(out *api.GetSessionTokenResponse) any {
			return shownOutput{Credentials: shownCredentials(out.Credentials)}
		},
	})
}

// askSessionToken asks nothing: whoever has long-term credentials may use them for a while in this form.
func (s *service) askSessionToken(ctx context.Context, c awsapi.Call, in *api.GetSessionTokenRequest) (a awsapi.Asked, err error) {
	a.Found, err = s.prove(ctx, c.Caller, in.SerialNumber, in.TokenCode)
	return a, err
}

func (s *service) getSessionToken(ctx context.Context, c awsapi.Call, in *api.GetSessionTokenRequest) (*api.GetSessionTokenResponse, error) {
	p := c.Found.(proof)
	session := identity.Session{Kind: identity.UserSession, Parent: c.Caller.AccessKeyID, MFA: s.provedAt(c.Caller, &p)}
	creds, _, err := s.issue(c.Caller.Principal.Account, ownerOf(c.Caller), session, userLife(c.Caller, in.DurationSeconds))
	if err != nil {
		return nil, err
	}
	if err := s.take(ctx, c.Caller, &p); err != nil {
		return nil, err
	}
	return &api.GetSessionTokenResponse{Credentials: creds}, nil
}

// ownerOf is the unique id of the user, or the account's id for its root.
func ownerOf(c identity.Caller) string {
	if c.Principal.Root {
		return c.Principal.Account
	}
	return c.Principal.ID
}

// userLife is how long a session of a user is to live; a root's is cut without a word.
func userLife(c identity.Caller, seconds *int64) time.Duration {
	life := lifeOf(seconds, defaultUserLife)
	if c.Principal.Root {
		life = min(life, maxRootLife)
	}
	return life
}
