package ecrtext

import (
	"errors"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/registry"
)

// Exception is the name that Amazon ECR's API has for an error of the registry: what a client of the API is told and what
// the trail calls the error, at the docker endpoint too. It is empty for errors that ECR has no name for.
func Exception(err error) string {
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return s.exception
		}
	}
	var tag *registry.ResourceTagError
	var malformed *registry.PolicyError
	var setting *registry.SettingError
	var exists *registry.ImageExistsError
	var immutable *registry.TagImmutableError
	var digest *registry.DigestError
	var missing *registry.MissingError
	var manifest *oci.ManifestError
	var part *registry.RangeError
	var limit *registry.LimitError
	var key *registry.KeyError
	switch {
	case errors.As(err, &key):
		return "KmsException"
	case errors.As(err, &tag):
		return "InvalidTagParameterException"
	case errors.As(err, &malformed):
		return "InvalidParameterException"
	case errors.As(err, &setting):
		return "ValidationException"
	case errors.As(err, &exists):
		return "ImageAlreadyExistsException"
	case errors.As(err, &immutable):
		return "ImageTagAlreadyExistsException"
	case errors.As(err, &digest):
		return "ImageDigestDoesNotMatchException"
	case errors.As(err, &missing) && missing.Images:
		return "ReferencedImagesNotFoundException"
	case errors.As(err, &missing):
		return "LayersNotFoundException"
	case errors.As(err, &manifest):
		return "InvalidParameterException"
	case errors.As(err, &part):
		return "InvalidLayerPartException"
	case errors.As(err, &limit):
		return limitException(limit.Limit)
	}
	return ""
}

var sentinels = [...]struct {
	err       error
	exception string
}{
	{registry.ErrRepositoryNotFound, "RepositoryNotFoundException"},
	{registry.ErrRepositoryExists, "RepositoryAlreadyExistsException"},
	{registry.ErrRepositoryNotEmpty, "RepositoryNotEmptyException"},
	{registry.ErrPolicyNotFound, "RepositoryPolicyNotFoundException"},
	{registry.ErrRegistryPolicyNotFound, "RegistryPolicyNotFoundException"},
	{registry.ErrImageNotFound, "ImageNotFoundException"},
	{registry.ErrLayerNotFound, "LayersNotFoundException"},
	{registry.ErrLayerInaccessible, "LayerInaccessibleException"},
	{registry.ErrLayerExists, "LayerAlreadyExistsException"},
	{registry.ErrUploadNotFound, "UploadNotFoundException"},
	{registry.ErrUploadEmpty, "EmptyUploadException"},
	{registry.ErrPartTooSmall, "LayerPartTooSmallException"},
	{registry.ErrDigestMismatch, "InvalidLayerException"},
	{registry.ErrSizeMismatch, "InvalidLayerPartException"},
	{registry.ErrUploadBusy, "InvalidLayerPartException"},
	{registry.ErrTooBusy, "ThrottlingException"},
}

func limitException(limit registry.Limit) string {
	switch limit {
	case registry.ResourceTags:
		return "TooManyTagsException"
	case registry.ManifestBytes, registry.ExclusionFilters:
		return "InvalidParameterException"
	}
	return "LimitExceededException"
}
