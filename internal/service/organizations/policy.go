package organizations

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/organizations"
	"github.com/coffer-registry/coffer/internal/organization"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addPolicies(out *awsapi.Service) {
	awsapi.Add(out, managed(s, awsapi.Op[api.CreatePolicyRequest, api.CreatePolicyResponse]{
		Action: "organizations:CreatePolicy",
		Write:  s.createPolicy,
	}, func(in *api.CreatePolicyRequest) about {
		return about{policyType: in.Type, tags: in.Tags}
	}))
	awsapi.Add(out, managed(s, awsapi.Op[api.UpdatePolicyRequest, api.UpdatePolicyResponse]{
		Action: "organizations:UpdatePolicy",
		Write:  s.updatePolicy,
	}, func(in *api.UpdatePolicyRequest) about { return ids(in.PolicyID) }))
	awsapi.Add(out, managed(s, awsapi.Op[api.DescribePolicyRequest, api.DescribePolicyResponse]{
		Action: "organizations:DescribePolicy",
		Read:   s.describePolicy,
	}, func(in *api.DescribePolicyRequest) about { return ids(in.PolicyID) }))
	awsapi.Add(out, managed(s, awsapi.Op[api.DeletePolicyRequest, none]{
		Action: "organizations:DeletePolicy",
		Write:  s.deletePolicy,
	}, func(in *api.DeletePolicyRequest) about { return ids(in.PolicyID) }))
	awsapi.Add(out, managed(s, awsapi.Op[api.ListPoliciesRequest, api.ListPoliciesResponse]{
		Action: "organizations:ListPolicies",
		Read:   s.listPolicies,
	}, func(in *api.ListPoliciesRequest) about { return ofType(in.Filter) }))
}

func (s *service) createPolicy(tx *store.Tx, c awsapi.Call, in *api.CreatePolicyRequest) (*api.CreatePolicyResponse, error) {
	p, err := s.Organization.CreatePolicy(tx, organization.PolicyType(in.Type), in.Name, in.Description, in.Content)
	if err == nil {
		err = s.Organization.Tag(tx, p.ID, tagsOf(in.Tags))
	}
	if err != nil {
		return nil, err
	}
	return &api.CreatePolicyResponse{Policy: policyOf(infoOf(c), p)}, nil
}

// policyOf is a policy as the API shows it.
func policyOf(info organization.Info, p organization.Policy) *api.Policy {
	summary := summaryOf(info, p)
	return &api.Policy{PolicySummary: &summary, Content: p.Document}
}

func summaryOf(info organization.Info, p organization.Policy) api.PolicySummary {
	return api.PolicySummary{Id: p.ID, Arn: info.ARNOfPolicy(p), Name: p.Name, Description: p.Description, Type: string(p.Type), AwsManaged: &p.Managed}
}

// updatePolicy changes what is given.
func (s *service) updatePolicy(tx *store.Tx, c awsapi.Call, in *api.UpdatePolicyRequest) (*api.UpdatePolicyResponse, error) {
	p, err := s.Organization.UpdatePolicy(tx, in.PolicyID, in.Name, in.Description, in.Content)
	if err != nil {
		return nil, err
	}
	return &api.UpdatePolicyResponse{Policy: policyOf(infoOf(c), p)}, nil
}

func (s *service) describePolicy(ctx context.Context, c awsapi.Call, in *api.DescribePolicyRequest) (*api.DescribePolicyResponse, error) {
	return view(ctx, s, func(tx *store.Tx) (*api.DescribePolicyResponse, error) {
		p, err := s.Organization.Policy(tx, in.PolicyID)
		if err != nil {
			return nil, err
		}
		return &api.DescribePolicyResponse{Policy: policyOf(infoOf(c), p)}, nil
	})
}

func (s *service) deletePolicy(tx *store.Tx, _ awsapi.Call, in *api.DeletePolicyRequest) (*none, error) {
	return &none{}, s.Organization.DeletePolicy(tx, in.PolicyID)
}

func (s *service) listPolicies(ctx context.Context, c awsapi.Call, in *api.ListPoliciesRequest) (*api.ListPoliciesResponse, error) {
	return view(ctx, s, func(tx *store.Tx) (*api.ListPoliciesResponse, error) {
		page, next, err := paged("policies/"+in.Filter, in.NextToken, in.MaxResults, func(p organization.Policy) string { return p.Name },
			func(after string, n int) ([]organization.Policy, error) {
				return s.Organization.Policies(tx, organization.PolicyType(in.Filter), after, n)
			})
		return &api.ListPoliciesResponse{Policies: summaries(infoOf(c), page), NextToken: next}, err
	})
}

func summaries(info organization.Info, page []organization.Policy) []api.PolicySummary {
	return each(page, func(p organization.Policy) api.PolicySummary { return summaryOf(info, p) })
}
