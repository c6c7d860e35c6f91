package identity

import (
	"context"
	"errors"
	"time"

	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/secret"
)

// TokenLifetime is how long a registry token is good for, unless the account says less.
const TokenLifetime = 12 * time.Hour

// RegistryToken is what a token of the docker endpoint carries.
type RegistryToken struct {
	Caller Caller
	// Region is where the token was issued and the only one it is good for.
	Region  string
	Expires time.Time
}

// IssueRegistryToken makes a registry token for the caller, and says when it expires: with the caller's session at the
// latest. It holds no colon, since clients split user and password there.
func (d *Directory) IssueRegistryToken(ctx context.Context, c Caller, region string) (token secret.Text, expires time.Time, err error) {
	life := TokenLifetime
	account, err := d.iam.Account(ctx, c.Principal.Account)
	if err != nil {
		return secret.Text{}, time.Time{}, err
	}
	if account.TokenLifetime != 0 {
		life = min(life, account.TokenLifetime)
	}
	g := d.grantOf(c, life)
	g.Region = region
	token, err = d.seal(useRegistry, g)
	return token, time.UnixMicro(g.Expires), err
}

// CheckRegistryToken finds out who holds a registry token. The error is ErrTokenInvalid or ErrTokenExpired.
func (d *Directory) CheckRegistryToken(ctx context.Context, token string) (RegistryToken, error) {
	r, err := d.recallToken(ctx, useRegistry, token)
	if err != nil {
		return RegistryToken{}, asTokenError(err)
	}
	return RegistryToken{Caller: r.credential.Caller, Region: r.grant.Region, Expires: time.UnixMicro(r.grant.Expires)}, nil
}

func (d *Directory) recallToken(ctx context.Context, use, token string) (remembered, error) {
	return d.recall(ctx, newCredentialKey(use, "", token), len(token), func() (remembered, error) {
		g, err := d.open(use, token)
		return remembered{grant: g}, err
	})
}

// asTokenError says of a token whose holder is gone what is said of any that is void.
func asTokenError(err error) error {
	for _, gone := range []error{iam.ErrGone, iam.ErrNoAccount, ErrUnknownKey} {
		if errors.Is(err, gone) {
			return ErrTokenInvalid
		}
	}
	return err
}

// IssueDownload makes a token with which the caller may be taken for itself once more, for one subject, such as a layer
// of a repository, until it expires.
func (d *Directory) IssueDownload(c Caller, subject string, life time.Duration) (secret.Text, error) {
	g := d.grantOf(c, life)
	g.Subject = subject
	return d.seal(useDownload, g)
}

// CheckDownload opens a download token and returns who it was issued to and for what. The error is ErrTokenInvalid or
// ErrTokenExpired.
func (d *Directory) CheckDownload(ctx context.Context, token string) (c Caller, subject string, err error) {
	r, err := d.recallToken(ctx, useDownload, token)
	if err != nil {
		return Caller{}, "", asTokenError(err)
	}
	return r.credential.Caller, r.grant.Subject, nil
}
