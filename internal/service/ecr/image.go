package ecr

import (
	"context"
	"errors"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/ecr"
	"github.com/coffer-registry/coffer/internal/ecrtext"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/store"
)

// maxImageBody bounds the body of PutImage: a manifest of 4 MiB in which every byte is escaped, and the rest.
const maxImageBody = 6*oci.MaxManifestSize + 64<<10

func (s *service) addImages(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.PutImageRequest, api.PutImageResponse]{
		Action: "ecr:PutImage",
		Resources: func(c awsapi.Call, in *api.PutImageRequest) []policy.Resource {
			return onRepository(c, in.RegistryID, in.RepositoryName)
		},
		Context: func(_ awsapi.Call, in *api.PutImageRequest) policy.Context {
			return registry.KeysOf(registry.ImageID{Digest: in.ImageDigest, Tag: in.ImageTag})
		},
		MaxBody: maxImageBody,
		Stage:   s.putImage,
	})
	awsapi.Add(out, awsapi.Op[api.BatchGetImageRequest, api.BatchGetImageResponse]{
		Action: "ecr:BatchGetImage",
		Resources: func(c awsapi.Call, in *api.BatchGetImageRequest) []policy.Resource {
			return onRepository(c, in.RegistryID, in.RepositoryName)
		},
		Context: func(_ awsapi.Call, in *api.BatchGetImageRequest) policy.Context {
			return registry.KeysOf(imageIDs(in.ImageIDs)...)
		},
		Read: s.batchGetImage,
	})
	awsapi.Add(out, awsapi.Op[api.BatchDeleteImageRequest, api.BatchDeleteImageResponse]{
		Action: "ecr:BatchDeleteImage",
		Ask:    s.askBatchDeleteImage,
		Write:  s.batchDeleteImage,
	})
}

func (s *service) putImage(ctx context.Context, c awsapi.Call, in *api.PutImageRequest) (awsapi.Staged[api.PutImageResponse], error) {
	id := registryID(c, in.RegistryID)
	if in.ImageTag != "" && !oci.ValidTag(in.ImageTag) {
		return awsapi.Staged[api.PutImageResponse]{}, invalid("imageTag", "must satisfy regular expression '[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}'")
	}
	push, err := s.Registry.NewPush([]byte(in.ImageManifest), in.ImageManifestMediaType, in.ImageTag, oci.Digest(in.ImageDigest))
	if err != nil {
		return awsapi.Staged[api.PutImageResponse]{}, about(id, in.RepositoryName, err)
	}
	repo, err := s.Registry.Find(ctx, id, in.RepositoryName)
	if err != nil {
		return awsapi.Staged[api.PutImageResponse]{}, about(id, in.RepositoryName, err)
	}
	save := func(tx *store.Tx) (*api.PutImageResponse, error) {
		image, err := s.Registry.PutImage(tx, repo, push)
		if err != nil {
			return nil, about(id, in.RepositoryName, err)
		}
		return &api.PutImageResponse{Image: &api.Image{
			RegistryID: id.Account, RepositoryName: in.RepositoryName,
			ImageID:       &api.ImageIdentifier{ImageDigest: string(image.Digest), ImageTag: in.ImageTag},
			ImageManifest: in.ImageManifest, ImageManifestMediaType: image.MediaType,
		}}, nil
	}
	return awsapi.Staged[api.PutImageResponse]{Save: save}, nil
}

func (s *service) batchGetImage(ctx context.Context, c awsapi.Call, in *api.BatchGetImageRequest) (*api.BatchGetImageResponse, error) {
	id := registryID(c, in.RegistryID)
	repo, err := s.Registry.Find(ctx, id, in.RepositoryName)
	if err != nil {
		return nil, about(id, in.RepositoryName, err)
	}
	out := &api.BatchGetImageResponse{Images: []api.Image{}, Failures: []api.ImageFailure{}}
	for _, wanted := range in.ImageIDs {
		manifest, failure, err := s.wantedImage(ctx, repo, wanted, in.AcceptedMediaTypes)
		if err != nil {
			return nil, err
		}
		if failure != nil {
			out.Failures = append(out.Failures, *failure)
			continue
		}
		s.Registry.RecordPull(repo, manifest.Digest)
		out.Images = append(out.Images, api.Image{
			RegistryID: id.Account, RepositoryName: in.RepositoryName,
			ImageID:       &api.ImageIdentifier{ImageDigest: string(manifest.Digest), ImageTag: wanted.ImageTag},
			ImageManifest: string(manifest.Body), ImageManifestMediaType: manifest.MediaType,
		})
	}
	return out, nil
}

// wantedImage finds one image of a batch, or says why it can't be had.
func (s *service) wantedImage(ctx context.Context, repo registry.Repository, wanted api.ImageIdentifier, accepted []string) (*registry.Manifest, *api.ImageFailure, error) {
	fail := func(code registry.FailureCode, reason string) (*registry.Manifest, *api.ImageFailure, error) {
		return nil, &api.ImageFailure{ImageID: &wanted, FailureCode: string(code), FailureReason: reason}, nil
	}
	if failure := registry.CheckImageID(imageID(wanted)); failure != nil {
		return fail(failure.Code, failure.Reason)
	}
	digest := oci.Digest(wanted.ImageDigest)
	if wanted.ImageTag != "" {
		tagged, err := s.Registry.ResolveTag(ctx, repo, wanted.ImageTag)
		switch {
		case errors.Is(err, registry.ErrImageNotFound):
			return fail(registry.FailureNotFound, "Requested image not found")
		case err != nil:
			return nil, nil, err
		case digest != "" && digest != tagged:
			return fail(registry.FailureTagMismatch, "Requested image tag does not match the image digest")
		}
		digest = tagged
	}
	manifest, err := s.Registry.Manifest(ctx, repo, digest)
	if errors.Is(err, registry.ErrImageNotFound) {
		return fail(registry.FailureNotFound, "Requested image not found")
	}
	var key *registry.KeyError
	if errors.As(err, &key) {
		return fail(registry.FailureKey, ecrtext.Key(key))
	}
	if err != nil {
		return nil, nil, err
	}
	if !oci.AcceptAllows(accepted, manifest.MediaType) {
		return fail(registry.FailureNotFound, "Requested image has the media type "+manifest.MediaType+", which is not among the accepted media types")
	}
	return manifest, nil, nil
}

func imageID(id api.ImageIdentifier) registry.ImageID {
	return registry.ImageID{Digest: id.ImageDigest, Tag: id.ImageTag}
}

func imageIDs(ids []api.ImageIdentifier) []registry.ImageID {
	out := make([]registry.ImageID, len(ids))
	for i, id := range ids {
		out[i] = imageID(id)
	}
	return out
}

func identifier(id registry.ImageID) api.ImageIdentifier {
	return api.ImageIdentifier{ImageDigest: id.Digest, ImageTag: id.Tag}
}

// askBatchDeleteImage finds out which tags go with the images. They are handed on, so that no other goes with them.
func (s *service) askBatchDeleteImage(ctx context.Context, c awsapi.Call, in *api.BatchDeleteImageRequest) (awsapi.Asked, error) {
	questions := policy.Ask([]string{"ecr:BatchDeleteImage"}, onRepository(c, in.RegistryID, in.RepositoryName)...)
	keys, tags, err := s.Registry.DeletionKeys(ctx, registryID(c, in.RegistryID), in.RepositoryName, imageIDs(in.ImageIDs))
	return awsapi.Asked{Questions: questions, Context: keys, Found: tags}, err
}

func (s *service) batchDeleteImage(tx *store.Tx, c awsapi.Call, in *api.BatchDeleteImageRequest) (*api.BatchDeleteImageResponse, error) {
	id := registryID(c, in.RegistryID)
	deleted, failures, err := s.Registry.DeleteImages(tx, id, in.RepositoryName, imageIDs(in.ImageIDs))
	if err == nil {
		err = registry.CheckDeleted(deleted, c.Found.([]string))
	}
	if err != nil {
		return nil, about(id, in.RepositoryName, err)
	}
	out := &api.BatchDeleteImageResponse{ImageIDs: []api.ImageIdentifier{}, Failures: []api.ImageFailure{}}
	for _, d := range deleted {
		out.ImageIDs = append(out.ImageIDs, identifier(d))
	}
	for _, f := range failures {
		echo := identifier(f.ID)
		out.Failures = append(out.Failures, api.ImageFailure{ImageID: &echo, FailureCode: string(f.Code), FailureReason: f.Reason})
	}
	return out, nil
}
