package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

func (e *env) mount(from, to Repository, digest oci.Digest) (Layer, error) {
	return change(e, func(tx *store.Tx) (Layer, error) { return e.MountLayer(tx, from, to, digest) })
}

func (e *env) deleteLayer(repo Repository, digest oci.Digest) error {
	return e.db.Update(e.t.Context(), func(tx *store.Tx) error { return e.DeleteLayer(tx, repo, digest) })
}

// A layer is there for pushes from its upload on; its media type and that it is referred to are known while an image
// refers to it.
func TestLayerThroughItsLife(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	digest := textDigest("layer")
	want := func(when string, referenced bool, mediaType string) {
		t.Helper()
		l, err := e.Layer(t.Context(), repo, digest)
		if err != nil || l.Digest != digest || l.Size != 5 || l.Referenced != referenced || l.MediaType != mediaType {
			t.Errorf("%s: %+v: %v", when, l, err)
		}
	}
	_, err := e.Layer(t.Context(), repo, digest)
	wantError(t, "before the upload", err, ErrLayerNotFound)
	e.pushLayer(repo, []byte("layer"))
	want("uploaded", false, "")
	image := e.pushImage(repo, "v1", "layer")
	want("with an image", true, layerType)
	wantError(t, "delete it", e.deleteLayer(repo, digest), ErrLayerReferenced)
	second := e.mustPush(repo, "v2", imageWith(map[string]any{"artifactType": "x"}, []byte("layer")))
	e.delete(repo, ImageID{Digest: string(image)})
	want("with one of two images", true, layerType)
	e.delete(repo, ImageID{Digest: string(second)})
	want("without images", false, "")
	e.pushLayer(repo, emptyConfig)
	e.mustPush(repo, "v3", manifestOf(oci.MediaTypeOCIManifest, map[string]any{
		"config": describe(configType, emptyConfig), "layers": []any{describe("x/other", []byte("layer"))}}))
	want("with an image that calls it otherwise", true, "x/other")
	e.delete(repo, ImageID{Tag: "v3"})
	e.must(e.deleteLayer(repo, digest))
	_, err = e.Layer(t.Context(), repo, digest)
	wantError(t, "deleted", err, ErrLayerNotFound)
	wantError(t, "delete it again", e.deleteLayer(repo, digest), ErrLayerNotFound)
	e.sweep()
	e.check()
}

// Equal layers of repositories of a registry share an object; nothing is shared across accounts or regions.
func TestSharedObjects(t *testing.T) {
	e := newEnv(t, nil)
	content := noise(1, 2*seal.ChunkSize)
	repo, twin := e.create("app"), e.create("twin")
	first := e.pushLayer(repo, content)
	second := e.pushLayer(twin, content)
	if first.object != second.object || bytes.Equal(first.wrapped, second.wrapped) {
		t.Errorf("objects %s and %s, wrapped alike: %t", first.object, second.object, bytes.Equal(first.wrapped, second.wrapped))
	}
	objects := map[string]bool{first.object: true}
	for _, id := range []ID{abroad, foreign} {
		other := e.createIn(id, NewRepository{Name: "app", Mutability: Mutable})
		l := e.pushLayer(other, content)
		if objects[l.object] {
			t.Errorf("%v shares an object", id)
		}
		objects[l.object] = true
		e.wantContent(other, content)
	}
	if s := e.sweep(); s.Objects != 1 { // what the second upload wrote
		t.Errorf("swept %+v", s)
	}
	e.check()
	// Whoever of the owners goes first, the other keeps the bytes.
	e.must(e.deleteLayer(repo, first.Digest))
	e.sweep()
	e.wantContent(twin, content)
	e.pushLayer(repo, content)
	e.must(e.deleteLayer(twin, first.Digest))
	e.sweep()
	e.wantContent(repo, content)
	e.must(e.deleteLayer(repo, first.Digest))
	e.sweep()
	if n := len(e.keys()); n != 2 {
		t.Errorf("%d objects are left", n)
	}
	e.check()
}

// A key is bound to its repository: the row of one opens nothing in the name of another.
func TestKeysAreBoundToTheirRepository(t *testing.T) {
	e := newEnv(t, nil)
	repo, other := e.create("app"), e.create("other")
	l := e.pushLayer(repo, []byte("layer"))
	if _, err := e.OpenLayer(t.Context(), other, l); err == nil {
		t.Error("the layer opens in another repository")
	}
	reader, err := e.OpenLayer(t.Context(), repo, l)
	e.must(err)
	e.must(reader.Close())
}

func TestMount(t *testing.T) {
	e := newEnv(t, nil)
	from, to := e.create("from"), e.create("to")
	digest := textDigest("layer")
	_, err := e.mount(from, to, digest)
	wantError(t, "what is not there", err, ErrLayerNotFound)
	e.pushLayer(from, []byte("layer"))
	_, err = e.mount(from, to, digest)
	wantError(t, "what no image refers to", err, ErrLayerNotFound)
	e.pushImage(from, "v1", "layer")
	l, err := e.mount(from, to, digest)
	if err != nil || l.Referenced || l.Size != 5 {
		t.Errorf("mounted as %+v: %v", l, err)
	}
	e.wantContent(to, []byte("layer"))
	if _, err := e.mount(from, to, digest); err != nil {
		t.Errorf("mount again: %v", err)
	}
	for _, id := range []ID{abroad, foreign} {
		other := e.createIn(id, NewRepository{Name: "to", Mutability: Mutable})
		_, err := e.mount(from, other, digest)
		wantError(t, "into another registry", err, ErrLayerNotFound)
	}
	e.delete(from, ImageID{Tag: "v1"})
	e.must(e.deleteRepository(home, "from", false))
	e.sweep()
	e.pushLayer(to, emptyConfig)
	e.mustPush(to, "v1", imageOf([]byte("layer")))
	e.wantContent(to, []byte("layer"))
	e.check()
}

// Whoever is told that a layer is there can push an image with it for half the grace period, whichever way it was told.
func TestToldLayersStay(t *testing.T) {
	const grace = 100 * time.Second
	content := []byte("layer")
	digest := oci.DigestOf(content)
	e, n := newEnv(t, map[Limit]int64{LayerGraceSeconds: int64(grace / time.Second)}), 0
	from := e.create("from")
	e.pushImage(from, "v1", string(content))
	for what, tell := range map[string]func(*env, Repository, Repository) error{
		"asked":           func(e *env, repo, _ Repository) error { _, err := e.Layer(e.t.Context(), repo, digest); return err },
		"uploaded":        func(e *env, repo, _ Repository) error { e.pushLayer(repo, content); return nil },
		"mounted":         func(e *env, repo, from Repository) error { _, err := e.mount(from, repo, digest); return err },
		"mounted, itself": func(e *env, repo, _ Repository) error { _, err := e.mount(repo, repo, digest); return err },
	} {
		for _, age := range []time.Duration{0, grace/2 - 1, grace / 2, grace/2 + 1, grace - 1, grace} {
			n++
			repo := e.create(fmt.Sprint("app-", n))
			e.pushLayer(repo, content)
			_, err := e.Layer(t.Context(), repo, digest) // into the cache
			e.must(err)
			e.clock.Advance(age)
			e.sweep()
			e.pushLayer(repo, emptyConfig)
			e.must(tell(e, repo, from))
			e.clock.Advance(grace / 2)
			e.sweep()
			if _, err := e.push(repo, "v1", imageOf(content)); err != nil {
				t.Errorf("%s at the age of %v: %v", what, age, err)
			}
		}
	}
	e.check()
}

// Without anybody asking, a layer stays for exactly the grace period.
func TestGraceOfLayers(t *testing.T) {
	e := newEnv(t, map[Limit]int64{LayerGraceSeconds: 100})
	repo := e.create("app")
	content := []byte("layer")
	for _, idle := range []func(){
		func() { e.pushLayer(repo, content) },
		func() {
			e.pushImage(repo, "v1", string(content))
			e.clock.Advance(time.Hour)
			if s := e.sweep(); s.Layers > 0 {
				t.Errorf("layers of an image: swept %+v", s)
			}
			e.delete(repo, ImageID{Tag: "v1"})
		},
	} {
		idle()
		e.clock.Advance(100 * time.Second)
		if s := e.sweep(); s.Layers > 0 {
			t.Errorf("at the end of the grace period: swept %+v", s)
		}
		e.clock.Advance(time.Microsecond)
		if s := e.sweep(); s.Layers == 0 || s.Objects != s.Layers {
			t.Errorf("after the grace period: swept %+v", s)
		}
		_, err := e.Layer(t.Context(), repo, oci.DigestOf(content))
		wantError(t, "a swept layer", err, ErrLayerNotFound)
		if n := len(e.keys()); n > 0 {
			t.Errorf("%d objects are left", n)
		}
		e.check()
	}
}

func TestNoGrace(t *testing.T) {
	e := newEnv(t, map[Limit]int64{LayerGraceSeconds: 0})
	repo := e.create("app")
	e.pushLayer(repo, []byte("layer"))
	e.clock.Advance(time.Microsecond)
	if s := e.sweep(); s.Layers != 1 || s.Objects != 1 {
		t.Errorf("swept %+v", s)
	}
}

// A download that began before the layer went is served to its end, and one that begins later is told that it is gone,
// even by a reader who has still found it.
func TestDownloadOfASweptLayer(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	content := noise(2, 20*seal.ChunkSize)
	l := e.pushLayer(repo, content)
	reader, err := e.OpenLayer(t.Context(), repo, l)
	e.must(err)
	stream := reader.NewReadSeeker()
	head := make([]byte, 10)
	_, err = io.ReadFull(stream, head)
	e.must(err)
	e.must(e.deleteLayer(repo, l.Digest))
	e.sweep()
	rest, err := io.ReadAll(stream)
	if err != nil || !bytes.Equal(append(head, rest...), content) {
		t.Errorf("%d bytes after the sweep: %v", len(rest), err)
	}
	e.must(reader.Close())
	_, err = e.OpenLayer(t.Context(), repo, l)
	wantError(t, "a download that begins later", err, ErrLayerNotFound)
}

func TestDamagedLayer(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	one, two := e.pushLayer(repo, []byte("one")), e.pushLayer(repo, []byte("other"))
	e.update(func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE layer SET size = 99 WHERE digest = $1`, string(one.Digest))
		return err
	})
	_, err := e.content(repo, one.Digest)
	if err == nil || errors.Is(err, ErrLayerNotFound) {
		t.Errorf("a layer of another size: %v", err)
	}
	e.update(func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE layer SET object = $1 WHERE digest = $2`, one.object, string(two.Digest))
		return err
	})
	if _, err := e.content(repo, two.Digest); err == nil || errors.Is(err, ErrLayerNotFound) {
		t.Errorf("a layer with another's object: %v", err)
	}
}

// Mounts and uploads race the deletion and the sweep of the layer that they share an object with. Whatever order comes
// about: an object that a row refers to is never deleted.
func TestShareWhileTheOwnerGoes(t *testing.T) {
	e := newEnv(t, map[Limit]int64{LayerGraceSeconds: 0})
	content := noise(3, seal.ChunkSize+1)
	digest := oci.DigestOf(content)
	owner, mounter, pusher := e.create("owner"), e.create("mounter"), e.create("pusher")
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				e.clock.Advance(time.Millisecond)
				e.sweep()
			}
		}
	})
	for range 15 {
		e.insist(owner, content)
		var shares sync.WaitGroup
		shares.Go(func() { e.delete(owner, ImageID{Tag: "latest"}) })
		for _, share := range []struct {
			repo Repository
			do   func() error
		}{
			{mounter, func() error { _, err := e.mount(owner, mounter, digest); return err }},
			{pusher, func() error {
				tr, err := e.Begin(t.Context(), pusher)
				if err == nil {
					_, _, err = e.finish(tr, content)
				}
				return err
			}},
		} {
			shares.Go(func() {
				if err := share.do(); err != nil {
					if !errors.Is(err, ErrLayerNotFound) {
						t.Error(err)
					}
					return
				}
				// Without grace the sweeper may take it again, but then as a whole.
				if got, err := e.content(share.repo, digest); !bytes.Equal(got, content) && !errors.Is(err, ErrLayerNotFound) {
					t.Errorf("%s reads %d bytes: %v", share.repo.Name, len(got), err)
				}
			})
		}
		shares.Wait()
	}
	close(stop)
	wg.Wait()
	e.check()
}

// insist pushes an image of a layer beside a sweeper that grants no grace.
func (e *env) insist(repo Repository, content []byte) {
	e.t.Helper()
	for {
		e.pushLayer(repo, emptyConfig)
		e.pushLayer(repo, content)
		_, err := e.push(repo, "latest", imageOf(content))
		var missing *MissingError
		if !errors.As(err, &missing) {
			e.must(err)
			return
		}
	}
}
