package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

func objectID(key string) seal.ObjectID {
	var id seal.ObjectID
	hex.Decode(id[:], []byte(key[max(0, len(key)-2*len(id)):]))
	return id
}

// LayerReader reads the bytes of a layer.
type LayerReader struct {
	*seal.Reader
	object blob.Object
}

// Close releases the layer.
func (l *LayerReader) Close() error { return errors.Join(l.Reader.Close(), l.object.Close()) }

// OpenLayer opens the bytes of a layer. Close the reader. The error is ErrLayerNotFound if the layer was swept meanwhile.
func (r *Registry) OpenLayer(ctx context.Context, repo Repository, l Layer) (*LayerReader, error) {
	key, err := r.objectKey(repo, l.object, l.wrapped)
	if err != nil {
		return nil, fmt.Errorf("unwrap the key of layer %s: %w", l.Digest, err)
	}
	reader, err := r.openObject(ctx, l.object, key)
	if errors.Is(err, fs.ErrNotExist) {
		r.layers.Drop(imageKey{repo.id, l.Digest})
		return nil, ErrLayerNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("open layer %s: %w", l.Digest, err)
	}
	if reader.Size() != l.Size {
		err := fmt.Errorf("open layer %s: the object holds %d bytes, the layer %d", l.Digest, reader.Size(), l.Size)
		return nil, errors.Join(err, reader.Close())
	}
	return reader, nil
}

// openObject opens a sealed object. The error is fs.ErrNotExist if it isn't there.
func (r *Registry) openObject(ctx context.Context, name string, key seal.Key) (*LayerReader, error) {
	object, err := r.blobs.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	reader, err := seal.Open(object, object.Size(), key, objectID(name))
	if err != nil {
		return nil, errors.Join(err, object.Close())
	}
	return &LayerReader{Reader: reader, object: object}, nil
}

// objectDigest reads a whole object, and gives the digest and the number of its bytes. It tells progress of each piece.
func (r *Registry) objectDigest(ctx context.Context, name string, key seal.Key, progress func(int64)) (digest oci.Digest, size int64, err error) {
	reader, err := r.openObject(ctx, name, key)
	if err != nil {
		return "", 0, err
	}
	defer reader.Close()
	sum := sha256.New()
	size, err = reader.NewReadSeeker().WriteRangeTo(writerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		progress(int64(len(p)))
		return sum.Write(p)
	}), reader.Size())
	return oci.Digest("sha256:" + hex.EncodeToString(sum.Sum(nil))), size, err
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// discard leaves an object, to which no row refers any more, to the sweeper.
func (r *Registry) discard(tx *store.Tx, object string) error {
	err := tx.Send(`INSERT INTO garbage (object, since) VALUES ($1, $2) ON CONFLICT (object) DO NOTHING`, object, r.now().UnixMicro())
	if err != nil {
		return fmt.Errorf("discard object %s: %w", object, err)
	}
	return nil
}

// objectKnown reports whether a row refers to an object.
func (r *Registry) objectKnown(ctx context.Context, object string) (known bool, err error) {
	err = r.db.View(ctx, func(tx *store.Tx) error {
		found, err := r.texts(tx, `SELECT object FROM layer WHERE object = $1 UNION ALL SELECT object FROM upload WHERE object = $1
			UNION ALL SELECT object FROM garbage WHERE object = $1 LIMIT 1`, object)
		known = len(found) > 0
		return err
	})
	return known, err
}
