package app

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/store"
)

// objectsPlace is where a configuration has its objects: a folder or s3://….
func (c *Config) objectsPlace() string { return cmp.Or(c.Blobs, filepath.Join(c.Data, "blobs")) }

// databasePlace is where a configuration has its database: the data folder or postgres://….
func (c *Config) databasePlace() string { return cmp.Or(c.Database, c.Data) }

// openObjects opens a store of objects: a folder, which is made if it is missing but not its parent, or s3://….
func openObjects(ctx context.Context, place string) (blob.Store, error) {
	if strings.HasPrefix(place, "s3:") {
		s3, err := blob.OpenS3(ctx, place, blob.S3Options{})
		if err != nil {
			return nil, err
		}
		return s3, nil
	}
	return blob.OpenFolder(place)
}

// PublicPlace names a place without what may be secret or is of no interest: the password and the parameters of a URL.
func PublicPlace(place string) string {
	scheme, rest, isURL := strings.Cut(place, "://")
	if !isURL {
		return place
	}
	rest, _, _ = strings.Cut(rest, "?")
	rest, _, _ = strings.Cut(rest, "#")
	path := ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		rest, path = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		user, _, _ := strings.Cut(rest[:i], ":")
		rest = user + "@" + rest[i+1:]
	}
	return scheme + "://" + rest + path
}

// samePlace reports whether two places of objects, or of databases, are one.
func samePlace(a, b string) bool {
	if strings.Contains(a, "://") || strings.Contains(b, "://") {
		return PublicPlace(a) == PublicPlace(b)
	}
	absA, errA := filepath.Abs(a)
	absB, errB := filepath.Abs(b)
	return errA == nil && errB == nil && absA == absB
}

// claim makes a store of objects that of an installation, if the store can tell whose it is. The error is one when it is
// another's.
func claim(ctx context.Context, s blob.Store, id string) error {
	if c, ok := s.(interface {
		Claim(ctx context.Context, id string) error
	}); ok && id != "" {
		return c.Claim(ctx, id)
	}
	return nil
}

// checkMarks refuses a database that isn't to be served: one that was filled in part, one whose installation goes on elsewhere, and
// one whose objects are in another place than the configuration says.
func checkMarks(ctx context.Context, c Config, db *store.DB) error {
	return db.View(ctx, func(tx *store.Tx) error {
		marks, err := readMarks(tx)
		if err != nil {
			return err
		}
		switch here := PublicPlace(c.databasePlace()); {
		case marks.incomplete != nil:
			return fmt.Errorf("the database in %s is incomplete: %s was broken off while it filled it; run that again", here, marks.incomplete.What)
		case marks.moved != nil:
			return fmt.Errorf("the installation in %s was moved to %s on %s; start the server there, or, to go on here without what happened there since, run: coffer move --undo with the flags of this server",
				here, marks.moved.To, marks.moved.At.UTC().Format("2006-01-02 15:04 MST"))
		case marks.objects != nil && !sameObjects(marks.objects.To, c):
			return fmt.Errorf("the objects of the database in %s were moved to %s: start with --blobs for that place, or, to go on with those in %s, run: coffer move --undo with the flags of this server",
				here, marks.objects.To, PublicPlace(c.objectsPlace()))
		}
		return nil
	})
}

// sameObjects reports whether the objects of a configuration are in the place of a mark.
func sameObjects(place string, c Config) bool {
	return place == folderOfObjects && c.Blobs == "" || place == PublicPlace(c.objectsPlace())
}

// folderOfObjects is the place of objects in the data folder, wherever that is.
const folderOfObjects = "the data folder"

type marks struct{ incomplete, moved, objects *store.Mark }

func readMarks(tx *store.Tx) (m marks, err error) {
	if m.incomplete, err = store.GetMark(tx, store.MarkIncomplete); err != nil {
		return m, err
	}
	if m.moved, err = store.GetMark(tx, store.MarkMoved); err != nil {
		return m, err
	}
	m.objects, err = store.GetMark(tx, store.MarkObjects)
	return m, err
}

func viewMarks(ctx context.Context, db *store.DB) (m marks, err error) {
	err = db.View(ctx, func(tx *store.Tx) error {
		m, err = readMarks(tx)
		return err
	})
	return m, err
}
