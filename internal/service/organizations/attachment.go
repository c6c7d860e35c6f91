package organizations

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/organizations"
	"github.com/coffer-registry/coffer/internal/organization"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addAttachments(out *awsapi.Service) {
	awsapi.Add(out, managed(s, awsapi.Op[api.AttachPolicyRequest, none]{
		Action: "organizations:AttachPolicy",
		Write: func(tx *store.Tx, _ awsapi.Call, in *api.AttachPolicyRequest) (*none, error) {
			return &none{}, s.Organization.Attach(tx, in.PolicyID, in.TargetID)
		},
	}, func(in *api.AttachPolicyRequest) about { return ids(in.PolicyID, in.TargetID) }))
	awsapi.Add(out, managed(s, awsapi.Op[api.DetachPolicyRequest, none]{
		Action: "organizations:DetachPolicy",
		Write: func(tx *store.Tx, _ awsapi.Call, in *api.DetachPolicyRequest) (*none, error) {
			return &none{}, s.Organization.Detach(tx, in.PolicyID, in.TargetID)
		},
	}, func(in *api.DetachPolicyRequest) about { return ids(in.PolicyID, in.TargetID) }))
	awsapi.Add(out, managed(s, awsapi.Op[api.ListPoliciesForTargetRequest, api.ListPoliciesForTargetResponse]{
		Action: "organizations:ListPoliciesForTarget",
		Read:   s.listPoliciesForTarget,
	}, func(in *api.ListPoliciesForTargetRequest) about {
		return about{ids: []string{in.TargetID}, policyType: in.Filter}
	}))
	awsapi.Add(out, managed(s, awsapi.Op[api.ListTargetsForPolicyRequest, api.ListTargetsForPolicyResponse]{
		Action: "organizations:ListTargetsForPolicy",
		Read:   s.listTargetsForPolicy,
	}, func(in *api.ListTargetsForPolicyRequest) about { return ids(in.PolicyID) }))
	awsapi.Add(out, managed(s, awsapi.Op[api.EnablePolicyTypeRequest, api.EnablePolicyTypeResponse]{
		Action: "organizations:EnablePolicyType",
		Write:  s.enablePolicyType,
	}, func(in *api.EnablePolicyTypeRequest) about {
		return about{ids: []string{in.RootID}, policyType: in.PolicyType}
	}))
	awsapi.Add(out, managed(s, awsapi.Op[api.DisablePolicyTypeRequest, api.DisablePolicyTypeResponse]{
		Action: "organizations:DisablePolicyType",
		Write:  s.disablePolicyType,
	}, func(in *api.DisablePolicyTypeRequest) about {
		return about{ids: []string{in.RootID}, policyType: in.PolicyType}
	}))
}

func (s *service) listPoliciesForTarget(ctx context.Context, c awsapi.Call, in *api.ListPoliciesForTargetRequest) (*api.ListPoliciesForTargetResponse, error) {
	return view(ctx, s, func(tx *store.Tx) (*api.ListPoliciesForTargetResponse, error) {
		if err := s.Organization.CheckTarget(tx, in.TargetID); err != nil {
			return nil, err
		}
		page, next, err := paged("attached/"+in.Filter+"/"+in.TargetID, in.NextToken, in.MaxResults, func(p organization.Policy) string { return p.ID },
			func(after string, n int) ([]organization.Policy, error) {
				return s.Organization.PoliciesOf(tx, in.TargetID, organization.PolicyType(in.Filter), after, n)
			})
		return &api.ListPoliciesForTargetResponse{Policies: summaries(infoOf(c), page), NextToken: next}, err
	})
}

func (s *service) listTargetsForPolicy(ctx context.Context, c awsapi.Call, in *api.ListTargetsForPolicyRequest) (*api.ListTargetsForPolicyResponse, error) {
	return view(ctx, s, func(tx *store.Tx) (*api.ListTargetsForPolicyResponse, error) {
		if _, err := s.Organization.Policy(tx, in.PolicyID); err != nil {
			return nil, err
		}
		page, next, err := paged("targets/"+in.PolicyID, in.NextToken, in.MaxResults, func(t organization.Target) string { return t.ID },
			func(after string, n int) ([]organization.Target, error) {
				return s.Organization.TargetsOf(tx, in.PolicyID, after, n)
			})
		return &api.ListTargetsForPolicyResponse{NextToken: next, Targets: each(page, func(t organization.Target) api.PolicyTargetSummary {
			return api.PolicyTargetSummary{TargetID: t.ID, Arn: infoOf(c).ARNOf(t.ID), Name: t.Name, Type: string(organization.KindOf(t.ID))}
		})}, err
	})
}

func (s *service) enablePolicyType(tx *store.Tx, c awsapi.Call, in *api.EnablePolicyTypeRequest) (*api.EnablePolicyTypeResponse, error) {
	if err := s.Organization.EnablePolicyType(tx, in.RootID, organization.PolicyType(in.PolicyType)); err != nil {
		return nil, err
	}
	root, err := s.root(tx, infoOf(c))
	return &api.EnablePolicyTypeResponse{Root: root}, err
}

func (s *service) disablePolicyType(tx *store.Tx, c awsapi.Call, in *api.DisablePolicyTypeRequest) (*api.DisablePolicyTypeResponse, error) {
	if err := s.Organization.DisablePolicyType(tx, in.RootID, organization.PolicyType(in.PolicyType)); err != nil {
		return nil, err
	}
	root, err := s.root(tx, infoOf(c))
	return &api.DisablePolicyTypeResponse{Root: root}, err
}
