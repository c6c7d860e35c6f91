package access

import (
	"context"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/registry"
)

// ECRResources finds what is attached to the repositories and registries of ECR: their policies, and the tags of repositories.
func ECRResources(r *registry.Registry) Attached {
	return func(ctx context.Context, region string, q policy.Question) (policy.ResourceSet, error) {
		return r.Attached(ctx, region, q.Resource)
	}
}
