package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/blob/blobtest"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

func TestNothingToSweep(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	e.pushImage(repo, "v1", "layer")
	e.startUpload(repo)
	for range 3 {
		if s := e.sweep(); s != (Swept{}) {
			t.Errorf("swept %+v", s)
		}
		if n, err := e.SweepOrphans(t.Context()); n > 0 || err != nil {
			t.Errorf("%d orphans: %v", n, err)
		}
		e.clock.Advance(8 * time.Hour)
	}
}

// An upload stays for the expiry after its last part, and not a moment longer.
func TestExpiryOfUploads(t *testing.T) {
	e := newEnv(t, map[Limit]int64{UploadExpirySeconds: 100})
	repo := e.create("app")
	u, fresh := e.startUpload(repo), e.startUpload(repo)
	_, err := e.sendPart(repo, u.ID, noise(1, 3*seal.ChunkSize))
	e.must(err)
	e.clock.Advance(60 * time.Second)
	_, err = e.sendPart(repo, u.ID, noise(2, 100))
	e.must(err)
	e.clock.Advance(41 * time.Second)
	if s := e.sweep(); s != (Swept{Uploads: 1, Objects: 1}) {
		t.Errorf("swept %+v", s)
	}
	_, err = e.Resume(t.Context(), repo, fresh.ID)
	wantError(t, "resume the one without parts", err, ErrUploadNotFound)
	e.clock.Advance(59 * time.Second)
	if s := e.sweep(); s != (Swept{}) {
		t.Errorf("at the end of its time: swept %+v", s)
	}
	e.clock.Advance(time.Microsecond)
	if s := e.sweep(); s.Uploads != 1 || s.Objects != 1 || len(e.keys()) != 0 {
		t.Errorf("after its time: swept %+v, %d objects are left", s, len(e.keys()))
	}
	_, err = e.Resume(t.Context(), repo, u.ID)
	wantError(t, "resume it", err, ErrUploadNotFound)
	e.check()
}

// A request that takes longer than the expiry to send its bytes keeps its upload, among however many others.
func TestUploadInUseIsNotSwept(t *testing.T) {
	e := newEnv(t, map[Limit]int64{UploadExpirySeconds: 100})
	repo := e.create("app")
	content := noise(3, 9*seal.ChunkSize)
	first := e.startUpload(repo)
	var busy []*Transfer
	for range sweepChunk + 5 {
		tr, err := e.Resume(t.Context(), repo, e.startUpload(repo).ID)
		e.must(err)
		busy = append(busy, tr)
	}
	tr, err := e.Resume(t.Context(), repo, first.ID)
	e.must(err)
	e.must(tr.Append(bytes.NewReader(content[:5*seal.ChunkSize]), -1))
	e.clock.Advance(time.Millisecond)
	idle := e.startUpload(repo)
	e.clock.Advance(time.Hour)
	if s := e.sweep(); s != (Swept{Uploads: 1, Objects: 1}) {
		t.Errorf("swept %+v", s)
	}
	_, err = e.Resume(t.Context(), repo, idle.ID)
	wantError(t, "the idle one", err, ErrUploadNotFound)
	for _, other := range busy {
		e.must(other.Close())
	}
	e.must(tr.Append(bytes.NewReader(content[5*seal.ChunkSize:]), -1))
	if _, err := e.pause(tr); err != nil {
		t.Errorf("save the part: %v", err)
	}
	e.must(tr.Close())
	if s := e.sweep(); s.Uploads != len(busy) {
		t.Errorf("once they are idle: swept %+v", s)
	}
	_, _, err = e.finishUpload(repo, first.ID, nil)
	e.must(err)
	e.wantContent(repo, content)
	e.check()
}

// More than a transaction takes at once.
func TestSweepOfMuch(t *testing.T) {
	e := newEnv(t, map[Limit]int64{LayerGraceSeconds: 10, UploadExpirySeconds: 10})
	repo, doomed := e.create("app"), e.create("doomed")
	const many = 2*sweepChunk + 7
	key := []byte("no key, since nobody unwraps it")
	e.update(func(tx *store.Tx) error {
		for i := range many {
			for _, r := range []Repository{repo, doomed} {
				l := Layer{Digest: textDigest(fmt.Sprint(i)), object: blob.NewKey(e.clock.Now()), wrapped: key, domain: "none"}
				if _, err := e.addLayer(tx, r, l); err != nil {
					return err
				}
				if _, err := e.StartUpload(tx, r); err != nil {
					return err
				}
			}
			p, err := e.NewPush(manifestOf(oci.MediaTypeOCIIndex, map[string]any{"manifests": []any{}, "annotations": map[string]string{"n": fmt.Sprint(i)}}), "", "", "")
			if err != nil {
				return err
			}
			if _, err := e.PutImage(tx, doomed, p); err != nil {
				return err
			}
		}
		return nil
	})
	e.must(e.deleteRepository(home, "doomed", true))
	e.clock.Advance(time.Hour)
	if s := e.sweep(); s != (Swept{Uploads: 2 * many, Layers: many, Repositories: 1, Objects: 4 * many}) {
		t.Errorf("swept %+v", s)
	}
	e.check()
}

// An object that can't be deleted stays garbage, and keeps nobody else.
func TestObjectThatCannotBeDeleted(t *testing.T) {
	for _, fault := range []blobtest.Fault{blobtest.Before, blobtest.After} {
		e := newEnv(t, map[Limit]int64{LayerGraceSeconds: 10})
		repo := e.create("app")
		for i := range 5 {
			e.pushLayer(repo, []byte(fmt.Sprint(i)))
		}
		e.clock.Advance(time.Minute)
		e.blobs.Use(blobtest.NthOf("Delete", 1, fault))
		s, err := e.Sweep(t.Context(), nil)
		if !errors.Is(err, blobtest.ErrInjected) || s.Objects != 4 || s.Layers != 5 {
			t.Errorf("swept %+v: %v", s, err)
		}
		e.blobs.Use(nil)
		if s := e.sweep(); s.Objects != 1 || len(e.keys()) != 0 {
			t.Errorf("swept %+v, %d objects are left", s, len(e.keys()))
		}
		e.check()
	}
}

func TestSweepStops(t *testing.T) {
	e := newEnv(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Sweep(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

// Objects that no row refers to go when they are old enough; all others stay.
func TestSweepOrphans(t *testing.T) {
	e := newEnv(t, map[Limit]int64{LayerGraceSeconds: 2 * 3600, UploadExpirySeconds: 3 * 3600})
	repo := e.create("app")
	content := noise(4, 2*seal.ChunkSize)
	e.pushLayer(repo, content)
	u := e.startUpload(repo)
	_, err := e.sendPart(repo, u.ID, content)
	e.must(err)
	kept := e.keys()
	orphan, err := e.Begin(t.Context(), repo) // whose request ended before its transaction
	e.must(err)
	e.must(orphan.Append(bytes.NewReader(content), -1))
	e.must(orphan.Finish(t.Context(), []oci.Digest{oci.DigestOf(content)}, false))
	e.must(orphan.Close())
	torn, err := e.blobs.Create(t.Context(), blob.NewKey(e.clock.Now()), nil) // whose server was killed
	e.must(err)
	e.must(errors.Join(torn.WritePart(t.Context(), content), torn.Close()))
	if done := e.check(); done.Orphans != 2 || len(e.keys()) != 4 {
		t.Errorf("the check saw %d orphans of %d objects", done.Orphans, len(e.keys()))
	}
	e.clock.Advance(3*time.Hour - time.Minute)
	if n, err := e.SweepOrphans(t.Context()); n != 0 || err != nil {
		t.Errorf("before their time: %d: %v", n, err)
	}
	e.clock.Advance(2 * time.Minute)
	e.blobs.Use(blobtest.NthOf("Delete", 1, blobtest.Before))
	if n, err := e.SweepOrphans(t.Context()); n != 1 || !errors.Is(err, blobtest.ErrInjected) {
		t.Errorf("while one can't be deleted: %d: %v", n, err)
	}
	e.blobs.Use(blobtest.NthOf("List", 1, blobtest.Before))
	if n, err := e.SweepOrphans(t.Context()); n != 0 || !errors.Is(err, blobtest.ErrInjected) {
		t.Errorf("while they can't be listed: %d: %v", n, err)
	}
	e.blobs.Use(nil)
	if n, err := e.SweepOrphans(t.Context()); n != 1 || err != nil {
		t.Errorf("%d: %v", n, err)
	}
	if keys := e.keys(); !slices.Equal(keys, kept) {
		t.Errorf("left are %v, want %v", keys, kept)
	}
	if done := e.check(); done.Orphans != 0 {
		t.Errorf("the check saw %d orphans", done.Orphans)
	}
}

// A request that ends without having saved anything leaves nothing behind; one that goes on with an upload leaves what
// was saved before.
func TestCloseDropsWhatNobodyCanGoOnWith(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	content := noise(5, 9*seal.ChunkSize)
	u := e.startUpload(repo)
	for _, saved := range []int{0, 5 * seal.ChunkSize} {
		if saved > 0 {
			_, err := e.sendPart(repo, u.ID, content[:saved])
			e.must(err)
		}
		for _, begin := range []func() (*Transfer, error){
			func() (*Transfer, error) { return e.Begin(t.Context(), repo) },
			func() (*Transfer, error) { return e.Resume(t.Context(), repo, u.ID) },
		} {
			before := e.keys()
			tr, err := begin()
			e.must(err)
			e.must(tr.Append(bytes.NewReader(content[saved:]), -1))
			e.must(tr.Append(bytes.NewReader(content), -1))
			e.must(tr.Close())
			if after := e.keys(); !slices.Equal(before, after) {
				t.Errorf("with %d bytes saved: the objects were %v and are %v", saved, before, after)
			}
		}
		e.check()
	}
	_, _, err := e.finishUpload(repo, u.ID, content[5*seal.ChunkSize:])
	e.must(err)
	e.wantContent(repo, content)
}

// Orphans have an hour at least, since an object is there a moment before its row.
func TestOrphansHaveAnHour(t *testing.T) {
	e := newEnv(t, map[Limit]int64{LayerGraceSeconds: 0, UploadExpirySeconds: 0})
	repo := e.create("app")
	tr, err := e.Begin(t.Context(), repo)
	e.must(err)
	e.must(tr.Append(bytes.NewReader(emptyConfig), -1))
	e.must(tr.Finish(t.Context(), []oci.Digest{oci.DigestOf(emptyConfig)}, false))
	e.clock.Advance(59 * time.Minute)
	if n, err := e.SweepOrphans(t.Context()); n != 0 || err != nil {
		t.Errorf("%d: %v", n, err)
	}
	e.update(func(tx *store.Tx) error { _, _, err := tr.SaveLayer(tx); return err })
	e.must(tr.Close())
	e.wantContent(repo, emptyConfig)
}

// Sweeps beside sweeps, as replicas run them, take nothing twice and fail nowhere.
func TestSweepsAtOnce(t *testing.T) {
	e := newEnv(t, map[Limit]int64{LayerGraceSeconds: 10})
	repo := e.create("app")
	for i := range 30 {
		e.pushLayer(repo, fmt.Appendf(nil, "%d", i))
	}
	e.clock.Advance(time.Minute)
	replica := New(Config{DB: e.db, Blobs: e.blobs, Keyring: e.Registry.keys, Limits: e.limits, Now: e.clock.Now})
	results := make(chan Swept)
	for _, r := range []*Registry{e.Registry, replica, e.Registry, replica} {
		go func() {
			s, err := r.Sweep(t.Context(), nil)
			if err != nil {
				t.Error(err)
			}
			results <- s
		}()
	}
	layers := 0
	for range 4 {
		layers += (<-results).Layers
	}
	if layers != 30 || len(e.keys()) != 0 {
		t.Errorf("%d layers swept, %d objects left", layers, len(e.keys()))
	}
	e.check()
}
