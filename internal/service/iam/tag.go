package iam

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addUserTags(out *awsapi.Service) {
	awsapi.Add(out, onEntity(s, iam.KindUser, awsapi.Op[api.TagUserRequest, nothing]{
		Action: "iam:TagUser",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.TagUserRequest) (*nothing, error) {
			return s.withUser(tx, c, in.UserName, func(u iam.User) error { return s.IAM.PutTags(tx, u.Account, u.ID, tagsFrom(in.Tags)) })
		},
	}, func(in *api.TagUserRequest) string { return in.UserName }, func(in *api.TagUserRequest) policy.Context {
		c := policy.Context{}
		putTags(c, in.Tags)
		return c
	}))
	awsapi.Add(out, onEntity(s, iam.KindUser, awsapi.Op[api.UntagUserRequest, nothing]{
		Action: "iam:UntagUser",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.UntagUserRequest) (*nothing, error) {
			return s.withUser(tx, c, in.UserName, func(u iam.User) error { return s.IAM.DeleteTags(tx, u.Account, u.ID, in.TagKeys) })
		},
	}, func(in *api.UntagUserRequest) string { return in.UserName }, func(in *api.UntagUserRequest) policy.Context {
		c := policy.Context{}
		c.Put("aws:TagKeys", in.TagKeys...)
		return c
	}))
	awsapi.Add(out, onEntity(s, iam.KindUser, awsapi.Op[api.ListUserTagsRequest, api.ListUserTagsResponse]{
		Action: "iam:ListUserTags",
		Read: func(ctx context.Context, c awsapi.Call, in *api.ListUserTagsRequest) (*api.ListUserTagsResponse, error) {
			p, err := tagList("user "+in.UserName, s.IAM, func(tx *store.Tx) (owner string, err error) {
				u, err := s.IAM.User(tx, c.Caller.Principal.Account, in.UserName)
				return u.ID, err
			}).page(ctx, s.IAM, in.Marker, in.MaxItems)
			return &api.ListUserTagsResponse{Tags: p.items, IsTruncated: p.more, Marker: p.marker}, err
		},
	}, func(in *api.ListUserTagsRequest) string { return in.UserName }, nil))
}

// tagList is the list of the tags of something, which name tells from others, and find finds.
func tagList(name string, s *iam.Store, find func(*store.Tx) (owner string, err error)) list[iam.Tag, api.Tag] {
	return list[iam.Tag, api.Tag]{
		name: "tags of " + name, keys: 1,
		keysOf: func(t iam.Tag) []string { return []string{t.Key} },
		read: func(tx *store.Tx, after []string, n int) ([]iam.Tag, bool, error) {
			owner, err := find(tx)
			if err != nil {
				return nil, false, err
			}
			return s.TagPage(tx, owner, after[0], n)
		},
		show: func(t iam.Tag) api.Tag { return api.Tag{Key: t.Key, Value: t.Value} },
	}
}
