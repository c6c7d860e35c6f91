package access

import (
	"context"
	"strings"

	"github.com/coffer-registry/coffer/internal/organization"
	"github.com/coffer-registry/coffer/internal/policy"
)

// OrganizationResources finds what is attached to the root, units, accounts and policies of the organization as resources:
// their tags.
func OrganizationResources(s *organization.Store) Attached {
	return func(ctx context.Context, _ string, q policy.Question) (policy.ResourceSet, error) {
		keys, err := s.Keys(ctx, q.Resource.ARN[strings.LastIndexByte(q.Resource.ARN, '/')+1:])
		return policy.ResourceSet{Context: keys}, err
	}
}
