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
// *MissingError, *TagImmutableError, *ImageExistsError if exactly this is there already, or *LimitError; after all but
// *ImageExistsError the transaction must not commit.
//
// Image and tag are inserted without a look whether they are there, and read only if they are: a look that finds nothing would come in
// the way of whoever inserts a neighbour in the index at the same time.
func (r *Registry) PutImage(tx *store.Tx, repo Repository, p Push) (Image, error) {
	image := r.newImage(p)
	rows := r.pushRows(tx, repo, p, image)
	repo, err := r.current(tx, repo, rows.all()...)
	if err != nil {
		return Image{}, err
	}
	if err := r.Usable(repo); err != nil {
		return Image{}, err
	}
	exists, err := occupied(rows.image)
	if err != nil {
		return Image{}, fmt.Errorf("store image %s: %w", p.Digest, err)
	}
	if exists {
		image, err = r.keepImage(tx, repo, p.Digest)
	} else {
		err = r.completeImage(tx, repo, p, &image, rows)
	}
	if err != nil {
		return Image{}, err
	}
	if p.Tag == "" {
		if exists {
			return Image{}, &ImageExistsError{Digest: p.Digest}
		}
		return image, nil
	}
	image.Tags = []string{p.Tag}
	return image, r.setTag(tx, repo, p, image, exists, rows.tag)
}

// pushRows are the rows that decide on a push: those that its image and its tag, if it has one, inserted, its layers in the order of
// oci.Manifest.Blobs, and the images that it refers to in theirs.
type pushRows struct {
	image, tag       store.Row
	tagged           bool
	layers, children []store.Row
}

func (r *Registry) pushRows(tx *store.Tx, repo Repository, p Push, image Image) *pushRows {
	rows := &pushRows{image: insertedImage(tx, repo, image), tagged: p.Tag != ""}
	if rows.tagged {
		rows.tag = r.insertedTag(tx, repo, p)
	}
	for d := range p.Parsed.Blobs() {
		rows.layers = append(rows.layers, layerRow(tx, repo.id, d.Digest))
	}
	for _, d := range p.Parsed.Manifests {
		rows.children = append(rows.children, imageRow(tx, repo.id, d.Digest))
	}
	return rows
}

func (rows *pushRows) all() []*store.Row {
	list := []*store.Row{&rows.image}
	if rows.tagged {
		list = append(list, &rows.tag)
	}
	for i := range rows.layers {
		list = append(list, &rows.layers[i])
	}
	for i := range rows.children {
		list = append(list, &rows.children[i])
	}
	return list
}

// occupied reports whether a row that was to be inserted was there before.
func occupied(inserted store.Scanner) (bool, error) {
	var one int64
	err := inserted.Scan(&one)
	if errors.Is(err, store.ErrNoRows) {
		return true, nil
	}
	return false, err
}

// imageParts is what an image refers to in its repository, in the order of the manifest.
type imageParts struct {
	layers   []Layer
	children []Image
}

// parts returns what the manifest refers to. The error is *MissingError.
func (rows *pushRows) parts(m *oci.Manifest) (parts imageParts, err error) {
	var missing []oci.Digest
	i := 0
	for d := range m.Blobs() {
		l, err := readLayer(rows.layers[i], d.Digest)
		i++
		switch {
		case errors.Is(err, ErrLayerNotFound):
			missing = append(missing, d.Digest)
		case err != nil:
			return parts, err
		}
		if l.MediaType == "" {
			l.MediaType = d.MediaType
		}
		parts.layers = append(parts.layers, l)
	}
	if len(missing) > 0 {
		return parts, &MissingError{Digests: missing}
	}
	for i, d := range m.Manifests {
		child, err := readImage(rows.children[i], d.Digest)
		switch {
		case errors.Is(err, ErrImageNotFound):
			missing = append(missing, d.Digest)
		case err != nil:
			return parts, err
		}
		parts.children = append(parts.children, child)
	}
	if len(missing) > 0 {
		return parts, &MissingError{Digests: missing, Images: true}
	}
	return parts, nil
}

// keepImage returns an image that is pushed again.
func (r *Registry) keepImage(tx *store.Tx, repo Repository, digest oci.Digest) (Image, error) {
	image, err := r.image(tx, repo.id, digest)
	if err != nil || image.Subject == "" {
		return image, err
	}
	// Who pushes a referrer again wants it, whether or not its subject is gone.
	return image, r.reprieve(tx, repo, digest)
}

// reprieve keeps a referrer from following its subject into deletion.
func (r *Registry) reprieve(tx *store.Tx, repo Repository, digest oci.Digest) error {
	err := tx.Send(`UPDATE image SET doomed_at = NULL WHERE repository = $1 AND digest = $2 AND doomed_at IS NOT NULL`, repo.id, string(digest))
	if err != nil {
		return fmt.Errorf("keep referrer %s: %w", digest, err)
	}
	return nil
}

// newImage is the image that a push makes, as far as the manifest tells.
func (r *Registry) newImage(p Push) Image {
	image := Image{
		Digest: p.Digest, MediaType: p.Parsed.MediaType, ArtifactType: p.Parsed.ArtifactType,
		ManifestSize: int64(len(p.Body)), Size: p.Parsed.LayerSize(), PushedAt: r.now(),
	}
	if p.Parsed.Subject != nil {
		image.Subject = p.Parsed.Subject.Digest
	}
	if p.Tag != "" {
		image.tags = 1
	}
	return image
}

// insertedImage is a row if the repository had no such image; then it has now.
func insertedImage(tx *store.Tx, repo Repository, image Image) store.Row {
	var subject *string
	if image.Subject != "" {
		text := string(image.Subject)
		subject = &text
	}
	return tx.QueryRow(`INSERT INTO image (repository, digest, media_type, artifact_type, subject, manifest_size, image_size, tags, pushed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (repository, digest) DO NOTHING RETURNING 1`,
		repo.id, string(image.Digest), image.MediaType, image.ArtifactType, subject, image.ManifestSize, image.Size, image.tags, image.PushedAt.UnixMicro())
}

// completeImage stores what belongs to an image that was inserted. The error is *MissingError or *LimitError.
func (r *Registry) completeImage(tx *store.Tx, repo Repository, p Push, image *Image, rows *pushRows) error {
	parts, err := rows.parts(p.Parsed)
	if err != nil {
		return err
	}
	if err := r.checkImageCount(tx, repo); err != nil {
		return err
	}
	key, err := r.key(repo)
	if err != nil {
		return err
	}
	sealed, err := seal.SealBytes(key, rowContext("manifest", repo.id, string(p.Digest)), p.Body)
	if err != nil {
		return err
	}
	for _, statement := range []struct {
		query string
		args  []any
	}{
		{`INSERT INTO manifest (repository, digest, body) VALUES ($1, $2, $3)`, []any{repo.id, string(p.Digest), sealed}},
		// Referrers that were to follow the image into deletion have their subject back.
		{`UPDATE image SET doomed_at = NULL WHERE +repository = $1 AND subject = $2 AND doomed_at IS NOT NULL`, []any{repo.id, string(p.Digest)}},
	} {
		if err := tx.Send(statement.query, statement.args...); err != nil {
			return fmt.Errorf("store image %s: %w", p.Digest, err)
		}
	}
	touchManifest(tx, repo.id, p.Digest)
	return errors.Join(r.countImage(tx, repo, p.Digest), r.linkChildren(tx, repo, image, p.Parsed, parts.children),
		r.linkLayers(tx, repo, p.Digest, parts.layers))
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
func (r *Registry) linkChildren(tx *store.Tx, repo Repository, image *Image, m *oci.Manifest, children []Image) error {
	if len(children) == 0 {
		return nil
	}
	seen := map[oci.Digest]bool{}
	for i, d := range m.Manifests {
		image.Size = max(image.Size, children[i].Size)
		if seen[d.Digest] {
			continue
		}
		seen[d.Digest] = true
		if err := tx.Send(`INSERT INTO image_child (repository, parent, child) VALUES ($1, $2, $3)`,
			repo.id, string(image.Digest), string(d.Digest)); err != nil {
			return fmt.Errorf("store image %s: %w", image.Digest, err)
		}
	}
	if err := tx.Send(`UPDATE image SET image_size = $1 WHERE repository = $2 AND digest = $3`, image.Size, repo.id, string(image.Digest)); err != nil {
		return fmt.Errorf("store image %s: %w", image.Digest, err)
	}
	return nil
}
