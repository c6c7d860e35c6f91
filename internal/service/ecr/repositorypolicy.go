package ecr

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/ecr"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addRepositoryPolicies(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.SetRepositoryPolicyRequest, api.SetRepositoryPolicyResponse]{
		Action: "ecr:SetRepositoryPolicy",
		Resources: func(c awsapi.Call, in *api.SetRepositoryPolicyRequest) []policy.Resource {
			return onRepository(c, in.RegistryID, in.RepositoryName)
		},
		Stage: s.setRepositoryPolicy,
	})
	awsapi.Add(out, awsapi.Op[api.GetRepositoryPolicyRequest, api.GetRepositoryPolicyResponse]{
		Action: "ecr:GetRepositoryPolicy",
		Resources: func(c awsapi.Call, in *api.GetRepositoryPolicyRequest) []policy.Resource {
			return onRepository(c, in.RegistryID, in.RepositoryName)
		},
		Read: s.getRepositoryPolicy,
	})
	awsapi.Add(out, awsapi.Op[api.DeleteRepositoryPolicyRequest, api.DeleteRepositoryPolicyResponse]{
		Action: "ecr:DeleteRepositoryPolicy",
		Resources: func(c awsapi.Call, in *api.DeleteRepositoryPolicyRequest) []policy.Resource {
			return onRepository(c, in.RegistryID, in.RepositoryName)
		},
		Write: s.deleteRepositoryPolicy,
	})
}

// errLockOut refuses a policy that would keep the caller from setting another one. Which code ECR has for it is not
// certain.
var errLockOut = invalid("PolicyText", "The policy would prevent you from setting another policy in the future; set it with force if that is meant")

func (s *service) setRepositoryPolicy(ctx context.Context, c awsapi.Call, in *api.SetRepositoryPolicyRequest) (awsapi.Staged[api.SetRepositoryPolicyResponse], error) {
	var staged awsapi.Staged[api.SetRepositoryPolicyResponse]
	id := registryID(c, in.RegistryID)
	var p registry.Policy
	err := s.view(ctx, id, in.RepositoryName, func(tx *store.Tx, _ registry.Repository) (err error) {
		p, err = s.Registry.NewPolicy(tx, id, in.RepositoryName, in.PolicyText)
		return err
	})
	if err != nil {
		return staged, err
	}
	if force := in.Force != nil && *in.Force; !force && !c.MayAgain(ctx, p.Compiled) {
		return staged, errLockOut
	}
	staged.Save = func(tx *store.Tx) (*api.SetRepositoryPolicyResponse, error) {
		err := s.onNamed(tx, id, in.RepositoryName, func(repo registry.Repository) error { return s.Registry.SetPolicy(tx, repo, p) })
		return &api.SetRepositoryPolicyResponse{RegistryID: id.Account, RepositoryName: in.RepositoryName, PolicyText: p.Text}, err
	}
	return staged, nil
}

func (s *service) getRepositoryPolicy(ctx context.Context, c awsapi.Call, in *api.GetRepositoryPolicyRequest) (*api.GetRepositoryPolicyResponse, error) {
	id := registryID(c, in.RegistryID)
	out := &api.GetRepositoryPolicyResponse{RegistryID: id.Account, RepositoryName: in.RepositoryName}
	err := s.view(ctx, id, in.RepositoryName, func(tx *store.Tx, repo registry.Repository) (err error) {
		out.PolicyText, err = s.Registry.Policy(tx, repo)
		return err
	})
	return out, err
}

func (s *service) deleteRepositoryPolicy(tx *store.Tx, c awsapi.Call, in *api.DeleteRepositoryPolicyRequest) (*api.DeleteRepositoryPolicyResponse, error) {
	id := registryID(c, in.RegistryID)
	out := &api.DeleteRepositoryPolicyResponse{RegistryID: id.Account, RepositoryName: in.RepositoryName}
	err := s.onNamed(tx, id, in.RepositoryName, func(repo registry.Repository) (err error) {
		out.PolicyText, err = s.Registry.DeletePolicy(tx, repo)
		return err
	})
	return out, err
}
