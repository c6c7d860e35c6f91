package registry

import (
	"errors"
	"fmt"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

// Push is an image on its way into a repository: a manifest that was parsed and is what its sender says it is.
type Push struct {
	// Tag is empty for an image pushed by digest only.
	Tag    string
	Digest oci.Digest
	Body   []byte
	Parsed *oci.Manifest
}

// NewPush checks a manifest. given is the digest that the sender expects, or empty. The error is *oci.ManifestError,
// *LimitError or *DigestError.
func (r *Registry) NewPush(body []byte, mediaType, tag string, given oci.Digest) (Push, error) {
	if limit := r.limits.Get(ManifestBytes); int64(len(body)) > limit {
		return Push{}, &LimitError{Limit: ManifestBytes, Value: limit}
	}
	parsed, err := oci.ParseManifest(mediaType, body)
	if err != nil {
		return Push{}, err
	}
	n := int64(len(parsed.Layers) + len(parsed.Manifests))
	if parsed.Config != nil {
		n++
	}
	if limit := r.limits.Get(BlobsPerImage); n > limit {
		return Push{}, &LimitError{Limit: BlobsPerImage, Value: limit}
	}
	computed := oci.DigestOf(body)
	if given != "" && given != computed {
		return Push{}, &DigestError{Given: given, Computed: computed}
	}
	return Push{Tag: tag, Digest: computed, Body: body, Parsed: parsed}, nil
}

// PutImage stores an image, or gives another tag to one that is there. The error is ErrRepositoryNotFound,
// *MissingError, *TagImmutableError, *ImageExistsError if exactly this is there already, or *LimitError.
func (r *Registry) PutImage(tx *store.Tx, id ID, name string, p Push) (Image, error) {
	repo, err := r.repository(tx, id, name)
	if err != nil {
		return Image{}, err
	}
	if err := r.Usable(repo); err != nil {
		return Image{}, err
	}
	image, err := r.image(tx, repo.id, p.Digest)
	exists := err == nil
	if err != nil && !errors.Is(err, ErrImageNotFound) {
		return Image{}, err
	}
	var layers []Layer
	if !exists {
		if layers, err = r.required(tx, repo, p.Parsed); err != nil {
			return Image{}, err
		}
	}
	if exists && image.Subject != "" {
		// Who pushes a referrer again wants it, whether or not its subject is gone.
		if err := r.reprieve(tx, repo, p.Digest); err != nil {
			return Image{}, err
		}
	}
	old, err := r.checkTag(tx, repo, p, exists)
	if err != nil {
		return Image{}, err
	}
	if err := r.checkImageLimits(repo, image, p, exists); err != nil {
		return Image{}, err
	}
	if !exists {
		if image, err = r.insertImage(tx, repo, p, layers); err != nil {
			return Image{}, err
		}
	}
	if p.Tag != "" {
		if err := r.moveTag(tx, repo, p.Tag, old, p.Digest); err != nil {
			return Image{}, err
		}
		image.Tags = []string{p.Tag}
	}
	return image, nil
}

// reprieve keeps a referrer from following its subject into deletion.
func (r *Registry) reprieve(tx *store.Tx, repo Repository, digest oci.Digest) error {
	err := tx.Send(`UPDATE image SET doomed_at = NULL WHERE repository = $1 AND digest = $2 AND doomed_at IS NOT NULL`, repo.id, string(digest))
	if err != nil {
		return fmt.Errorf("keep referrer %s: %w", digest, err)
	}
	return nil
}

// required returns the layers that the manifest refers to, in the order of the manifest. The error is *MissingError.
func (r *Registry) required(tx *store.Tx, repo Repository, m *oci.Manifest) ([]Layer, error) {
	var layers []Layer
	var missing []oci.Digest
	for d := range m.Blobs() {
		l, err := r.layer(tx, repo.id, d.Digest)
		switch {
		case errors.Is(err, ErrLayerNotFound):
			missing = append(missing, d.Digest)
		case err != nil:
			return nil, err
		}
		if l.MediaType == "" {
			l.MediaType = d.MediaType
		}
		layers = append(layers, l)
	}
	if len(missing) > 0 {
		return nil, &MissingError{Digests: missing}
	}
	for _, d := range m.Manifests {
		if _, err := r.image(tx, repo.id, d.Digest); errors.Is(err, ErrImageNotFound) {
			missing = append(missing, d.Digest)
		} else if err != nil {
			return nil, err
		}
	}
	if len(missing) > 0 {
		return nil, &MissingError{Digests: missing, Images: true}
	}
	return layers, nil
}

// checkTag returns the digest that the tag of the push points to now, if it exists. The error is *TagImmutableError or
// *ImageExistsError.
func (r *Registry) checkTag(tx *store.Tx, repo Repository, p Push, exists bool) (old oci.Digest, err error) {
	if p.Tag == "" {
		if exists {
			return "", &ImageExistsError{Digest: p.Digest}
		}
		return "", nil
	}
	old, err = r.tagDigest(tx, repo.id, p.Tag)
	if errors.Is(err, ErrImageNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if repo.Mutability.tagImmutable(repo.Filters, p.Tag) {
		return "", &TagImmutableError{Tag: p.Tag}
	}
	if old == p.Digest {
		return "", &ImageExistsError{Digest: p.Digest, Tag: p.Tag}
	}
	return old, nil
}

func (r *Registry) checkImageLimits(repo Repository, image Image, p Push, exists bool) error {
	if limit := r.limits.Get(ImagesPerRepository); !exists && repo.images >= limit {
		return &LimitError{Limit: ImagesPerRepository, Value: limit}
	}
	if limit := r.limits.Get(TagsPerImage); p.Tag != "" && image.tags >= limit {
		return &LimitError{Limit: TagsPerImage, Value: limit, Tag: p.Tag}
	}
	return nil
}

func (r *Registry) insertImage(tx *store.Tx, repo Repository, p Push, layers []Layer) (Image, error) {
	image := Image{
		Digest: p.Digest, MediaType: p.Parsed.MediaType, ArtifactType: p.Parsed.ArtifactType,
		ManifestSize: int64(len(p.Body)), Size: p.Parsed.LayerSize(), PushedAt: r.now(),
	}
	var subject *string
	if p.Parsed.Subject != nil {
		image.Subject = p.Parsed.Subject.Digest
		text := string(image.Subject)
		subject = &text
	}
	if err := r.linkChildren(tx, repo, p, &image); err != nil {
		return Image{}, err
	}
	key, err := r.key(repo)
	if err != nil {
		return Image{}, err
	}
	sealed, err := seal.SealBytes(key, rowContext("manifest", repo.id, string(p.Digest)), p.Body)
	if err != nil {
		return Image{}, err
	}
	for _, statement := range []struct {
		query string
		args  []any
	}{
		{`INSERT INTO image (repository, digest, media_type, artifact_type, subject, manifest_size, image_size, tags, pushed_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8)`,
			[]any{repo.id, string(p.Digest), image.MediaType, image.ArtifactType, subject, image.ManifestSize, image.Size, image.PushedAt.UnixMicro()}},
		{`INSERT INTO manifest (repository, digest, body) VALUES ($1, $2, $3)`, []any{repo.id, string(p.Digest), sealed}},
		{`UPDATE repository SET images = images + 1 WHERE id = $1`, []any{repo.id}},
		// Referrers that were to follow the image into deletion have their subject back.
		{`UPDATE image SET doomed_at = NULL WHERE +repository = $1 AND subject = $2 AND doomed_at IS NOT NULL`, []any{repo.id, string(p.Digest)}},
	} {
		if err := tx.Send(statement.query, statement.args...); err != nil {
			return Image{}, fmt.Errorf("store image %s: %w", p.Digest, err)
		}
	}
	touchManifest(tx, repo.id, p.Digest)
	return image, r.linkLayers(tx, repo, p.Digest, layers)
}

// linkLayers records that an image refers to layers, which are idle no more.
func (r *Registry) linkLayers(tx *store.Tx, repo Repository, image oci.Digest, layers []Layer) error {
	for _, l := range layers {
		if err := tx.Send(`INSERT INTO image_layer (repository, image, layer) VALUES ($1, $2, $3)`,
			repo.id, string(image), string(l.Digest)); err != nil {
			return fmt.Errorf("store image %s: %w", image, err)
		}
		if l.Referenced {
			continue
		}
		if err := tx.Send(`UPDATE layer SET idle_since = NULL, media_type = $1 WHERE repository = $2 AND digest = $3`,
			l.MediaType, repo.id, string(l.Digest)); err != nil {
			return fmt.Errorf("store image %s: %w", image, err)
		}
		touchLayer(tx, repo.id, l.Digest)
	}
	return nil
}

// linkChildren records that an index refers to images, and gives it the size of the largest.
func (r *Registry) linkChildren(tx *store.Tx, repo Repository, p Push, image *Image) error {
	seen := map[oci.Digest]bool{}
	for _, d := range p.Parsed.Manifests {
		if seen[d.Digest] {
			continue
		}
		seen[d.Digest] = true
		if err := tx.Send(`INSERT INTO image_child (repository, parent, child) VALUES ($1, $2, $3)`,
			repo.id, string(p.Digest), string(d.Digest)); err != nil {
			return fmt.Errorf("store image %s: %w", p.Digest, err)
		}
		child, err := r.image(tx, repo.id, d.Digest)
		if err != nil {
			return err
		}
		image.Size = max(image.Size, child.Size)
	}
	return nil
}

// moveTag lets a tag point to an image; old is the one that it pointed to before, if any.
func (r *Registry) moveTag(tx *store.Tx, repo Repository, tag string, old, digest oci.Digest) error {
	if err := tx.Send(`INSERT INTO tag (repository, name, digest, updated_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (repository, name) DO UPDATE SET digest = excluded.digest, updated_at = excluded.updated_at`,
		repo.id, tag, string(digest), r.now().UnixMicro()); err != nil {
		return fmt.Errorf("set tag %s: %w", tag, err)
	}
	if err := r.countTags(tx, repo.id, digest, 1); err != nil {
		return err
	}
	if old != "" {
		if err := r.countTags(tx, repo.id, old, -1); err != nil {
			return err
		}
	}
	touchTag(tx, repo.id, tag)
	return nil
}

func (r *Registry) countTags(tx *store.Tx, repository int64, digest oci.Digest, change int64) error {
	err := tx.Send(`UPDATE image SET tags = tags + $1 WHERE repository = $2 AND digest = $3`, change, repository, string(digest))
	if err != nil {
		return fmt.Errorf("count the tags of %s: %w", digest, err)
	}
	return nil
}
