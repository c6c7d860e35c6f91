package ecr

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/ecr"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addRegistryPolicy(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.PutRegistryPolicyRequest, api.PutRegistryPolicyResponse]{
		Action:    "ecr:PutRegistryPolicy",
		Resources: func(c awsapi.Call, _ *api.PutRegistryPolicyRequest) []policy.Resource { return onRegistry(c) },
		Stage:     s.putRegistryPolicy,
	})
	awsapi.Add(out, awsapi.Op[api.GetRegistryPolicyRequest, api.GetRegistryPolicyResponse]{
		Action:    "ecr:GetRegistryPolicy",
		Resources: func(c awsapi.Call, _ *api.GetRegistryPolicyRequest) []policy.Resource { return onRegistry(c) },
		Read:      s.getRegistryPolicy,
	})
	awsapi.Add(out, awsapi.Op[api.DeleteRegistryPolicyRequest, api.DeleteRegistryPolicyResponse]{
		Action:    "ecr:DeleteRegistryPolicy",
		Resources: func(c awsapi.Call, _ *api.DeleteRegistryPolicyRequest) []policy.Resource { return onRegistry(c) },
		Write:     s.deleteRegistryPolicy,
	})
}

// errRegistryLockOut refuses a policy that would keep the caller from putting another one, for which there is no force.
// ECR has no such check; but here nobody else could help.
var errRegistryLockOut = invalid("PolicyText", "The policy would prevent you from putting another policy in the future")

func (s *service) putRegistryPolicy(ctx context.Context, c awsapi.Call, in *api.PutRegistryPolicyRequest) (awsapi.Staged[api.PutRegistryPolicyResponse], error) {
	var staged awsapi.Staged[api.PutRegistryPolicyResponse]
	id := registryID(c, "")
	var p registry.Policy
	err := s.Registry.View(ctx, func(tx *store.Tx) (err error) {
		p, err = s.Registry.NewRegistryPolicy(tx, id, in.PolicyText)
		return err
	})
	if err != nil {
		return staged, err
	}
	if !c.MayAgain(ctx, p.Compiled) {
		return staged, errRegistryLockOut
	}
	staged.Save = func(tx *store.Tx) (*api.PutRegistryPolicyResponse, error) {
		return &api.PutRegistryPolicyResponse{RegistryID: id.Account, PolicyText: p.Text}, s.Registry.PutRegistryPolicy(tx, id, p)
	}
	return staged, nil
}

func (s *service) getRegistryPolicy(ctx context.Context, c awsapi.Call, _ *api.GetRegistryPolicyRequest) (*api.GetRegistryPolicyResponse, error) {
	id := registryID(c, "")
	out := &api.GetRegistryPolicyResponse{RegistryID: id.Account}
	err := s.Registry.View(ctx, func(tx *store.Tx) (err error) {
		out.PolicyText, err = s.Registry.RegistryPolicy(tx, id)
		return err
	})
	return out, about(id, "", err)
}

func (s *service) deleteRegistryPolicy(tx *store.Tx, c awsapi.Call, _ *api.DeleteRegistryPolicyRequest) (*api.DeleteRegistryPolicyResponse, error) {
	id := registryID(c, "")
	text, err := s.Registry.DeleteRegistryPolicy(tx, id)
	return &api.DeleteRegistryPolicyResponse{RegistryID: id.Account, PolicyText: text}, about(id, "", err)
}
