package registry

import (
	"context"
	"errors"
	"slices"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// ErrTagsChanged means that an image got a tag while a request to delete it was on its way, which nobody was asked about.
var ErrTagsChanged = errors.New("the tags of the image changed meanwhile")

// Values of coffer:ImageDigestOnly.
var (
	named    = []string{"false"}
	digested = []string{"true"}
)

// ImageKeys are the condition keys of a request that names images: coffer:ImageTag holds the tags that it would put, move,
// read or delete, and coffer:ImageDigestOnly says whether it names none of the images by a tag.
func ImageKeys(tags []string, digestOnly bool) policy.Context {
	keys := policy.Context{"coffer:imagedigestonly": named}
	if digestOnly {
		keys["coffer:imagedigestonly"] = digested
	}
	if len(tags) > 0 {
		keys["coffer:imagetag"] = tags
	}
	return keys
}

// KeysOf are the condition keys of a request for images.
func KeysOf(ids ...ImageID) policy.Context {
	tags := tagsOf(ids)
	return ImageKeys(tags, len(tags) == 0)
}

// tagsOf are the tags that ids name, each once.
func tagsOf(ids []ImageID) (tags []string) {
	for _, id := range ids {
		if id.Tag != "" {
			tags = append(tags, id.Tag)
		}
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}

// DeletionKeys are the condition keys of a request to delete images, and the tags among them: a deletion by digest takes all
// the tags of the image with it. What does not exist has none.
func (r *Registry) DeletionKeys(ctx context.Context, id ID, name string, ids []ImageID) (keys policy.Context, tags []string, err error) {
	tags = tagsOf(ids)
	digestOnly := len(tags) == 0
	if !slices.ContainsFunc(ids, func(id ImageID) bool { return id.Tag == "" && id.Digest != "" }) {
		return ImageKeys(tags, digestOnly), tags, nil
	}
	err = r.db.View(ctx, func(tx *store.Tx) error {
		tags = tagsOf(ids)
		repo, err := r.repository(tx, id, name)
		if errors.Is(err, ErrRepositoryNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, id := range ids {
			if id.Tag != "" {
				continue
			}
			image, err := r.image(tx, repo.id, oci.Digest(id.Digest))
			if errors.Is(err, ErrImageNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			all, err := r.imageTags(tx, repo.id, image)
			if err != nil {
				return err
			}
			tags = append(tags, all...)
		}
		return nil
	})
	slices.Sort(tags)
	tags = slices.Compact(tags)
	return ImageKeys(tags, digestOnly), tags, err
}

// CheckDeleted compares what was deleted with the tags that the request was said to delete. The error is ErrTagsChanged.
func CheckDeleted(deleted []ImageID, tags []string) error {
	for _, id := range deleted {
		if _, asked := slices.BinarySearch(tags, id.Tag); id.Tag != "" && !asked {
			return ErrTagsChanged
		}
	}
	return nil
}
