package registry

import (
	"errors"
	"fmt"

	"github.com/coffer-registry/coffer/internal/oci"
)

// Errors that carry nothing but themselves. Edges turn them into their protocol's code, status and text.
var (
	ErrRepositoryExists   = errors.New("the repository already exists")
	ErrRepositoryNotFound = errors.New("the repository does not exist")
	ErrRepositoryNotEmpty = errors.New("the repository still contains images")
	ErrImageNotFound      = errors.New("the image does not exist")
	ErrLayerNotFound      = errors.New("the layer does not exist")
	ErrLayerInaccessible  = errors.New("no image of the repository refers to the layer yet")
	ErrLayerExists        = errors.New("the layer already exists in the repository")
	ErrLayerReferenced    = errors.New("an image refers to the layer")
	ErrUploadNotFound     = errors.New("the upload does not exist")
	ErrUploadBusy         = errors.New("another request is writing to the upload")
	ErrUploadEmpty        = errors.New("the upload has received no bytes")
	ErrPartTooSmall       = errors.New("a part that is not the last is smaller than the minimum")
	ErrDigestMismatch     = errors.New("the bytes do not have the digest that was given")
	ErrSizeMismatch       = errors.New("fewer or more bytes came than were announced")
	ErrTooBusy            = errors.New("too many uploads at once")
	ErrPolicyNotFound     = errors.New("the repository has no policy")
	ErrFiltersMissing     = errors.New("mutability exclusion filters are missing")
	ErrFiltersUnexpected  = errors.New("mutability exclusion filters are given for a mutability that takes none")

	ErrRegistryPolicyNotFound = errors.New("the registry has no policy")
)

// RangeError means that a part does not begin where the upload ended.
type RangeError struct {
	// Size is how many bytes the upload has received.
	Size int64
}

func (e *RangeError) Error() string {
	return fmt.Sprintf("the part does not begin at byte %d, where the upload ended", e.Size)
}

// TagImmutableError means that an existing tag can't be moved or pushed again.
type TagImmutableError struct{ Tag string }

func (e *TagImmutableError) Error() string { return fmt.Sprintf("the tag %s is immutable", e.Tag) }

// ImageExistsError means that exactly this image with exactly this tag, if any, is there already.
type ImageExistsError struct {
	Digest oci.Digest
	Tag    string // empty if the image was pushed without
}

func (e *ImageExistsError) Error() string {
	return fmt.Sprintf("the image %s already exists", e.Digest)
}

// MissingError names what a manifest refers to and its repository lacks.
type MissingError struct {
	Digests []oci.Digest
	// Images is set when child images are missing, and not layers.
	Images bool
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%d blobs or images that the manifest refers to are missing, the first is %s", len(e.Digests), e.Digests[0])
}

// LimitError means that a quota is used up.
type LimitError struct {
	Limit Limit
	Value int64
	// Tag is set where the limit concerns one.
	Tag string
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("the limit %s of %d is reached", e.Limit, e.Value)
}

// DigestError means that a manifest is not what its sender says it is.
type DigestError struct{ Given, Computed oci.Digest }

func (e *DigestError) Error() string {
	return fmt.Sprintf("the manifest has the digest %s, not %s", e.Computed, e.Given)
}

// ResourceTagError means that a resource tag breaks a rule.
type ResourceTagError struct{ Reason string }

func (e *ResourceTagError) Error() string { return e.Reason }
