package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/store"
)

// TagStatus selects images by whether they have tags.
type TagStatus string

// The selections.
const (
	AnyStatus TagStatus = ""
	Tagged    TagStatus = "TAGGED"
	Untagged  TagStatus = "UNTAGGED"
)

// where is the condition of a selection. A page reads on until it is full, past what isn't selected.
func (s TagStatus) where() string {
	switch s {
	case Tagged:
		return " AND tags > 0"
	case Untagged:
		return " AND tags = 0"
	}
	return ""
}

// Images returns up to limit images of a repository with their tags, in the order of digests, from the first digest
// above after.
func (r *Registry) Images(tx *store.Tx, repo Repository, status TagStatus, after string, limit int) ([]Image, error) {
	rows, err := tx.Query(`SELECT `+imageColumns+` FROM image WHERE repository = $1 AND digest > $2`+status.where()+` ORDER BY digest LIMIT $3`,
		repo.id, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list the images of %s: %w", repo.Name, err)
	}
	images, err := store.Collect(rows, scanImage)
	if err != nil {
		return nil, err
	}
	for i := range images {
		if images[i].Tags, err = r.imageTags(tx, repo.id, images[i]); err != nil {
			return nil, err
		}
	}
	return images, nil
}

func (r *Registry) imageTags(tx *store.Tx, repository int64, image Image) ([]string, error) {
	if image.tags == 0 {
		return nil, nil
	}
	return r.texts(tx, `SELECT name FROM tag WHERE repository = $1 AND digest = $2 ORDER BY name`, repository, string(image.Digest))
}

// ImageByID finds an image with its tags by digest, tag or both. The error is ErrImageNotFound.
func (r *Registry) ImageByID(tx *store.Tx, repo Repository, id ImageID) (Image, error) {
	digest := oci.Digest(id.Digest)
	if id.Tag != "" {
		tagged, err := r.tagDigest(tx, repo.id, id.Tag)
		if err != nil {
			return Image{}, err
		}
		if digest != "" && digest != tagged {
			return Image{}, ErrImageNotFound
		}
		digest = tagged
	}
	image, err := r.image(tx, repo.id, digest)
	if err != nil {
		return Image{}, err
	}
	image.Tags, err = r.imageTags(tx, repo.id, image)
	return image, err
}

// ImageIDs returns up to limit pairs of digest and tag, in their order, from the first pair above after; an image
// without tags is a pair without a tag. The cost of a page doesn't depend on how many images or tags there are.
func (r *Registry) ImageIDs(tx *store.Tx, repo Repository, status TagStatus, after ImageID, limit int) ([]ImageID, error) {
	ids := []ImageID{}
	if after.Tag != "" {
		rest, err := r.tagPairs(tx, repo, after.Digest, after.Tag, limit)
		if err != nil {
			return nil, err
		}
		ids = append(ids, rest...)
	}
	digest := after.Digest
	for len(ids) < limit {
		rows, err := tx.Query(`SELECT `+imageColumns+` FROM image WHERE repository = $1 AND digest > $2`+status.where()+` ORDER BY digest LIMIT $3`,
			repo.id, digest, limit-len(ids))
		if err != nil {
			return nil, fmt.Errorf("list the images of %s: %w", repo.Name, err)
		}
		images, err := store.Collect(rows, scanImage)
		if err != nil {
			return nil, err
		}
		if len(images) == 0 {
			break
		}
		for _, image := range images {
			digest = string(image.Digest)
			pairs := []ImageID{{Digest: digest}}
			if image.tags > 0 {
				if pairs, err = r.tagPairs(tx, repo, digest, "", limit-len(ids)); err != nil {
					return nil, err
				}
			}
			if ids = append(ids, pairs...); len(ids) >= limit {
				break
			}
		}
	}
	return ids, nil
}

func (r *Registry) tagPairs(tx *store.Tx, repo Repository, digest, after string, limit int) ([]ImageID, error) {
	names, err := r.texts(tx, `SELECT name FROM tag WHERE repository = $1 AND digest = $2 AND name > $3 ORDER BY name LIMIT $4`,
		repo.id, digest, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list the tags of %s: %w", digest, err)
	}
	pairs := make([]ImageID, len(names))
	for i, name := range names {
		pairs[i] = ImageID{Digest: digest, Tag: name}
	}
	return pairs, nil
}

// TagNames returns up to limit tags of a repository in the order of their bytes, from the first above after.
func (r *Registry) TagNames(ctx context.Context, repo Repository, after string, limit int) (names []string, err error) {
	err = r.db.View(ctx, func(tx *store.Tx) error {
		names, err = r.texts(tx, `SELECT name FROM tag WHERE repository = $1 AND name > $2 ORDER BY name LIMIT $3`, repo.id, after, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the tags of %s: %w", repo.Name, err)
	}
	return names, nil
}

// Referrer is an image that refers to another as its subject.
type Referrer struct {
	Image
	Annotations map[string]string
}

// Referrers returns up to limit images whose subject is a digest, in the order of digests, from the first above after,
// only those of the artifact types if any are given. The subject need not exist.
func (r *Registry) Referrers(tx *store.Tx, repo Repository, subject oci.Digest, artifactTypes []string, after string, limit int) ([]Referrer, error) {
	referrers := []Referrer{}
	for len(referrers) < limit {
		page, err := r.referrerPage(tx, repo, subject, after)
		if err != nil {
			return nil, err
		}
		for _, image := range page {
			if after = string(image.Digest); !selected(image, artifactTypes) {
				continue
			}
			referrer, err := r.referrer(tx, repo, image)
			if err != nil {
				return nil, err
			}
			if referrers = append(referrers, referrer); len(referrers) == limit {
				break
			}
		}
		if len(page) < referrerPageSize {
			break
		}
	}
	return referrers, nil
}

const referrerPageSize = 100

func (r *Registry) referrerPage(tx *store.Tx, repo Repository, subject oci.Digest, after string) ([]Image, error) {
	rows, err := tx.Query(`SELECT `+imageColumns+` FROM image WHERE +repository = $1 AND subject = $2 AND digest > $3 ORDER BY digest LIMIT $4`,
		repo.id, string(subject), after, referrerPageSize)
	if err != nil {
		return nil, fmt.Errorf("list the referrers of %s: %w", subject, err)
	}
	return store.Collect(rows, scanImage)
}

func (r *Registry) referrer(tx *store.Tx, repo Repository, image Image) (Referrer, error) {
	body, err := r.readManifest(manifestRow(tx, repo, image.Digest), repo, image.Digest)
	if err != nil {
		return Referrer{}, err
	}
	m, err := oci.ParseManifest(image.MediaType, body)
	if err != nil {
		return Referrer{}, errors.Join(fmt.Errorf("parse referrer %s", image.Digest), err)
	}
	return Referrer{Image: image, Annotations: m.Annotations}, nil
}

func selected(image Image, artifactTypes []string) bool {
	for _, t := range artifactTypes {
		if t == image.ArtifactType {
			return true
		}
	}
	return len(artifactTypes) == 0
}
