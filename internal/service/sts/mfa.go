package sts

import (
	"context"

	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/policy"
)

// proof is a one-time code with which the caller proves a second factor; the zero value is none.
type proof struct{ serial, code string }

// prove judges the code that a request carries, if it does. It stays good until take, so that a request that is refused
// for another reason costs nobody a code.
func (s *service) prove(ctx context.Context, c identity.Caller, serial, code string) (proof, error) {
	switch {
	case serial == "" && code == "":
		return proof{}, nil
	case serial == "" || code == "":
		return proof{}, denied("MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code.")
	}
	return proof{serial, code}, s.IAM.CheckCode(ctx, deviceOwner(c), serial, code)
}

// provedAt is when the caller proved a second factor, now or for its session, in microseconds; 0 for never.
func (s *service) provedAt(c identity.Caller, p *proof) int64 {
	switch {
	case p.serial != "":
		return s.Now().UnixMicro()
	case c.Session != nil:
		return c.Session.MFA
	}
	return 0
}

// take makes the code void.
func (s *service) take(ctx context.Context, c identity.Caller, p *proof) error {
	if p.serial == "" {
		return nil
	}
	return s.IAM.TakeCode(ctx, deviceOwner(c), p.serial, p.code)
}

// deviceOwner is whose devices count: those of the user or root itself. Nobody else has any, and nobody has the id "".
func deviceOwner(c identity.Caller) string {
	switch {
	case c.Principal.Root:
		return c.Principal.Account
	case c.Type == identity.TypeUser:
		return c.Principal.ID
	}
	return ""
}

// putKeys adds the condition keys of a second factor that was proved with this request.
func (p *proof) putKeys(keys policy.Context) {
	if p.serial != "" {
		keys.Put("aws:MultiFactorAuthPresent", "true")
		keys.Put("aws:MultiFactorAuthAge", "0")
	}
}
