package registry

import (
	"context"

	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/store"
)

// KeyFact says which key opens one thing that is sealed, and whether it does.
type KeyFact struct {
	// Repository is the ARN of the repository that the thing belongs to.
	Repository string
	// Object is the key of an object in the blob store; empty for the repository's own key, which seals its manifests.
	Object string
	// Encryption is that of the repository.
	Encryption Encryption
	// Material names the material of the customer key that the repository's key is wrapped with; empty without one.
	Material string
	// ServiceKey is the id of the service key in the chain; empty for EncryptionKMS, whose chain has none but that of KMS.
	ServiceKey string
	// Layers is how often the object is encrypted.
	Layers int
	// Err is why the key does not open; nil if it does.
	Err error
}

// CheckKeys opens the wrapped key of every repository and object, and tells each what it found, in the order of repositories. It
// reads no bytes of objects. Nothing may write meanwhile. The error is one that keeps it from going on.
func (r *Registry) CheckKeys(ctx context.Context, tell func(KeyFact)) error {
	for after := int64(0); ; {
		ids, err := r.liveRepositories(ctx, after)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			after = id
			if err := r.checkKeysOf(ctx, id, tell); err != nil {
				return err
			}
		}
	}
}

// liveRepositories are some ids of repositories that were not deleted, in their order.
func (r *Registry) liveRepositories(ctx context.Context, after int64) (ids []int64, err error) {
	err = r.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT id FROM repository WHERE id > $1 AND deleted_at IS NULL ORDER BY id LIMIT $2`, after, checkPage)
		if err != nil {
			return err
		}
		ids, err = store.Collect(rows, store.Value[int64])
		return err
	})
	return ids, err
}

func (r *Registry) checkKeysOf(ctx context.Context, id int64, tell func(KeyFact)) error {
	repo, err := r.byID(ctx, id)
	if err != nil {
		return err
	}
	fact := KeyFact{Repository: repo.ARN(), Encryption: repo.Encryption, Material: repo.wrapped.material, ServiceKey: repo.serviceKey()}
	key, err := r.key(repo)
	fact.Err, fact.Layers = err, key.Layers()
	tell(fact)
	for _, query := range []string{
		`SELECT digest, object, data_key FROM layer WHERE repository = $1 AND digest > $2 ORDER BY digest LIMIT $3`,
		`SELECT id, object, data_key FROM upload WHERE repository = $1 AND id > $2 ORDER BY id LIMIT $3`,
	} {
		if err := r.checkObjectKeys(ctx, repo, query, fact, tell); err != nil {
			return err
		}
	}
	return nil
}

// sealedObject is an object with its wrapped key; row is what its row is found by.
type sealedObject struct {
	row, object string
	wrapped     []byte
}

// checkObjectKeys opens the keys of the objects that a query finds, of a repository of which fact tells.
func (r *Registry) checkObjectKeys(ctx context.Context, repo Repository, query string, fact KeyFact, tell func(KeyFact)) error {
	for after := ""; ; {
		var page []sealedObject
		err := r.db.View(ctx, func(tx *store.Tx) error {
			rows, err := tx.Query(query, repo.id, after, checkPage)
			if err != nil {
				return err
			}
			page, err = store.Collect(rows, func(row store.Scanner) (o sealedObject, err error) {
				return o, row.Scan(&o.row, &o.object, &o.wrapped)
			})
			return err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, o := range page {
			after = o.row
			key, err := r.objectKey(repo, o.object, o.wrapped)
			fact.Object, fact.Layers, fact.Err = o.object, key.Layers(), err
			tell(fact)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// serviceKey is the id of the service key that the repository's key, or its second layer, is wrapped with.
func (r Repository) serviceKey() string {
	wrapped := r.wrapped.outer
	if r.Encryption.Type == EncryptionAES256 {
		wrapped = r.wrapped.inner
	}
	id, ok := kms.WrappedBy(wrapped)
	if !ok {
		return ""
	}
	return id.String()
}

// byID finds a repository by the id of its row.
func (r *Registry) byID(ctx context.Context, id int64) (repo Repository, err error) {
	err = r.db.View(ctx, func(tx *store.Tx) error {
		repo, err = scanRepository(tx.QueryRow(`SELECT `+repositoryColumns+` FROM repository WHERE id = $1`, id))
		return err
	})
	return repo, err
}
