package ecr

import (
	"context"
	"errors"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/ecr"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/registry"
)

func (s *service) addLayers(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.BatchCheckLayerAvailabilityRequest, api.BatchCheckLayerAvailabilityResponse]{
		Action: "ecr:BatchCheckLayerAvailability",
		Resources: func(c awsapi.Call, in *api.BatchCheckLayerAvailabilityRequest) []policy.Resource {
			return onRepository(c, in.RegistryID, in.RepositoryName)
		},
		Read: s.batchCheckLayerAvailability,
	})
	awsapi.Add(out, awsapi.Op[api.GetDownloadUrlForLayerRequest, api.GetDownloadUrlForLayerResponse]{
		Action: "ecr:GetDownloadUrlForLayer",
		Resources: func(c awsapi.Call, in *api.GetDownloadUrlForLayerRequest) []policy.Resource {
			return onRepository(c, in.RegistryID, in.RepositoryName)
		},
		Read: s.getDownloadURLForLayer,
	})
}

func (s *service) batchCheckLayerAvailability(ctx context.Context, c awsapi.Call, in *api.BatchCheckLayerAvailabilityRequest) (*api.BatchCheckLayerAvailabilityResponse, error) {
	id := registryID(c, in.RegistryID)
	repo, err := s.Registry.Find(ctx, id, in.RepositoryName)
	if err != nil {
		return nil, about(id, in.RepositoryName, err)
	}
	out := &api.BatchCheckLayerAvailabilityResponse{Layers: []api.Layer{}, Failures: []api.LayerFailure{}}
	for _, text := range in.LayerDigests {
		if failure := digestFailure(text); failure != nil {
			out.Failures = append(out.Failures, *failure)
			continue
		}
		layer, err := s.Registry.Layer(ctx, repo, oci.Digest(text))
		if errors.Is(err, registry.ErrLayerNotFound) {
			out.Layers = append(out.Layers, api.Layer{LayerDigest: text, LayerAvailability: "UNAVAILABLE"})
			continue
		}
		if err != nil {
			return nil, err
		}
		size := layer.Size
		out.Layers = append(out.Layers, api.Layer{LayerDigest: text, LayerAvailability: "AVAILABLE", LayerSize: &size, MediaType: layer.MediaType})
	}
	return out, nil
}

func digestFailure(text string) *api.LayerFailure {
	if text == "" {
		return &api.LayerFailure{FailureCode: "MissingLayerDigest", FailureReason: "Layer digest must not be empty"}
	}
	if _, err := oci.ParseDigest(text); err != nil {
		return &api.LayerFailure{LayerDigest: text, FailureCode: "InvalidLayerDigest",
			FailureReason: "Invalid layer digest: it must be sha256: and 64 lower-case hexadecimal digits"}
	}
	return nil
}

func (s *service) getDownloadURLForLayer(ctx context.Context, c awsapi.Call, in *api.GetDownloadUrlForLayerRequest) (*api.GetDownloadUrlForLayerResponse, error) {
	id := registryID(c, in.RegistryID)
	repo, err := s.Registry.Find(ctx, id, in.RepositoryName)
	if err != nil {
		return nil, about(id, in.RepositoryName, err)
	}
	layer, err := s.Registry.Layer(ctx, repo, oci.Digest(in.LayerDigest))
	if err == nil && !layer.Referenced {
		err = registry.ErrLayerInaccessible
	}
	if err == nil {
		err = s.Registry.Usable(repo)
	}
	if err != nil {
		return nil, about(id, in.RepositoryName, &layerError{digest: in.LayerDigest, err: err})
	}
	url, err := s.DownloadURL(c, id, in.RepositoryName, in.LayerDigest)
	if err != nil {
		return nil, err
	}
	return &api.GetDownloadUrlForLayerResponse{DownloadURL: url, LayerDigest: in.LayerDigest}, nil
}
