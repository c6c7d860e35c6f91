package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/store"
)

// sweepChunk is how much one transaction of the sweeper takes, so that requests beside it hardly wait.
const sweepChunk = 100

// Swept counts what a sweep removed.
type Swept struct {
	Uploads, Layers, Referrers, Repositories, Objects int
}

// Referee is told of each referrer that the sweeper deletes, in the transaction that deletes it, for the audit record.
type Referee func(tx *store.Tx, id ID, repository string, digest oci.Digest) error

// Sweep removes what is no longer needed: uploads that nobody goes on with, layers to which no image has referred for the
// grace period, referrers of deleted subjects, the rows of deleted repositories, and objects that no row refers to. It
// runs beside traffic, in small transactions, at a cost that depends on the garbage and not on what is kept.
func (r *Registry) Sweep(ctx context.Context, referee Referee) (Swept, error) {
	var s Swept
	err := errors.Join(
		r.each(ctx, func(tx *store.Tx) (int, error) { return r.sweepUploads(tx, &s.Uploads) }),
		r.each(ctx, func(tx *store.Tx) (int, error) { return r.sweepRepository(tx, &s.Repositories) }),
		r.each(ctx, func(tx *store.Tx) (int, error) { return r.sweepReferrers(tx, referee, &s.Referrers) }),
		r.each(ctx, func(tx *store.Tx) (int, error) { return r.sweepLayers(tx, &s.Layers) }),
		r.sweepObjects(ctx, &s.Objects),
	)
	return s, err
}

// each runs one kind of sweep, a transaction a time, until it has done nothing.
func (r *Registry) each(ctx context.Context, sweep func(*store.Tx) (int, error)) error {
	for {
		var n int
		err := r.db.Update(ctx, func(tx *store.Tx) (err error) {
			n, err = sweep(tx)
			return err
		})
		if err != nil || n == 0 {
			return err
		}
	}
}

// count adds n to a count once the transaction has committed.
func count(tx *store.Tx, total *int, n int) {
	tx.OnCommit(func() { *total += n })
}

// sweepUploads leaves alone what a request of this process is writing to, however long it takes.
func (r *Registry) sweepUploads(tx *store.Tx, total *int) (int, error) {
	rows, err := tx.Query(`SELECT id, object FROM upload WHERE updated_at < $1 ORDER BY updated_at LIMIT $2`,
		r.uploadCutoff().UnixMicro(), sweepChunk+r.busy.len())
	if err != nil {
		return 0, fmt.Errorf("look for stale uploads: %w", err)
	}
	uploads, err := store.Collect(rows, scanUploadKey)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, u := range uploads {
		if r.busy.has(u.ID) {
			continue
		}
		if err := r.removeUpload(tx, u, true); err != nil {
			return 0, err
		}
		n++
	}
	count(tx, total, n)
	return n, nil
}

// scanUploadKey scans what it takes to remove an upload.
func scanUploadKey(row store.Scanner) (u Upload, err error) {
	err = row.Scan(&u.ID, &u.object)
	return u, err
}

func (r *Registry) sweepLayers(tx *store.Tx, total *int) (int, error) {
	cutoff := r.now().Add(-r.limits.seconds(LayerGraceSeconds))
	n, err := r.removeLayers(tx, `SELECT repository, `+layerColumns+` FROM layer WHERE idle_since < $1 ORDER BY idle_since LIMIT $2`,
		cutoff.UnixMicro(), sweepChunk)
	count(tx, total, n)
	return n, err
}

// removeLayers removes the layers that a query names.
func (r *Registry) removeLayers(tx *store.Tx, query string, args ...any) (int, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return 0, fmt.Errorf("look for idle layers: %w", err)
	}
	layers, err := store.Collect(rows, scanOwnedLayer)
	if err != nil {
		return 0, err
	}
	for _, l := range layers {
		if err := r.removeLayer(tx, l.repository, l.Layer); err != nil {
			return 0, err
		}
	}
	return len(layers), nil
}

// sweepReferrers deletes referrers whose subject was deleted. One that an index refers to is kept, and its mark removed.
func (r *Registry) sweepReferrers(tx *store.Tx, referee Referee, total *int) (int, error) {
	rows, err := tx.Query(`SELECT image.repository, image.digest, repository.account, repository.region, repository.name
		FROM image JOIN repository ON repository.id = image.repository
		WHERE image.doomed_at IS NOT NULL AND repository.deleted_at IS NULL LIMIT $1`, sweepChunk)
	if err != nil {
		return 0, fmt.Errorf("look for referrers without subject: %w", err)
	}
	type doomed struct {
		imageKey
		repositoryKey
	}
	referrers, err := store.Collect(rows, func(row store.Scanner) (d doomed, err error) {
		err = row.Scan(&d.repository, &d.digest, &d.Account, &d.Region, &d.name)
		return d, err
	})
	if err != nil {
		return 0, err
	}
	for _, d := range referrers {
		if err := r.sweepReferrer(tx, d.imageKey, d.repositoryKey, referee, total); err != nil {
			return 0, err
		}
	}
	return len(referrers), nil
}

func (r *Registry) sweepReferrer(tx *store.Tx, image imageKey, repo repositoryKey, referee Referee, total *int) error {
	parents, err := r.parents(tx, image.repository, image.digest)
	if err != nil {
		return err
	}
	if len(parents) > 0 {
		_, err := tx.Exec(`UPDATE image SET doomed_at = NULL WHERE repository = $1 AND digest = $2`, image.repository, string(image.digest))
		return err
	}
	if _, err := r.deleteImage(tx, image.repository, image.digest); err != nil {
		return err
	}
	count(tx, total, 1)
	return referee(tx, repo.ID, repo.name, image.digest)
}

// sweepRepository removes some rows of a deleted repository, and in the end the repository's own.
func (r *Registry) sweepRepository(tx *store.Tx, total *int) (int, error) {
	var id int64
	err := tx.QueryRow(`SELECT id FROM repository WHERE deleted_at IS NOT NULL ORDER BY deleted_at LIMIT 1`).Scan(&id)
	if errors.Is(err, store.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look for deleted repositories: %w", err)
	}
	for _, step := range []func(*store.Tx, int64) (int, error){r.emptyOfImages, r.emptyOfUploads, r.emptyOfLayers} {
		if n, err := step(tx, id); err != nil || n > 0 {
			return n, err
		}
	}
	for _, query := range []string{`DELETE FROM resource_tag WHERE repository = $1`, `DELETE FROM repository_policy WHERE repository = $1`,
		`DELETE FROM repository WHERE id = $1`} {
		if _, err := tx.Exec(query, id); err != nil {
			return 0, fmt.Errorf("remove a deleted repository: %w", err)
		}
	}
	count(tx, total, 1)
	return 1, nil
}

func (r *Registry) emptyOfImages(tx *store.Tx, repository int64) (int, error) {
	digests, err := r.texts(tx, `SELECT digest FROM image WHERE repository = $1 LIMIT $2`, repository, sweepChunk)
	if err != nil {
		return 0, err
	}
	for _, d := range digests {
		if _, err := r.deleteImage(tx, repository, oci.Digest(d)); err != nil {
			return 0, err
		}
	}
	return len(digests), nil
}

func (r *Registry) emptyOfUploads(tx *store.Tx, repository int64) (int, error) {
	rows, err := tx.Query(`SELECT id, object FROM upload WHERE repository = $1 LIMIT $2`, repository, sweepChunk)
	if err != nil {
		return 0, err
	}
	uploads, err := store.Collect(rows, scanUploadKey)
	for _, u := range uploads {
		if err := r.removeUpload(tx, u, true); err != nil {
			return 0, err
		}
	}
	return len(uploads), err
}

func (r *Registry) emptyOfLayers(tx *store.Tx, repository int64) (int, error) {
	return r.removeLayers(tx, `SELECT repository, `+layerColumns+` FROM layer WHERE repository = $1 LIMIT $2`, repository, sweepChunk)
}

// sweepObjects deletes the objects that were given up, and then forgets them. A crash in between only means that an
// object is deleted twice. One that can't be deleted is left for the next sweep and doesn't keep the others.
func (r *Registry) sweepObjects(ctx context.Context, total *int) error {
	var failed failures
	for after := ""; ; {
		var objects []string
		err := r.db.View(ctx, func(tx *store.Tx) (err error) {
			objects, err = r.texts(tx, `SELECT object FROM garbage WHERE object > $1 ORDER BY object LIMIT $2`, after, sweepChunk)
			return err
		})
		if err != nil || len(objects) == 0 {
			return errors.Join(err, failed.err())
		}
		after = objects[len(objects)-1]
		var gone []string
		for _, object := range objects {
			if err := r.blobs.Delete(ctx, object); err != nil {
				failed.add(fmt.Errorf("delete object %s: %w", object, err))
				continue
			}
			gone = append(gone, object)
		}
		if err := r.forget(ctx, gone); err != nil {
			return errors.Join(err, failed.err())
		}
		*total += len(gone)
	}
}

// forget removes objects that were deleted from the garbage.
func (r *Registry) forget(ctx context.Context, objects []string) error {
	if len(objects) == 0 {
		return ctx.Err()
	}
	err := r.db.Update(ctx, func(tx *store.Tx) error {
		for _, object := range objects {
			if _, err := tx.Exec(`DELETE FROM garbage WHERE object = $1`, object); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget deleted objects: %w", err)
	}
	return nil
}

// SweepOrphans deletes objects older than the grace period that no row refers to, such as a crash between a layer's
// commit and its transaction leaves. It lists the whole store, so it is for the start and for once a day. One that can't
// be deleted doesn't keep the others.
func (r *Registry) SweepOrphans(ctx context.Context) (removed int, err error) {
	cutoff := r.now().Add(-max(r.limits.seconds(LayerGraceSeconds), r.limits.seconds(UploadExpirySeconds), time.Hour))
	var failed failures
	for info, err := range r.blobs.List(ctx, "") {
		if err != nil {
			return removed, errors.Join(fmt.Errorf("list objects: %w", err), failed.err())
		}
		if info.Modified.After(cutoff) {
			continue
		}
		known, err := r.objectKnown(ctx, info.Key)
		if err != nil {
			return removed, errors.Join(err, failed.err())
		}
		if known {
			continue
		}
		if err := r.blobs.Delete(ctx, info.Key); err != nil {
			failed.add(fmt.Errorf("delete orphan %s: %w", info.Key, err))
			continue
		}
		removed++
	}
	return removed, failed.err()
}

// failures are errors of one kind, of which the first stands for all.
type failures struct {
	first error
	n     int
}

func (f *failures) add(err error) {
	if f.n++; f.n == 1 {
		f.first = err
	}
}

func (f *failures) err() error {
	if f.n > 1 {
		return fmt.Errorf("%d objects, the first: %w", f.n, f.first)
	}
	return f.first
}
