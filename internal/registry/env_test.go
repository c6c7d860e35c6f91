package registry

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/coffer-registry/coffer/internal/store/pgtest"

	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/blob/blobtest"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/rootkey"
	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/storetest"
)

func TestMain(m *testing.M) {
	watchConnections()
	goleak.VerifyTestMain(pgtest.Around(m))
}

// The registries of tests: two regions of one account, and another account.
var (
	home    = ID{Account: "123456789012", Region: "us-east-1"}
	abroad  = ID{Account: "123456789012", Region: "eu-central-1"}
	foreign = ID{Account: "111122223333", Region: "us-east-1"}
)

// clock is a clock that stands still until it is set forward.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// failer is what a helper needs of a test, a benchmark or a run of a property.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Context() context.Context
}

// env is a registry with its parts, on a folder of the test's, that can be stopped and started again.
type env struct {
	*Registry
	t     failer
	dir   string
	clock *clock
	db    *store.DB
	blobs *blobtest.Faulty

	limits   Limits
	root     kms.Root
	customer *customerKeys
}

// newEnv starts a registry. Times of files are real, so the clock begins in the present.
func newEnv(t testing.TB, changes map[Limit]int64) *env {
	t.Helper()
	e := startEnv(t, t.TempDir(), changes)
	t.Cleanup(e.stop)
	return e
}

func startEnv(t failer, dir string, changes map[Limit]int64) *env {
	t.Helper()
	e := &env{t: t, dir: dir, clock: &clock{now: time.Now().Truncate(time.Microsecond)}, customer: newCustomerKeys()}
	named := map[string]int64{}
	for limit, value := range changes {
		named[string(limit)] = value
	}
	var err error
	e.limits, err = NewLimits(named)
	e.must(err)
	e.root, err = rootkey.CreateFile(filepath.Join(dir, "root"))
	e.must(err)
	e.start()
	e.update(func(tx *store.Tx) error {
		for _, account := range []string{home.Account, foreign.Account} {
			if _, err := tx.Exec(`INSERT INTO account (id, name, created_at) VALUES ($1, '', 0)`, account); err != nil {
				return err
			}
		}
		return nil
	})
	return e
}

func (e *env) must(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatalf("%v", err)
	}
}

func (e *env) start() {
	e.t.Helper()
	ctx := e.t.Context()
	forgetConnections(e.databasePath())
	e.db = e.open()
	folder, err := blob.OpenFolder(filepath.Join(e.dir, "blobs"))
	e.must(err)
	e.blobs = blobtest.NewFaulty(folder)
	var scopes []kms.Scope
	for _, id := range []ID{home, abroad, foreign} {
		scopes = append(scopes, id.keyScope())
	}
	keys, err := kms.Open(ctx, e.db, e.root, scopes)
	e.must(err)
	e.Registry = New(Config{DB: e.db, Blobs: e.blobs, Keyring: keys, Customer: e.customer, Limits: e.limits, Now: e.clock.Now})
}

// open opens the database of the test; that of a run of a property is always SQLite's.
func (e *env) open() *store.DB {
	e.t.Helper()
	dir, o := filepath.Join(e.dir, "db"), store.Options{Readers: 4}
	if t, ok := e.t.(testing.TB); ok {
		return storetest.Open(t, dir, o)
	}
	db, err := store.Open(e.t.Context(), dir, o)
	e.must(err)
	return db
}

func (e *env) databasePath() string { return filepath.Join(e.dir, "db", store.FileName) }

func (e *env) stop() {
	e.t.Helper()
	if err := e.db.Close(); err != nil {
		e.t.Errorf("close the database: %v", err)
	}
}

// clone starts a registry on a copy of the data of one that is stopped.
func (e *env) clone(t testing.TB) *env {
	t.Helper()
	c := &env{t: t, dir: filepath.Join(t.TempDir(), "copy"), clock: &clock{now: e.clock.Now()}, limits: e.limits, root: e.root, customer: e.customer}
	storetest.Clone(t, e.dir, c.dir)
	c.start()
	return c
}

// restart stops the registry and starts it on the same data.
func (e *env) restart() {
	e.t.Helper()
	e.stop()
	e.start()
}

func (e *env) update(fn func(*store.Tx) error) {
	e.t.Helper()
	e.must(e.db.Update(e.t.Context(), fn))
}

func (e *env) view(fn func(*store.Tx) error) {
	e.t.Helper()
	e.must(e.db.View(e.t.Context(), fn))
}

// change runs one call of the registry in a transaction, and returns what it returns.
func change[T any](e *env, fn func(*store.Tx) (T, error)) (T, error) {
	var out T
	err := e.db.Update(e.t.Context(), func(tx *store.Tx) (err error) {
		out, err = fn(tx)
		return err
	})
	return out, err
}

// read runs one call of the registry that must succeed in a View.
func read[T any](e *env, fn func(*store.Tx) (T, error)) T {
	e.t.Helper()
	var out T
	e.view(func(tx *store.Tx) (err error) {
		out, err = fn(tx)
		return err
	})
	return out
}

// create makes a mutable repository in the home registry.
func (e *env) create(name string) Repository {
	e.t.Helper()
	return e.createIn(home, NewRepository{Name: name, Mutability: Mutable})
}

func (e *env) createIn(id ID, n NewRepository) Repository {
	e.t.Helper()
	repo, err := change(e, func(tx *store.Tx) (Repository, error) { return e.CreateRepository(tx, id, n) })
	e.must(err)
	return repo
}

func (e *env) deleteRepository(id ID, name string, force bool) error {
	_, err := change(e, func(tx *store.Tx) (Repository, error) { return e.DeleteRepository(tx, id, name, force) })
	return err
}

// pushLayer sends a layer in one request.
func (e *env) pushLayer(repo Repository, content []byte) Layer {
	e.t.Helper()
	t, err := e.Begin(e.t.Context(), repo, oci.DigestOf(content))
	e.must(err)
	l, _, err := e.finish(t, content)
	e.must(err)
	return l
}

// finish takes the last bytes of a transfer, records the layer and closes the transfer.
func (e *env) finish(t *Transfer, rest []byte, digests ...oci.Digest) (l Layer, existed bool, err error) {
	defer func() { err = errors.Join(err, t.Close()) }()
	if len(rest) > 0 {
		if err := t.Append(bytes.NewReader(rest), int64(len(rest))); err != nil {
			return l, false, err
		}
	}
	if digests == nil {
		digests = []oci.Digest{digestOf(t)}
	}
	if err := t.Finish(e.t.Context(), digests, false); err != nil {
		return l, false, err
	}
	err = e.db.Update(e.t.Context(), func(tx *store.Tx) (err error) {
		l, existed, err = t.SaveLayer(tx)
		return err
	})
	return l, existed, err
}

// startUpload begins an upload that can be resumed.
func (e *env) startUpload(repo Repository) Upload {
	e.t.Helper()
	u, err := change(e, func(tx *store.Tx) (Upload, error) { return e.StartUpload(tx, repo) })
	e.must(err)
	return u
}

// sendPart sends one part of an upload and records it, as PATCH does.
func (e *env) sendPart(repo Repository, id string, part []byte) (u Upload, err error) {
	t, err := e.Resume(e.t.Context(), repo, id)
	if err != nil {
		return u, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	if err := t.Append(bytes.NewReader(part), int64(len(part))); err != nil {
		return u, err
	}
	return e.pause(t)
}

// pause records what a transfer has taken so far.
func (e *env) pause(t *Transfer) (Upload, error) {
	if err := t.Pause(e.t.Context()); err != nil {
		return Upload{}, err
	}
	return change(e, t.SaveProgress)
}

// finishUpload sends the last bytes of an upload and completes it.
func (e *env) finishUpload(repo Repository, id string, rest []byte) (Layer, bool, error) {
	t, err := e.Resume(e.t.Context(), repo, id)
	if err != nil {
		return Layer{}, false, err
	}
	return e.finish(t, rest)
}

// content is the bytes of a layer as a client downloads them.
func (e *env) content(repo Repository, digest oci.Digest) ([]byte, error) {
	l, err := e.Layer(e.t.Context(), repo, digest)
	if err != nil {
		return nil, err
	}
	reader, err := e.OpenLayer(e.t.Context(), repo, l)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(reader.NewReadSeeker())
	return text, errors.Join(err, reader.Close())
}

// wantContent checks that a layer reads back byte by byte.
func (e *env) wantContent(repo Repository, content []byte) {
	e.t.Helper()
	got, err := e.content(repo, oci.DigestOf(content))
	if err != nil || !bytes.Equal(got, content) {
		e.t.Errorf("read the layer %s of %s: %d bytes of %d: %v", oci.DigestOf(content), repo.Name, len(got), len(content), err)
	}
}

// push parses and pushes a manifest to the home registry.
func (e *env) push(repo Repository, tag string, manifest []byte) (Image, error) {
	p, err := e.NewPush(manifest, "", tag, "")
	if err != nil {
		return Image{}, err
	}
	return change(e, func(tx *store.Tx) (Image, error) { return e.PutImage(tx, repo, p) })
}

// mustPush pushes a manifest, and returns its digest.
func (e *env) mustPush(repo Repository, tag string, manifest []byte) oci.Digest {
	e.t.Helper()
	image, err := e.push(repo, tag, manifest)
	e.must(err)
	return image.Digest
}

// pushImage pushes an image of one layer, which it makes of a text, and returns its digest. As clients do, it pushes only
// the layers that aren't there.
func (e *env) pushImage(repo Repository, tag, text string) oci.Digest {
	e.t.Helper()
	for _, content := range [][]byte{emptyConfig, []byte(text)} {
		_, err := e.Layer(e.t.Context(), repo, oci.DigestOf(content))
		if errors.Is(err, ErrLayerNotFound) {
			e.pushLayer(repo, content)
			continue
		}
		e.must(err)
	}
	return e.mustPush(repo, tag, imageOf([]byte(text)))
}

func (e *env) delete(repo Repository, ids ...ImageID) (deleted []ImageID, failures []Failure) {
	e.t.Helper()
	e.update(func(tx *store.Tx) (err error) {
		deleted, failures, err = e.DeleteImages(tx, repo.Registry, repo.Name, ids)
		return err
	})
	return deleted, failures
}

// sweep runs the sweeper.
func (e *env) sweep() Swept {
	e.t.Helper()
	s, err := e.Sweep(e.t.Context(), func(*store.Tx, ID, string, oci.Digest) error { return nil })
	e.must(err)
	return s
}

// check holds that the registry's own check finds nothing wrong.
func (e *env) check() Checked {
	e.t.Helper()
	done, faults := e.faults()
	for _, fault := range faults {
		e.t.Errorf("check: %s", fault)
	}
	return done
}

func (e *env) faults() (Checked, []string) {
	e.t.Helper()
	var faults []string
	done, err := e.Check(e.t.Context(), func(text string) { faults = append(faults, text) }, func(Checked) {})
	e.must(err)
	return done, faults
}

// keys lists the objects in the store.
func (e *env) keys() []string {
	e.t.Helper()
	var keys []string
	for info, err := range e.blobs.List(e.t.Context(), "") {
		e.must(err)
		keys = append(keys, info.Key)
	}
	return keys
}

// count is the number of rows that a query counts.
func (e *env) count(query string, args ...any) (n int) {
	e.t.Helper()
	e.view(func(tx *store.Tx) error { return tx.QueryRow(query, args...).Scan(&n) })
	return n
}

var emptyConfig = []byte(`{}`)

// descriptor is one in a manifest.
type descriptor struct {
	MediaType string     `json:"mediaType"`
	Digest    oci.Digest `json:"digest"`
	Size      int        `json:"size"`
}

func describe(mediaType string, content []byte) descriptor {
	return descriptor{mediaType, oci.DigestOf(content), len(content)}
}

const (
	configType = "application/vnd.oci.image.config.v1+json"
	layerType  = "application/vnd.oci.image.layer.v1.tar"
)

// imageOf makes the manifest of an image with the empty config.
func imageOf(layers ...[]byte) []byte { return imageWith(nil, layers...) }

// imageWith makes the manifest of an image with further members, such as a subject.
func imageWith(extra map[string]any, layers ...[]byte) []byte {
	list := []descriptor{}
	for _, content := range layers {
		list = append(list, describe(layerType, content))
	}
	return manifestOf(oci.MediaTypeOCIManifest, extra, map[string]any{"config": describe(configType, emptyConfig), "layers": list})
}

// indexOf makes the manifest of an index.
func indexOf(manifests ...[]byte) []byte {
	list := []descriptor{}
	for _, m := range manifests {
		list = append(list, describe(oci.MediaTypeOCIManifest, m))
	}
	return manifestOf(oci.MediaTypeOCIIndex, nil, map[string]any{"manifests": list})
}

func manifestOf(mediaType string, members ...map[string]any) []byte {
	m := map[string]any{"schemaVersion": 2, "mediaType": mediaType}
	for _, some := range members {
		for name, value := range some {
			m[name] = value
		}
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // Only a test that passes what can't be encoded brings it about.
	}
	return text
}

// wantError checks an error with errors.Is; a nil want is none.
func wantError(t failer, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error is %v, want %v", what, got, want)
	}
}

// wantErrorAs checks that an error is of a type, and returns it.
func wantErrorAs[E error](t failer, what string, err error) (as E) {
	t.Helper()
	if !errors.As(err, &as) {
		t.Errorf("%s: error is %v, want one of type %T", what, err, as)
	}
	return as
}

// digestOf is the digest of the bytes that a transfer has taken.
func digestOf(t *Transfer) oci.Digest {
	return oci.Digest("sha256:" + hex.EncodeToString(t.hash.Sum(nil)))
}

// textDigest is the digest of a layer that pushImage makes of a text.
func textDigest(text string) oci.Digest { return oci.DigestOf([]byte(text)) }
