package iam

import (
	"context"
	"net/url"
	"strings"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/store"
)

// nothing is the output of operations that answer nothing.
type nothing struct{}

// documentOf is a policy document as IAM's answers have it: encoded as in URLs (RFC 3986).
func documentOf(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// entity finds a user, group or role of the caller's account that is to be changed.
func (s *service) entity(tx *store.Tx, c awsapi.Call, kind iam.Kind, name string) (iam.Entity, error) {
	e, err := s.IAM.EntityByName(tx, kind, c.Caller.Principal.Account, name)
	if err != nil {
		return e, err
	}
	return e, e.Changeable()
}

func (s *service) addInlinePolicies(out *awsapi.Service) {
	s.addUserPolicies(out)
	s.addGroupPolicies(out)
	s.addRolePolicies(out)
}

func (s *service) addUserPolicies(out *awsapi.Service) {
	awsapi.Add(out, putInline(s, iam.KindUser, "iam:PutUserPolicy", func(in *api.PutUserPolicyRequest) (owner, name, document string) {
		return in.UserName, in.PolicyName, in.PolicyDocument
	}))
	awsapi.Add(out, deleteInline(s, iam.KindUser, "iam:DeleteUserPolicy", func(in *api.DeleteUserPolicyRequest) (owner, name string) {
		return in.UserName, in.PolicyName
	}))
	awsapi.Add(out, getInline(s, iam.KindUser, "iam:GetUserPolicy", func(in *api.GetUserPolicyRequest) (owner, name string) { return in.UserName, in.PolicyName },
		func(owner, name, document string) *api.GetUserPolicyResponse {
			return &api.GetUserPolicyResponse{UserName: owner, PolicyName: name, PolicyDocument: document}
		}))
	awsapi.Add(out, listInline(s, iam.KindUser, "iam:ListUserPolicies", func(in *api.ListUserPoliciesRequest) (owner, marker string, maxItems *int64) {
		return in.UserName, in.Marker, in.MaxItems
	}, func(p page[string]) *api.ListUserPoliciesResponse {
		return &api.ListUserPoliciesResponse{PolicyNames: p.items, IsTruncated: p.more, Marker: p.marker}
	}))
}

func (s *service) addGroupPolicies(out *awsapi.Service) {
	awsapi.Add(out, putInline(s, iam.KindGroup, "iam:PutGroupPolicy", func(in *api.PutGroupPolicyRequest) (owner, name, document string) {
		return in.GroupName, in.PolicyName, in.PolicyDocument
	}))
	awsapi.Add(out, deleteInline(s, iam.KindGroup, "iam:DeleteGroupPolicy", func(in *api.DeleteGroupPolicyRequest) (owner, name string) {
		return in.GroupName, in.PolicyName
	}))
	awsapi.Add(out, getInline(s, iam.KindGroup, "iam:GetGroupPolicy", func(in *api.GetGroupPolicyRequest) (owner, name string) { return in.GroupName, in.PolicyName },
		func(owner, name, document string) *api.GetGroupPolicyResponse {
			return &api.GetGroupPolicyResponse{GroupName: owner, PolicyName: name, PolicyDocument: document}
		}))
	awsapi.Add(out, listInline(s, iam.KindGroup, "iam:ListGroupPolicies", func(in *api.ListGroupPoliciesRequest) (owner, marker string, maxItems *int64) {
		return in.GroupName, in.Marker, in.MaxItems
	}, func(p page[string]) *api.ListGroupPoliciesResponse {
		return &api.ListGroupPoliciesResponse{PolicyNames: p.items, IsTruncated: p.more, Marker: p.marker}
	}))
}

func (s *service) addRolePolicies(out *awsapi.Service) {
	awsapi.Add(out, putInline(s, iam.KindRole, "iam:PutRolePolicy", func(in *api.PutRolePolicyRequest) (owner, name, document string) {
		return in.RoleName, in.PolicyName, in.PolicyDocument
	}))
	awsapi.Add(out, deleteInline(s, iam.KindRole, "iam:DeleteRolePolicy", func(in *api.DeleteRolePolicyRequest) (owner, name string) {
		return in.RoleName, in.PolicyName
	}))
	awsapi.Add(out, getInline(s, iam.KindRole, "iam:GetRolePolicy", func(in *api.GetRolePolicyRequest) (owner, name string) { return in.RoleName, in.PolicyName },
		func(owner, name, document string) *api.GetRolePolicyResponse {
			return &api.GetRolePolicyResponse{RoleName: owner, PolicyName: name, PolicyDocument: document}
		}))
	awsapi.Add(out, listInline(s, iam.KindRole, "iam:ListRolePolicies", func(in *api.ListRolePoliciesRequest) (owner, marker string, maxItems *int64) {
		return in.RoleName, in.Marker, in.MaxItems
	}, func(p page[string]) *api.ListRolePoliciesResponse {
		return &api.ListRolePoliciesResponse{PolicyNames: p.items, IsTruncated: p.more, Marker: p.marker}
	}))
}

func putInline[I any](s *service, kind iam.Kind, action string, of func(*I) (owner, name, document string)) awsapi.Op[I, nothing] {
	return onBounded(s, kind, awsapi.Op[I, nothing]{
		Action: action,
		Write: func(tx *store.Tx, c awsapi.Call, in *I) (*nothing, error) {
			owner, name, document := of(in)
			e, err := s.entity(tx, c, kind, owner)
			if err != nil {
				return nil, err
			}
			return &nothing{}, s.IAM.PutInline(tx, e, name, document)
		},
	}, func(in *I) string {
		owner, _, _ := of(in)
		return owner
	}, nil)
}

func deleteInline[I any](s *service, kind iam.Kind, action string, of func(*I) (owner, name string)) awsapi.Op[I, nothing] {
	return onBounded(s, kind, awsapi.Op[I, nothing]{
		Action: action,
		Write: func(tx *store.Tx, c awsapi.Call, in *I) (*nothing, error) {
			owner, name := of(in)
			e, err := s.entity(tx, c, kind, owner)
			if err != nil {
				return nil, err
			}
			return &nothing{}, s.IAM.DeleteInline(tx, e, name)
		},
	}, func(in *I) string {
		owner, _ := of(in)
		return owner
	}, nil)
}

func getInline[I, O any](s *service, kind iam.Kind, action string, of func(*I) (owner, name string), show func(owner, name, document string) *O) awsapi.Op[I, O] {
	return onEntity(s, kind, awsapi.Op[I, O]{
		Action: action,
		Read: func(ctx context.Context, c awsapi.Call, in *I) (out *O, err error) {
			owner, name := of(in)
			err = s.IAM.View(ctx, func(tx *store.Tx) error {
				e, err := s.IAM.EntityByName(tx, kind, c.Caller.Principal.Account, owner)
				if err != nil {
					return err
				}
				document, err := s.IAM.Inline(tx, e, name)
				out = show(e.Name, name, documentOf(document))
				return err
			})
			return out, err
		},
	}, func(in *I) string {
		owner, _ := of(in)
		return owner
	}, nil)
}

func listInline[I, O any](s *service, kind iam.Kind, action string, of func(*I) (owner, marker string, maxItems *int64), show func(page[string]) *O) awsapi.Op[I, O] {
	return onEntity(s, kind, awsapi.Op[I, O]{
		Action: action,
		Read: func(ctx context.Context, c awsapi.Call, in *I) (*O, error) {
			owner, marker, maxItems := of(in)
			p, err := list[string, string]{
				name: action + " " + owner, keys: 1,
				keysOf: func(name string) []string { return []string{name} },
				read: func(tx *store.Tx, after []string, n int) ([]string, bool, error) {
					e, err := s.IAM.EntityByName(tx, kind, c.Caller.Principal.Account, owner)
					if err != nil {
						return nil, false, err
					}
					return s.IAM.InlinePage(tx, e.ID, after[0], n)
				},
				show: func(name string) string { return name },
			}.page(ctx, s.IAM, marker, maxItems)
			return show(p), err
		},
	}, func(in *I) string {
		owner, _, _ := of(in)
		return owner
	}, nil)
}
