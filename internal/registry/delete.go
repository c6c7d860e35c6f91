package registry

import (
	"errors"
	"fmt"
	"strings"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/store"
)

// ImageID names an image of a repository by digest, tag or both, as a client gave them.
type ImageID struct{ Digest, Tag string }

// FailureCode says why an item of a batch failed; the values are those of ECR.
type FailureCode string

// The failures of items.
const (
	FailureInvalidDigest     FailureCode = "InvalidImageDigest"
	FailureInvalidTag        FailureCode = "InvalidImageTag"
	FailureTagMismatch       FailureCode = "ImageTagDoesNotMatchDigest"
	FailureNotFound          FailureCode = "ImageNotFound"
	FailureKey               FailureCode = "KmsError"
	FailureMissing           FailureCode = "MissingDigestAndTag"
	FailureReferencedByIndex FailureCode = "ImageReferencedByManifestList"
)

// Failure is an item of a batch that failed, with ECR's text of the reason.
type Failure struct {
	ID     ImageID
	Code   FailureCode
	Reason string
}

// Failure texts of ECR.
const (
	textNotFound      = "Requested image not found"
	textMissing       = "Invalid request parameters: both tag and digest cannot be null"
	textInvalidDigest = "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"
	textTagMismatch   = "Requested image tag does not match the image digest"
)

// DeleteImages deletes images and tags as one set: an id with a digest alone deletes the image with all its tags, one
// with a tag removes the tag, and with the last tag the image. What an index refers to stays, as seen before the call. It
// returns what was deleted, an entry a tag, and what failed. The error is ErrRepositoryNotFound.
func (r *Registry) DeleteImages(tx *store.Tx, id ID, name string, ids []ImageID) (deleted []ImageID, failures []Failure, err error) {
	repo, err := r.repository(tx, id, name)
	if err != nil {
		return nil, nil, err
	}
	plan := &deletion{r: r, tx: tx, repo: repo, wholes: map[oci.Digest]bool{}, tags: map[string]oci.Digest{}}
	for _, id := range ids {
		failure, err := plan.add(id)
		if err != nil {
			return nil, nil, err
		}
		if failure != nil {
			failures = append(failures, *failure)
		}
	}
	deleted, blocked, err := plan.run()
	return deleted, append(failures, blocked...), err
}

// CheckImageID says what is wrong with the form of an id, or nil.
func CheckImageID(id ImageID) *Failure {
	if id.Digest == "" && id.Tag == "" {
		return &Failure{ID: id, Code: FailureMissing, Reason: textMissing}
	}
	if id.Digest != "" && !plausibleDigest(id.Digest) {
		return &Failure{ID: id, Code: FailureInvalidDigest, Reason: textInvalidDigest}
	}
	return nil
}

// deletion is a set of ids on their way out.
type deletion struct {
	r      *Registry
	tx     *store.Tx
	repo   Repository
	wholes map[oci.Digest]bool   // to be deleted with all tags
	tags   map[string]oci.Digest // to be removed
	order  []target
}

// target is an image or a tag to be deleted: what the client named, with the digest in any case.
type target struct {
	ImageID
	given ImageID
}

// add checks an id against the state before the deletion.
func (d *deletion) add(id ImageID) (*Failure, error) {
	fail := func(code FailureCode, reason string) (*Failure, error) {
		return &Failure{ID: id, Code: code, Reason: reason}, nil
	}
	if failure := CheckImageID(id); failure != nil {
		return failure, nil
	}
	digest := oci.Digest(id.Digest)
	if id.Tag != "" {
		tagged, err := d.r.tagDigest(d.tx, d.repo.id, id.Tag)
		if errors.Is(err, ErrImageNotFound) {
			return fail(FailureNotFound, textNotFound)
		}
		if err != nil {
			return nil, err
		}
		if digest != "" && digest != tagged {
			return fail(FailureTagMismatch, textTagMismatch)
		}
		digest = tagged
	} else if _, err := d.r.image(d.tx, d.repo.id, digest); errors.Is(err, ErrImageNotFound) {
		return fail(FailureNotFound, textNotFound)
	} else if err != nil {
		return nil, err
	}
	if id.Tag == "" {
		if d.wholes[digest] {
			return nil, nil
		}
		d.wholes[digest] = true
	} else {
		if _, again := d.tags[id.Tag]; again {
			return nil, nil
		}
		d.tags[id.Tag] = digest
	}
	d.order = append(d.order, target{ImageID: ImageID{Digest: string(digest), Tag: id.Tag}, given: id})
	return nil, nil
}

// run deletes in the order of the ids. Which images are parents of which is taken as it was before.
func (d *deletion) run() (deleted []ImageID, failures []Failure, err error) {
	parents := map[oci.Digest][]string{}
	for _, id := range d.order {
		digest := oci.Digest(id.Digest)
		if _, known := parents[digest]; known {
			continue
		}
		if parents[digest], err = d.r.parents(d.tx, d.repo.id, digest); err != nil {
			return nil, nil, err
		}
	}
	for _, id := range d.order {
		digest := oci.Digest(id.Digest)
		if id.Tag != "" && d.wholes[digest] && len(parents[digest]) == 0 {
			continue // goes with the whole image
		}
		gone, failure, err := d.remove(id, digest, parents[digest])
		if err != nil {
			return nil, nil, err
		}
		if failure != nil {
			failures = append(failures, *failure)
		}
		deleted = append(deleted, gone...)
	}
	return deleted, failures, nil
}

func (d *deletion) remove(id target, digest oci.Digest, parents []string) ([]ImageID, *Failure, error) {
	image, err := d.r.image(d.tx, d.repo.id, digest)
	if err != nil {
		return nil, nil, err
	}
	whole := id.Tag == "" || image.tags == 1
	if whole && len(parents) > 0 {
		return nil, &Failure{ID: id.given, Code: FailureReferencedByIndex,
			Reason: "Requested image referenced by manifest list: [" + strings.Join(parents, ", ") + "]"}, nil
	}
	if !whole {
		return []ImageID{id.ImageID}, nil, d.r.removeTag(d.tx, d.repo.id, id.Tag, digest)
	}
	tags, err := d.r.deleteImage(d.tx, d.repo.id, digest)
	if err != nil {
		return nil, nil, err
	}
	if len(tags) == 0 {
		return []ImageID{{Digest: string(digest)}}, nil, nil
	}
	gone := make([]ImageID, len(tags))
	for i, tag := range tags {
		gone[i] = ImageID{Digest: string(digest), Tag: tag}
	}
	return gone, nil, nil
}

func (r *Registry) removeTag(tx *store.Tx, repository int64, tag string, digest oci.Digest) error {
	if err := tx.Send(`DELETE FROM tag WHERE repository = $1 AND name = $2`, repository, tag); err != nil {
		return fmt.Errorf("remove tag %s: %w", tag, err)
	}
	touchTag(tx, repository, tag)
	return r.countTags(tx, repository, digest, -1)
}

// maxParents bounds how many parents an error names.
const maxParents = 10

// parents returns the digests of indexes that refer to an image.
func (r *Registry) parents(tx *store.Tx, repository int64, digest oci.Digest) ([]string, error) {
	return r.texts(tx, `SELECT parent FROM image_child WHERE repository = $1 AND child = $2 ORDER BY parent LIMIT $3`, repository, string(digest), maxParents)
}

// texts runs a query whose rows are one text each.
func (r *Registry) texts(tx *store.Tx, query string, args ...any) ([]string, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	return store.Collect(rows, store.Value[string])
}

// deleteImage deletes an image and its tags, which it returns. Its layers stay for a while, and its referrers follow it.
func (r *Registry) deleteImage(tx *store.Tx, repository int64, digest oci.Digest) (tags []string, err error) {
	if tags, err = r.texts(tx, `SELECT name FROM tag WHERE repository = $1 AND digest = $2 ORDER BY name`, repository, string(digest)); err != nil {
		return nil, fmt.Errorf("delete image %s: %w", digest, err)
	}
	layers, err := r.texts(tx, `SELECT layer FROM image_layer WHERE repository = $1 AND image = $2`, repository, string(digest))
	if err != nil {
		return nil, fmt.Errorf("delete image %s: %w", digest, err)
	}
	now := r.now().UnixMicro()
	for _, statement := range []struct {
		query string
		args  []any
	}{
		{`DELETE FROM tag WHERE repository = $1 AND digest = $2`, []any{repository, string(digest)}},
		{`DELETE FROM image_layer WHERE repository = $1 AND image = $2`, []any{repository, string(digest)}},
		{`DELETE FROM image_child WHERE repository = $1 AND parent = $2`, []any{repository, string(digest)}},
		{`DELETE FROM manifest WHERE repository = $1 AND digest = $2`, []any{repository, string(digest)}},
		{`DELETE FROM image WHERE repository = $1 AND digest = $2`, []any{repository, string(digest)}},
		{`UPDATE image SET doomed_at = $1 WHERE +repository = $2 AND subject = $3`, []any{now, repository, string(digest)}},
		{`UPDATE repository SET images = images - 1 WHERE id = $1`, []any{repository}},
	} {
		if err := tx.Send(statement.query, statement.args...); err != nil {
			return nil, fmt.Errorf("delete image %s: %w", digest, err)
		}
	}
	if err := r.idleLayers(tx, repository, layers, now); err != nil {
		return nil, err
	}
	for _, tag := range tags {
		touchTag(tx, repository, tag)
	}
	touchManifest(tx, repository, digest)
	return tags, nil
}

// idleLayers marks those of the layers to which no image refers any more.
func (r *Registry) idleLayers(tx *store.Tx, repository int64, layers []string, now int64) error {
	for _, layer := range layers {
		if err := tx.Send(`UPDATE layer SET idle_since = $1, media_type = '' WHERE repository = $2 AND digest = $3
			AND NOT EXISTS (SELECT 1 FROM image_layer WHERE image_layer.repository = $2 AND image_layer.layer = $3)`,
			now, repository, layer); err != nil {
			return fmt.Errorf("mark layer %s: %w", layer, err)
		}
		touchLayer(tx, repository, oci.Digest(layer))
	}
	return nil
}

// plausibleDigest reports whether s has the shape of a digest, of whatever algorithm.
func plausibleDigest(s string) bool {
	algorithm, encoded, ok := strings.Cut(s, ":")
	if !ok || algorithm == "" || encoded == "" {
		return false
	}
	for _, c := range algorithm {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_+.", c)) {
			return false
		}
	}
	for _, c := range encoded {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return false
		}
	}
	return true
}
