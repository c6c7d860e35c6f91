package access

import (
	"context"

	"github.com/coffer-registry/coffer/internal/policy"
)

// Explain returns what those of the caller's account who may decode it are told of the denial of a request, in JSON; nil if
// the caller has no account, or if nothing denies the request any more.
func (d *Door) Explain(ctx context.Context, r *Request) []byte {
	if d.evaluate != nil || r.Caller.Principal.Account == "" {
		return nil
	}
	place := d.circumstancesOf(r)
	defer place.release()
	set, principal, err := d.policies.gather(ctx, r.Caller, r.Region, r.Questions, place)
	if err != nil {
		return nil
	}
	x := policy.Explain(policy.Request{Principal: principal, Questions: r.Questions, Context: place.keys, EncryptionContext: r.EncryptionContext}, set)
	if x.Allowed {
		return nil
	}
	return policy.AuthorizationMessage(x)
}
