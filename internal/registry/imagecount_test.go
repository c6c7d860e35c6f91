package registry

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/store"
)

// However many push and delete at once, a repository has as many images as it may, and not one more.
func TestImagesAreCounted(t *testing.T) {
	const limit, pushers, each = 60, 4, 25
	e := newEnv(t, map[Limit]int64{ImagesPerRepository: limit})
	repo := e.create("app")
	var refused atomic.Int64
	push := func(name string) {
		p, err := e.NewPush(manifestOf(oci.MediaTypeOCIIndex, map[string]any{"manifests": []any{}, "annotations": map[string]string{"name": name}}), "", name, "")
		if err != nil {
			t.Error(err)
			return
		}
		err = e.db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := e.PutImage(tx, repo, p)
			return err
		})
		var over *LimitError
		if errors.As(err, &over) {
			refused.Add(1)
		} else if err != nil {
			t.Errorf("push %s: %v", name, err)
		}
	}
	var all sync.WaitGroup
	for n := range pushers {
		all.Go(func() {
			for i := range each {
				push(fmt.Sprintf("v%d-%d", n, i))
			}
		})
	}
	all.Wait()
	if n := e.count(`SELECT count(*) FROM image`); n != limit || refused.Load() != pushers*each-limit {
		t.Errorf("%d images, %d refused", n, refused.Load())
	}
	e.check()
	tags := read(e, func(tx *store.Tx) ([]string, error) {
		return e.texts(tx, `SELECT name FROM tag ORDER BY name LIMIT 20`)
	})
	refused.Store(0)
	for n := range pushers {
		all.Go(func() {
			for i, tag := range tags {
				if i%pushers == n {
					e.delete(repo, ImageID{Tag: tag})
					push("again-" + tag)
				}
			}
		})
	}
	all.Wait()
	if n := e.count(`SELECT count(*) FROM image`); n != limit || refused.Load() != 0 {
		t.Errorf("after deletes, %d images, %d refused", n, refused.Load())
	}
	e.check()
}

// A server of before counts each image in the repository's row, beside one that counts ahead.
func TestImagesAreCountedBesideOlderPrograms(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	one := e.pushImage(repo, "one", "first")
	e.update(func(tx *store.Tx) error {
		if err := tx.Send(`INSERT INTO image (repository, digest, media_type, artifact_type, subject, manifest_size, image_size, tags, pushed_at)
			SELECT repository, $1, media_type, artifact_type, subject, manifest_size, image_size, 0, pushed_at FROM image`, string(textDigest("old"))); err != nil {
			return err
		}
		return tx.Send(`UPDATE repository SET images = images + 1 WHERE id = $1`, repo.id)
	})
	e.delete(repo, ImageID{Digest: string(one)})
	if n := e.count(`SELECT images - (SELECT CAST(sum(free) AS BIGINT) FROM image_reserve) FROM repository`); n != 1 {
		t.Errorf("counts %d images", n)
	}
	// It takes a repository for empty that has counted no image.
	if n := e.count(`SELECT images FROM repository`); n < 1 {
		t.Errorf("a repository with an image counts %d to older programs", n)
	}
	wantError(t, "delete a repository that has an image", e.deleteRepository(home, "app", false), ErrRepositoryNotEmpty)
	e.delete(repo, ImageID{Digest: string(textDigest("old"))})
	e.must(e.deleteRepository(home, "app", false))
	e.sweep()
	if n := e.count(`SELECT count(*) FROM image_reserve`); n != 0 {
		t.Errorf("%d reserves are left of a deleted repository", n)
	}
}
