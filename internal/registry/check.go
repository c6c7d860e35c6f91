package registry

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

// Checked counts what a check has looked at.
type Checked struct {
	Repositories, Images, Layers, Objects, Uploads int64
	// Bytes of layers that were read, decrypted and hashed.
	Bytes int64
	// Orphans are objects that no row refers to: harmless, and swept in time.
	Orphans int64
	// Closed are repositories whose customer keys can't be used now, so that what is in them could not be checked.
	Closed int64
}

// Check holds every row against every other row, object and key that it depends on, and reads every byte. It tells fault
// in one sentence of each thing that is wrong, and progress now and then how far it is. What others delete meanwhile may seem
// to be missing. The error is one that keeps the check from going on.
func (r *Registry) Check(ctx context.Context, fault func(string), progress func(Checked)) (Checked, error) {
	c := &checker{r: r, ctx: ctx, fault: fault, progress: progress, parts: map[string]int64{}, closed: map[int64]bool{}}
	err := errors.Join(c.registries(), c.repositories(), c.policies(), c.layers(), c.uploads(), c.garbage(), c.objects())
	return c.done, err
}

// checkPage is how many rows a check reads at once.
const checkPage = 500

// ofLiveRepository is the condition of rows whose repository isn't deleted. What is left of deleted ones only waits for the
// sweeper, and its keys are not to be opened any more.
const ofLiveRepository = `EXISTS (SELECT 1 FROM repository WHERE repository.id = owned.repository AND repository.deleted_at IS NULL)`

type checker struct {
	r        *Registry
	ctx      context.Context // of the one call of Check that the checker lives for
	fault    func(string)
	progress func(Checked)
	done     Checked
	// parts holds, by object, how many sealed bytes an unfinished upload needs.
	parts map[string]int64
	// closed are the repositories whose keys don't open.
	closed map[int64]bool
}

// close notes that the key of a repository doesn't open, which is a fault unless its customer key forbids it.
func (c *checker) close(repo Repository, err error) {
	c.closed[repo.id] = true
	var refused *KeyError
	if errors.As(err, &refused) {
		c.done.Closed++
		return
	}
	c.faultf("%s: %v", repo.label(), err)
}

func (c *checker) faultf(format string, args ...any) { c.fault(fmt.Sprintf(format, args...)) }

func (c *checker) tell() error {
	c.progress(c.done)
	return c.ctx.Err()
}

// registries compares the counts of repositories with the repositories.
func (c *checker) registries() error {
	return c.r.db.View(c.ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT account, region, repositories, (SELECT count(*) FROM repository
			WHERE repository.account = registry.account AND repository.region = registry.region AND deleted_at IS NULL) FROM registry`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var account, region string
			var counted, found int64
			if err := rows.Scan(&account, &region, &counted, &found); err != nil {
				return err
			}
			if counted != found {
				c.faultf("registry %s/%s: counts %d repositories and has %d", account, region, counted, found)
			}
		}
		return rows.Err()
	})
}

func (c *checker) repositories() error {
	for after := int64(0); ; {
		ids, err := c.r.liveRepositories(c.ctx, after)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := c.repository(id); err != nil {
				return err
			}
		}
		after = ids[len(ids)-1]
	}
}

func (c *checker) repository(id int64) error {
	c.done.Repositories++
	repo, err := c.owner(id)
	if err != nil {
		c.faultf("repository %d: %v", id, err)
		return c.ctx.Err()
	}
	if err := c.r.Usable(repo); err != nil {
		c.close(repo, err)
		return c.ctx.Err()
	}
	for after := ""; ; {
		var page []Image
		err := c.r.db.View(c.ctx, func(tx *store.Tx) (err error) {
			rows, err := tx.Query(`SELECT `+imageColumns+` FROM image WHERE repository = $1 AND digest > $2 ORDER BY digest LIMIT $3`, id, after, checkPage)
			if err != nil {
				return err
			}
			if page, err = store.Collect(rows, scanImage); err != nil {
				return err
			}
			for _, image := range page {
				if err := c.image(tx, repo, image); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		after = string(page[len(page)-1].Digest)
		if err := c.tell(); err != nil {
			return err
		}
	}
	return c.rows(repo)
}

// label names a repository for the operator.
func (r Repository) label() string {
	return fmt.Sprintf("repository %s/%s/%s", r.Registry.Account, r.Registry.Region, r.Name)
}

// image checks a manifest against its digest and what it refers to.
func (c *checker) image(tx *store.Tx, repo Repository, image Image) error {
	c.done.Images++
	where := repo.label() + ", image " + string(image.Digest)
	body, err := c.r.readManifest(manifestRow(tx, repo, image.Digest), repo, image.Digest)
	switch {
	case errors.Is(err, store.ErrNoRows):
		c.faultf("%s: its manifest is missing", where)
		return nil
	case errors.Is(err, seal.ErrAltered):
		c.faultf("%s: %v", where, err)
		return nil
	case err != nil:
		return err
	}
	if computed := oci.DigestOf(body); computed != image.Digest {
		c.faultf("%s: its manifest has the digest %s", where, computed)
		return nil
	}
	parsed, err := oci.ParseManifest(image.MediaType, body)
	if err != nil {
		c.faultf("%s: its manifest can't be read: %v", where, err)
		return nil
	}
	for d := range parsed.Blobs() {
		if err := c.reference(tx, where, "layer", d.Digest,
			`SELECT count(*) FROM layer JOIN image_layer ON image_layer.repository = layer.repository AND image_layer.layer = layer.digest
			WHERE layer.repository = $1 AND layer.digest = $2 AND image_layer.image = $3 AND layer.idle_since IS NULL`,
			repo.id, string(d.Digest), string(image.Digest)); err != nil {
			return err
		}
	}
	for _, d := range parsed.Manifests {
		if err := c.reference(tx, where, "image", d.Digest,
			`SELECT count(*) FROM image JOIN image_child ON image_child.repository = image.repository AND image_child.child = image.digest
			WHERE image.repository = $1 AND image.digest = $2 AND image_child.parent = $3`,
			repo.id, string(d.Digest), string(image.Digest)); err != nil {
			return err
		}
	}
	var tags int64
	if err := tx.QueryRow(`SELECT count(*) FROM tag WHERE repository = $1 AND digest = $2`, repo.id, string(image.Digest)).Scan(&tags); err != nil {
		return err
	}
	if tags != image.tags {
		c.faultf("%s: counts %d tags and has %d", where, image.tags, tags)
	}
	return nil
}

func (c *checker) reference(tx *store.Tx, where, kind string, digest oci.Digest, query string, args ...any) error {
	var n int64
	if err := tx.QueryRow(query, args...).Scan(&n); err != nil {
		return err
	}
	if n != 1 {
		c.faultf("%s: the %s %s that it refers to is missing", where, kind, digest)
	}
	return nil
}

// rows looks for rows of a repository that refer to rows which aren't there, and counts its images. One transaction sees them
// all, since pushes may go on meanwhile. Of a repository that was deleted since, the rows are on their way out.
func (c *checker) rows(repo Repository) error {
	return c.r.db.View(c.ctx, func(tx *store.Tx) error {
		var counted, found int64
		err := tx.QueryRow(`SELECT images - (SELECT CAST(coalesce(sum(free), 0) AS BIGINT) FROM image_reserve WHERE image_reserve.repository = repository.id),
			(SELECT count(*) FROM image WHERE image.repository = repository.id) FROM repository
			WHERE id = $1 AND deleted_at IS NULL`, repo.id).Scan(&counted, &found)
		if errors.Is(err, store.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if counted != found {
			c.faultf("%s: counts %d images and has %d", repo.label(), counted, found)
		}
		for _, look := range []struct{ what, query string }{
			{"tag %s points to no image", `SELECT name FROM tag WHERE repository = $1 AND NOT EXISTS
				(SELECT 1 FROM image WHERE image.repository = tag.repository AND image.digest = tag.digest)`},
			{"image %s has layers but no row", `SELECT DISTINCT image FROM image_layer WHERE repository = $1 AND NOT EXISTS
				(SELECT 1 FROM image WHERE image.repository = image_layer.repository AND image.digest = image_layer.image)`},
			{"index %s has images but no row", `SELECT DISTINCT parent FROM image_child WHERE repository = $1 AND NOT EXISTS
				(SELECT 1 FROM image WHERE image.repository = image_child.repository AND image.digest = image_child.parent)`},
			{"manifest %s belongs to no image", `SELECT digest FROM manifest WHERE repository = $1 AND NOT EXISTS
				(SELECT 1 FROM image WHERE image.repository = manifest.repository AND image.digest = manifest.digest)`},
			{"layer %s is marked as used, and no image refers to it", `SELECT digest FROM layer WHERE repository = $1 AND idle_since IS NULL AND NOT EXISTS
				(SELECT 1 FROM image_layer WHERE image_layer.repository = layer.repository AND image_layer.layer = layer.digest)`},
		} {
			names, err := c.r.texts(tx, look.query, repo.id)
			if err != nil {
				return err
			}
			for _, name := range names {
				c.faultf("%s: "+look.what, repo.label(), name)
			}
		}
		return nil
	})
}

// layers reads every object that a layer refers to, once, in the order of objects.
func (c *checker) layers() error {
	var last struct {
		object string
		key    seal.Key
		layer  Layer
		err    error // what is wrong with the object, for all that share it
	}
	for after, repository, digest := "", int64(0), ""; ; {
		var page []ownedLayer
		err := c.r.db.View(c.ctx, func(tx *store.Tx) error {
			rows, err := tx.Query(`SELECT repository, `+layerColumns+` FROM layer AS owned
				WHERE (object, repository, digest) > ($1, $2, $3) AND `+ofLiveRepository+`
				ORDER BY object, repository, digest LIMIT $4`, after, repository, digest, checkPage)
			if err != nil {
				return err
			}
			page, err = store.Collect(rows, scanOwnedLayer)
			return err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, l := range page {
			after, repository, digest = l.object, l.repository, string(l.Digest)
			if c.closed[l.repository] {
				continue
			}
			c.done.Layers++
			key, where, ok, err := c.layerKey(l)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if l.object == last.object {
				if !key.Equal(last.key) || l.Digest != last.layer.Digest || l.Size != last.layer.Size {
					c.faultf("%s: it shares an object with another layer that has other bytes or another key", where)
				} else if last.err != nil {
					c.faultf("%s: %v", where, last.err)
				}
				continue
			}
			last.object, last.key, last.layer = l.object, key, l.Layer
			c.done.Objects++
			if last.err = c.bytes(l.Layer, key); last.err != nil {
				c.faultf("%s: %v", where, last.err)
			}
			if err := c.tell(); err != nil {
				return err
			}
		}
	}
}

func (c *checker) layerKey(l ownedLayer) (key seal.Key, where string, ok bool, err error) {
	repo, err := c.owner(l.repository)
	if err != nil {
		return key, "", false, err
	}
	where = fmt.Sprintf("%s, layer %s", repo.label(), l.Digest)
	key, err = c.r.objectKey(repo, l.object, l.wrapped)
	if err != nil {
		c.faultf("%s: %v", where, err)
		return key, where, false, nil
	}
	return key, where, true, nil
}

// owner finds the repository that a row belongs to.
func (c *checker) owner(id int64) (repo Repository, err error) {
	if repo, err = c.r.byID(c.ctx, id); err != nil {
		return repo, fmt.Errorf("look up repository %d: %w", id, err)
	}
	return repo, nil
}

// bytes reads a layer whole and compares its digest.
func (c *checker) bytes(l Layer, key seal.Key) error {
	digest, size, err := c.r.objectDigest(c.ctx, l.object, key, func(n int64) {
		c.done.Bytes += n
		c.progress(c.done)
	})
	if err != nil {
		return fmt.Errorf("object %s: %w", l.object, err)
	}
	if digest != l.Digest || size != l.Size {
		return fmt.Errorf("object %s holds %d bytes with the digest %s", l.object, size, digest)
	}
	return nil
}

// uploads checks the keys and states of unfinished uploads, and notes what they need of their objects.
func (c *checker) uploads() error {
	for after := ""; ; {
		type row struct {
			Upload
			repository int64
		}
		var page []row
		err := c.r.db.View(c.ctx, func(tx *store.Tx) error {
			rows, err := tx.Query(`SELECT id, repository, object, data_key, size, state FROM upload AS owned
				WHERE id > $1 AND `+ofLiveRepository+` ORDER BY id LIMIT $2`, after, checkPage)
			if err != nil {
				return err
			}
			page, err = store.Collect(rows, func(s store.Scanner) (u row, err error) {
				err = s.Scan(&u.ID, &u.repository, &u.object, &u.wrapped, &u.Size, &u.sealed)
				return u, err
			})
			return err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, u := range page {
			after = u.ID
			if c.closed[u.repository] {
				continue
			}
			c.done.Uploads++
			if err := c.upload(u.Upload, u.repository); err != nil {
				c.faultf("upload %s: %v", u.ID, err)
			}
		}
	}
}

func (c *checker) upload(u Upload, repository int64) error {
	repo, err := c.owner(repository)
	if err != nil {
		return err
	}
	if _, err := c.r.objectKey(repo, u.object, u.wrapped); err != nil {
		return err
	}
	p, err := c.r.openProgress(u, repo)
	if err != nil {
		return err
	}
	if len(p.Blob) == 8 {
		c.parts[u.object] = int64(binary.BigEndian.Uint64(p.Blob))
	}
	return nil
}

// garbage looks for objects that the sweeper is about to delete though a layer counts on them.
func (c *checker) garbage() error {
	return c.r.db.View(c.ctx, func(tx *store.Tx) error {
		objects, err := c.r.texts(tx, `SELECT object FROM garbage WHERE EXISTS (SELECT 1 FROM layer WHERE layer.object = garbage.object)
			OR EXISTS (SELECT 1 FROM upload WHERE upload.object = garbage.object)`)
		for _, object := range objects {
			c.faultf("object %s: it is to be deleted, and a layer or an upload counts on it", object)
		}
		return err
	})
}

// objects lists the store: what nothing refers to is an orphan, and unfinished uploads must have their bytes.
func (c *checker) objects() error {
	for info, err := range c.r.blobs.List(c.ctx, "") {
		if err != nil {
			return err
		}
		if need, ok := c.parts[info.Key]; ok {
			delete(c.parts, info.Key)
			// An upload that was committed and not recorded before a crash is swept in time.
			if info.Partial && info.Size >= 0 && info.Size < need {
				c.faultf("object %s: an upload counts on %d bytes and it has %d", info.Key, need, info.Size)
			}
			continue
		}
		known, err := c.r.objectKnown(c.ctx, info.Key)
		if err != nil {
			return err
		}
		if !known {
			c.done.Orphans++
		}
	}
	for object := range c.parts {
		c.faultf("object %s: an upload counts on it: %v", object, fs.ErrNotExist)
	}
	return c.tell()
}
