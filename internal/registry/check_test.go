package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/coffer-registry/coffer/internal/blob/blobtest"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

// checked is a registry with one of each: two repositories that share a layer, an image, an index, an upload, garbage, an
// orphan, and a deleted repository.
type checked struct {
	*env
	app, other      Repository
	image, index    oci.Digest
	shared, single  Layer
	upload          Upload
	orphaned, given string // objects
}

func newChecked(t *testing.T) *checked {
	c := &checked{env: startEnv(t, t.TempDir(), nil)}
	c.app, c.other = c.create("app"), c.create("other")
	c.image = c.pushImage(c.app, "v1", "shared")
	c.index = c.mustPush(c.app, "index", indexOf(imageOf([]byte("shared"))))
	c.pushImage(c.other, "v1", "shared")
	c.single = c.pushLayer(c.app, noise(1, 3*seal.ChunkSize))
	var err error
	c.shared, err = c.Layer(t.Context(), c.app, textDigest("shared"))
	c.must(err)
	c.upload = c.startUpload(c.app)
	_, err = c.sendPart(c.app, c.upload.ID, noise(2, 5*seal.ChunkSize))
	c.must(err)
	c.given = c.pushLayer(c.other, []byte("given up")).object
	c.must(c.deleteLayer(c.other, textDigest("given up")))
	tr, err := c.Begin(t.Context(), c.app)
	c.must(err)
	c.must(errors.Join(tr.Finish(t.Context(), []oci.Digest{oci.DigestOf(nil)}, false), tr.Close()))
	c.orphaned = tr.Upload().object
	c.must(c.setPolicy(c.app, pullBy("111122223333")))
	c.must(c.putRegistryPolicy(abroad, strings.ReplaceAll(registryPolicy("ecr:*"), "us-east-1", "eu-central-1")))
	c.pushImage(c.create("gone"), "v1", "of a deleted repository")
	c.must(c.deleteRepository(home, "gone", true))
	return c
}

func (c *checked) file(object string) string {
	return filepath.Join(c.dir, "blobs", filepath.FromSlash(object))
}

func (c *checked) sql(query string, args ...any) func() {
	return func() {
		c.t.Helper()
		c.update(func(tx *store.Tx) error {
			n, err := tx.Exec(query, args...)
			if err == nil && n == 0 {
				err = fmt.Errorf("%s changes nothing", query)
			}
			return err
		})
	}
}

// flip changes one byte of a file.
func (c *checked) flip(path string, at int64) func() {
	return func() {
		c.t.Helper()
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		c.must(err)
		var b [1]byte
		_, err = f.ReadAt(b[:], at)
		c.must(err)
		b[0] ^= 1
		_, err = f.WriteAt(b[:], at)
		c.must(errors.Join(err, f.Close()))
	}
}

func TestCheckOfASoundRegistry(t *testing.T) {
	c := newChecked(t)
	defer c.stop()
	told := 0
	done, err := c.Check(t.Context(), func(text string) { t.Error(text) }, func(Checked) { told++ })
	want := Checked{Repositories: 2, Images: 3, Layers: 5, Objects: 3, Uploads: 1, Bytes: 6 + 2 + 3*seal.ChunkSize, Orphans: 1}
	if done != want || err != nil || told == 0 {
		t.Errorf("checked %+v, told %d times: %v", done, told, err)
	}
}

func TestCheckFindsWhatIsWrong(t *testing.T) {
	sound := newChecked(t)
	sound.stop()
	for what, c := range map[string]struct {
		damage func(*checked) func()
		faults []string // each a part of one of the faults, and there are no more
	}{
		"a wrong count of repositories": {func(c *checked) func() { return c.sql(`UPDATE registry SET repositories = 7`) },
			[]string{"registry 123456789012/us-east-1: counts 7 repositories and has 2"}},
		"a wrong count of images": {func(c *checked) func() { return c.sql(`UPDATE repository SET images = images + 5 WHERE name = 'app'`) },
			[]string{"repository 123456789012/us-east-1/app: counts 7 images and has 2"}},
		"a wrong count of tags": {func(c *checked) func() { return c.sql(`UPDATE image SET tags = 7 WHERE digest = $1`, string(c.index)) },
			[]string{"counts 7 tags and has 1"}},
		"a key of a repository": {func(c *checked) func() {
			return c.sql(`UPDATE repository SET data_key = $1 WHERE name = 'other'`, []byte("wrong"))
		},
			[]string{"the wrapped data key does not open"}},
		"a tag without image": {func(c *checked) func() { return c.sql(`UPDATE tag SET digest = 'sha256:0' WHERE name = 'index'`) },
			[]string{"counts 1 tags and has 0", "tag index points to no image"}},
		"no manifest": {func(c *checked) func() { return c.sql(`DELETE FROM manifest WHERE digest = $1`, string(c.index)) },
			[]string{"its manifest is missing"}},
		"a manifest of nothing": {func(c *checked) func() {
			return c.sql(`INSERT INTO manifest (repository, digest, body) VALUES ($1, 'sha256:0', $2)`, c.app.id, []byte{})
		}, []string{"manifest sha256:0 belongs to no image"}},
		"a damaged manifest": {func(c *checked) func() {
			return c.sql(`UPDATE manifest SET body = $1 WHERE digest = $2`, make([]byte, 100), string(c.index))
		}, []string{"sealed data was altered"}},
		"a manifest of another digest": {func(c *checked) func() {
			key, err := c.key(c.app)
			c.must(err)
			sealed, err := seal.SealBytes(key, rowContext("manifest", c.app.id, string(c.index)), []byte("{}"))
			c.must(err)
			return c.sql(`UPDATE manifest SET body = $1 WHERE digest = $2`, sealed, string(c.index))
		}, []string{"its manifest has the digest " + string(oci.DigestOf([]byte("{}")))}},
		"no layer of an image": {func(c *checked) func() {
			return c.sql(`DELETE FROM layer WHERE repository = $1 AND digest = $2`, c.app.id, string(c.shared.Digest))
		}, []string{"the layer " + string(textDigest("shared")) + " that it refers to is missing"}},
		"an idle layer of an image": {func(c *checked) func() {
			return c.sql(`UPDATE layer SET idle_since = 1 WHERE repository = $1 AND digest = $2`, c.app.id, string(c.shared.Digest))
		}, []string{"the layer " + string(textDigest("shared")) + " that it refers to is missing"}},
		"an image whose layers are not linked": {func(c *checked) func() {
			return c.sql(`DELETE FROM image_layer WHERE repository = $1 AND layer = $2`, c.app.id, string(c.shared.Digest))
		}, []string{"the layer " + string(textDigest("shared")) + " that it refers to is missing", "is marked as used, and no image refers to it"}},
		"layers of no image": {func(c *checked) func() {
			return c.sql(`INSERT INTO image_layer (repository, image, layer) VALUES ($1, 'sha256:0', 'sha256:1')`, c.app.id)
		}, []string{"image sha256:0 has layers but no row"}},
		"an index without its image": {func(c *checked) func() {
			return c.sql(`DELETE FROM image_child WHERE parent = $1`, string(c.index))
		}, []string{"the image " + string(oci.DigestOf(imageOf([]byte("shared")))) + " that it refers to is missing"}},
		"images of no index": {func(c *checked) func() {
			return c.sql(`INSERT INTO image_child (repository, parent, child) VALUES ($1, 'sha256:0', 'sha256:1')`, c.app.id)
		}, []string{"index sha256:0 has images but no row"}},
		"a layer that nobody uses, marked as used": {func(c *checked) func() {
			return c.sql(`UPDATE layer SET idle_since = NULL WHERE digest = $1`, string(c.single.Digest))
		}, []string{"is marked as used, and no image refers to it"}},
		"a key of a layer": {func(c *checked) func() {
			return c.sql(`UPDATE layer SET data_key = $1 WHERE digest = $2`, c.shared.wrapped, string(c.single.Digest))
		}, []string{"the wrapped data key does not open"}},
		"another size": {func(c *checked) func() {
			return c.sql(`UPDATE layer SET size = 7 WHERE repository = $1 AND digest = $2`, c.other.id, string(c.shared.Digest))
		}, []string{"shares an object with another layer"}},
		"no object":                   {func(c *checked) func() { return func() { c.must(os.Remove(c.file(c.single.object))) } }, []string{"no such file"}},
		"an object cut short":         {func(c *checked) func() { return func() { c.must(os.Truncate(c.file(c.single.object), 1000)) } }, []string{"sealed data was altered"}},
		"a byte flipped in its head":  {func(c *checked) func() { return c.flip(c.file(c.single.object), 3) }, []string{"not a sealed object"}},
		"a byte flipped in the midst": {func(c *checked) func() { return c.flip(c.file(c.single.object), seal.ChunkSize/2) }, []string{"chunk 0 does not open"}},
		"garbage that is in use": {func(c *checked) func() {
			return c.sql(`INSERT INTO garbage (object, since) VALUES ($1, 0)`, c.single.object)
		}, []string{"it is to be deleted, and a layer or an upload counts on it"}},
		"garbage that is being written": {func(c *checked) func() {
			return c.sql(`INSERT INTO garbage (object, since) VALUES ($1, 0)`, c.upload.object)
		}, []string{"it is to be deleted, and a layer or an upload counts on it"}},
		"a policy of a repository": {func(c *checked) func() {
			return c.sql(`UPDATE repository_policy SET document = '{' WHERE repository = $1`, c.app.id)
		}, []string{"repository 123456789012/us-east-1/app: its policy can't be read"}},
		"a policy of a registry": {func(c *checked) func() {
			return c.sql(`INSERT INTO registry_policy (account, region, document) VALUES ('123456789012', 'us-east-1', '{}')`)
		}, []string{"registry 123456789012/us-east-1: its policy can't be read"}},
		"a key of an upload":   {func(c *checked) func() { return c.sql(`UPDATE upload SET data_key = $1`, []byte("wrong")) }, []string{"the wrapped data key does not open"}},
		"a state of an upload": {func(c *checked) func() { return c.sql(`UPDATE upload SET state = $1`, make([]byte, 100)) }, []string{"the state of upload"}},
		"an upload without bytes": {func(c *checked) func() { return func() { c.must(os.Remove(c.file(c.upload.object) + ".part")) } },
			[]string{"an upload counts on it: file does not exist"}},
		"an upload with fewer bytes": {func(c *checked) func() { return func() { c.must(os.Truncate(c.file(c.upload.object)+".part", 1000)) } },
			[]string{"bytes and it has 1000"}},
	} {
		k := *sound
		k.env = sound.clone(t)
		c.damage(&k)()
		_, faults := k.faults()
		k.stop()
		if len(faults) != len(c.faults) {
			t.Errorf("%s: the check found %q", what, faults)
			continue
		}
		for _, want := range c.faults {
			if !strings.Contains(strings.Join(faults, "\n"), want) {
				t.Errorf("%s: the check found %q, want %q", what, faults, want)
			}
		}
	}
}

// What keeps the check from looking is an error, and not a fault.
func TestCheckThatCannotGoOn(t *testing.T) {
	c := newChecked(t)
	defer c.stop()
	fault := func(text string) { t.Errorf("fault: %s", text) }
	c.blobs.Use(blobtest.NthOf("List", 1, blobtest.Before))
	_, err := c.Check(t.Context(), fault, func(Checked) {})
	wantError(t, "while objects can't be listed", err, blobtest.ErrInjected)
	c.blobs.Use(nil)
	ctx, cancel := context.WithCancel(t.Context())
	_, err = c.Check(ctx, func(string) {}, func(Checked) { cancel() })
	wantError(t, "cancelled", err, context.Canceled)
}

// The check goes through more rows than it reads at once.
func TestCheckOfMuch(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	const many = checkPage + 3
	e.update(func(tx *store.Tx) error {
		for i := range many {
			if _, err := e.StartUpload(tx, repo); err != nil {
				return err
			}
			p, err := e.NewPush(manifestOf(oci.MediaTypeOCIIndex, map[string]any{"manifests": []any{}, "annotations": map[string]string{"n": fmt.Sprint(i)}}), "", "", "")
			if err != nil {
				return err
			}
			if _, err := e.PutImage(tx, repo, p); err != nil {
				return err
			}
			if _, err := e.CreateRepository(tx, home, NewRepository{Name: fmt.Sprint("repository-", i), Mutability: Mutable}); err != nil {
				return err
			}
		}
		return nil
	})
	shared := e.pushLayer(repo, []byte("shared"))
	e.update(func(tx *store.Tx) error {
		for i := range many {
			to, err := e.Registry.Repository(tx, home, fmt.Sprint("repository-", i))
			if err != nil {
				return err
			}
			if _, err := e.linkLayer(tx, repo, to, shared); err != nil {
				return err
			}
		}
		return nil
	})
	if done := e.check(); done.Images != many || done.Uploads != many || done.Repositories != many+1 || done.Layers != many+1 || done.Objects != 1 {
		t.Errorf("checked %+v", done)
	}
}

// What is pushed while a check goes on isn't taken for a fault.
func TestCheckBesidePushes(t *testing.T) {
	e := newEnv(t, nil)
	app := e.create("app")
	e.pushImage(app, "v1", "first")
	push := sync.OnceFunc(func() {
		for i := range 8 {
			e.pushImage(app, fmt.Sprint("new", i), fmt.Sprint("pushed ", i))
		}
	})
	done, err := e.Check(t.Context(), func(text string) { t.Error(text) }, func(Checked) { push() })
	e.must(err)
	if done.Images < 2 {
		t.Errorf("%d images were looked at", done.Images)
	}
}
