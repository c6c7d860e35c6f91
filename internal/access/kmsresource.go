package access

import (
	"context"

	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/policy"
)

// KMSResources finds what is attached to keys: their policies, those of their grants that allow what is asked, and their
// tags and other condition keys.
func KMSResources(k *kms.Keys) Attached {
	return func(ctx context.Context, _ string, q policy.Question) (policy.ResourceSet, error) {
		return k.AttachedFor(ctx, q)
	}
}
