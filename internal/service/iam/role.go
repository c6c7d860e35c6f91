package iam

import (
	"cmp"
	"context"
	"time"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addRoles(out *awsapi.Service) {
	awsapi.Add(out, onNew(iam.KindRole, "iam:TagRole", awsapi.Op[api.CreateRoleRequest, api.CreateRoleResponse]{
		Action: "iam:CreateRole",
		Write:  s.createRole,
	}, func(in *api.CreateRoleRequest) (path, name string) { return in.Path, in.RoleName },
		func(in *api.CreateRoleRequest) []api.Tag { return in.Tags },
		func(in *api.CreateRoleRequest) policy.Context { return boundaryKey(in.PermissionsBoundary) }))
	awsapi.Add(out, onEntity(s, iam.KindRole, awsapi.Op[api.GetRoleRequest, api.GetRoleResponse]{
		Action: "iam:GetRole",
		Read:   s.getRole,
	}, func(in *api.GetRoleRequest) string { return in.RoleName }, nil))
	awsapi.Add(out, onAccount(awsapi.Op[api.ListRolesRequest, api.ListRolesResponse]{
		Action: "iam:ListRoles",
		Read:   s.listRoles,
	}))
	awsapi.Add(out, onEntity(s, iam.KindRole, awsapi.Op[api.DeleteRoleRequest, nothing]{
		Action: "iam:DeleteRole",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.DeleteRoleRequest) (*nothing, error) {
			return s.withRole(tx, c, in.RoleName, func(r iam.Role) error { return s.IAM.DeleteRole(tx, r) })
		},
	}, func(in *api.DeleteRoleRequest) string { return in.RoleName }, nil))
	s.addRoleChanges(out)
	s.addRoleTags(out)
}

// addRoleChanges adds the operations that change a role.
func (s *service) addRoleChanges(out *awsapi.Service) {
	awsapi.Add(out, onEntity(s, iam.KindRole, awsapi.Op[api.UpdateRoleRequest, nothing]{
		Action: "iam:UpdateRole",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.UpdateRoleRequest) (*nothing, error) {
			return s.withRole(tx, c, in.RoleName, func(r iam.Role) error {
				if err := r.Changeable(); err != nil {
					return err
				}
				// What the request doesn't say stays. An empty description is as none here; UpdateRoleDescription takes one away.
				r.Description = cmp.Or(in.Description, r.Description)
				if in.MaxSessionDuration != nil {
					r.MaxSession = lifeOf(in.MaxSessionDuration)
				}
				return s.IAM.UpdateRole(tx, r)
			})
		},
	}, func(in *api.UpdateRoleRequest) string { return in.RoleName }, nil))
	awsapi.Add(out, onEntity(s, iam.KindRole, awsapi.Op[api.UpdateRoleDescriptionRequest, api.UpdateRoleDescriptionResponse]{
		Action: "iam:UpdateRoleDescription",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.UpdateRoleDescriptionRequest) (out *api.UpdateRoleDescriptionResponse, err error) {
			_, err = s.withRole(tx, c, in.RoleName, func(r iam.Role) error {
				// Roles of services may be described by the account.
				if err := r.Changeable(); err != nil && r.LinkedService == "" {
					return err
				}
				r.Description = in.Description
				if err := s.IAM.UpdateRole(tx, r); err != nil {
					return err
				}
				shown, err := s.roleOf(tx, r)
				out = &api.UpdateRoleDescriptionResponse{Role: shown}
				return err
			})
			return out, err
		},
	}, func(in *api.UpdateRoleDescriptionRequest) string { return in.RoleName }, nil))
	awsapi.Add(out, onEntity(s, iam.KindRole, awsapi.Op[api.UpdateAssumeRolePolicyRequest, nothing]{
		Action: "iam:UpdateAssumeRolePolicy",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.UpdateAssumeRolePolicyRequest) (*nothing, error) {
			return s.withRole(tx, c, in.RoleName, func(r iam.Role) error { return s.IAM.UpdateTrust(tx, r, in.PolicyDocument) })
		},
	}, func(in *api.UpdateAssumeRolePolicyRequest) string { return in.RoleName }, nil))
}

// lifeOf is the longest life of a role's sessions that a request asks for.
func lifeOf(seconds *int64) time.Duration {
	if seconds == nil {
		return iam.DefaultMaxSession
	}
	return time.Duration(*seconds) * time.Second
}

// withRole changes a role of the caller's account.
func (s *service) withRole(tx *store.Tx, c awsapi.Call, name string, change func(iam.Role) error) (*nothing, error) {
	r, err := s.IAM.Role(tx, c.Caller.Principal.Account, name)
	if err != nil {
		return nil, err
	}
	return &nothing{}, change(r)
}

func (s *service) createRole(tx *store.Tx, c awsapi.Call, in *api.CreateRoleRequest) (*api.CreateRoleResponse, error) {
	account := c.Caller.Principal.Account
	r, err := s.IAM.CreateRole(tx, iam.Role{Account: account, Name: in.RoleName, Path: in.Path, Trust: in.AssumeRolePolicyDocument,
		Description: in.Description, MaxSession: lifeOf(in.MaxSessionDuration)})
	if err != nil {
		return nil, err
	}
	if err := s.IAM.PutTags(tx, account, r.ID, tagsFrom(in.Tags)); err != nil {
		return nil, err
	}
	if in.PermissionsBoundary != "" {
		if err := s.IAM.SetBoundary(tx, iam.KindRole, account, r.ID, in.PermissionsBoundary); err != nil {
			return nil, err
		}
		r.Boundary = in.PermissionsBoundary
	}
	shown, err := s.roleOf(tx, r)
	if err != nil {
		return nil, err
	}
	shown.PermissionsBoundary, shown.Tags = boundaryOf(r.Boundary), in.Tags
	return &api.CreateRoleResponse{Role: *shown}, nil
}

// roleOf is a role as lists show it: without tags, without boundary, and without when it was last used.
func (s *service) roleOf(tx *store.Tx, r iam.Role) (*api.Role, error) {
	trust, err := s.IAM.ShownTrust(tx, r)
	seconds := int64(r.MaxSession / time.Second)
	return &api.Role{Path: r.Path, RoleName: r.Name, RoleID: r.ID, Arn: r.ARN(), CreateDate: awsapi.NewTime(r.CreatedAt),
		AssumeRolePolicyDocument: documentOf(trust), Description: r.Description, MaxSessionDuration: &seconds}, err
}

func (s *service) getRole(ctx context.Context, c awsapi.Call, in *api.GetRoleRequest) (out *api.GetRoleResponse, err error) {
	err = s.IAM.View(ctx, func(tx *store.Tx) error {
		r, err := s.IAM.Role(tx, c.Caller.Principal.Account, in.RoleName)
		if err != nil {
			return err
		}
		shown, err := s.roleOf(tx, r)
		if err != nil {
			return err
		}
		shown.PermissionsBoundary, shown.RoleLastUsed = boundaryOf(r.Boundary), &api.RoleLastUsed{}
		if !r.UsedAt.IsZero() {
			used := awsapi.NewTime(r.UsedAt)
			shown.RoleLastUsed = &api.RoleLastUsed{LastUsedDate: &used, Region: r.UsedRegion}
		}
		tags, err := s.IAM.Tags(tx, r.ID)
		shown.Tags = tagsTo(tags)
		out = &api.GetRoleResponse{Role: *shown}
		return err
	})
	return out, err
}

func (s *service) listRoles(ctx context.Context, c awsapi.Call, in *api.ListRolesRequest) (*api.ListRolesResponse, error) {
	prefix := cmp.Or(in.PathPrefix, "/")
	shown := map[string]api.Role{}
	p, err := list[iam.Role, api.Role]{
		name: "roles " + prefix, keys: 2,
		keysOf: func(r iam.Role) []string { return []string{r.Path, r.Name} },
		read: func(tx *store.Tx, after []string, n int) ([]iam.Role, bool, error) {
			roles, more, err := s.IAM.RolePage(tx, c.Caller.Principal.Account, prefix, iam.Place{Path: after[0], Name: after[1]}, n)
			if err != nil {
				return nil, false, err
			}
			for _, r := range roles {
				one, err := s.roleOf(tx, r)
				if err != nil {
					return nil, false, err
				}
				shown[r.ID] = *one
			}
			return roles, more, nil
		},
		show: func(r iam.Role) api.Role { return shown[r.ID] },
	}.page(ctx, s.IAM, in.Marker, in.MaxItems)
	return &api.ListRolesResponse{Roles: p.items, IsTruncated: p.more, Marker: p.marker}, err
}

func (s *service) addRoleTags(out *awsapi.Service) {
	roles := s.taggedEntities(iam.KindRole)
	awsapi.Add(out, onEntity(s, iam.KindRole, awsapi.Op[api.TagRoleRequest, nothing]{
		Action: "iam:TagRole",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.TagRoleRequest) (*nothing, error) {
			return s.tag(tx, c, roles, in.RoleName, in.Tags)
		},
	}, func(in *api.TagRoleRequest) string { return in.RoleName }, func(in *api.TagRoleRequest) policy.Context { return requestTags(in.Tags) }))
	awsapi.Add(out, onEntity(s, iam.KindRole, awsapi.Op[api.UntagRoleRequest, nothing]{
		Action: "iam:UntagRole",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.UntagRoleRequest) (*nothing, error) {
			return s.untag(tx, c, roles, in.RoleName, in.TagKeys)
		},
	}, func(in *api.UntagRoleRequest) string { return in.RoleName }, func(in *api.UntagRoleRequest) policy.Context { return tagKeys(in.TagKeys) }))
	awsapi.Add(out, onEntity(s, iam.KindRole, awsapi.Op[api.ListRoleTagsRequest, api.ListRoleTagsResponse]{
		Action: "iam:ListRoleTags",
		Read: func(ctx context.Context, c awsapi.Call, in *api.ListRoleTagsRequest) (*api.ListRoleTagsResponse, error) {
			p, err := s.listTags(ctx, c, roles, in.RoleName, in.Marker, in.MaxItems)
			return &api.ListRoleTagsResponse{Tags: p.items, IsTruncated: p.more, Marker: p.marker}, err
		},
	}, func(in *api.ListRoleTagsRequest) string { return in.RoleName }, nil))
}
