package access

import (
	"context"
	"errors"
	"maps"
	"strings"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/policy"
)

// IAMResources finds what is attached to the resources of IAM: the trust policy of a role, for those who want to assume it,
// and the tags of all that have any. A question that takes something of one account for another's finds nothing, so that
// nobody finds out tags of other accounts by conditions of its own.
func IAMResources(s *iam.Store) Attached {
	return func(ctx context.Context, _ string, q policy.Question) (policy.ResourceSet, error) {
		if a, err := arn.Parse(q.Resource.ARN); err == nil && a.Account != q.Resource.Account {
			return policy.ResourceSet{}, nil
		}
		st, err := s.ByARN(ctx, q.Resource.ARN)
		if errors.Is(err, iam.ErrGone) {
			keys, err := s.KeysOf(ctx, q.Resource.ARN)
			return policy.ResourceSet{Context: keys}, err
		}
		if err != nil {
			return policy.ResourceSet{}, err
		}
		set := policy.ResourceSet{Context: st.Keys}
		if strings.HasPrefix(q.Action, "sts:") && st.Trust != nil {
			set.Policies = []*policy.Policy{st.Trust}
		}
		return set, nil
	}
}

// overrideTags puts the tags that go on from the caller's session in place of those of the same keys that a role has which
// the caller wants to assume, since that is what they are going to be in the role's session.
func (c *circumstances) overrideTags(tags map[string]string) {
	if len(tags) == 0 {
		return
	}
	for resource, set := range c.resources {
		if len(set.Policies) == 0 || set.Policies[0].Kind() != policy.KindTrust {
			continue
		}
		set.Context = maps.Clone(set.Context)
		for key, value := range tags {
			for _, name := range []string{"aws:resourcetag/", "iam:resourcetag/"} {
				if name += strings.ToLower(key); set.Context[name] != nil {
					set.Context[name] = []string{value}
				}
			}
		}
		c.resources[resource] = set
	}
}
