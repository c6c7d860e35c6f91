package iam

import (
	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addBoundaries(out *awsapi.Service) {
	awsapi.Add(out, boundary(s, iam.KindUser, "iam:PutUserPermissionsBoundary", func(in *api.PutUserPermissionsBoundaryRequest) (owner, arn string) {
		return in.UserName, in.PermissionsBoundary
	}))
	awsapi.Add(out, boundary(s, iam.KindUser, "iam:DeleteUserPermissionsBoundary", func(in *api.DeleteUserPermissionsBoundaryRequest) (owner, arn string) {
		return in.UserName, ""
	}))
	awsapi.Add(out, boundary(s, iam.KindRole, "iam:PutRolePermissionsBoundary", func(in *api.PutRolePermissionsBoundaryRequest) (owner, arn string) {
		return in.RoleName, in.PermissionsBoundary
	}))
	awsapi.Add(out, boundary(s, iam.KindRole, "iam:DeleteRolePermissionsBoundary", func(in *api.DeleteRolePermissionsBoundaryRequest) (owner, arn string) {
		return in.RoleName, ""
	}))
}

// boundary is an operation that sets the permissions boundary of a user or role, or takes it away where the ARN is empty.
// The condition key iam:PermissionsBoundary is the boundary that is set, or the one that is taken away.
func boundary[I any](s *service, kind iam.Kind, action string, of func(*I) (owner, arn string)) awsapi.Op[I, nothing] {
	return onBounded(s, kind, awsapi.Op[I, nothing]{
		Action: action,
		Write: func(tx *store.Tx, c awsapi.Call, in *I) (*nothing, error) {
			owner, arn := of(in)
			e, err := s.entity(tx, c, kind, owner)
			if err != nil {
				return nil, err
			}
			return &nothing{}, s.IAM.SetBoundary(tx, kind, e.Account, e.ID, arn)
		},
	}, func(in *I) string {
		owner, _ := of(in)
		return owner
	}, func(in *I) policy.Context {
		_, arn := of(in)
		return boundaryKey(arn)
	})
}
