package iam

import (
	"context"
	"strings"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addServiceLinkedRoles(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.CreateServiceLinkedRoleRequest, api.CreateServiceLinkedRoleResponse]{
		Action: "iam:CreateServiceLinkedRole",
		Resources: func(c awsapi.Call, in *api.CreateServiceLinkedRoleRequest) []policy.Resource {
			account := c.Caller.Principal.Account
			return []policy.Resource{{ARN: iam.KindRole.ARN(account, iam.LinkedRolePath(in.AWSServiceName), iam.LinkedRoleName(in.AWSServiceName)), Account: account}}
		},
		Context: func(_ awsapi.Call, in *api.CreateServiceLinkedRoleRequest) policy.Context {
			return serviceKey(in.AWSServiceName)
		},
		Write: func(tx *store.Tx, c awsapi.Call, in *api.CreateServiceLinkedRoleRequest) (*api.CreateServiceLinkedRoleResponse, error) {
			r, err := s.IAM.CreateLinkedRole(tx, c.Caller.Principal.Account, in.AWSServiceName, in.Description, in.CustomSuffix)
			if err != nil {
				return nil, err
			}
			shown, err := s.roleOf(tx, r)
			return &api.CreateServiceLinkedRoleResponse{Role: shown}, err
		},
	})
	awsapi.Add(out, onStanding(s, iam.KindRole, awsapi.Op[api.DeleteServiceLinkedRoleRequest, api.DeleteServiceLinkedRoleResponse]{
		Action: "iam:DeleteServiceLinkedRole",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.DeleteServiceLinkedRoleRequest) (*api.DeleteServiceLinkedRoleResponse, error) {
			task, err := s.IAM.DeleteLinkedRole(tx, c.Caller.Principal.Account, in.RoleName)
			return &api.DeleteServiceLinkedRoleResponse{DeletionTaskID: task}, err
		},
	}, func(in *api.DeleteServiceLinkedRoleRequest) string { return in.RoleName }, nil,
		func(st *iam.Standing) policy.Context { return serviceKey(st.LinkedService) }))
	awsapi.Add(out, awsapi.Op[api.GetServiceLinkedRoleDeletionStatusRequest, api.GetServiceLinkedRoleDeletionStatusResponse]{
		Action: "iam:GetServiceLinkedRoleDeletionStatus",
		Resources: func(c awsapi.Call, in *api.GetServiceLinkedRoleDeletionStatusRequest) []policy.Resource {
			account := c.Caller.Principal.Account
			return []policy.Resource{{ARN: roleOfTask(account, in.DeletionTaskID), Account: account}}
		},
		Read: func(ctx context.Context, c awsapi.Call, in *api.GetServiceLinkedRoleDeletionStatusRequest) (*api.GetServiceLinkedRoleDeletionStatusResponse, error) {
			err := s.IAM.View(ctx, func(tx *store.Tx) error {
				return s.IAM.LinkedRoleDeleted(tx, c.Caller.Principal.Account, in.DeletionTaskID)
			})
			return &api.GetServiceLinkedRoleDeletionStatusResponse{Status: "SUCCEEDED"}, err
		},
	})
}

// serviceKey is the condition key of the service that a role belongs to; empty for none.
func serviceKey(service string) policy.Context {
	c := policy.Context{}
	if service != "" {
		c.Put("iam:AWSServiceName", service)
	}
	return c
}

// roleOfTask is the ARN of the role that a deletion task is about, such as task/aws-service-role/<service>/<role>/<id>.
func roleOfTask(account, task string) string {
	path, _, _ := strings.Cut(strings.TrimPrefix(task, "task"), "?")
	if last := strings.LastIndexByte(path, '/'); last > 0 && strings.HasPrefix(path, "/aws-service-role/") {
		return "arn:aws:iam::" + account + ":role" + path[:last]
	}
	return "*"
}
