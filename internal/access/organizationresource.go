package access

import (
	"context"
	"strings"

	"github.com/coffer-registry/coffer/internal/organization"
	"github.com/coffer-registry/coffer/internal/policy"
)

// OrganizationResources finds what is attached to the root, units, accounts and policies of the organization as resources:
// their tags. Members, which find out nothing else of the organization, find out no tags but their own.
func OrganizationResources(s *organization.Store) Attached {
	return func(ctx context.Context, _ string, q policy.Question) (policy.ResourceSet, error) {
		id := q.Resource.ARN[strings.LastIndexByte(q.Resource.ARN, '/')+1:]
		caller, err := s.Standing(ctx, q.Resource.Account)
		if err != nil || !caller.Management && id != q.Resource.Account {
			return policy.ResourceSet{}, err
		}
		keys, err := s.Keys(ctx, id)
		return policy.ResourceSet{Context: keys}, err
	}
}
