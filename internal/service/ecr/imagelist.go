package ecr

import (
	"context"
	"errors"
	"fmt"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/ecr"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addImageLists(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.DescribeImagesRequest, api.DescribeImagesResponse]{
		Action: "ecr:DescribeImages",
		Resources: func(c awsapi.Call, in *api.DescribeImagesRequest) []policy.Resource {
			return onRepository(c, in.RegistryID, in.RepositoryName)
		},
		Context: func(_ awsapi.Call, in *api.DescribeImagesRequest) policy.Context {
			if len(in.ImageIDs) == 0 {
				return nil
			}
			return registry.KeysOf(imageIDs(in.ImageIDs)...)
		},
		Read: s.describeImages,
	})
	awsapi.Add(out, awsapi.Op[api.ListImagesRequest, api.ListImagesResponse]{
		Action: "ecr:ListImages",
		Resources: func(c awsapi.Call, in *api.ListImagesRequest) []policy.Resource {
			return onRepository(c, in.RegistryID, in.RepositoryName)
		},
		Read: s.listImages,
	})
}

func (s *service) addReferrers(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.ListImageReferrersRequest, api.ListImageReferrersResponse]{
		Action: "ecr:BatchGetImage",
		Name:   "ListImageReferrers",
		Resources: func(c awsapi.Call, in *api.ListImageReferrersRequest) []policy.Resource {
			return onRepository(c, in.RegistryID, in.RepositoryName)
		},
		Context: func(awsapi.Call, *api.ListImageReferrersRequest) policy.Context { return registry.ImageKeys(nil, true) },
		Read:    s.listImageReferrers,
	})
}

// Images are always active until archiving exists.
const statusActive = "ACTIVE"

// noneActive reports whether a filter leaves out all active images.
func noneActive(status string) bool {
	return status != "" && status != statusActive && status != "ANY"
}

func tagStatus(filter string) registry.TagStatus {
	if filter == "ANY" {
		return registry.AnyStatus
	}
	return registry.TagStatus(filter)
}

func detail(id registry.ID, name string, image registry.Image) api.ImageDetail {
	size, pushed := image.Size, awsapi.NewTime(image.PushedAt)
	d := api.ImageDetail{
		RegistryID: id.Account, RepositoryName: name, ImageDigest: string(image.Digest), ImageTags: image.Tags,
		ImageSizeInBytes: &size, ImagePushedAt: &pushed, ImageManifestMediaType: image.MediaType,
		ArtifactMediaType: image.ArtifactType, SubjectManifestDigest: string(image.Subject), ImageStatus: statusActive,
	}
	if !image.PulledAt.IsZero() {
		pulled := awsapi.NewTime(image.PulledAt)
		d.LastRecordedPullTime = &pulled
	}
	return d
}

func (s *service) describeImages(ctx context.Context, c awsapi.Call, in *api.DescribeImagesRequest) (*api.DescribeImagesResponse, error) {
	if err := refusePaging(len(in.ImageIDs) > 0, in.MaxResults, in.NextToken); err != nil {
		return nil, err
	}
	var filter api.DescribeImagesFilter
	if in.Filter != nil {
		filter = *in.Filter
	}
	id := registryID(c, in.RegistryID)
	p, err := parsePage(in.NextToken, fmt.Sprintf("images/%s/%s/%s/%s", id.Account, id.Region, in.RepositoryName, filter.TagStatus))
	if err != nil {
		return nil, err
	}
	n := pageSize(in.MaxResults, 100)
	out := &api.DescribeImagesResponse{}
	err = s.view(ctx, id, in.RepositoryName, func(tx *store.Tx, repo registry.Repository) error {
		out.ImageDetails = []api.ImageDetail{}
		if len(in.ImageIDs) > 0 {
			return s.describeNamed(tx, id, repo, in.ImageIDs, filter, out)
		}
		if noneActive(filter.ImageStatus) {
			return nil
		}
		images, err := s.Registry.Images(tx, repo, tagStatus(filter.TagStatus), p.After, n+1)
		if err != nil {
			return err
		}
		for _, image := range images[:min(n, len(images))] {
			out.ImageDetails = append(out.ImageDetails, detail(id, repo.Name, image))
		}
		if len(images) > n {
			p.After = string(images[n-1].Digest)
			out.NextToken = p.token()
		}
		return nil
	})
	return out, err
}

func (s *service) describeNamed(tx *store.Tx, id registry.ID, repo registry.Repository, ids []api.ImageIdentifier, filter api.DescribeImagesFilter, out *api.DescribeImagesResponse) error {
	seen := map[oci.Digest]bool{}
	for _, wanted := range ids {
		if failure := registry.CheckImageID(imageID(wanted)); failure != nil {
			return invalid("imageIds", failure.Reason)
		}
		image, err := s.Registry.ImageByID(tx, repo, imageID(wanted))
		if errors.Is(err, registry.ErrImageNotFound) {
			return &imageNotFound{imageID(wanted)}
		}
		if err != nil {
			return err
		}
		status := tagStatus(filter.TagStatus)
		tagged := len(image.Tags) > 0
		if seen[image.Digest] || noneActive(filter.ImageStatus) || status == registry.Tagged && !tagged || status == registry.Untagged && tagged {
			continue
		}
		seen[image.Digest] = true
		out.ImageDetails = append(out.ImageDetails, detail(id, repo.Name, image))
	}
	return nil
}

func (s *service) listImages(ctx context.Context, c awsapi.Call, in *api.ListImagesRequest) (*api.ListImagesResponse, error) {
	var filter api.ListImagesFilter
	if in.Filter != nil {
		filter = *in.Filter
	}
	id := registryID(c, in.RegistryID)
	p, err := parsePage(in.NextToken, fmt.Sprintf("imageIds/%s/%s/%s/%s", id.Account, id.Region, in.RepositoryName, filter.TagStatus))
	if err != nil {
		return nil, err
	}
	n := pageSize(in.MaxResults, 100)
	out := &api.ListImagesResponse{}
	err = s.view(ctx, id, in.RepositoryName, func(tx *store.Tx, repo registry.Repository) error {
		out.ImageIDs = []api.ImageIdentifier{}
		if noneActive(filter.ImageStatus) {
			return nil
		}
		ids, err := s.Registry.ImageIDs(tx, repo, tagStatus(filter.TagStatus), registry.ImageID{Digest: p.After, Tag: p.Tag}, n+1)
		if err != nil {
			return err
		}
		for _, id := range ids[:min(n, len(ids))] {
			out.ImageIDs = append(out.ImageIDs, identifier(id))
		}
		if len(ids) > n {
			p.After, p.Tag = ids[n-1].Digest, ids[n-1].Tag
			out.NextToken = p.token()
		}
		return nil
	})
	return out, err
}

func (s *service) listImageReferrers(ctx context.Context, c awsapi.Call, in *api.ListImageReferrersRequest) (*api.ListImageReferrersResponse, error) {
	var filter api.ListImageReferrersFilter
	if in.Filter != nil {
		filter = *in.Filter
	}
	subject, err := oci.ParseDigest(in.SubjectID.ImageDigest)
	if err != nil {
		return nil, invalid("subjectId", "Invalid image digest")
	}
	id := registryID(c, in.RegistryID)
	p, err := parsePage(in.NextToken, fmt.Sprintf("referrers/%s/%s/%s/%s/%q", id.Account, id.Region, in.RepositoryName, subject, filter.ArtifactTypes))
	if err != nil {
		return nil, err
	}
	n := pageSize(in.MaxResults, 20)
	out := &api.ListImageReferrersResponse{}
	err = s.view(ctx, id, in.RepositoryName, func(tx *store.Tx, repo registry.Repository) error {
		out.Referrers = []api.ImageReferrer{}
		if noneActive(filter.ArtifactStatus) {
			return nil
		}
		found, err := s.Registry.Referrers(tx, repo, subject, filter.ArtifactTypes, p.After, n+1)
		if err != nil {
			return err
		}
		for _, r := range found[:min(n, len(found))] {
			out.Referrers = append(out.Referrers, api.ImageReferrer{
				Digest: string(r.Digest), MediaType: r.MediaType, ArtifactType: r.ArtifactType, Size: r.ManifestSize,
				Annotations: r.Annotations, ArtifactStatus: statusActive,
			})
		}
		if len(found) > n {
			p.After = string(found[n-1].Digest)
			out.NextToken = p.token()
		}
		return nil
	})
	return out, err
}
