package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/coffer-registry/coffer/internal/audit"
	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

// Upload is a layer that is being sent.
type Upload struct {
	// ID is a UUID.
	ID string
	// Size is how many bytes were received and made durable.
	Size int64
	// Parts is how many parts they came in.
	Parts int64

	object    string
	wrapped   []byte
	lastPart  int64
	shortPart bool // a part that was not the last was smaller than the minimum
	sealed    []byte
	revision  int64
}

// progress is what it takes to go on with an upload, in this process or another. It holds plain bytes of the layer, so
// it is sealed in its row.
type progress struct {
	Hash   []byte `json:"hash,omitempty"`   // of crypto/sha256
	Writer []byte `json:"writer,omitempty"` // of seal.Writer
	Blob   []byte `json:"blob,omitempty"`   // of blob.Upload
}

// StartUpload begins an upload to the repository.
func (r *Registry) StartUpload(tx *store.Tx, repo Repository) (Upload, error) {
	u, err := r.newUpload(repo)
	if err != nil {
		return Upload{}, err
	}
	err = tx.Send(`INSERT INTO upload (id, repository, object, data_key, size, parts, last_part, short_part, state, revision, updated_at)
		VALUES ($1, $2, $3, $4, 0, 0, 0, 0, $5, 0, $6)`, u.ID, repo.id, u.object, u.wrapped, u.sealed, r.now().UnixMicro())
	if err != nil {
		return Upload{}, fmt.Errorf("start an upload: %w", err)
	}
	return u, nil
}

func (r *Registry) newUpload(repo Repository) (Upload, error) {
	object := blob.NewKey(r.now())
	wrapped, err := r.newObjectKey(repo, object)
	if err != nil {
		return Upload{}, err
	}
	return Upload{ID: audit.NewUUID(), object: object, wrapped: wrapped, sealed: []byte{}}, nil
}

// Upload finds an upload of the repository. The error is ErrUploadNotFound.
func (r *Registry) Upload(tx *store.Tx, repo Repository, id string) (Upload, error) {
	return readUpload(uploadRow(tx, repo, id), id)
}

func uploadRow(tx *store.Tx, repo Repository, id string) store.Row {
	return tx.QueryRow(`SELECT object, data_key, size, parts, last_part, short_part, state, revision FROM upload WHERE id = $1 AND repository = $2`, id, repo.id)
}

func readUpload(row store.Scanner, id string) (Upload, error) {
	u := Upload{ID: id}
	var short int64
	err := row.Scan(&u.object, &u.wrapped, &u.Size, &u.Parts, &u.lastPart, &short, &u.sealed, &u.revision)
	if errors.Is(err, store.ErrNoRows) {
		return Upload{}, ErrUploadNotFound
	}
	if err != nil {
		return Upload{}, fmt.Errorf("look up upload %s: %w", id, err)
	}
	u.shortPart = short != 0
	return u, nil
}

// CancelUpload discards an upload. The error is ErrUploadNotFound.
func (r *Registry) CancelUpload(tx *store.Tx, repo Repository, id string) error {
	u, err := r.Upload(tx, repo, id)
	if err != nil {
		return err
	}
	return r.removeUpload(tx, u, true)
}

func revisionRow(tx *store.Tx, uploadID string) store.Row {
	return tx.QueryRow(`SELECT revision FROM upload WHERE id = $1`, uploadID)
}

// unchanged holds the row of an upload that was read before the transaction against its revision now. The error is ErrUploadNotFound
// if another request ended the upload, and ErrUploadBusy if one wrote to it.
func (u Upload) unchanged(revision store.Scanner) error {
	var now int64
	err := revision.Scan(&now)
	if errors.Is(err, store.ErrNoRows) {
		return ErrUploadNotFound
	}
	if err != nil {
		return fmt.Errorf("look up upload %s: %w", u.ID, err)
	}
	if now != u.revision {
		return ErrUploadBusy
	}
	return nil
}

// removeUpload deletes the row of an upload, which the transaction has read, and discards its object if nothing else took it over.
func (r *Registry) removeUpload(tx *store.Tx, u Upload, discard bool) error {
	if err := tx.Send(`DELETE FROM upload WHERE id = $1`, u.ID); err != nil {
		return fmt.Errorf("end upload %s: %w", u.ID, err)
	}
	if !discard {
		return nil
	}
	return r.discard(tx, u.object)
}

func (r *Registry) openProgress(u Upload, repo Repository) (progress, error) {
	var p progress
	if len(u.sealed) == 0 {
		return p, nil
	}
	key, err := r.key(repo)
	if err != nil {
		return p, err
	}
	text, err := seal.OpenBytes(key, rowContext("upload", repo.id, u.ID), u.sealed)
	if err != nil {
		return p, fmt.Errorf("open the state of upload %s: %w", u.ID, err)
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return p, fmt.Errorf("read the state of upload %s: %w", u.ID, err)
	}
	return p, nil
}

func (r *Registry) sealProgress(repo Repository, uploadID string, p progress) ([]byte, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	key, err := r.key(repo)
	if err != nil {
		return nil, err
	}
	return seal.SealBytes(key, rowContext("upload", repo.id, uploadID), text)
}

// saveUpload records the progress of an upload, unless another request was faster: then the error is ErrUploadNotFound or
// ErrUploadBusy.
func (r *Registry) saveUpload(tx *store.Tx, u Upload) error {
	if err := u.unchanged(revisionRow(tx, u.ID)); err != nil {
		return err
	}
	if err := tx.Send(`UPDATE upload SET size = $1, parts = $2, last_part = $3, short_part = $4, state = $5, revision = $6, updated_at = $7
		WHERE id = $8`,
		u.Size, u.Parts, u.lastPart, boolean(u.shortPart), u.sealed, u.revision+1, r.now().UnixMicro(), u.ID); err != nil {
		return fmt.Errorf("save upload %s: %w", u.ID, err)
	}
	return nil
}

// uploadCutoff is the time before which an upload must have been written to last to be discarded.
func (r *Registry) uploadCutoff() time.Time {
	return r.now().Add(-r.limits.seconds(UploadExpirySeconds))
}

// completedLayer is the layer that the bytes of an upload make.
func (u Upload) completedLayer(domain string, digest oci.Digest) Layer {
	return Layer{Digest: digest, Size: u.Size, domain: domain, object: u.object, wrapped: u.wrapped}
}
