package kms

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/kms"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addTags(out *awsapi.Service) {
	awsapi.Add(out, onKey(s, about[api.TagResourceRequest]{
		key:     func(in *api.TagResourceRequest) string { return in.KeyID },
		context: func(in *api.TagResourceRequest, c policy.Context) { requestTags(c, in.Tags) },
	}, awsapi.Op[api.TagResourceRequest, struct{}]{
		Action: "kms:TagResource",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.TagResourceRequest) (*struct{}, error) {
			return nil, change(c, func(key kms.Key) error { return s.Keys.Tag(tx, key, tags(in.Tags)) })
		},
	}))
	awsapi.Add(out, onKey(s, about[api.UntagResourceRequest]{
		key: func(in *api.UntagResourceRequest) string { return in.KeyID },
		context: func(in *api.UntagResourceRequest, c policy.Context) {
			if len(in.TagKeys) > 0 {
				c["aws:tagkeys"] = in.TagKeys
			}
		},
	}, awsapi.Op[api.UntagResourceRequest, struct{}]{
		Action: "kms:UntagResource",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.UntagResourceRequest) (*struct{}, error) {
			return nil, change(c, func(key kms.Key) error { return s.Keys.Untag(tx, key, in.TagKeys) })
		},
	}))
	awsapi.Add(out, onKey(s, about[api.ListResourceTagsRequest]{key: func(in *api.ListResourceTagsRequest) string { return in.KeyID }},
		awsapi.Op[api.ListResourceTagsRequest, api.ListResourceTagsResponse]{Action: "kms:ListResourceTags", Read: s.listResourceTags}))
}

func tags(in []api.Tag) []kms.Tag {
	var all []kms.Tag
	for _, t := range in {
		all = append(all, kms.Tag{Key: t.TagKey, Value: t.TagValue})
	}
	return all
}

func (s *service) listResourceTags(ctx context.Context, c awsapi.Call, in *api.ListResourceTagsRequest) (*api.ListResourceTagsResponse, error) {
	p, err := readPage(in.Marker, "tags "+in.KeyID)
	if err != nil {
		return nil, err
	}
	return view(ctx, s, c, func(tx *store.Tx, key kms.Key) (*api.ListResourceTagsResponse, error) {
		most, out := size(in.Limit, 50, 50), &api.ListResourceTagsResponse{Tags: []api.Tag{}}
		all, err := s.Keys.Tags(tx, key, p.After, most+1)
		all, out.NextMarker, out.Truncated = paged(all, most, func(last kms.Tag) page { return page{List: p.List, After: last.Key} })
		for _, t := range all {
			out.Tags = append(out.Tags, api.Tag{TagKey: t.Key, TagValue: t.Value})
		}
		return out, err
	})
}
