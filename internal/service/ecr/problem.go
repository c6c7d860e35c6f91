package ecr

import (
	"errors"
	"net/http"

	"github.com/coffer-registry/coffer/internal/awsapi"
	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/ecrtext"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/registry"
)

// clientError makes an error of ECR: all that a client can bring about have the status 400.
func clientError(code, message string) *awsapi.Error {
	return &awsapi.Error{Code: code, Message: message, Status: http.StatusBadRequest}
}

// invalid says that a parameter breaks a rule.
func invalid(field, reason string) *awsapi.Error {
	return clientError("InvalidParameterException", ecrtext.InvalidParameter(field, reason))
}

// problem turns an error of the registry into ECR's code and sentence; nil for one that no client can bring about.
func problem(err error) *awsapi.Error {
	var text ecrtext.Text
	var f *failed
	if errors.As(err, &f) {
		text = ecrtext.Text{Registry: f.id.Account, Repository: f.repository}
	}
	for _, explain := range []func(error, ecrtext.Text) *awsapi.Error{repositoryProblem, imageProblem, layerProblem, limitProblem} {
		if p := explain(err, text); p != nil {
			return p
		}
	}
	return nil
}

func repositoryProblem(err error, text ecrtext.Text) *awsapi.Error {
	var tag *registry.ResourceTagError
	switch {
	case errors.Is(err, registry.ErrRepositoryNotFound):
		return clientError("RepositoryNotFoundException", text.RepositoryNotFound())
	case errors.Is(err, registry.ErrRepositoryExists):
		return clientError("RepositoryAlreadyExistsException", text.RepositoryExists())
	case errors.Is(err, registry.ErrRepositoryNotEmpty):
		return clientError("RepositoryNotEmptyException", text.RepositoryNotEmpty())
	case errors.As(err, &tag):
		return clientError("InvalidTagParameterException", tag.Reason)
	}
	return nil
}

func imageProblem(err error, text ecrtext.Text) *awsapi.Error {
	var notFound *imageNotFound
	var exists *registry.ImageExistsError
	var immutable *registry.TagImmutableError
	var digest *registry.DigestError
	var missing *registry.MissingError
	var manifest *oci.ManifestError
	switch {
	case errors.As(err, &notFound):
		return clientError("ImageNotFoundException", text.ImageNotFound(notFound.id))
	case errors.As(err, &exists):
		return clientError("ImageAlreadyExistsException", text.ImageExists(exists))
	case errors.As(err, &immutable):
		return clientError("ImageTagAlreadyExistsException", text.TagImmutable(immutable.Tag))
	case errors.As(err, &digest):
		return clientError("ImageDigestDoesNotMatchException", text.DigestDoesNotMatch(string(digest.Given)))
	case errors.As(err, &missing) && missing.Images:
		return clientError("ReferencedImagesNotFoundException", text.Missing(missing))
	case errors.As(err, &missing):
		return clientError("LayersNotFoundException", text.Missing(missing))
	case errors.As(err, &manifest) && manifest.NoMediaType:
		return clientError("InvalidParameterException", ecrtext.NoMediaType)
	case errors.As(err, &manifest):
		return clientError("InvalidParameterException", ecrtext.Manifest(manifest))
	}
	return nil
}

func layerProblem(err error, text ecrtext.Text) *awsapi.Error {
	var layer *layerError
	if !errors.As(err, &layer) {
		layer = &layerError{}
	}
	var part *registry.RangeError
	switch {
	case errors.Is(err, registry.ErrLayerNotFound):
		return clientError("LayersNotFoundException", text.LayerNotFound(layer.digest))
	case errors.Is(err, registry.ErrLayerInaccessible):
		return clientError("LayerInaccessibleException", text.LayerInaccessible(layer.digest))
	case errors.Is(err, registry.ErrLayerExists):
		return clientError("LayerAlreadyExistsException", text.LayerExists(layer.digest))
	case errors.Is(err, registry.ErrUploadNotFound):
		return clientError("UploadNotFoundException", text.UploadNotFound(layer.uploadID))
	case errors.Is(err, registry.ErrUploadEmpty):
		return clientError("EmptyUploadException", "The upload has not received any layer part")
	case errors.Is(err, registry.ErrPartTooSmall):
		return clientError("LayerPartTooSmallException", "Layer parts must be at least 5 MiB in size, except for the last one")
	case errors.Is(err, registry.ErrDigestMismatch):
		return clientError("InvalidLayerException", ecrtext.DigestMismatch)
	case errors.As(err, &part):
		return layer.partProblem(text, part.Size, "The first byte of the layer part is not the one that follows the last byte received")
	case errors.Is(err, registry.ErrSizeMismatch):
		return layer.partProblem(text, layer.size, "The layer part does not have as many bytes as its range says")
	case errors.Is(err, registry.ErrUploadBusy):
		return clientError("InvalidLayerPartException", "Another request is writing to the upload")
	}
	return nil
}

func limitProblem(err error, text ecrtext.Text) *awsapi.Error {
	var limit *registry.LimitError
	switch {
	case errors.As(err, &limit) && limit.Limit == registry.ResourceTags:
		return clientError("TooManyTagsException", text.Limit(limit))
	case errors.As(err, &limit) && (limit.Limit == registry.ManifestBytes || limit.Limit == registry.ExclusionFilters):
		return clientError("InvalidParameterException", text.Limit(limit))
	case errors.As(err, &limit):
		return clientError("LimitExceededException", text.Limit(limit))
	case errors.Is(err, registry.ErrTooBusy):
		return clientError("ThrottlingException", "Rate exceeded")
	case errors.Is(err, blob.ErrNoSpace):
		return &awsapi.Error{Code: "ServiceUnavailableException", Status: http.StatusServiceUnavailable,
			Message: "The server can't write to its disk at the moment. Try again later."}
	}
	return nil
}

// imageNotFound says which of several ids was not found.
type imageNotFound struct{ id registry.ImageID }

func (e *imageNotFound) Error() string { return registry.ErrImageNotFound.Error() }
func (e *imageNotFound) Unwrap() error { return registry.ErrImageNotFound }

// layerError says which layer or upload an error concerns.
type layerError struct {
	digest, uploadID string
	size             int64 // of the upload, in bytes
	err              error
}

func (e *layerError) Error() string { return e.err.Error() }
func (e *layerError) Unwrap() error { return e.err }

// partProblem tells where the upload ended, from which a client can go on.
func (e *layerError) partProblem(text ecrtext.Text, size int64, message string) *awsapi.Error {
	p := clientError("InvalidLayerPartException", message)
	p.Members = map[string]any{"registryId": text.Registry, "repositoryName": text.Repository, "uploadId": e.uploadID}
	if size > 0 {
		p.Members["lastValidByteReceived"] = size - 1
	}
	return p
}
