package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/store"
)

// inventoryPage is how many objects are read at once.
const inventoryPage = 1000

// Objects gives the objects that layers refer to, as a transaction sees them, in the order of their keys and each once.
func Objects(tx *store.Tx) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for after := ""; ; {
			rows, err := tx.Query(`SELECT object FROM layer WHERE object > $1 GROUP BY object ORDER BY object LIMIT $2`, after, inventoryPage)
			if err != nil {
				yield("", fmt.Errorf("list the objects of layers: %w", err))
				return
			}
			page, err := store.Collect(rows, store.Value[string])
			if err != nil {
				yield("", fmt.Errorf("list the objects of layers: %w", err))
				return
			}
			for _, object := range page {
				if !yield(object, nil) {
					return
				}
			}
			if len(page) < inventoryPage {
				return
			}
			after = page[len(page)-1]
		}
	}
}

// Entry is an object that layers refer to, as the blob store has it.
type Entry struct {
	Object string
	// Size is that of the sealed object in bytes; Missing says that the blob store has no such object.
	Size    int64
	Missing bool
}

// Inventory gives the objects that layers refer to with their sizes. It lists the whole blob store.
func Inventory(ctx context.Context, tx *store.Tx, blobs blob.Store) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		next, stop := iter.Pull2(blobs.List(ctx, ""))
		defer stop()
		var info blob.Info
		for object, err := range Objects(tx) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for more := true; more && (info.Key < object || info.Key == object && info.Partial); {
				if info, err, more = next(); err != nil {
					yield(Entry{}, fmt.Errorf("list objects: %w", err))
					return
				}
			}
			entry := Entry{Object: object, Size: info.Size, Missing: info.Key != object}
			if entry.Missing {
				// It may have come since the list passed its place.
				if entry, err = look(ctx, blobs, object); err != nil {
					yield(Entry{}, err)
					return
				}
			}
			if !yield(entry, nil) {
				return
			}
		}
	}
}

// look asks for one object.
func look(ctx context.Context, blobs blob.Store, object string) (Entry, error) {
	o, err := blobs.Open(ctx, object)
	if errors.Is(err, fs.ErrNotExist) {
		return Entry{Object: object, Missing: true}, nil
	}
	if err != nil {
		return Entry{}, err
	}
	defer o.Close()
	return Entry{Object: object, Size: o.Size()}, nil
}
