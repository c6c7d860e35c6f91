package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/coffer-registry/coffer/internal/blob/blobtest"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

// noise is bytes that look random and are the same for the same seed.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	var key [32]byte
	key[0], key[1], key[2] = byte(seed), byte(seed>>8), byte(n)
	rand.NewChaCha8(key).Read(b)
	return b
}

// around are sizes at which something begins or ends: a sealed chunk, a batch of chunks, a piece that is read at once.
func around() []int {
	sizes := []int{0, 1}
	for _, n := range []int{seal.ChunkSize, 2 * seal.ChunkSize, 4 * seal.ChunkSize, pieceSize, 2 * pieceSize} {
		sizes = append(sizes, n-1, n, n+1)
	}
	return sizes
}

func TestLayerOfAnySize(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	for _, size := range around() {
		content := noise(1, size)
		if l := e.pushLayer(repo, content); l.Digest != oci.DigestOf(content) || l.Size != int64(size) {
			t.Errorf("%d bytes became the layer %s of %d bytes", size, l.Digest, l.Size)
		}
		e.wantContent(repo, content)
	}
	e.check()
}

// A replica that knows nothing but the row goes on with the upload: the state of the digest and that of the sealed
// writer are taken up at every boundary.
func TestResumeAtEveryBoundary(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	seed := uint64(2)
	for _, first := range around() {
		for _, rest := range []int{0, 1, seal.ChunkSize - 1, seal.ChunkSize, seal.ChunkSize + 1} {
			seed++
			content := noise(seed, first+rest)
			u := e.startUpload(repo)
			saved, err := e.sendPart(repo, u.ID, content[:first])
			if err != nil || saved.Size != int64(first) {
				t.Fatalf("the first %d bytes: %d saved: %v", first, saved.Size, err)
			}
			e.Registry = New(Config{DB: e.db, Blobs: e.blobs, Keyring: e.Registry.keys, Limits: e.limits, Now: e.clock.Now})
			l, _, err := e.finishUpload(repo, u.ID, content[first:])
			if err != nil || l.Digest != oci.DigestOf(content) {
				t.Fatalf("%d bytes after %d: layer %s: %v", rest, first, l.Digest, err)
			}
			e.wantContent(repo, content)
		}
	}
	e.check()
}

func TestManyPartsAndARestart(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	content := noise(3, 5*seal.ChunkSize+77)
	u := e.startUpload(repo)
	at := 0
	for i, n := range []int{10, seal.ChunkSize - 10, 1, 3*seal.ChunkSize + 5, 20} {
		saved, err := e.sendPart(repo, u.ID, content[at:at+n])
		e.must(err)
		if at += n; saved.Size != int64(at) || saved.Parts != int64(i+1) {
			t.Errorf("after part %d: %d bytes in %d parts", i+1, saved.Size, saved.Parts)
		}
	}
	e.restart()
	if done := e.check(); done.Uploads != 1 {
		t.Errorf("the check saw %d uploads", done.Uploads)
	}
	if _, existed, err := e.finishUpload(repo, u.ID, content[at:]); err != nil || existed {
		t.Fatalf("finish: existed %t: %v", existed, err)
	}
	e.wantContent(repo, content)
	_, err := e.Resume(t.Context(), repo, u.ID)
	wantError(t, "resume a finished upload", err, ErrUploadNotFound)
}

func TestUnknownUpload(t *testing.T) {
	e := newEnv(t, nil)
	repo, other := e.create("app"), e.create("other")
	u := e.startUpload(repo)
	for what, where := range map[string]struct {
		repo Repository
		id   string
	}{"an id of nobody": {repo, "nobody"}, "another repository's": {other, u.ID}} {
		_, err := e.Resume(t.Context(), where.repo, where.id)
		wantError(t, what, err, ErrUploadNotFound)
		err = e.db.Update(t.Context(), func(tx *store.Tx) error { return e.CancelUpload(tx, where.repo, where.id) })
		wantError(t, "cancel "+what, err, ErrUploadNotFound)
	}
	if _, err := e.sendPart(repo, u.ID, []byte("x")); err != nil {
		t.Errorf("the upload is hurt by it: %v", err)
	}
}

func TestCancelUpload(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	u := e.startUpload(repo)
	_, err := e.sendPart(repo, u.ID, noise(4, 3*seal.ChunkSize))
	e.must(err)
	e.update(func(tx *store.Tx) error { return e.CancelUpload(tx, repo, u.ID) })
	_, err = e.sendPart(repo, u.ID, []byte("x"))
	wantError(t, "go on", err, ErrUploadNotFound)
	if s := e.sweep(); s.Objects != 1 || len(e.keys()) != 0 {
		t.Errorf("swept %+v, and %d objects are left", s, len(e.keys()))
	}
}

// A request that is under way when the upload is cancelled, or its repository deleted, saves nothing.
func TestUploadEndsUnderATransfer(t *testing.T) {
	content := noise(5, 3*seal.ChunkSize)
	for what, c := range map[string]struct {
		end       func(*env, Repository, Upload)
		part, all error
	}{
		"cancelled": {func(e *env, repo Repository, u Upload) {
			e.update(func(tx *store.Tx) error { return e.CancelUpload(tx, repo, u.ID) })
		}, ErrUploadNotFound, ErrUploadNotFound},
		"repository deleted": {func(e *env, repo Repository, _ Upload) { e.must(e.deleteRepository(home, repo.Name, true)) },
			ErrUploadNotFound, ErrRepositoryNotFound},
	} {
		for _, sweepToo := range []bool{false, true} {
			e := newEnv(t, nil)
			repo := e.create("app")
			for _, finish := range []bool{false, true} {
				u := e.startUpload(repo)
				tr, err := e.Resume(t.Context(), repo, u.ID)
				e.must(err)
				e.must(tr.Append(bytes.NewReader(content), -1))
				c.end(e, repo, u)
				if sweepToo {
					e.sweep()
				}
				if finish {
					_, _, err = e.finish(tr, nil)
					if !errors.Is(err, c.all) && !errors.Is(err, ErrUploadNotFound) {
						t.Errorf("%s (swept: %t): finish: %v", what, sweepToo, err)
					}
				} else {
					_, err = e.pause(tr)
					err = errors.Join(err, tr.Close())
					if !errors.Is(err, c.part) && (sweepToo || err != nil) {
						t.Errorf("%s (swept: %t): save a part: %v", what, sweepToo, err)
					}
				}
				if what == "repository deleted" {
					repo = e.create("app")
				}
			}
			e.sweep()
			e.check()
			if n := e.count(`SELECT count(*) FROM layer`) + e.count(`SELECT count(*) FROM upload`); n > 0 {
				t.Errorf("%s (swept: %t): %d rows are left", what, sweepToo, n)
			}
		}
	}
}

// Whoever comes second learns that the upload is busy.
func TestTwoWritersAtOnce(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	u := e.startUpload(repo)
	first, err := e.Resume(t.Context(), repo, u.ID)
	e.must(err)
	_, err = e.Resume(t.Context(), repo, u.ID)
	wantError(t, "the second writer", err, ErrUploadBusy)
	e.must(first.Append(strings.NewReader("first"), 5))
	_, err = e.pause(first)
	e.must(err)
	e.must(first.Close())
	second, err := e.Resume(t.Context(), repo, u.ID)
	e.must(err)
	if second.Size() != 5 {
		t.Errorf("the second writer begins at byte %d", second.Size())
	}
	e.must(second.Close())
}

// Two replicas don't know of each other: the one that saves first wins, the other saves nothing.
func TestTwoReplicasOnOneUpload(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	replica := New(Config{DB: e.db, Blobs: e.blobs, Keyring: e.Registry.keys, Limits: e.limits, Now: e.clock.Now})
	short := []byte("fits into the row")
	for what, second := range map[string]func(*Transfer) error{
		"a part":  func(tr *Transfer) error { _, err := e.pause(tr); return errors.Join(err, tr.Close()) },
		"the end": func(tr *Transfer) error { _, _, err := e.finish(tr, nil); return err },
	} {
		u := e.startUpload(repo)
		one, err := e.Resume(t.Context(), repo, u.ID)
		e.must(err)
		other, err := replica.Resume(t.Context(), repo, u.ID)
		e.must(err)
		e.must(one.Append(bytes.NewReader(short), -1))
		e.must(other.Append(strings.NewReader("of the other"), -1))
		_, err = e.pause(one)
		e.must(err)
		e.must(one.Close())
		wantError(t, "save "+what+" second", second(other), ErrUploadBusy)
		again, err := e.Resume(t.Context(), repo, u.ID)
		e.must(err)
		if again.Size() != int64(len(short)) {
			t.Errorf("%s: the upload has %d bytes", what, again.Size())
		}
		e.must(again.Close())
	}
}

// An object that is being written is not written to a second time.
func TestObjectBusy(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	u := e.startUpload(repo)
	writer, err := e.blobs.Create(t.Context(), u.object, nil)
	e.must(err)
	_, err = e.sendPart(repo, u.ID, noise(6, 9*seal.ChunkSize))
	wantError(t, "a second writer of the object", err, ErrUploadBusy)
	e.must(writer.Close())
	_, err = e.sendPart(repo, u.ID, noise(6, 9*seal.ChunkSize))
	e.must(err)
}

// Whoever gets the upload next must go on from where it ends by then, and not from where it ended when the request came:
// else a part that was acknowledged meanwhile would be cut off the object.
func TestWritersThatTakeTurns(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	const writers, rounds, size = 8, 20, seal.ChunkSize + 1
	u := e.startUpload(repo)
	var wg sync.WaitGroup
	var mu sync.Mutex
	parts := map[int64][]byte{} // by where they begin
	for w := range writers {
		wg.Go(func() {
			for round := range rounds {
				part := noise(uint64(w*rounds+round), size)
				at, err := e.sendAnywhere(repo, u.ID, part)
				if errors.Is(err, ErrUploadBusy) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				parts[at] = part
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	var content []byte
	for len(parts[int64(len(content))]) > 0 {
		content = append(content, parts[int64(len(content))]...)
	}
	if len(content) != len(parts)*size || len(parts) == 0 {
		t.Fatalf("%d parts were acknowledged, which don't join", len(parts))
	}
	if _, _, err := e.finishUpload(repo, u.ID, nil); err != nil {
		t.Fatal(err)
	}
	e.wantContent(repo, content)
}

// sendAnywhere sends a part to where the upload ends, which it returns.
func (e *env) sendAnywhere(repo Repository, id string, part []byte) (at int64, err error) {
	t, err := e.Resume(e.t.Context(), repo, id)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	at = t.Size()
	if err := t.Append(bytes.NewReader(part), -1); err != nil {
		return 0, err
	}
	_, err = e.pause(t)
	return at, err
}

func TestWrongDigest(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	content := noise(7, seal.ChunkSize+1)
	u := e.startUpload(repo)
	_, err := e.sendPart(repo, u.ID, content)
	e.must(err)
	tr, err := e.Resume(t.Context(), repo, u.ID)
	e.must(err)
	_, _, err = e.finish(tr, nil, oci.DigestOf([]byte("a")), oci.DigestOf([]byte("b")))
	wantError(t, "none of two digests", err, ErrDigestMismatch)
	_, err = e.content(repo, oci.DigestOf(content))
	wantError(t, "the layer", err, ErrLayerNotFound)
	tr, err = e.Resume(t.Context(), repo, u.ID)
	e.must(err)
	l, _, err := e.finish(tr, nil, oci.DigestOf([]byte("a")), oci.DigestOf(content))
	if err != nil || l.Digest != oci.DigestOf(content) {
		t.Errorf("the second of two digests: layer %s: %v", l.Digest, err)
	}
	e.check()
}

// What a request sent before it broke off is not part of the upload.
func TestBodyCutShort(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	content := noise(8, pieceSize+seal.ChunkSize)
	u := e.startUpload(repo)
	_, err := e.sendPart(repo, u.ID, content[:100])
	e.must(err)
	broken := errors.New("broken pipe")
	for _, sent := range []int{0, 1, seal.ChunkSize, pieceSize - 100, pieceSize, len(content) - 101} {
		for _, size := range []int64{-1, int64(len(content) - 100)} {
			tr, err := e.Resume(t.Context(), repo, u.ID)
			e.must(err)
			body := io.MultiReader(bytes.NewReader(content[100:100+sent]), iotest.ErrReader(broken))
			err = tr.Append(body, size)
			if as := wantErrorAs[*ReadError](t, fmt.Sprintf("%d bytes and an error", sent), err); as != nil {
				wantError(t, "its cause", err, broken)
			}
			e.must(tr.Close())
		}
		tr, err := e.Resume(t.Context(), repo, u.ID)
		e.must(err)
		err = tr.Append(bytes.NewReader(content[100:100+sent]), int64(len(content)-100))
		wantError(t, fmt.Sprintf("%d bytes of %d", sent, len(content)-100), err, ErrSizeMismatch)
		e.must(tr.Close())
	}
	_, _, err = e.finishUpload(repo, u.ID, content[100:])
	e.must(err)
	e.wantContent(repo, content)
}

func TestBodyLongerThanAnnounced(t *testing.T) {
	e := newEnv(t, nil)
	tr, err := e.Begin(t.Context(), e.create("app"))
	e.must(err)
	wantError(t, "6 bytes of 5", tr.Append(strings.NewReader("abcdef"), 5), ErrSizeMismatch)
	e.must(tr.Close())
}

// A reader may give as few bytes as it likes, and its end with the last of them.
func TestOddReaders(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	for name, odd := range map[string]func(io.Reader) io.Reader{
		"half": iotest.HalfReader, "end with data": iotest.DataErrReader, "one byte": iotest.OneByteReader,
	} {
		for _, size := range []int{1, pieceSize, pieceSize + 1} {
			content := append([]byte(name), noise(9, size-min(size, len(name)))...)
			tr, err := e.Begin(t.Context(), repo)
			e.must(err)
			e.must(tr.Append(odd(bytes.NewReader(content)), -1))
			_, _, err = e.finish(tr, nil, oci.DigestOf(content))
			e.must(err)
			e.wantContent(repo, content)
		}
	}
}

func TestEmptyLayer(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	tr, err := e.Resume(t.Context(), repo, e.startUpload(repo).ID)
	e.must(err)
	wantError(t, "no part, where parts are asked for", tr.Finish(t.Context(), []oci.Digest{oci.DigestOf(nil)}, true), ErrUploadEmpty)
	_, _, err = e.finish(tr, nil, oci.DigestOf(nil))
	e.must(err)
	e.wantContent(repo, nil)
}

func TestPartsOfTheAPI(t *testing.T) {
	e := newEnv(t, map[Limit]int64{PartBytesMin: 10, PartBytesMax: 20, LayerParts: 3, LayerBytes: 50})
	repo := e.create("app")
	type part struct {
		first, last int64
		size        int
		want        error
	}
	limit := func(l Limit) error { return &LimitError{Limit: l} }
	for what, parts := range map[string][]part{
		"the rules to their edges": {{0, 9, 10, nil}, {10, 29, 20, nil}, {30, 49, 20, nil}},
		"one part too many":        {{0, 9, 10, nil}, {10, 19, 10, nil}, {20, 29, 10, nil}, {30, 30, 1, limit(LayerParts)}},
		"one byte too many":        {{0, 20, 21, limit(PartBytesMax)}, {0, 19, 20, nil}, {20, 39, 20, nil}, {40, 50, 11, limit(LayerBytes)}, {40, 49, 10, nil}},
		"not where it ended":       {{1, 10, 10, &RangeError{0}}, {0, 9, 10, nil}, {0, 9, 10, &RangeError{10}}, {11, 20, 10, &RangeError{10}}},
		"not as long as its range": {{0, 10, 10, ErrSizeMismatch}, {0, 8, 10, ErrSizeMismatch}, {0, 9, 10, nil}},
	} {
		u := e.startUpload(repo)
		for i, p := range parts {
			tr, err := e.Resume(t.Context(), repo, u.ID)
			e.must(err)
			if err = tr.AppendPart(noise(uint64(i), p.size), p.first, p.last); err == nil {
				_, err = e.pause(tr)
			}
			wantSame(t, fmt.Sprintf("%s: part %d", what, i+1), err, p.want)
			e.must(tr.Close())
		}
	}
}

// wantSame checks an error with errors.Is, or, where that says little, by type and what matters of it.
func wantSame(t *testing.T, what string, got, want error) {
	t.Helper()
	switch want := want.(type) {
	case *LimitError:
		if as := wantErrorAs[*LimitError](t, what, got); as != nil && as.Limit != want.Limit {
			t.Errorf("%s: limit %s, want %s", what, as.Limit, want.Limit)
		}
	case *RangeError:
		if as := wantErrorAs[*RangeError](t, what, got); as != nil && as.Size != want.Size {
			t.Errorf("%s: the upload has %d bytes, want %d", what, as.Size, want.Size)
		}
	default:
		wantError(t, what, got, want)
	}
}

func TestSmallParts(t *testing.T) {
	e := newEnv(t, map[Limit]int64{PartBytesMin: 10})
	repo := e.create("app")
	for what, c := range map[string]struct {
		sizes []int
		want  error
	}{
		"the only one":       {[]int{1}, nil},
		"the last":           {[]int{10, 1}, nil},
		"the first":          {[]int{9, 10}, ErrPartTooSmall},
		"one in the middle":  {[]int{10, 9, 10}, ErrPartTooSmall},
		"all of the minimum": {[]int{10, 10, 10}, nil},
	} {
		u := e.startUpload(repo)
		for i, n := range c.sizes {
			_, err := e.sendPart(repo, u.ID, noise(uint64(len(what)+i), n))
			e.must(err)
		}
		tr, err := e.Resume(t.Context(), repo, u.ID)
		e.must(err)
		wantError(t, what, tr.Finish(t.Context(), []oci.Digest{digestOf(tr)}, true), c.want)
		e.must(tr.Close())
	}
}

// Clients of the docker protocol send as many chunks of any size as they like: only a layer's size is limited.
func TestChunksAreNotParts(t *testing.T) {
	e := newEnv(t, map[Limit]int64{PartBytesMin: 10, PartBytesMax: 20, LayerParts: 3, LayerBytes: 45})
	repo := e.create("app")
	u := e.startUpload(repo)
	for i := range 5 {
		_, err := e.sendPart(repo, u.ID, noise(uint64(i), 3))
		e.must(err)
	}
	_, err := e.sendPart(repo, u.ID, noise(5, 30))
	e.must(err)
	_, err = e.sendPart(repo, u.ID, []byte("x"))
	wantSame(t, "a byte more than a layer has", err, &LimitError{Limit: LayerBytes})
	_, _, err = e.finishUpload(repo, u.ID, nil)
	e.must(err)
}

// A body of unknown length is cut off where the layer would become too large.
func TestLayerBytesOfUnknownLength(t *testing.T) {
	const limit = pieceSize + 10
	e := newEnv(t, map[Limit]int64{LayerBytes: limit})
	repo := e.create("app")
	for _, size := range []int{limit, limit + 1, 4 * pieceSize} {
		tr, err := e.Begin(t.Context(), repo)
		e.must(err)
		err = tr.Append(bytes.NewReader(noise(10, size)), -1)
		if size == limit {
			e.must(err)
		} else {
			wantSame(t, fmt.Sprintf("%d bytes", size), err, &LimitError{Limit: LayerBytes})
		}
		e.must(tr.Close())
	}
}

func TestConcurrentUploads(t *testing.T) {
	e := newEnv(t, map[Limit]int64{ConcurrentUploads: 2})
	repo := e.create("app")
	one, err := e.Begin(t.Context(), repo)
	e.must(err)
	two, err := e.Resume(t.Context(), repo, e.startUpload(repo).ID)
	e.must(err)
	_, err = e.Begin(t.Context(), repo)
	wantError(t, "a third transfer", err, ErrTooBusy)
	_, err = e.Resume(t.Context(), repo, "whatever")
	wantError(t, "a third upload", err, ErrTooBusy)
	e.must(one.Close())
	_, err = e.Resume(t.Context(), repo, "whatever")
	wantError(t, "an unknown upload", err, ErrUploadNotFound)
	_, err = e.Resume(t.Context(), repo, two.Upload().ID)
	wantError(t, "a busy upload", err, ErrUploadBusy)
	three, err := e.Begin(t.Context(), repo)
	e.must(err)
	e.must(errors.Join(two.Close(), three.Close()))
}

// attempts are ways in which an attempt to finish an upload can fail once its object is committed.
var attempts = map[string]func(*env, *Transfer, oci.Digest) error{
	"the transaction fails": func(e *env, tr *Transfer, d oci.Digest) error {
		if err := tr.Finish(e.t.Context(), []oci.Digest{d}, false); err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(e.t.Context())
		cancel()
		return e.db.Update(ctx, func(tx *store.Tx) error { _, _, err := tr.SaveLayer(tx); return err })
	},
	"the commit is told to have failed": func(e *env, tr *Transfer, d oci.Digest) error {
		e.blobs.Use(blobtest.NthOf("Commit", 1, blobtest.After))
		defer e.blobs.Use(nil)
		return tr.Finish(e.t.Context(), []oci.Digest{d}, false)
	},
}
