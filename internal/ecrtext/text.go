// Package ecrtext holds the sentences in which Amazon ECR tells clients what is wrong. Scripts match them, at the API and
// at the docker endpoint alike, so each is written once, here. Codes and statuses are the edges' own.
package ecrtext

import (
	"fmt"
	"strings"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/registry"
)

// DigestMismatch says that the bytes of a layer are not what the client said they are.
const DigestMismatch = "None of the provided layer digests match the calculated layer digest"

// NoMediaType says that nothing tells of which kind a manifest is.
const NoMediaType = "image manifest mediatype not provided in manifest or parameter"

// InvalidParameter says that a parameter breaks a rule.
func InvalidParameter(field, reason string) string {
	return fmt.Sprintf("Invalid parameter at '%s' failed to satisfy constraint: '%s'", field, reason)
}

// Manifest says what is wrong with a manifest.
func Manifest(err *oci.ManifestError) string {
	return InvalidParameter("ImageManifest", "Invalid JSON syntax") + ": " + err.Error()
}

// TagsChanged says that an image can't be deleted at this moment.
const TagsChanged = "The tags of the image changed while it was being deleted. Try again."

// Policy says that a text is no policy of its kind, or that it names somebody who does not exist.
func Policy(err *registry.PolicyError) string {
	if err.UnknownPrincipal {
		return InvalidParameter("PolicyText", "Principal not found")
	}
	return InvalidParameter("PolicyText", fmt.Sprintf("Invalid %s policy provided", err.Kind))
}

// Setting says that a setting does not take a value.
func Setting(err *registry.SettingError) string {
	return InvalidParameter("value", "Member must satisfy enum value set: ["+strings.Join(err.Values, ", ")+"]")
}

// Text makes the sentences about a repository of a registry.
type Text struct {
	// Registry is the account id of the registry's owner.
	Registry   string
	Repository string
}

// Key says why the customer key of a repository can't be used, in the words of KMS.
func Key(err *registry.KeyError) string {
	if err.Message == "" {
		return "The KMS key of the repository can't be used: " + err.Code
	}
	return "The KMS key of the repository can't be used: " + err.Message
}

// RepositoryNotFound says that the repository does not exist.
func (t Text) RepositoryNotFound() string {
	return fmt.Sprintf("The repository with name '%s' does not exist in the registry with id '%s'", t.Repository, t.Registry)
}

// RepositoryExists says that the repository exists already.
func (t Text) RepositoryExists() string {
	return fmt.Sprintf("The repository with name '%s' already exists in the registry with id '%s'", t.Repository, t.Registry)
}

// RepositoryNotEmpty says that the repository can't be deleted without force.
func (t Text) RepositoryNotEmpty() string {
	return fmt.Sprintf("The repository with name '%s' in registry with id '%s' cannot be deleted because it still contains images", t.Repository, t.Registry)
}

// PolicyNotFound says that the repository has no policy.
func (t Text) PolicyNotFound() string {
	return fmt.Sprintf("Repository policy does not exist for the repository with name '%s' in the registry with id '%s'", t.Repository, t.Registry)
}

// RegistryPolicyNotFound says that the registry has no policy.
func (t Text) RegistryPolicyNotFound() string {
	return fmt.Sprintf("Registry policy does not exist in the registry with id '%s'", t.Registry)
}

// ImageNotFound says that no image has that id.
func (t Text) ImageNotFound(id registry.ImageID) string {
	return fmt.Sprintf("The image with imageId {imageDigest:'%s', imageTag:'%s'} does not exist within the repository with name '%s' in the registry with id '%s'",
		orNull(id.Digest), orNull(id.Tag), t.Repository, t.Registry)
}

// ImageExists says that exactly this image with this tag is there already.
func (t Text) ImageExists(err *registry.ImageExistsError) string {
	return fmt.Sprintf("Image with digest '%s' and tag '%s' already exists in the repository with name '%s' in registry with id '%s'",
		err.Digest, orNull(err.Tag), t.Repository, t.Registry)
}

// TagImmutable says that the tag can't be pushed again.
func (t Text) TagImmutable(tag string) string {
	return fmt.Sprintf("The image tag '%s' already exists in the '%s' repository and cannot be overwritten because the tag is immutable.", tag, t.Repository)
}

// DigestDoesNotMatch says that a manifest does not have the digest that was given.
func (t Text) DigestDoesNotMatch(given string) string {
	return fmt.Sprintf("The image with digest '%s' in repository '%s' and registry ID '%s' does not match the image digest that Amazon ECR has calculated.",
		given, t.Repository, t.Registry)
}

// Missing says which layers or images a manifest refers to that the repository lacks.
func (t Text) Missing(err *registry.MissingError) string {
	what := "Layers"
	if err.Images {
		what = "Images"
	}
	digests := make([]string, len(err.Digests))
	for i, d := range err.Digests {
		digests[i] = string(d)
	}
	return fmt.Sprintf("%s with digests '[%s]' required for pushing image into repository with name '%s' in the registry with id '%s' do not exist",
		what, strings.Join(digests, ", "), t.Repository, t.Registry)
}

// LayerNotFound says that the repository lacks a layer.
func (t Text) LayerNotFound(digest string) string {
	return fmt.Sprintf("The layer with digest %s does not exist within the repository with name '%s' in the registry with id '%s'", digest, t.Repository, t.Registry)
}

// LayerInaccessible says that no image refers to a layer yet.
func (t Text) LayerInaccessible(digest string) string {
	return fmt.Sprintf("The layer with digest %s is not accessible within the repository with name '%s' in the registry with id '%s' because no image refers to it",
		digest, t.Repository, t.Registry)
}

// LayerExists says that the repository has a layer already.
func (t Text) LayerExists(digest string) string {
	return fmt.Sprintf("The layer with digest %s already exists in the repository with name '%s' in the registry with id '%s'", digest, t.Repository, t.Registry)
}

// UploadNotFound says that an upload does not exist.
func (t Text) UploadNotFound(id string) string {
	return fmt.Sprintf("The upload with id '%s' could not be found in the repository with name '%s' in the registry with id '%s'", id, t.Repository, t.Registry)
}

// Limit says which quota is used up.
func (t Text) Limit(err *registry.LimitError) string {
	switch err.Limit {
	case registry.ImagesPerRepository:
		return fmt.Sprintf("The repository with name '%s' in registry with id '%s' already has the maximum allowed number of images which is '%d'", t.Repository, t.Registry, err.Value)
	case registry.TagsPerImage:
		return fmt.Sprintf("Adding tag '%s' to an image in the repository with name '%s' in registry with id '%s' exceeds the maximum allowed number of tags per image which is '%d'",
			err.Tag, t.Repository, t.Registry, err.Value)
	case registry.RepositoriesPerRegistry:
		return fmt.Sprintf("The registry with id '%s' already has the maximum allowed number of repositories which is '%d'", t.Registry, err.Value)
	case registry.ResourceTags:
		return fmt.Sprintf("The repository with name '%s' in registry with id '%s' would have more than the maximum allowed number of tags which is '%d'", t.Repository, t.Registry, err.Value)
	case registry.LayerBytes:
		return fmt.Sprintf("The layer exceeds the maximum allowed size which is '%d' bytes", err.Value)
	case registry.LayerParts:
		return fmt.Sprintf("The layer exceeds the maximum allowed number of parts which is '%d'", err.Value)
	case registry.PartBytesMax:
		return fmt.Sprintf("The layer part exceeds the maximum allowed size which is '%d' bytes", err.Value)
	case registry.BlobsPerImage:
		return fmt.Sprintf("The image exceeds the maximum allowed number of layers which is '%d'", err.Value)
	case registry.ManifestBytes:
		return fmt.Sprintf("The image manifest exceeds the maximum allowed size which is '%d' bytes", err.Value)
	case registry.ExclusionFilters:
		return fmt.Sprintf("The maximum allowed number of image tag mutability exclusion filters is '%d'", err.Value)
	}
	return fmt.Sprintf("The limit %s of '%d' is exceeded", err.Limit, err.Value)
}

func orNull(s string) string {
	if s == "" {
		return "null"
	}
	return s
}
