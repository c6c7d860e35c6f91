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

func (s *service) addUsers(out *awsapi.Service) {
	awsapi.Add(out, onNew(iam.KindUser, "iam:TagUser", awsapi.Op[api.CreateUserRequest, api.CreateUserResponse]{
		Action: "iam:CreateUser",
		Write:  s.createUser,
	}, func(in *api.CreateUserRequest) (path, name string) { return in.Path, in.UserName },
		func(in *api.CreateUserRequest) []api.Tag { return in.Tags },
		func(in *api.CreateUserRequest) policy.Context { return boundaryKey(in.PermissionsBoundary) }))
	awsapi.Add(out, onEntity(s, iam.KindUser, awsapi.Op[api.GetUserRequest, getUserResponse]{
		Action: "iam:GetUser",
		Read:   s.getUser,
	}, func(in *api.GetUserRequest) string { return in.UserName }, nil))
	awsapi.Add(out, onRenamed(s, iam.KindUser, awsapi.Op[api.UpdateUserRequest, nothing]{
		Action: "iam:UpdateUser",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.UpdateUserRequest) (*nothing, error) {
			return s.withUser(tx, c, in.UserName, func(u iam.User) error {
				_, err := s.IAM.UpdateUser(tx, u, in.NewPath, in.NewUserName)
				return err
			})
		},
	}, func(in *api.UpdateUserRequest) (name, newPath, newName string) {
		return in.UserName, in.NewPath, in.NewUserName
	}))
	awsapi.Add(out, onEntity(s, iam.KindUser, awsapi.Op[api.DeleteUserRequest, nothing]{
		Action: "iam:DeleteUser",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.DeleteUserRequest) (*nothing, error) {
			return s.withUser(tx, c, in.UserName, func(u iam.User) error { return s.IAM.DeleteUser(tx, u) })
		},
	}, func(in *api.DeleteUserRequest) string { return in.UserName }, nil))
	awsapi.Add(out, onAccount(awsapi.Op[api.ListUsersRequest, api.ListUsersResponse]{
		Action: "iam:ListUsers",
		Read:   s.listUsers,
	}))
}

// withUser changes a user of the caller's account.
func (s *service) withUser(tx *store.Tx, c awsapi.Call, name string, change func(iam.User) error) (*nothing, error) {
	u, err := s.IAM.User(tx, c.Caller.Principal.Account, name)
	if err != nil {
		return nil, err
	}
	return &nothing{}, change(u)
}

func (s *service) createUser(tx *store.Tx, c awsapi.Call, in *api.CreateUserRequest) (*api.CreateUserResponse, error) {
	account := c.Caller.Principal.Account
	u, err := s.IAM.CreateUser(tx, account, in.Path, in.UserName)
	if err != nil {
		return nil, err
	}
	if err := s.IAM.PutTags(tx, account, u.ID, tagsFrom(in.Tags)); err != nil {
		return nil, err
	}
	if in.PermissionsBoundary != "" {
		if err := s.IAM.SetBoundary(tx, iam.KindUser, account, u.ID, in.PermissionsBoundary); err != nil {
			return nil, err
		}
		u.Boundary = in.PermissionsBoundary
	}
	shown := userOf(u)
	shown.PermissionsBoundary, shown.Tags = boundaryOf(u.Boundary), in.Tags
	return &api.CreateUserResponse{User: shown}, nil
}

// userOf is a user as lists show it: without tags and without boundary.
func userOf(u iam.User) *api.User {
	return &api.User{Path: u.Path, UserName: u.Name, UserID: u.ID, Arn: u.ARN(), CreateDate: awsapi.NewTime(u.CreatedAt),
		PasswordLastUsed: timeOf(u.PasswordUsedAt)}
}

// boundaryOf is a permissions boundary; nil for none. AWS answers another type than its model allows.
func boundaryOf(arn string) *api.AttachedPermissionsBoundary {
	if arn == "" {
		return nil
	}
	return &api.AttachedPermissionsBoundary{PermissionsBoundaryType: "Policy", PermissionsBoundaryARN: arn}
}

// getUserResponse is the output of GetUser, whose user has no name and no path if it is the account's root.
type getUserResponse struct {
	User struct {
		Path                *string                          `json:"Path,omitempty"`
		UserName            *string                          `json:"UserName,omitempty"`
		UserID              string                           `json:"UserId"`
		Arn                 string                           `json:"Arn"`
		CreateDate          awsapi.Time                      `json:"CreateDate"`
		PasswordLastUsed    *awsapi.Time                     `json:"PasswordLastUsed,omitempty"`
		PermissionsBoundary *api.AttachedPermissionsBoundary `json:"PermissionsBoundary,omitempty"`
		Tags                []api.Tag                        `json:"Tags,omitzero"`
	} `json:"User"`
}

func (s *service) getUser(ctx context.Context, c awsapi.Call, in *api.GetUserRequest) (*getUserResponse, error) {
	if in.UserName == "" && c.Caller.Principal.Root {
		return s.getRoot(ctx, c.Caller.Principal.Account)
	}
	out := &getUserResponse{}
	err := s.IAM.View(ctx, func(tx *store.Tx) error {
		u, err := s.userOrRoot(tx, c, in.UserName)
		if err != nil {
			return err
		}
		tags, err := s.IAM.Tags(tx, u.ID)
		if len(tags) > 0 {
			out.User.Tags = tagsTo(tags)
		}
		shown := userOf(*u)
		out.User.Path, out.User.UserName, out.User.UserID, out.User.Arn = &shown.Path, &shown.UserName, shown.UserID, shown.Arn
		out.User.CreateDate, out.User.PasswordLastUsed, out.User.PermissionsBoundary = shown.CreateDate, shown.PasswordLastUsed, boundaryOf(u.Boundary)
		return err
	})
	return out, err
}

func (s *service) getRoot(ctx context.Context, account string) (*getUserResponse, error) {
	a, err := s.IAM.Account(ctx, account)
	out := &getUserResponse{}
	out.User.UserID, out.User.Arn, out.User.CreateDate = account, iam.RootOf(account), awsapi.NewTime(a.CreatedAt)
	return out, err
}

func (s *service) listUsers(ctx context.Context, c awsapi.Call, in *api.ListUsersRequest) (*api.ListUsersResponse, error) {
	prefix := cmp.Or(in.PathPrefix, "/")
	p, err := list[iam.User, api.User]{
		name: "users " + prefix, keys: 2,
		keysOf: func(u iam.User) []string { return []string{u.Path, u.Name} },
		read: func(tx *store.Tx, after []string, n int) ([]iam.User, bool, error) {
			return s.IAM.UserPage(tx, c.Caller.Principal.Account, prefix, iam.Place{Path: after[0], Name: after[1]}, n)
		},
		show: func(u iam.User) api.User { return *userOf(u) },
	}.page(ctx, s.IAM, in.Marker, in.MaxItems)
	return &api.ListUsersResponse{Users: p.items, IsTruncated: p.more, Marker: p.marker}, err
}

// timeOf is a time that may be missing.
func timeOf(t time.Time) *awsapi.Time {
	if t.IsZero() {
		return nil
	}
	shown := awsapi.NewTime(t)
	return &shown
}
