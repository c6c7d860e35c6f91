package iam

import (
	"cmp"
	"context"
	"fmt"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addManagedPolicies(out *awsapi.Service) {
	awsapi.Add(out, onNew(iam.KindPolicy, "iam:TagPolicy", awsapi.Op[api.CreatePolicyRequest, api.CreatePolicyResponse]{
		Action: "iam:CreatePolicy",
		Write:  s.createPolicy,
	}, func(in *api.CreatePolicyRequest) (path, name string) { return in.Path, in.PolicyName },
		func(in *api.CreatePolicyRequest) []api.Tag { return in.Tags }, nil))
	awsapi.Add(out, onARN(awsapi.Op[api.GetPolicyRequest, api.GetPolicyResponse]{
		Action: "iam:GetPolicy",
		Read:   s.getPolicy,
	}, func(in *api.GetPolicyRequest) string { return in.PolicyARN }))
	awsapi.Add(out, onARN(awsapi.Op[api.DeletePolicyRequest, nothing]{
		Action: "iam:DeletePolicy",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.DeletePolicyRequest) (*nothing, error) {
			return s.withPolicy(tx, c, in.PolicyARN, func(p iam.Policy) error { return s.IAM.DeletePolicy(tx, p) })
		},
	}, func(in *api.DeletePolicyRequest) string { return in.PolicyARN }))
	awsapi.Add(out, onAccount(awsapi.Op[api.ListPoliciesRequest, api.ListPoliciesResponse]{
		Action: "iam:ListPolicies",
		Read:   s.listPolicies,
	}))
	s.addPolicyTags(out)
}

// withPolicy changes a managed policy.
func (s *service) withPolicy(tx *store.Tx, c awsapi.Call, arn string, change func(iam.Policy) error) (*nothing, error) {
	p, err := s.IAM.Policy(tx, c.Caller.Principal.Account, arn)
	if err != nil {
		return nil, err
	}
	return &nothing{}, change(p)
}

func (s *service) createPolicy(tx *store.Tx, c awsapi.Call, in *api.CreatePolicyRequest) (*api.CreatePolicyResponse, error) {
	account := c.Caller.Principal.Account
	p, err := s.IAM.CreatePolicy(tx, iam.Policy{Account: account, Name: in.PolicyName, Path: in.Path, Description: in.Description}, in.PolicyDocument)
	if err != nil {
		return nil, err
	}
	if err := s.IAM.PutTags(tx, account, p.ID, tagsFrom(in.Tags)); err != nil {
		return nil, err
	}
	shown := policyOf(p, 0, 0)
	shown.Tags = in.Tags
	return &api.CreatePolicyResponse{Policy: &shown}, nil
}

// policyOf is a managed policy as the API has it, without its tags. Lists leave the description out.
func policyOf(p iam.Policy, attached, boundaries int64) api.Policy {
	created, updated, attachable := awsapi.NewTime(p.CreatedAt), awsapi.NewTime(p.UpdatedAt), true
	return api.Policy{PolicyName: p.Name, PolicyID: p.ID, Arn: p.ARN(), Path: p.Path, DefaultVersionID: iam.VersionID(p.DefaultVersion),
		AttachmentCount: &attached, PermissionsBoundaryUsageCount: &boundaries, IsAttachable: &attachable, Description: p.Description,
		CreateDate: &created, UpdateDate: &updated}
}

func (s *service) getPolicy(ctx context.Context, c awsapi.Call, in *api.GetPolicyRequest) (*api.GetPolicyResponse, error) {
	var shown api.Policy
	err := s.IAM.View(ctx, func(tx *store.Tx) error {
		p, err := s.IAM.Policy(tx, c.Caller.Principal.Account, in.PolicyARN)
		if err != nil {
			return err
		}
		attached, boundaries, err := s.IAM.PolicyUse(tx, c.Caller.Principal.Account, in.PolicyARN)
		if err != nil {
			return err
		}
		shown = policyOf(p, attached, boundaries)
		tags, err := s.IAM.Tags(tx, p.ID)
		shown.Tags = tagsTo(tags)
		return err
	})
	return &api.GetPolicyResponse{Policy: &shown}, err
}

func (s *service) listPolicies(ctx context.Context, c awsapi.Call, in *api.ListPoliciesRequest) (*api.ListPoliciesResponse, error) {
	account := c.Caller.Principal.Account
	f := iam.PolicyFilter{Prefix: cmp.Or(in.PathPrefix, "/"), Local: in.Scope != "AWS", AWS: in.Scope != "Local",
		Attached: in.OnlyAttached != nil && *in.OnlyAttached, Usage: in.PolicyUsageFilter}
	list := list[iam.Policy, api.Policy]{
		name: fmt.Sprintf("policies %s %s %s %t", in.Scope, f.Prefix, f.Usage, f.Attached), keys: 3,
		keysOf: func(p iam.Policy) []string { return []string{p.Account, p.Path, p.Name} },
	}
	used := map[string][2]int64{}
	list.read = func(tx *store.Tx, after []string, n int) ([]iam.Policy, bool, error) {
		page, more, err := s.IAM.PolicyPage(tx, account, f, after, n)
		if err != nil {
			return nil, false, err
		}
		for _, p := range page {
			attached, boundaries, err := s.IAM.PolicyUse(tx, account, p.ARN())
			if err != nil {
				return nil, false, err
			}
			used[p.ID] = [2]int64{attached, boundaries}
		}
		return page, more, nil
	}
	list.show = func(p iam.Policy) api.Policy {
		shown := policyOf(p, used[p.ID][0], used[p.ID][1])
		shown.Description = ""
		return shown
	}
	p, err := list.page(ctx, s.IAM, in.Marker, in.MaxItems)
	return &api.ListPoliciesResponse{Policies: p.items, IsTruncated: p.more, Marker: p.marker}, err
}

func (s *service) addPolicyTags(out *awsapi.Service) {
	policies := tagged{"policy ", func(tx *store.Tx, c awsapi.Call, arn string) (account, owner string, err error) {
		p, err := s.IAM.Policy(tx, c.Caller.Principal.Account, arn)
		return p.Account, p.ID, err
	}}
	changeable := tagged{policies.kind, func(tx *store.Tx, c awsapi.Call, arn string) (account, owner string, err error) {
		p, err := s.IAM.Policy(tx, c.Caller.Principal.Account, arn)
		if err != nil {
			return "", "", err
		}
		return p.Account, p.ID, p.Changeable()
	}}
	awsapi.Add(out, onARN(awsapi.Op[api.TagPolicyRequest, nothing]{
		Action:  "iam:TagPolicy",
		Context: func(_ awsapi.Call, in *api.TagPolicyRequest) policy.Context { return requestTags(in.Tags) },
		Write: func(tx *store.Tx, c awsapi.Call, in *api.TagPolicyRequest) (*nothing, error) {
			return s.tag(tx, c, changeable, in.PolicyARN, in.Tags)
		},
	}, func(in *api.TagPolicyRequest) string { return in.PolicyARN }))
	awsapi.Add(out, onARN(awsapi.Op[api.UntagPolicyRequest, nothing]{
		Action:  "iam:UntagPolicy",
		Context: func(_ awsapi.Call, in *api.UntagPolicyRequest) policy.Context { return tagKeys(in.TagKeys) },
		Write: func(tx *store.Tx, c awsapi.Call, in *api.UntagPolicyRequest) (*nothing, error) {
			return s.untag(tx, c, changeable, in.PolicyARN, in.TagKeys)
		},
	}, func(in *api.UntagPolicyRequest) string { return in.PolicyARN }))
	awsapi.Add(out, onARN(awsapi.Op[api.ListPolicyTagsRequest, api.ListPolicyTagsResponse]{
		Action: "iam:ListPolicyTags",
		Read: func(ctx context.Context, c awsapi.Call, in *api.ListPolicyTagsRequest) (*api.ListPolicyTagsResponse, error) {
			p, err := s.listTags(ctx, c, policies, in.PolicyARN, in.Marker, in.MaxItems)
			return &api.ListPolicyTagsResponse{Tags: p.items, IsTruncated: p.more, Marker: p.marker}, err
		},
	}, func(in *api.ListPolicyTagsRequest) string { return in.PolicyARN }))
}
