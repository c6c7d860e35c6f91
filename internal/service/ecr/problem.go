package ecr

import (
	"errors"
	"net/http"

	"github.com/coffer-registry/coffer/internal/awsapi"
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
	if errors.Is(err, registry.ErrTagsChanged) {
		// SDKs try again, and are then asked about the tags that there are.
		return &awsapi.Error{Code: "ServerException", Status: http.StatusInternalServerError, Message: ecrtext.TagsChanged}
	}
	code := ecrtext.Exception(err)
	if code == "" {
		return nil
	}
	var text ecrtext.Text
	var f *failed
	if errors.As(err, &f) {
		text = ecrtext.Text{Registry: f.id.Account, Repository: f.repository}
	}
	p := clientError(code, "")
	for _, sentence := range []func(error, ecrtext.Text) string{repositorySentence, policySentence, imageSentence, layerSentence, limitSentence} {
		if p.Message = sentence(err, text); p.Message != "" {
			break
		}
	}
	tellEnd(p, err, text)
	tellDetail(p, err)
	return p
}

func repositorySentence(err error, text ecrtext.Text) string {
	var tag *registry.ResourceTagError
	var key *registry.KeyError
	switch {
	case errors.As(err, &key):
		return ecrtext.Key(key)
	case errors.Is(err, registry.ErrRepositoryNotFound):
		return text.RepositoryNotFound()
	case errors.Is(err, registry.ErrRepositoryExists):
		return text.RepositoryExists()
	case errors.Is(err, registry.ErrRepositoryNotEmpty):
		return text.RepositoryNotEmpty()
	case errors.As(err, &tag):
		return tag.Reason
	}
	return ""
}

func policySentence(err error, text ecrtext.Text) string {
	var malformed *registry.PolicyError
	var setting *registry.SettingError
	switch {
	case errors.Is(err, registry.ErrPolicyNotFound):
		return text.PolicyNotFound()
	case errors.Is(err, registry.ErrRegistryPolicyNotFound):
		return text.RegistryPolicyNotFound()
	case errors.As(err, &malformed):
		return ecrtext.Policy(malformed)
	case errors.As(err, &setting):
		return ecrtext.Setting(setting)
	}
	return ""
}

// tellDetail adds to a problem with a policy what is wrong with it and where, and to one with a key what KMS calls it,
// which ECR's sentence does not say.
func tellDetail(p *awsapi.Error, err error) {
	var malformed *registry.PolicyError
	var key *registry.KeyError
	switch {
	case errors.As(err, &malformed):
		p.Members = map[string]any{"detail": malformed.Detail}
	case errors.As(err, &key):
		p.Members = map[string]any{"kmsError": key.Code}
	}
}

func imageSentence(err error, text ecrtext.Text) string {
	var notFound *imageNotFound
	var exists *registry.ImageExistsError
	var immutable *registry.TagImmutableError
	var digest *registry.DigestError
	var missing *registry.MissingError
	var manifest *oci.ManifestError
	switch {
	case errors.As(err, &notFound):
		return text.ImageNotFound(notFound.id)
	case errors.As(err, &exists):
		return text.ImageExists(exists)
	case errors.As(err, &immutable):
		return text.TagImmutable(immutable.Tag)
	case errors.As(err, &digest):
		return text.DigestDoesNotMatch(string(digest.Given))
	case errors.As(err, &missing):
		return text.Missing(missing)
	case errors.As(err, &manifest) && manifest.NoMediaType:
		return ecrtext.NoMediaType
	case errors.As(err, &manifest):
		return ecrtext.Manifest(manifest)
	}
	return ""
}

func layerSentence(err error, text ecrtext.Text) string {
	var layer *layerError
	if !errors.As(err, &layer) {
		layer = &layerError{}
	}
	var part *registry.RangeError
	switch {
	case errors.Is(err, registry.ErrLayerNotFound):
		return text.LayerNotFound(layer.digest)
	case errors.Is(err, registry.ErrLayerInaccessible):
		return text.LayerInaccessible(layer.digest)
	case errors.Is(err, registry.ErrLayerExists):
		return text.LayerExists(layer.digest)
	case errors.Is(err, registry.ErrUploadNotFound):
		return text.UploadNotFound(layer.uploadID)
	case errors.Is(err, registry.ErrUploadEmpty):
		return "The upload has not received any layer part"
	case errors.Is(err, registry.ErrPartTooSmall):
		return "Layer parts must be at least 5 MiB in size, except for the last one"
	case errors.Is(err, registry.ErrDigestMismatch):
		return ecrtext.DigestMismatch
	case errors.As(err, &part):
		return "The first byte of the layer part is not the one that follows the last byte received"
	case errors.Is(err, registry.ErrSizeMismatch):
		return "The layer part does not have as many bytes as its range says"
	case errors.Is(err, registry.ErrUploadBusy):
		return "Another request is writing to the upload"
	}
	return ""
}

func limitSentence(err error, text ecrtext.Text) string {
	var limit *registry.LimitError
	switch {
	case errors.As(err, &limit):
		return text.Limit(limit)
	case errors.Is(err, registry.ErrTooBusy):
		return "Rate exceeded"
	}
	return ""
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

// tellEnd adds to a problem with a part where the upload ended, from which a client can go on.
func tellEnd(p *awsapi.Error, err error, text ecrtext.Text) {
	layer := &layerError{}
	errors.As(err, &layer)
	size := layer.size
	var part *registry.RangeError
	switch {
	case errors.As(err, &part):
		size = part.Size
	case !errors.Is(err, registry.ErrSizeMismatch):
		return
	}
	p.Members = map[string]any{"registryId": text.Registry, "repositoryName": text.Repository, "uploadId": layer.uploadID}
	if size > 0 {
		p.Members["lastValidByteReceived"] = size - 1
	}
}
