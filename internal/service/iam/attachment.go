package iam

import (
	"cmp"
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addAttachments(out *awsapi.Service) {
	awsapi.Add(out, attach(s, iam.KindUser, "iam:AttachUserPolicy", s.IAM.Attach, func(in *api.AttachUserPolicyRequest) (owner, arn string) { return in.UserName, in.PolicyARN }))
	awsapi.Add(out, attach(s, iam.KindUser, "iam:DetachUserPolicy", s.IAM.Detach, func(in *api.DetachUserPolicyRequest) (owner, arn string) { return in.UserName, in.PolicyARN }))
	awsapi.Add(out, attach(s, iam.KindGroup, "iam:AttachGroupPolicy", s.IAM.Attach, func(in *api.AttachGroupPolicyRequest) (owner, arn string) { return in.GroupName, in.PolicyARN }))
	awsapi.Add(out, attach(s, iam.KindGroup, "iam:DetachGroupPolicy", s.IAM.Detach, func(in *api.DetachGroupPolicyRequest) (owner, arn string) { return in.GroupName, in.PolicyARN }))
	awsapi.Add(out, attach(s, iam.KindRole, "iam:AttachRolePolicy", s.IAM.Attach, func(in *api.AttachRolePolicyRequest) (owner, arn string) { return in.RoleName, in.PolicyARN }))
	awsapi.Add(out, attach(s, iam.KindRole, "iam:DetachRolePolicy", s.IAM.Detach, func(in *api.DetachRolePolicyRequest) (owner, arn string) { return in.RoleName, in.PolicyARN }))

	awsapi.Add(out, listAttached(s, iam.KindUser, "iam:ListAttachedUserPolicies", func(in *api.ListAttachedUserPoliciesRequest) attachedQuery {
		return attachedQuery{in.UserName, in.PathPrefix, in.Marker, in.MaxItems}
	}, func(p page[api.AttachedPolicy]) *api.ListAttachedUserPoliciesResponse {
		return &api.ListAttachedUserPoliciesResponse{AttachedPolicies: p.items, IsTruncated: p.more, Marker: p.marker}
	}))
	awsapi.Add(out, listAttached(s, iam.KindGroup, "iam:ListAttachedGroupPolicies", func(in *api.ListAttachedGroupPoliciesRequest) attachedQuery {
		return attachedQuery{in.GroupName, in.PathPrefix, in.Marker, in.MaxItems}
	}, func(p page[api.AttachedPolicy]) *api.ListAttachedGroupPoliciesResponse {
		return &api.ListAttachedGroupPoliciesResponse{AttachedPolicies: p.items, IsTruncated: p.more, Marker: p.marker}
	}))
	awsapi.Add(out, listAttached(s, iam.KindRole, "iam:ListAttachedRolePolicies", func(in *api.ListAttachedRolePoliciesRequest) attachedQuery {
		return attachedQuery{in.RoleName, in.PathPrefix, in.Marker, in.MaxItems}
	}, func(p page[api.AttachedPolicy]) *api.ListAttachedRolePoliciesResponse {
		return &api.ListAttachedRolePoliciesResponse{AttachedPolicies: p.items, IsTruncated: p.more, Marker: p.marker}
	}))
	awsapi.Add(out, onARN(awsapi.Op[api.ListEntitiesForPolicyRequest, api.ListEntitiesForPolicyResponse]{
		Action: "iam:ListEntitiesForPolicy",
		Read:   s.listEntitiesForPolicy,
	}, func(in *api.ListEntitiesForPolicyRequest) string { return in.PolicyARN }))
}

// attach is an operation that attaches a managed policy or takes it away, as change says.
func attach[I any](s *service, kind iam.Kind, action string, change func(*store.Tx, iam.Entity, string) error, of func(*I) (owner, arn string)) awsapi.Op[I, nothing] {
	return onBounded(s, kind, awsapi.Op[I, nothing]{
		Action: action,
		Write: func(tx *store.Tx, c awsapi.Call, in *I) (*nothing, error) {
			owner, arn := of(in)
			e, err := s.entity(tx, c, kind, owner)
			if err != nil {
				return nil, err
			}
			return &nothing{}, change(tx, e, arn)
		},
	}, func(in *I) string {
		owner, _ := of(in)
		return owner
	}, func(in *I) policy.Context {
		_, arn := of(in)
		c := policy.Context{}
		c.Put("iam:PolicyARN", arn)
		return c
	})
}

// attachedQuery is what lists of attached policies are asked for.
type attachedQuery struct {
	owner, prefix, marker string
	maxItems              *int64
}

func listAttached[I, O any](s *service, kind iam.Kind, action string, of func(*I) attachedQuery, show func(page[api.AttachedPolicy]) *O) awsapi.Op[I, O] {
	return onEntity(s, kind, awsapi.Op[I, O]{
		Action: action,
		Read: func(ctx context.Context, c awsapi.Call, in *I) (*O, error) {
			q := of(in)
			p, err := list[string, api.AttachedPolicy]{
				name: action + " " + q.owner + " " + q.prefix, keys: 1,
				keysOf: func(arn string) []string { return []string{arn} },
				read: func(tx *store.Tx, after []string, n int) ([]string, bool, error) {
					e, err := s.IAM.EntityByName(tx, kind, c.Caller.Principal.Account, q.owner)
					if err != nil {
						return nil, false, err
					}
					return s.IAM.AttachedPage(tx, e.ID, q.prefix, after[0], n)
				},
				show: func(arn string) api.AttachedPolicy {
					return api.AttachedPolicy{PolicyName: iam.PolicyName(arn), PolicyARN: arn}
				},
			}.page(ctx, s.IAM, q.marker, q.maxItems)
			return show(p), err
		},
	}, func(in *I) string { return of(in).owner }, nil)
}

// entityFilters are the kinds of entities that a list can be limited to. The others that the API knows match nothing.
var entityFilters = map[string]iam.Kind{"User": iam.KindUser, "Role": iam.KindRole, "Group": iam.KindGroup}

func (s *service) listEntitiesForPolicy(ctx context.Context, c awsapi.Call, in *api.ListEntitiesForPolicyRequest) (*api.ListEntitiesForPolicyResponse, error) {
	account, prefix := c.Caller.Principal.Account, cmp.Or(in.PathPrefix, "/")
	kind, known := entityFilters[in.EntityFilter]
	p, err := list[iam.Entity, iam.Entity]{
		name: "entities " + in.PolicyARN + " " + in.EntityFilter + " " + in.PolicyUsageFilter + " " + prefix, keys: 1,
		keysOf: func(e iam.Entity) []string { return []string{e.ID} },
		read: func(tx *store.Tx, after []string, n int) ([]iam.Entity, bool, error) {
			if _, err := s.IAM.Policy(tx, account, in.PolicyARN); err != nil || in.EntityFilter != "" && !known {
				return nil, false, err
			}
			return s.IAM.AttachedTo(tx, account, in.PolicyARN, in.PolicyUsageFilter, kind, prefix, after[0], n)
		},
		show: func(e iam.Entity) iam.Entity { return e },
	}.page(ctx, s.IAM, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &api.ListEntitiesForPolicyResponse{PolicyGroups: []api.PolicyGroup{}, PolicyUsers: []api.PolicyUser{}, PolicyRoles: []api.PolicyRole{},
		IsTruncated: p.more, Marker: p.marker}
	for _, e := range p.items {
		switch e.Kind {
		case iam.KindGroup:
			out.PolicyGroups = append(out.PolicyGroups, api.PolicyGroup{GroupName: e.Name, GroupID: e.ID})
		case iam.KindUser:
			out.PolicyUsers = append(out.PolicyUsers, api.PolicyUser{UserName: e.Name, UserID: e.ID})
		case iam.KindRole:
			out.PolicyRoles = append(out.PolicyRoles, api.PolicyRole{RoleName: e.Name, RoleID: e.ID})
		}
	}
	return out, nil
}
