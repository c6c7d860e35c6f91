package iam

import (
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
}

func (s *service) createUser(tx *store.Tx, c awsapi.Call, in *api.CreateUserRequest) (*api.CreateUserResponse, error) {
	u, err := s.IAM.CreateUser(tx, c.Caller.Principal.Account, in.Path, in.UserName)
	if err != nil {
		return nil, err
	}
	return &api.CreateUserResponse{User: userOf(u)}, nil
}

func userOf(u iam.User) *api.User {
	return &api.User{Path: u.Path, UserName: u.Name, UserID: u.ID, Arn: u.ARN(), CreateDate: awsapi.NewTime(u.CreatedAt)}
}
