package kms

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/kms"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addAliases(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.CreateAliasRequest, struct{}]{
		Action: "kms:CreateAlias",
		Ask: func(ctx context.Context, c awsapi.Call, in *api.CreateAliasRequest) (awsapi.Asked, error) {
			return s.askAlias(ctx, c, "kms:CreateAlias", in.AliasName, in.TargetKeyID, false)
		},
		Write: func(tx *store.Tx, c awsapi.Call, in *api.CreateAliasRequest) (*struct{}, error) {
			f := c.Found.(aliased)
			return nil, change(f.call(c), func(key kms.Key) error { return s.Keys.CreateAlias(tx, key, f.name) })
		},
	})
	awsapi.Add(out, awsapi.Op[api.UpdateAliasRequest, struct{}]{
		Action: "kms:UpdateAlias",
		Ask: func(ctx context.Context, c awsapi.Call, in *api.UpdateAliasRequest) (awsapi.Asked, error) {
			return s.askAlias(ctx, c, "kms:UpdateAlias", in.AliasName, in.TargetKeyID, true)
		},
		Write: func(tx *store.Tx, c awsapi.Call, in *api.UpdateAliasRequest) (*struct{}, error) {
			f := c.Found.(aliased)
			return nil, change(f.call(c), func(key kms.Key) error { return s.Keys.UpdateAlias(tx, key, f.name) })
		},
	})
	awsapi.Add(out, awsapi.Op[api.DeleteAliasRequest, struct{}]{
		Action: "kms:DeleteAlias",
		Ask: func(ctx context.Context, c awsapi.Call, in *api.DeleteAliasRequest) (awsapi.Asked, error) {
			return s.askAlias(ctx, c, "kms:DeleteAlias", in.AliasName, "", true)
		},
		Write: func(tx *store.Tx, c awsapi.Call, _ *api.DeleteAliasRequest) (*struct{}, error) {
			return nil, s.Keys.DeleteAlias(tx, c.Caller.Principal.Account, c.Region, c.Found.(aliased).name)
		},
	})
	awsapi.Add(out, awsapi.Op[api.ListAliasesRequest, api.ListAliasesResponse]{Action: "kms:ListAliases", Ask: s.askListAliases, Read: s.listAliases})
}

// aliased is the alias that a request is about, and the key that it is to stand for.
type aliased struct {
	name   string
	target found
}

// call is the call as one about the key.
func (a aliased) call(c awsapi.Call) awsapi.Call {
	c.Found = a.target
	return c
}

// askAlias asks for an alias, for the key that it is to stand for, and for the one that it stands for if there is one.
func (s *service) askAlias(ctx context.Context, c awsapi.Call, action, aliasName, target string, exists bool) (a awsapi.Asked, err error) {
	name, err := kms.CheckAliasName(aliasName)
	if err != nil {
		return a, err
	}
	account := c.Caller.Principal.Account
	f := aliased{name: name}
	resources := []policy.Resource{{ARN: kms.AliasARN(account, c.Region, name), Account: account}}
	if exists {
		now, err := s.find(ctx, c, aliasName, true)
		if err != nil {
			return a, err
		}
		if now.err == nil {
			resources = append(resources, now.resource)
		}
	}
	if target != "" {
		f.target, err = s.find(ctx, c, target, false)
		if r, bad := kms.ParseReference(account, c.Region, target); bad == nil && r.Alias != "" {
			err = kms.Errorf(kms.CodeValidation, "Aliases must refer to keys. Not aliases")
		}
		if err != nil {
			return a, err
		}
		if f.target.resource.Account != account {
			return a, kms.Errorf(kms.CodeNotFound, "Key '%s' does not exist", f.target.resource.ARN)
		}
		resources = append(resources, f.target.resource)
	}
	return awsapi.Asked{Questions: policy.Ask([]string{action}, resources...), Context: requestContext(c, found{}), Found: f}, nil
}

// askListAliases asks for the list as a whole; the key whose aliases are wanted must be one of the account.
func (s *service) askListAliases(ctx context.Context, c awsapi.Call, in *api.ListAliasesRequest) (a awsapi.Asked, err error) {
	a = awsapi.Asked{Questions: policy.Ask([]string{"kms:ListAliases"}, anyKey(c)), Context: requestContext(c, found{})}
	if in.KeyID == "" {
		return a, nil
	}
	f, err := s.find(ctx, c, in.KeyID, false)
	if f.resource.Account != c.Caller.Principal.Account && err == nil {
		err = kms.NoSuchKey(f.resource.ARN)
	}
	a.Found = f
	return a, err
}

func (s *service) listAliases(ctx context.Context, c awsapi.Call, in *api.ListAliasesRequest) (*api.ListAliasesResponse, error) {
	p, err := readPage(in.Marker, "aliases "+in.KeyID)
	if err != nil {
		return nil, err
	}
	most, out := size(in.Limit, 50, 100), &api.ListAliasesResponse{Aliases: []api.AliasListEntry{}}
	err = s.Keys.View(ctx, func(tx *store.Tx) error {
		var all []kms.Alias
		if in.KeyID == "" {
			all, err = s.Keys.Aliases(tx, c.Caller.Principal.Account, c.Region, p.After, most+1)
		} else {
			key, missing := keyOf(c)
			if missing != nil {
				return missing
			}
			all, err = s.Keys.AliasesOf(tx, key, p.After, most+1)
		}
		all, out.NextMarker, out.Truncated = paged(all, most, func(last kms.Alias) page { return page{List: p.List, After: last.Name} })
		out.Aliases = []api.AliasListEntry{}
		for _, a := range all {
			created, updated := awsapi.NewTime(a.Created), awsapi.NewTime(a.Updated)
			out.Aliases = append(out.Aliases, api.AliasListEntry{AliasName: "alias/" + a.Name, AliasARN: a.ARN, TargetKeyID: a.KeyID,
				CreationDate: &created, LastUpdatedDate: &updated})
		}
		return err
	})
	return out, err
}
