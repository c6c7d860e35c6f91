package ecr

import (
	"context"
	"strings"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/ecr"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addResourceTags(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.TagResourceRequest, api.TagResourceResponse]{
		Action:    "ecr:TagResource",
		Resources: func(c awsapi.Call, in *api.TagResourceRequest) []policy.Resource { return onARN(c, in.ResourceARN) },
		Context:   func(_ awsapi.Call, in *api.TagResourceRequest) policy.Context { return requestTags(in.Tags) },
		Write:     s.tagResource,
	})
	awsapi.Add(out, awsapi.Op[api.UntagResourceRequest, api.UntagResourceResponse]{
		Action:    "ecr:UntagResource",
		Resources: func(c awsapi.Call, in *api.UntagResourceRequest) []policy.Resource { return onARN(c, in.ResourceARN) },
		Context: func(_ awsapi.Call, in *api.UntagResourceRequest) policy.Context {
			return policy.Context{"aws:tagkeys": in.TagKeys}
		},
		Write: s.untagResource,
	})
	awsapi.Add(out, awsapi.Op[api.ListTagsForResourceRequest, api.ListTagsForResourceResponse]{
		Action: "ecr:ListTagsForResource",
		Resources: func(c awsapi.Call, in *api.ListTagsForResourceRequest) []policy.Resource {
			return onARN(c, in.ResourceARN)
		},
		Read: s.listTagsForResource,
	})
}

// requestTags are the condition keys of the tags in a request.
func requestTags(tags []api.Tag) policy.Context {
	if len(tags) == 0 {
		return nil
	}
	c := policy.Context{}
	for _, t := range tags {
		c.Put("aws:RequestTag/"+t.Key, t.Value)
		c["aws:tagkeys"] = append(c["aws:tagkeys"], t.Key)
	}
	return c
}

// creationTags are the condition keys of the tags that a repository is made with, which are also the repository's own.
func creationTags(tags []api.Tag) policy.Context {
	c := requestTags(tags)
	for _, t := range tags {
		c.Put("aws:ResourceTag/"+t.Key, t.Value)
		c.Put("ecr:ResourceTag/"+t.Key, t.Value)
	}
	return c
}

func resourceTags(tags []api.Tag) []registry.ResourceTag {
	var out []registry.ResourceTag
	for _, t := range tags {
		out = append(out, registry.ResourceTag{Key: t.Key, Value: t.Value})
	}
	return out
}

// repositoryOf takes registry and name from the ARN of a repository of the call's region.
func repositoryOf(c awsapi.Call, text string) (registry.ID, string, error) {
	a, err := arn.Parse(text)
	name, isRepository := strings.CutPrefix(a.Resource, "repository/")
	if err != nil || !isRepository || a.Region != c.Region || !oci.ValidRepositoryName(name) || a != arn.Repository(a.Region, a.Account, name) {
		return registry.ID{}, "", invalid("resourceArn", "Invalid ARN")
	}
	return registry.ID{Account: a.Account, Region: a.Region}, name, nil
}

// onTagged runs a change of the repository that an ARN names.
func (s *service) onTagged(tx *store.Tx, c awsapi.Call, text string, fn func(registry.Repository) error) error {
	id, name, err := repositoryOf(c, text)
	if err != nil {
		return err
	}
	return s.onNamed(tx, id, name, fn)
}

func (s *service) tagResource(tx *store.Tx, c awsapi.Call, in *api.TagResourceRequest) (*api.TagResourceResponse, error) {
	return &api.TagResourceResponse{}, s.onTagged(tx, c, in.ResourceARN, func(repo registry.Repository) error {
		return s.Registry.TagRepository(tx, repo, resourceTags(in.Tags))
	})
}

func (s *service) untagResource(tx *store.Tx, c awsapi.Call, in *api.UntagResourceRequest) (*api.UntagResourceResponse, error) {
	return &api.UntagResourceResponse{}, s.onTagged(tx, c, in.ResourceARN, func(repo registry.Repository) error {
		return s.Registry.UntagRepository(tx, repo, in.TagKeys)
	})
}

func (s *service) listTagsForResource(ctx context.Context, c awsapi.Call, in *api.ListTagsForResourceRequest) (*api.ListTagsForResourceResponse, error) {
	id, name, err := repositoryOf(c, in.ResourceARN)
	if err != nil {
		return nil, err
	}
	out := &api.ListTagsForResourceResponse{}
	err = s.view(ctx, id, name, func(tx *store.Tx, repo registry.Repository) error {
		tags, err := s.Registry.ResourceTags(tx, repo)
		out.Tags = []api.Tag{}
		for _, t := range tags {
			out.Tags = append(out.Tags, api.Tag{Key: t.Key, Value: t.Value})
		}
		return err
	})
	return out, err
}
