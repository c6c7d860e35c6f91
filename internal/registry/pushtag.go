package registry

import (
	"fmt"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/store"
)

// insertedTag is a row if the repository had no such tag; then it is on the image that is pushed now.
func (r *Registry) insertedTag(tx *store.Tx, repo Repository, p Push) store.Row {
	return tx.QueryRow(`INSERT INTO tag (repository, name, digest, updated_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (repository, name) DO NOTHING RETURNING 1`, repo.id, p.Tag, string(p.Digest), r.now().UnixMicro())
}

// setTag sees that the tag of a push, which insertedTag has inserted unless it was there, is on its image, and that both images that
// it concerns count it. exists says that the image was there before. The error is *TagImmutableError, *ImageExistsError or *LimitError.
func (r *Registry) setTag(tx *store.Tx, repo Repository, p Push, image Image, exists bool, inserted store.Scanner) error {
	moved, err := occupied(inserted)
	if err != nil {
		return fmt.Errorf("set tag %s: %w", p.Tag, err)
	}
	var old oci.Digest
	if moved {
		if old, err = r.tagDigest(tx, repo.id, p.Tag); err != nil {
			return err
		}
		if repo.Mutability.tagImmutable(repo.Filters, p.Tag) {
			return &TagImmutableError{Tag: p.Tag}
		}
		if old == p.Digest {
			return &ImageExistsError{Digest: p.Digest, Tag: p.Tag}
		}
	}
	if exists {
		if limit := r.limits.Get(TagsPerImage); image.tags >= limit {
			return &LimitError{Limit: TagsPerImage, Value: limit, Tag: p.Tag}
		}
		if err := r.countTags(tx, repo.id, p.Digest, 1); err != nil {
			return err
		}
	}
	if moved {
		if err := r.moveTag(tx, repo, p, old); err != nil {
			return err
		}
	}
	touchTag(tx, repo.id, p.Tag)
	return nil
}

// moveTag lets a tag point to another image than the old one.
func (r *Registry) moveTag(tx *store.Tx, repo Repository, p Push, old oci.Digest) error {
	if err := tx.Send(`UPDATE tag SET digest = $1, updated_at = $2 WHERE repository = $3 AND name = $4`,
		string(p.Digest), r.now().UnixMicro(), repo.id, p.Tag); err != nil {
		return fmt.Errorf("move tag %s: %w", p.Tag, err)
	}
	return r.countTags(tx, repo.id, old, -1)
}

func (r *Registry) countTags(tx *store.Tx, repository int64, digest oci.Digest, change int64) error {
	err := tx.Send(`UPDATE image SET tags = tags + $1 WHERE repository = $2 AND digest = $3`, change, repository, string(digest))
	if err != nil {
		return fmt.Errorf("count the tags of %s: %w", digest, err)
	}
	return nil
}
