package access

import (
	"context"
	"errors"
	"strings"

	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/policy"
)

// IAMResources finds what is attached to the resources of IAM: the trust policy of a role, for those who want to assume it,
// and the tags of users and roles.
func IAMResources(s *iam.Store) Attached {
	return func(ctx context.Context, _ string, q policy.Question) (policy.ResourceSet, error) {
		st, err := s.ByARN(ctx, q.Resource.ARN)
		if errors.Is(err, iam.ErrGone) {
			return policy.ResourceSet{}, nil
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
