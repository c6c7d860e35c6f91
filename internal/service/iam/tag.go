package iam

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// tagged is a kind of things that have tags.
type tagged struct {
	// kind tells their names from those of others.
	kind string
	// find finds one by its name or ARN: its account, and what its tags belong to.
	find func(tx *store.Tx, c awsapi.Call, name string) (account, owner string, err error)
}

// taggedEntities are the users or roles of the caller's account.
func (s *service) taggedEntities(kind iam.Kind) tagged {
	return tagged{string(kind) + " ", func(tx *store.Tx, c awsapi.Call, name string) (account, owner string, err error) {
		e, err := s.IAM.EntityByName(tx, kind, c.Caller.Principal.Account, name)
		return e.Account, e.ID, err
	}}
}

// tag gives tags to the thing of a name or ARN.
func (s *service) tag(tx *store.Tx, c awsapi.Call, t tagged, name string, tags []api.Tag) (*nothing, error) {
	account, owner, err := t.find(tx, c, name)
	if err != nil {
		return nil, err
	}
	return &nothing{}, s.IAM.PutTags(tx, account, owner, tagsFrom(tags))
}

// untag takes tags away from the thing of a name or ARN.
func (s *service) untag(tx *store.Tx, c awsapi.Call, t tagged, name string, keys []string) (*nothing, error) {
	account, owner, err := t.find(tx, c, name)
	if err != nil {
		return nil, err
	}
	return &nothing{}, s.IAM.DeleteTags(tx, account, owner, keys)
}

// listTags reads a page of the tags of the thing of a name or ARN.
func (s *service) listTags(ctx context.Context, c awsapi.Call, t tagged, name, mark string, maxItems *int64) (page[api.Tag], error) {
	return list[iam.Tag, api.Tag]{
		name: "tags of " + t.kind + name, keys: 1,
		keysOf: func(t iam.Tag) []string { return []string{t.Key} },
		read: func(tx *store.Tx, after []string, n int) ([]iam.Tag, bool, error) {
			_, owner, err := t.find(tx, c, name)
			if err != nil {
				return nil, false, err
			}
			return s.IAM.TagPage(tx, owner, after[0], n)
		},
		show: tagTo,
	}.page(ctx, s.IAM, mark, maxItems)
}

// tagKeys are the condition keys of a request that takes tags away.
func tagKeys(keys []string) policy.Context {
	c := policy.Context{}
	c.Put("aws:TagKeys", keys...)
	return c
}

// requestTags are the condition keys of a request that gives tags.
func requestTags(tags []api.Tag) policy.Context {
	c := policy.Context{}
	putTags(c, tags)
	return c
}

// tagsFrom are tags of the API as IAM keeps them.
func tagsFrom(tags []api.Tag) []iam.Tag {
	out := make([]iam.Tag, len(tags))
	for i, t := range tags {
		out[i] = iam.Tag{Key: t.Key, Value: t.Value}
	}
	return out
}

// tagsTo are tags as the API has them.
func tagsTo(tags []iam.Tag) []api.Tag {
	out := make([]api.Tag, len(tags))
	for i, t := range tags {
		out[i] = tagTo(t)
	}
	return out
}

func tagTo(t iam.Tag) api.Tag { return api.Tag{Key: t.Key, Value: t.Value} }

func (s *service) addUserTags(out *awsapi.Service) {
	users := s.taggedEntities(iam.KindUser)
	awsapi.Add(out, onEntity(s, iam.KindUser, awsapi.Op[api.TagUserRequest, nothing]{
		Action: "iam:TagUser",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.TagUserRequest) (*nothing, error) {
			return s.tag(tx, c, users, in.UserName, in.Tags)
		},
	}, func(in *api.TagUserRequest) string { return in.UserName }, func(in *api.TagUserRequest) policy.Context { return requestTags(in.Tags) }))
	awsapi.Add(out, onEntity(s, iam.KindUser, awsapi.Op[api.UntagUserRequest, nothing]{
		Action: "iam:UntagUser",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.UntagUserRequest) (*nothing, error) {
			return s.untag(tx, c, users, in.UserName, in.TagKeys)
		},
	}, func(in *api.UntagUserRequest) string { return in.UserName }, func(in *api.UntagUserRequest) policy.Context { return tagKeys(in.TagKeys) }))
	awsapi.Add(out, onEntity(s, iam.KindUser, awsapi.Op[api.ListUserTagsRequest, api.ListUserTagsResponse]{
		Action: "iam:ListUserTags",
		Read: func(ctx context.Context, c awsapi.Call, in *api.ListUserTagsRequest) (*api.ListUserTagsResponse, error) {
			p, err := s.listTags(ctx, c, users, in.UserName, in.Marker, in.MaxItems)
			return &api.ListUserTagsResponse{Tags: p.items, IsTruncated: p.more, Marker: p.marker}, err
		},
	}, func(in *api.ListUserTagsRequest) string { return in.UserName }, nil))
}
