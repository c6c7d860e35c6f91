package iam

import (
	"cmp"
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addGroups(out *awsapi.Service) {
	awsapi.Add(out, onNew(iam.KindGroup, "", awsapi.Op[api.CreateGroupRequest, api.CreateGroupResponse]{
		Action: "iam:CreateGroup",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.CreateGroupRequest) (*api.CreateGroupResponse, error) {
			g, err := s.IAM.CreateGroup(tx, c.Caller.Principal.Account, in.Path, in.GroupName)
			return &api.CreateGroupResponse{Group: groupOf(g)}, err
		},
	}, func(in *api.CreateGroupRequest) (path, name string) { return in.Path, in.GroupName },
		func(*api.CreateGroupRequest) []api.Tag { return nil }, nil))
	awsapi.Add(out, onEntity(s, iam.KindGroup, awsapi.Op[api.GetGroupRequest, api.GetGroupResponse]{
		Action: "iam:GetGroup",
		Read:   s.getGroup,
	}, func(in *api.GetGroupRequest) string { return in.GroupName }, nil))
	awsapi.Add(out, onRenamed(s, iam.KindGroup, awsapi.Op[api.UpdateGroupRequest, nothing]{
		Action: "iam:UpdateGroup",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.UpdateGroupRequest) (*nothing, error) {
			return s.withGroup(tx, c, in.GroupName, func(g iam.Group) error { return s.IAM.UpdateGroup(tx, g, in.NewPath, in.NewGroupName) })
		},
	}, func(in *api.UpdateGroupRequest) (name, newPath, newName string) {
		return in.GroupName, in.NewPath, in.NewGroupName
	}))
	awsapi.Add(out, onEntity(s, iam.KindGroup, awsapi.Op[api.DeleteGroupRequest, nothing]{
		Action: "iam:DeleteGroup",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.DeleteGroupRequest) (*nothing, error) {
			return s.withGroup(tx, c, in.GroupName, func(g iam.Group) error { return s.IAM.DeleteGroup(tx, g) })
		},
	}, func(in *api.DeleteGroupRequest) string { return in.GroupName }, nil))
	awsapi.Add(out, onAccount(awsapi.Op[api.ListGroupsRequest, api.ListGroupsResponse]{
		Action: "iam:ListGroups",
		Read:   s.listGroups,
	}))
	s.addMemberships(out)
}

// addMemberships adds the operations on who is in which group.
func (s *service) addMemberships(out *awsapi.Service) {
	awsapi.Add(out, onEntity(s, iam.KindGroup, awsapi.Op[api.AddUserToGroupRequest, nothing]{
		Action: "iam:AddUserToGroup",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.AddUserToGroupRequest) (*nothing, error) {
			return s.withMember(tx, c, in.GroupName, in.UserName, s.IAM.AddMember)
		},
	}, func(in *api.AddUserToGroupRequest) string { return in.GroupName }, nil))
	awsapi.Add(out, onEntity(s, iam.KindGroup, awsapi.Op[api.RemoveUserFromGroupRequest, nothing]{
		Action: "iam:RemoveUserFromGroup",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.RemoveUserFromGroupRequest) (*nothing, error) {
			return s.withMember(tx, c, in.GroupName, in.UserName, s.IAM.RemoveMember)
		},
	}, func(in *api.RemoveUserFromGroupRequest) string { return in.GroupName }, nil))
	awsapi.Add(out, onEntity(s, iam.KindUser, awsapi.Op[api.ListGroupsForUserRequest, api.ListGroupsForUserResponse]{
		Action: "iam:ListGroupsForUser",
		Read:   s.listGroupsForUser,
	}, func(in *api.ListGroupsForUserRequest) string { return in.UserName }, nil))
}

// withGroup changes a group of the caller's account.
func (s *service) withGroup(tx *store.Tx, c awsapi.Call, name string, change func(iam.Group) error) (*nothing, error) {
	g, err := s.IAM.Group(tx, c.Caller.Principal.Account, name)
	if err != nil {
		return nil, err
	}
	return &nothing{}, change(g)
}

// withMember changes what a user of the caller's account has to do with a group of it.
func (s *service) withMember(tx *store.Tx, c awsapi.Call, group, user string, change func(*store.Tx, iam.Group, iam.User) error) (*nothing, error) {
	return s.withGroup(tx, c, group, func(g iam.Group) error {
		u, err := s.IAM.User(tx, g.Account, user)
		if err != nil {
			return err
		}
		return change(tx, g, u)
	})
}

func groupOf(g iam.Group) api.Group {
	return api.Group{Path: g.Path, GroupName: g.Name, GroupID: g.ID, Arn: g.ARN(), CreateDate: awsapi.NewTime(g.CreatedAt)}
}

func (s *service) getGroup(ctx context.Context, c awsapi.Call, in *api.GetGroupRequest) (*api.GetGroupResponse, error) {
	var g iam.Group
	p, err := list[iam.User, api.User]{
		name: "members of " + in.GroupName, keys: 1,
		keysOf: func(u iam.User) []string { return []string{u.ID} },
		read: func(tx *store.Tx, after []string, n int) (_ []iam.User, _ bool, err error) {
			if g, err = s.IAM.Group(tx, c.Caller.Principal.Account, in.GroupName); err != nil {
				return nil, false, err
			}
			return s.IAM.MemberPage(tx, g.ID, after[0], n)
		},
		show: func(u iam.User) api.User { return *userOf(u) },
	}.page(ctx, s.IAM, in.Marker, in.MaxItems)
	return &api.GetGroupResponse{Group: groupOf(g), Users: p.items, IsTruncated: p.more, Marker: p.marker}, err
}

func (s *service) listGroups(ctx context.Context, c awsapi.Call, in *api.ListGroupsRequest) (*api.ListGroupsResponse, error) {
	prefix := cmp.Or(in.PathPrefix, "/")
	p, err := list[iam.Group, api.Group]{
		name: "groups " + prefix, keys: 2,
		keysOf: func(g iam.Group) []string { return []string{g.Path, g.Name} },
		read: func(tx *store.Tx, after []string, n int) ([]iam.Group, bool, error) {
			return s.IAM.GroupPage(tx, c.Caller.Principal.Account, prefix, iam.Place{Path: after[0], Name: after[1]}, n)
		},
		show: groupOf,
	}.page(ctx, s.IAM, in.Marker, in.MaxItems)
	return &api.ListGroupsResponse{Groups: p.items, IsTruncated: p.more, Marker: p.marker}, err
}

func (s *service) listGroupsForUser(ctx context.Context, c awsapi.Call, in *api.ListGroupsForUserRequest) (*api.ListGroupsForUserResponse, error) {
	p, err := list[iam.Group, api.Group]{
		name: "groups of " + in.UserName, keys: 1,
		keysOf: func(g iam.Group) []string { return []string{g.ID} },
		read: func(tx *store.Tx, after []string, n int) ([]iam.Group, bool, error) {
			u, err := s.IAM.User(tx, c.Caller.Principal.Account, in.UserName)
			if err != nil {
				return nil, false, err
			}
			return s.IAM.GroupsOf(tx, u.ID, after[0], n)
		},
		show: groupOf,
	}.page(ctx, s.IAM, in.Marker, in.MaxItems)
	return &api.ListGroupsForUserResponse{Groups: p.items, IsTruncated: p.more, Marker: p.marker}, err
}
