package registry

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

// An object that was committed and not recorded, for want of a transaction or by a crash, is taken up by the next attempt
// to finish the upload.
func TestFinishAgain(t *testing.T) {
	for what, fail := range attempts {
		for _, sizes := range [][2]int{{0, 0}, {0, 100}, {100, 0}, {100, 100}, {0, 3 * seal.ChunkSize}, {3 * seal.ChunkSize, 0},
			{3 * seal.ChunkSize, 100}, {3 * seal.ChunkSize, pieceSize + 1}} {
			e := newEnv(t, nil)
			repo := e.create("app")
			content := noise(11, sizes[0]+sizes[1])
			u, rest := e.startUpload(repo), content[sizes[0]:]
			_, err := e.sendPart(repo, u.ID, content[:sizes[0]])
			e.must(err)
			tr, err := e.Resume(t.Context(), repo, u.ID)
			e.must(err)
			e.must(tr.Append(bytes.NewReader(rest), -1))
			if err := fail(e, tr, oci.DigestOf(content)); err == nil {
				t.Fatalf("%s: it does not", what)
			}
			e.must(tr.Close())
			e.restart()
			e.check()
			l, existed, err := e.finishUpload(repo, u.ID, rest)
			if err != nil || existed || l.Size != int64(len(content)) {
				t.Errorf("%s, %d and %d bytes: finish again: existed %t, %d bytes: %v", what, sizes[0], len(rest), existed, l.Size, err)
				continue
			}
			e.wantContent(repo, content)
			e.sweep()
			e.wantContent(repo, content)
			e.check()
			if keys := e.keys(); len(keys) != 1 {
				t.Errorf("%s: the objects are %v", what, keys)
			}
		}
	}
}

// An upload that was finished can't become another layer, whatever is sent next.
func TestGoOnAfterFinish(t *testing.T) {
	for what, fail := range attempts {
		for _, size := range []int{100, 3 * seal.ChunkSize} {
			e := newEnv(t, nil)
			repo := e.create("app")
			content := noise(12, size)
			u := e.startUpload(repo)
			_, err := e.sendPart(repo, u.ID, content)
			e.must(err)
			tr, err := e.Resume(t.Context(), repo, u.ID)
			e.must(err)
			if err := fail(e, tr, oci.DigestOf(content)); err == nil {
				t.Fatalf("%s: it does not", what)
			}
			e.must(tr.Close())
			more := noise(13, 2*seal.ChunkSize)
			_, _, err = e.finishUpload(repo, u.ID, more)
			wantError(t, what+": finish as another layer", err, ErrUploadNotFound)
			if _, err = e.sendPart(repo, u.ID, more); err == nil {
				// Nothing told the bytes of the row from a beginning.
				_, _, err = e.finishUpload(repo, u.ID, nil)
			}
			wantError(t, what+": send a part more", err, ErrUploadNotFound)
			_, err = e.content(repo, oci.DigestOf(append(content, more...)))
			wantError(t, what+": the other layer", err, ErrLayerNotFound)
			e.check()
		}
	}
}

// An upload whose bytes are gone is no upload, and not a fault of the server.
func TestUploadWithoutBytes(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	u := e.startUpload(repo)
	_, err := e.sendPart(repo, u.ID, noise(14, 3*seal.ChunkSize))
	e.must(err)
	e.must(e.blobs.Delete(t.Context(), u.object))
	if _, faults := e.faults(); len(faults) != 1 || !strings.Contains(faults[0], u.object) {
		t.Errorf("the check found %q", faults)
	}
	_, _, err = e.finishUpload(repo, u.ID, nil)
	wantError(t, "finish", err, ErrUploadNotFound)
}

// A layer that the repository has already ends the upload, and its bytes go.
func TestFinishExistingLayer(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	content := noise(15, 3*seal.ChunkSize)
	before := e.pushLayer(repo, content)
	u := e.startUpload(repo)
	_, err := e.sendPart(repo, u.ID, content)
	e.must(err)
	l, existed, err := e.finishUpload(repo, u.ID, nil)
	if err != nil || !existed || l.object != before.object {
		t.Errorf("existed %t: %v", existed, err)
	}
	if s := e.sweep(); s.Objects != 1 || len(e.keys()) != 1 {
		t.Errorf("swept %+v, %d objects are left", s, len(e.keys()))
	}
	e.wantContent(repo, content)
	e.check()
}

// The API tells an error of a layer that exists, which undoes the end of the upload; Discard ends it then.
func TestDiscard(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	content := noise(16, 3*seal.ChunkSize)
	e.pushLayer(repo, content)
	undone := errors.New("undone")
	for what, begin := range map[string]func() (*Transfer, error){
		"an upload":   func() (*Transfer, error) { return e.Resume(t.Context(), repo, e.startUpload(repo).ID) },
		"a whole one": func() (*Transfer, error) { return e.Begin(t.Context(), repo) },
	} {
		tr, err := begin()
		e.must(err)
		e.must(tr.Append(bytes.NewReader(content), -1))
		e.must(tr.Finish(t.Context(), []oci.Digest{oci.DigestOf(content)}, false))
		err = e.db.Update(t.Context(), func(tx *store.Tx) error {
			if _, existed, err := tr.SaveLayer(tx); err != nil || !existed {
				t.Errorf("%s: existed %t: %v", what, existed, err)
			}
			return undone
		})
		wantError(t, what, err, undone)
		e.must(tr.Discard(t.Context()))
		e.must(tr.Close())
		if n := e.count(`SELECT count(*) FROM upload`); n != 0 {
			t.Errorf("%s: %d uploads are left", what, n)
		}
		if s := e.sweep(); s.Objects != 1 || len(e.keys()) != 1 {
			t.Errorf("%s: swept %+v, %d objects are left", what, s, len(e.keys()))
		}
	}
	e.wantContent(repo, content)
	e.check()
}

// The same layer sent at once over many connections becomes one.
func TestSameLayerAtOnce(t *testing.T) {
	e := newEnv(t, nil)
	repo, twin := e.create("app"), e.create("twin")
	content := noise(17, 2*seal.ChunkSize)
	var wg sync.WaitGroup
	for i := range 8 {
		target := []Repository{repo, twin}[i%2]
		wg.Go(func() {
			tr, err := e.Begin(t.Context(), target)
			if err != nil {
				t.Error(err)
				return
			}
			if _, _, err := e.finish(tr, content); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	e.sweep()
	e.wantContent(repo, content)
	e.wantContent(twin, content)
	if done := e.check(); done.Layers != 2 || done.Objects != 1 || len(e.keys()) != 1 {
		t.Errorf("%d layers, %d objects, of %d in the store", done.Layers, done.Objects, len(e.keys()))
	}
}

// A failing store fails the request, and nothing is said to be there that isn't.
func TestStoreWithoutSpace(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	e.Registry.blobs = fullStore{e.blobs}
	tr, err := e.Begin(t.Context(), repo)
	e.must(err)
	_, _, err = e.finish(tr, noise(18, 9*seal.ChunkSize))
	wantError(t, "write to a full disk", err, blob.ErrNoSpace)
}

type fullStore struct{ blob.Store }

func (fullStore) Create(context.Context, string, []byte) (blob.Upload, error) {
	return nil, blob.ErrNoSpace
}
