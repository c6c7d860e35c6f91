package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/store"
)

// Layer is a blob that a repository knows: a layer, a config or whatever else a manifest refers to.
type Layer struct {
	Digest oci.Digest
	// Size is in bytes, as the client sent them.
	Size int64
	// MediaType is that under which an image refers to the layer; empty while none does.
	MediaType string
	// Referenced is set while an image of the repository refers to the layer.
	Referenced bool

	idleSince time.Time
	domain    string
	object    string
	wrapped   []byte
}

const layerColumns = `digest, size, media_type, domain, object, data_key, idle_since`

func scanLayer(row store.Scanner) (Layer, error) {
	var l Layer
	var digest string
	var idle *int64
	if err := row.Scan(&digest, &l.Size, &l.MediaType, &l.domain, &l.object, &l.wrapped, &idle); err != nil {
		return Layer{}, err
	}
	l.Digest, l.Referenced = oci.Digest(digest), idle == nil
	if idle != nil {
		l.idleSince = time.UnixMicro(*idle)
	}
	return l, nil
}

// ownedLayer is a layer with the repository that it belongs to.
type ownedLayer struct {
	Layer
	repository int64
}

// scanOwnedLayer scans a layer after the repository that it belongs to.
func scanOwnedLayer(row store.Scanner) (o ownedLayer, err error) {
	o.Layer, err = scanLayer(prefixed{row, &o.repository})
	return o, err
}

// prefixed scans rows that have one column before those that the scan expects.
type prefixed struct {
	store.Scanner
	first any
}

func (p prefixed) Scan(dest ...any) error { return p.Scanner.Scan(append([]any{p.first}, dest...)...) }

func (r *Registry) layer(tx *store.Tx, repository int64, digest oci.Digest) (Layer, error) {
	return readLayer(layerRow(tx, repository, digest), digest)
}

func layerRow(tx *store.Tx, repository int64, digest oci.Digest) store.Row {
	return tx.QueryRow(`SELECT `+layerColumns+` FROM layer WHERE repository = $1 AND digest = $2`, repository, string(digest))
}

func readLayer(row store.Scanner, digest oci.Digest) (Layer, error) {
	l, err := scanLayer(row)
	if errors.Is(err, store.ErrNoRows) {
		return Layer{}, ErrLayerNotFound
	}
	if err != nil {
		return Layer{}, fmt.Errorf("look up layer %s: %w", digest, err)
	}
	return l, nil
}

// Layer finds a layer of a repository. Whoever is told that a layer is there may count on it for half the grace period:
// an idle layer that would be swept before is renewed. The error is ErrLayerNotFound.
func (r *Registry) Layer(ctx context.Context, repo Repository, digest oci.Digest) (Layer, error) {
	l, err := r.layers.Get(imageKey{repo.id, digest}, func() (l Layer, bytes int, err error) {
		err = r.db.View(ctx, func(tx *store.Tx) error {
			l, err = r.layer(tx, repo.id, digest)
			return err
		})
		return l, 512, err
	})
	if err != nil || r.lasts(l) {
		return l, err
	}
	err = r.db.Update(ctx, func(tx *store.Tx) error {
		if l, err = r.layer(tx, repo.id, digest); err == nil {
			l, err = r.keepLayer(tx, repo.id, l)
		}
		return err
	})
	return l, err
}

// lasts reports whether a layer stays for half the grace period at least.
func (r *Registry) lasts(l Layer) bool {
	return l.Referenced || r.now().Sub(l.idleSince) < r.limits.seconds(LayerGraceSeconds)/2
}

// keepLayer renews an idle layer that would soon be swept, for a client that is to be told that the layer is there.
func (r *Registry) keepLayer(tx *store.Tx, repository int64, l Layer) (Layer, error) {
	if r.lasts(l) {
		return l, nil
	}
	l.idleSince = r.now()
	if err := tx.Send(`UPDATE layer SET idle_since = $1 WHERE repository = $2 AND digest = $3`,
		l.idleSince.UnixMicro(), repository, string(l.Digest)); err != nil {
		return Layer{}, fmt.Errorf("renew layer %s: %w", l.Digest, err)
	}
	touchLayer(tx, repository, l.Digest)
	return l, nil
}

// MountLayer makes a layer of one repository also one of another, without moving bytes. It works only within an
// encryption domain and only for layers that an image of the source refers to; otherwise the error is ErrLayerNotFound,
// and the client uploads the layer instead.
func (r *Registry) MountLayer(tx *store.Tx, from, to Repository, digest oci.Digest) (Layer, error) {
	if err := r.Usable(to); err != nil {
		return Layer{}, err
	}
	if existing, err := r.layer(tx, to.id, digest); err == nil {
		return r.keepLayer(tx, to.id, existing)
	} else if !errors.Is(err, ErrLayerNotFound) {
		return Layer{}, err
	}
	l, err := r.layer(tx, from.id, digest)
	if err != nil {
		return Layer{}, err
	}
	domain, err := r.domain(to)
	if err != nil {
		return Layer{}, err
	}
	if !l.Referenced || l.domain != domain {
		return Layer{}, ErrLayerNotFound
	}
	return r.linkLayer(tx, from, to, l)
}

// linkLayer adds to a repository a layer that shares the object of another repository's.
func (r *Registry) linkLayer(tx *store.Tx, from, to Repository, l Layer) (Layer, error) {
	key, err := r.objectKey(from, l.object, l.wrapped)
	if err != nil {
		return Layer{}, fmt.Errorf("unwrap the key of layer %s: %w", l.Digest, err)
	}
	under, err := r.key(to)
	if err != nil {
		return Layer{}, err
	}
	if l.wrapped, err = wrapObjectKey(under, to, l.object, key); err != nil {
		return Layer{}, err
	}
	return r.addLayer(tx, to, l)
}

const insertLayer = `INSERT INTO layer (repository, digest, size, media_type, domain, object, data_key, created_at, idle_since)
	VALUES ($1, $2, $3, '', $4, $5, $6, $7, $7)`

// fresh is a layer that is new to a repository.
func (l Layer) fresh(now time.Time) Layer {
	l.MediaType, l.Referenced, l.idleSince = "", false, now
	return l
}

// columns are the arguments of insertLayer for a fresh layer.
func (l Layer) columns(repository int64) []any {
	return []any{repository, string(l.Digest), l.Size, l.domain, l.object, l.wrapped, l.idleSince.UnixMicro()}
}

// addLayer adds a layer that a repository doesn't have.
func (r *Registry) addLayer(tx *store.Tx, repo Repository, l Layer) (Layer, error) {
	l = l.fresh(r.now())
	if err := tx.Send(insertLayer, l.columns(repo.id)...); err != nil {
		return Layer{}, fmt.Errorf("store layer %s: %w", l.Digest, err)
	}
	touchLayer(tx, repo.id, l.Digest)
	return l, nil
}

// insertedLayer is a row if the repository had no such layer; then it has this fresh one now.
func insertedLayer(tx *store.Tx, repo Repository, l Layer) store.Row {
	return tx.QueryRow(insertLayer+` ON CONFLICT (repository, digest) DO NOTHING RETURNING 1`, l.columns(repo.id)...)
}

// DeleteLayer removes a layer that no image of its repository refers to. The error is ErrLayerNotFound or
// ErrLayerReferenced.
func (r *Registry) DeleteLayer(tx *store.Tx, repo Repository, digest oci.Digest) error {
	l, err := r.layer(tx, repo.id, digest)
	if err != nil {
		return err
	}
	if l.Referenced {
		return ErrLayerReferenced
	}
	return r.removeLayer(tx, repo.id, l)
}

// removeLayer deletes the row of a layer, and gives up its object if it was the last row to refer to it.
func (r *Registry) removeLayer(tx *store.Tx, repository int64, l Layer) error {
	if err := tx.Send(`DELETE FROM layer WHERE repository = $1 AND digest = $2`, repository, string(l.Digest)); err != nil {
		return fmt.Errorf("delete layer %s: %w", l.Digest, err)
	}
	touchLayer(tx, repository, l.Digest)
	var others int
	if err := tx.QueryRow(`SELECT count(*) FROM (SELECT 1 FROM layer WHERE object = $1 LIMIT 1) AS other`, l.object).Scan(&others); err != nil {
		return err
	}
	if others > 0 {
		return nil
	}
	return r.discard(tx, l.object)
}
