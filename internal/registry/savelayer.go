package registry

import (
	"errors"
	"fmt"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/store"
)

// lookAround notes whether the layer that is to have one of the digests is new to the encryption domain, in one round trip with other
// rows. It is not known for more than one digest.
func (t *Transfer) lookAround(tx *store.Tx, digests []oci.Digest, others ...*store.Row) error {
	if len(digests) != 1 {
		return tx.Prefetch(others...)
	}
	digest := digests[0]
	domain, err := t.r.domain(t.repo)
	if err != nil {
		return err
	}
	known, twin := layerRow(tx, t.repo.id, digest), twinRow(tx, domain, digest)
	if err := tx.Prefetch(append(others, &known, &twin)...); err != nil {
		return err
	}
	if _, err := readLayer(known, digest); !errors.Is(err, ErrLayerNotFound) {
		return err
	}
	if _, err := readTwin(twin, digest); !errors.Is(err, ErrLayerNotFound) {
		return err
	}
	t.unknown = digest
	return nil
}

// SaveLayer records the finished layer and ends the upload. If the repository has the layer already, it is left as it is
// and existed is set; if another repository of the encryption domain has it, they share its object. The error is
// ErrUploadNotFound if another request ended the upload meanwhile, ErrUploadBusy if one wrote to it, or ErrRepositoryNotFound.
//
// A layer that was unknown when the transfer began is inserted without another look: that would come in the way of whoever inserts a
// neighbour in the index at the same time. Two repositories that get the same new layer at once then have an object each.
func (t *Transfer) SaveLayer(tx *store.Tx) (l Layer, existed bool, err error) {
	domain, err := t.r.domain(t.repo)
	if err != nil {
		return Layer{}, false, err
	}
	completed := t.upload.completedLayer(domain, t.sum).fresh(t.r.now())
	revision := revisionRow(tx, t.upload.ID)
	known, twin, inserted := layerRow(tx, t.repo.id, t.sum), twinRow(tx, domain, t.sum), insertedLayer(tx, t.repo, completed)
	isNew := t.unknown == t.sum
	rows := []*store.Row{&known, &twin}
	if isNew {
		rows = []*store.Row{&inserted}
	}
	if t.stored {
		rows = append(rows, &revision)
	}
	if _, err := t.r.current(tx, t.repo, rows...); err != nil {
		return Layer{}, false, err
	}
	// The key may have been taken away since the upload began.
	if err := t.r.Usable(t.repo); err != nil {
		return Layer{}, false, err
	}
	if t.stored {
		if err := t.upload.unchanged(revision); err != nil {
			return Layer{}, false, err
		}
	}
	if isNew {
		existed, err = occupied(inserted)
		if err != nil {
			return Layer{}, false, fmt.Errorf("store layer %s: %w", t.sum, err)
		}
	}
	if isNew && !existed {
		touchLayer(tx, t.repo.id, t.sum)
		return completed, false, t.end(tx, false)
	}
	l, existed, shared, err := t.r.adoptLayer(tx, t.repo, completed, known, twin)
	if err != nil {
		return Layer{}, false, err
	}
	return l, existed, t.end(tx, existed || shared)
}

// end ends the upload, of which the transaction has read that it is unchanged, and discards its object if that is unused.
func (t *Transfer) end(tx *store.Tx, unused bool) error {
	if t.stored {
		return t.r.removeUpload(tx, t.upload, unused)
	}
	if unused {
		return t.r.discard(tx, t.upload.object)
	}
	return nil
}

// adoptLayer makes a completed layer one of the repository, or finds one that serves as well: known is the row of the one that
// the repository has, and twin that of a repository that has it too.
func (r *Registry) adoptLayer(tx *store.Tx, repo Repository, completed Layer, known, twin store.Row) (l Layer, existed, shared bool, err error) {
	if l, err = readLayer(known, completed.Digest); err == nil {
		l, err = r.keepLayer(tx, repo.id, l)
		return l, true, false, err
	} else if !errors.Is(err, ErrLayerNotFound) {
		return Layer{}, false, false, err
	}
	other, owner, err := r.twin(tx, twin, completed.Digest)
	if errors.Is(err, ErrLayerNotFound) {
		l, err = r.addLayer(tx, repo, completed)
		return l, false, false, err
	}
	if err != nil {
		return Layer{}, false, false, err
	}
	var refused *KeyError
	if err := r.Usable(owner); errors.As(err, &refused) {
		// What was taken from the owner alone is nobody else's loss: the bytes that came are as good.
		l, err = r.addLayer(tx, repo, completed)
		return l, false, false, err
	}
	l, err = r.linkLayer(tx, owner, repo, other)
	return l, false, true, err
}

// twinRow is the row of a repository of the encryption domain that has a layer.
func twinRow(tx *store.Tx, domain string, digest oci.Digest) store.Row {
	return tx.QueryRow(`SELECT layer.repository FROM layer JOIN repository ON repository.id = layer.repository
		WHERE layer.domain = $1 AND layer.digest = $2 AND repository.deleted_at IS NULL LIMIT 1`, domain, string(digest))
}

// readTwin reads which repository twinRow names. The error is ErrLayerNotFound.
func readTwin(row store.Scanner, digest oci.Digest) (repository int64, err error) {
	err = row.Scan(&repository)
	if errors.Is(err, store.ErrNoRows) {
		return 0, ErrLayerNotFound
	}
	if err != nil {
		return 0, fmt.Errorf("look for another copy of layer %s: %w", digest, err)
	}
	return repository, nil
}

// twin is the same layer in the repository that twinRow names. The error is ErrLayerNotFound.
func (r *Registry) twin(tx *store.Tx, row store.Scanner, digest oci.Digest) (Layer, Repository, error) {
	repository, err := readTwin(row, digest)
	if err != nil {
		return Layer{}, Repository{}, err
	}
	l, err := r.layer(tx, repository, digest)
	if err != nil {
		return Layer{}, Repository{}, err
	}
	owner, err := scanRepository(tx.QueryRow(`SELECT `+repositoryColumns+` FROM repository WHERE id = $1`, repository))
	return l, owner, err
}
