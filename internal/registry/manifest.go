package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

// Image is a manifest in a repository, with what is known of it: an image, an index or any other artifact.
type Image struct {
	Digest    oci.Digest
	MediaType string
	// ArtifactType is the manifest's artifactType, or else its config's media type.
	ArtifactType string
	// Subject is the digest that the image refers to, empty if it is no referrer.
	Subject oci.Digest
	// ManifestSize is the manifest's length in bytes; Size is that of the layers, or of an index's largest image.
	ManifestSize, Size int64
	PushedAt           time.Time
	// PulledAt is when the image was pulled last, to within a minute; zero if never.
	PulledAt time.Time
	// Tags are the image's tags in their order, where the caller asked for them.
	Tags []string

	tags int64
}

// Manifest is the manifest of an image, byte by byte as it was pushed.
type Manifest struct {
	Image
	Body []byte
}

const imageColumns = `digest, media_type, artifact_type, subject, manifest_size, image_size, tags, pushed_at, pulled_at`

func scanImage(row store.Scanner) (Image, error) {
	var i Image
	var digest string
	var subject *string
	var pushed int64
	var pulled *int64
	err := row.Scan(&digest, &i.MediaType, &i.ArtifactType, &subject, &i.ManifestSize, &i.Size, &i.tags, &pushed, &pulled)
	if err != nil {
		return Image{}, err
	}
	i.Digest, i.PushedAt = oci.Digest(digest), time.UnixMicro(pushed)
	if subject != nil {
		i.Subject = oci.Digest(*subject)
	}
	if pulled != nil {
		i.PulledAt = time.UnixMicro(*pulled)
	}
	return i, nil
}

func (r *Registry) image(tx *store.Tx, repository int64, digest oci.Digest) (Image, error) {
	return readImage(imageRow(tx, repository, digest), digest)
}

func imageRow(tx *store.Tx, repository int64, digest oci.Digest) store.Row {
	return tx.QueryRow(`SELECT `+imageColumns+` FROM image WHERE repository = $1 AND digest = $2`, repository, string(digest))
}

func readImage(row store.Scanner, digest oci.Digest) (Image, error) {
	i, err := scanImage(row)
	if errors.Is(err, store.ErrNoRows) {
		return Image{}, ErrImageNotFound
	}
	if err != nil {
		return Image{}, fmt.Errorf("look up image %s: %w", digest, err)
	}
	return i, nil
}

// ResolveTag finds the digest that a tag points to. The error is ErrImageNotFound.
func (r *Registry) ResolveTag(ctx context.Context, repo Repository, tag string) (oci.Digest, error) {
	return r.tags.Get(tagKey{repo.id, tag}, func() (d oci.Digest, bytes int, err error) {
		err = r.db.View(ctx, func(tx *store.Tx) error {
			d, err = r.tagDigest(tx, repo.id, tag)
			return err
		})
		return d, 256 + len(tag), err
	})
}

// tagDigest finds the digest that a tag points to. The error is ErrImageNotFound.
func (r *Registry) tagDigest(tx *store.Tx, repository int64, tag string) (oci.Digest, error) {
	var digest string
	err := tx.QueryRow(`SELECT digest FROM tag WHERE repository = $1 AND name = $2`, repository, tag).Scan(&digest)
	if errors.Is(err, store.ErrNoRows) {
		return "", ErrImageNotFound
	}
	if err != nil {
		return "", fmt.Errorf("look up tag %s: %w", tag, err)
	}
	return oci.Digest(digest), nil
}

// Manifest finds the manifest of an image by its digest, from memory if it can. What it returns is shared: don't change
// it. The error is ErrImageNotFound or *KeyError.
func (r *Registry) Manifest(ctx context.Context, repo Repository, digest oci.Digest) (*Manifest, error) {
	// What is in memory is not to be had either while the key of the repository can't be used.
	if err := r.Usable(repo); err != nil {
		return nil, err
	}
	return r.manifests.Get(imageKey{repo.id, digest}, func() (m *Manifest, bytes int, err error) {
		err = r.db.View(ctx, func(tx *store.Tx) error {
			m, err = r.manifest(tx, repo, digest)
			return err
		})
		if err != nil {
			return nil, 0, err
		}
		return m, 512 + len(m.Body), nil
	})
}

func (r *Registry) manifest(tx *store.Tx, repo Repository, digest oci.Digest) (*Manifest, error) {
	row, bodyRow := imageRow(tx, repo.id, digest), manifestRow(tx, repo, digest)
	if err := tx.Prefetch(&row, &bodyRow); err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", digest, err)
	}
	image, err := readImage(row, digest)
	if err != nil {
		return nil, err
	}
	body, err := r.readManifest(bodyRow, repo, digest)
	if err != nil {
		return nil, err
	}
	return &Manifest{Image: image, Body: body}, nil
}

func manifestRow(tx *store.Tx, repo Repository, digest oci.Digest) store.Row {
	return tx.QueryRow(`SELECT body FROM manifest WHERE repository = $1 AND digest = $2`, repo.id, string(digest))
}

// readManifest opens the sealed body of a manifest.
func (r *Registry) readManifest(row store.Scanner, repo Repository, digest oci.Digest) ([]byte, error) {
	var sealed []byte
	if err := row.Scan(&sealed); err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", digest, err)
	}
	key, err := r.key(repo)
	if err != nil {
		return nil, err
	}
	body, err := seal.OpenBytes(key, rowContext("manifest", repo.id, string(digest)), sealed)
	if err != nil {
		return nil, fmt.Errorf("open manifest %s: %w", digest, err)
	}
	return body, nil
}
