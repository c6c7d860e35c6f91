package organizations

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/organizations"
	"github.com/coffer-registry/coffer/internal/organization"
	"github.com/coffer-registry/coffer/internal/store"
)

// actionTag is what a creation with tags needs too.
const actionTag = "organizations:TagResource"

func (s *service) addResourceTags(out *awsapi.Service) {
	awsapi.Add(out, managed(s, awsapi.Op[api.TagResourceRequest, none]{
		Action: actionTag,
		Write: func(tx *store.Tx, _ awsapi.Call, in *api.TagResourceRequest) (*none, error) {
			return &none{}, s.Organization.Tag(tx, in.ResourceID, tagsOf(in.Tags))
		},
	}, func(in *api.TagResourceRequest) about { return about{ids: []string{in.ResourceID}, tags: in.Tags} }))
	awsapi.Add(out, managed(s, awsapi.Op[api.UntagResourceRequest, none]{
		Action: "organizations:UntagResource",
		Write: func(tx *store.Tx, _ awsapi.Call, in *api.UntagResourceRequest) (*none, error) {
			return &none{}, s.Organization.Untag(tx, in.ResourceID, in.TagKeys)
		},
	}, func(in *api.UntagResourceRequest) about { return about{ids: []string{in.ResourceID}, keys: in.TagKeys} }))
	awsapi.Add(out, managed(s, awsapi.Op[api.ListTagsForResourceRequest, api.ListTagsForResourceResponse]{
		Action: "organizations:ListTagsForResource",
		Read:   s.listTags,
	}, func(in *api.ListTagsForResourceRequest) about { return ids(in.ResourceID) }))
}

// tagsOf are the tags of a request.
func tagsOf(tags []api.Tag) []organization.Tag {
	return each(tags, func(t api.Tag) organization.Tag { return organization.Tag(t) })
}

// listTags answers all tags at once: there are no more than fit into a page.
func (s *service) listTags(ctx context.Context, _ awsapi.Call, in *api.ListTagsForResourceRequest) (*api.ListTagsForResourceResponse, error) {
	return view(ctx, s, func(tx *store.Tx) (*api.ListTagsForResourceResponse, error) {
		tags, err := s.Organization.Tags(tx, in.ResourceID)
		return &api.ListTagsForResourceResponse{Tags: each(tags, func(t organization.Tag) api.Tag { return api.Tag(t) })}, err
	})
}
