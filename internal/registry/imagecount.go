package registry

import (
	"fmt"
	"strings"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/store"
)

// The images of a repository are counted ahead, imagesAhead at a time, into reserves from which pushes take: so those that run at once
// mostly change different rows. The images are repository.images minus what is free in the reserves.
const imagesAhead = 16

// reserveOf is which reserve of its repository an image takes from: one of 16, by the first digit of its digest.
func reserveOf(digest oci.Digest) int64 {
	_, hex, _ := strings.Cut(string(digest), ":")
	return int64(strings.IndexByte("0123456789abcdef", hex[0]))
}

// countImage counts an image that a repository has more.
func (r *Registry) countImage(tx *store.Tx, repo Repository, digest oci.Digest) error {
	slot := reserveOf(digest)
	for _, statement := range []struct {
		query string
		args  []any
	}{
		{`INSERT INTO image_reserve (repository, slot, free) VALUES ($1, $2, $3)
			ON CONFLICT (repository, slot) DO UPDATE SET free = CASE WHEN image_reserve.free > 0 THEN image_reserve.free - 1 ELSE excluded.free END`,
			[]any{repo.id, slot, imagesAhead - 1}},
		// The reserve is full but for one only if it was filled just now.
		{`UPDATE repository SET images = images + $1 WHERE id = $2
			AND (SELECT free FROM image_reserve WHERE repository = $2 AND slot = $3) = $1 - 1`, []any{imagesAhead, repo.id, slot}},
	} {
		if err := tx.Send(statement.query, statement.args...); err != nil {
			return fmt.Errorf("count image %s: %w", digest, err)
		}
	}
	return nil
}

// checkImageCount reports whether a repository may have another image, otherwise the error is *LimitError. The reserves are looked at only
// where they matter, since that makes pushes wait for each other.
func (r *Registry) checkImageCount(tx *store.Tx, repo Repository) error {
	limit := r.limits.Get(ImagesPerRepository)
	if repo.counted < limit {
		return nil
	}
	var free int64
	err := tx.QueryRow(`SELECT CAST(coalesce(sum(free), 0) AS BIGINT) FROM image_reserve WHERE repository = $1`, repo.id).Scan(&free)
	if err != nil {
		return fmt.Errorf("count the images of %s: %w", repo.Name, err)
	}
	if repo.counted-free >= limit {
		return &LimitError{Limit: ImagesPerRepository, Value: limit}
	}
	return nil
}
