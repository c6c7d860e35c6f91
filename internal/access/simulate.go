package access

import (
	"context"
	"maps"
	"time"

	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/policy"
)

// Gather finds what would decide about a question of a caller who doesn't ask it, as it is found for a request that enters,
// so that the policy simulator answers what the gate would. The request has the condition keys that every request has at
// this moment in this region; given are those that only a real one has, such as the address that it comes from, and they
// come before all that is found. Nothing is told of the resource of another account than the caller's.
func (p *Policies) Gather(ctx context.Context, caller identity.Caller, region string, q policy.Question, given policy.Context, now time.Time) (policy.Request, policy.PolicySet, error) {
	// They are kept for longer than this call.
	place := &circumstances{keys: policy.Context{}, resources: map[policy.Resource]policy.ResourceSet{}}
	place.putMoment(now, region)
	questions := []policy.Question{q}
	found := questions
	if q.Resource.Account != caller.Principal.Account {
		found = nil
		place.put("aws:resourceaccount", q.Resource.Account)
	}
	set, principal, err := p.gather(ctx, caller, region, found, place)
	if err != nil {
		return policy.Request{}, policy.PolicySet{}, err
	}
	maps.Copy(place.keys, given)
	for resource, own := range place.resources {
		own.Context = maps.Clone(own.Context)
		for key, values := range given {
			if own.Context[key] != nil {
				own.Context[key] = values
			}
		}
		place.resources[resource] = own
	}
	return policy.Request{Principal: principal, Questions: questions, Context: place.keys}, set, nil
}
