package registry

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/blob/blobtest"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/storetest"
)

// script is what a client does step by step.
type script struct {
	*env
	app, other *acknowledged
	upload     string // that the client is at
}

// acknowledged is what the client was told that a repository has.
type acknowledged struct {
	Repository
	layers [][]byte
	tags   map[string][]byte // manifests
	gone   bool
}

// The layers of the script: one that is larger than a batch of sealed chunks, and one that fits into a row.
var large, small = noise(1, 6*seal.ChunkSize+10), noise(2, 10)

// scriptSteps can each be tried again after they failed.
var scriptSteps = []struct {
	name string
	do   func(*script) error
}{
	{"start an upload", (*script).start},
	{"the first part", func(s *script) error { return s.part(0, 5*seal.ChunkSize) }},
	{"the second part", func(s *script) error { return s.part(5*seal.ChunkSize, 6*seal.ChunkSize) }},
	{"finish with the rest", func(s *script) error { return s.complete(s.app, large, large[6*seal.ChunkSize:]) }},
	{"a layer in one request", func(s *script) error { return s.whole(s.app, emptyConfig) }},
	{"start another upload", (*script).start},
	{"finish it without a part", func(s *script) error { return s.complete(s.app, small, small) }},
	{"push", func(s *script) error { return s.put(s.app, "1", imageOf(large, small)) }},
	{"push another tag", func(s *script) error { return s.put(s.app, "2", imageOf(large, small)) }},
	{"push another image", func(s *script) error { return s.put(s.app, "3", imageOf(small)) }},
	{"push an index", func(s *script) error { return s.put(s.app, "index", indexOf(imageOf(small))) }},
	{"push a referrer", func(s *script) error {
		return s.put(s.app, "sig", referrerOf(oci.DigestOf(imageOf(large, small)), "x/sig", ""))
	}},
	{"move a tag", func(s *script) error { return s.put(s.app, "2", imageOf(small)) }},
	{"mount", func(s *script) error {
		_, err := s.mount(s.app.Repository, s.other.Repository, oci.DigestOf(large))
		return s.other.acknowledge(err, large)
	}},
	{"push what another repository has", func(s *script) error { return s.whole(s.other, emptyConfig) }},
	{"push to the other repository", func(s *script) error { return s.put(s.other, "1", imageOf(large)) }},
	{"push what is there", func(s *script) error { return s.whole(s.app, large) }},
	{"delete a tag", func(s *script) error { return s.remove(s.app, "2") }},
	{"delete the index", func(s *script) error { return s.remove(s.app, "index") }},
	{"delete an image", func(s *script) error { return s.remove(s.app, "1", "sig") }},
	{"sweep", (*script).clean},
	{"cancel an upload", func(s *script) error {
		if err := s.start(); err != nil {
			return err
		}
		if err := s.part(0, 5*seal.ChunkSize); err != nil {
			return err
		}
		return s.db.Update(s.t.Context(), func(tx *store.Tx) error { return s.CancelUpload(tx, s.app.Repository, s.upload) })
	}},
	{"sweep what is idle", func(s *script) error {
		s.clock.Advance(48 * time.Hour)
		s.app.layers = [][]byte{emptyConfig, small}
		return s.clean()
	}},
	{"delete a repository", func(s *script) error {
		err := s.deleteRepository(home, "app", true)
		s.app.gone = err == nil
		return err
	}},
	{"sweep what is left of it", (*script).clean},
}

func (s *script) start() error {
	u, err := change(s.env, func(tx *store.Tx) (Upload, error) { return s.StartUpload(tx, s.app.Repository) })
	s.upload = u.ID
	return err
}

func (s *script) part(from, to int) error {
	_, err := s.sendPart(s.app.Repository, s.upload, large[from:to])
	return err
}

func (s *script) complete(to *acknowledged, content, rest []byte) error {
	_, _, err := s.finishUpload(to.Repository, s.upload, rest)
	if errors.Is(err, ErrUploadNotFound) { // What failed was to release what had been recorded.
		_, err = s.Layer(s.t.Context(), to.Repository, oci.DigestOf(content))
	}
	return to.acknowledge(err, content)
}

func (s *script) whole(to *acknowledged, content []byte) error {
	t, err := s.Begin(s.t.Context(), to.Repository)
	if err == nil {
		_, _, err = s.finish(t, content)
	}
	return to.acknowledge(err, content)
}

// acknowledge notes a layer that the registry said it has.
func (a *acknowledged) acknowledge(err error, content []byte) error {
	if err == nil {
		a.layers = append(a.layers, content)
	}
	return err
}

func (s *script) put(to *acknowledged, tag string, manifest []byte) error {
	_, err := s.push(to.Repository, tag, manifest)
	if err == nil {
		to.tags[tag] = manifest
	}
	return err
}

func (s *script) remove(from *acknowledged, tags ...string) error {
	var ids []ImageID
	for _, tag := range tags {
		ids = append(ids, ImageID{Tag: tag})
	}
	failures, err := change(s.env, func(tx *store.Tx) (failures []Failure, err error) {
		_, failures, err = s.DeleteImages(tx, home, from.Name, ids)
		return failures, err
	})
	if err == nil && len(failures) > 0 {
		err = errors.New(failures[0].Reason)
	}
	for _, tag := range tags {
		if err == nil {
			delete(from.tags, tag)
		}
	}
	return err
}

func (s *script) clean() error {
	_, err := s.Sweep(s.t.Context(), func(*store.Tx, ID, string, oci.Digest) error { return nil })
	if err == nil {
		_, err = s.SweepOrphans(s.t.Context())
	}
	return err
}

// verify checks that what was acknowledged is there, and that nothing is damaged.
func (s *script) verify(when string) {
	s.t.Helper()
	_, faults := s.faults()
	for _, fault := range faults {
		s.t.Errorf("%s: %s", when, fault)
	}
	for _, a := range []*acknowledged{s.app, s.other} {
		if a.gone {
			continue
		}
		for _, content := range a.layers {
			if got, err := s.content(a.Repository, oci.DigestOf(content)); err != nil || !bytes.Equal(got, content) {
				s.t.Errorf("%s: read %d bytes of %d of a layer of %s: %v", when, len(got), len(content), a.Name, err)
			}
		}
		for tag, manifest := range a.tags {
			if got, err := s.pull(a.Repository, tag); err != nil || !bytes.Equal(got, manifest) {
				s.t.Errorf("%s: %s of %s is %q: %v", when, tag, a.Name, got, err)
			}
		}
	}
}

// pull reads the manifest that a tag points to.
func (e *env) pull(repo Repository, tag string) ([]byte, error) {
	digest, err := e.ResolveTag(e.t.Context(), repo, tag)
	if err != nil {
		return nil, err
	}
	m, err := e.Manifest(e.t.Context(), repo, digest)
	if err != nil {
		return nil, err
	}
	return m.Body, nil
}

// injector makes one call fail.
type injector interface {
	// use makes the nth call from now on fail; 0 fails none.
	use(nth int) error
	// hits reports whether it has failed.
	hits() bool
}

type blobFaults struct {
	store *blobtest.Faulty
	fault blobtest.Fault
	plan  func(int, blobtest.Fault) blobtest.Plan
}

func (f *blobFaults) use(nth int) error {
	f.store.Use(nil)
	if nth > 0 {
		f.store.Use(f.plan(nth, f.fault))
	}
	return nil
}

func (f *blobFaults) hits() bool { return f.store.Hit() }

// again is the script on a copy of the data, which must not be in use.
func (s *script) again(t *testing.T) *script {
	c := &script{env: s.clone(t), upload: s.upload}
	for from, to := range map[*acknowledged]**acknowledged{s.app: &c.app, s.other: &c.other} {
		copied := *from
		copied.layers, copied.tags = slices.Clone(from.layers), maps.Clone(from.tags)
		*to = &copied
	}
	return c
}

// fail does a step with the nth call failing, and reports whether there were as many. Whichever it is: nothing is damaged
// by it, the step succeeds when it is tried again, and what was acknowledged is there, before a sweep and after.
func (s *script) fail(what string, step func(*script) error, faults injector, nth int) bool {
	s.t.Helper()
	s.must(faults.use(nth))
	err := step(s)
	hit := faults.hits()
	s.must(faults.use(0))
	if !hit {
		if err != nil {
			s.t.Fatalf("%s: %v", what, err)
		}
		return false
	}
	what = fmt.Sprintf("%s, with call %d failing", what, nth)
	s.verify(what)
	if err != nil { // It may as well have come through.
		if err := step(s); err != nil {
			s.t.Fatalf("%s, again: %v", what, err)
		}
		s.verify(what + ", again")
	}
	s.clock.Advance(48 * time.Hour)
	s.must(s.clean())
	if done := s.check(); done.Orphans > 0 || done.Objects != int64(len(s.keys())) {
		s.t.Errorf("%s: %d orphans, %d objects in use of %d", what, done.Orphans, done.Objects, len(s.keys()))
	}
	return true
}

// everyFault goes through the script, and fails every call of each step in turn.
func everyFault(t *testing.T, least int, inject func(*env) injector) {
	t.Parallel() // They mostly wait for the disk.
	s, calls := &script{env: startEnv(t, t.TempDir(), nil)}, 0
	for name, a := range map[string]**acknowledged{"app": &s.app, "other": &s.other} {
		*a = &acknowledged{Repository: s.create(name), tags: map[string][]byte{}}
	}
	s.stop()
	for _, step := range scriptSteps {
		for nth := 1; ; nth++ {
			c := s.again(t)
			hit := c.fail(step.name, step.do, inject(c.env), nth)
			c.stop()
			if t.Failed() {
				return
			}
			if !hit {
				s = c
				break
			}
			calls++
		}
	}
	if t.Logf("%d calls", calls); calls < least {
		t.Errorf("the script makes %d calls only", calls)
	}
}

func TestEveryFaultOfTheObjectStore(t *testing.T) {
	for name, fault := range map[string]blobtest.Fault{"before": blobtest.Before, "after": blobtest.After} {
		t.Run(name, func(t *testing.T) {
			everyFault(t, 25, func(e *env) injector { return &blobFaults{e.blobs, fault, blobtest.Nth} })
		})
	}
}

// From some call on the store is gone, until the client tries again.
func TestObjectStoreGone(t *testing.T) {
	everyFault(t, 25, func(e *env) injector { return &blobFaults{e.blobs, blobtest.Before, blobtest.From} })
}

func TestEveryFaultOfTheDatabase(t *testing.T) {
	if storetest.OnPostgreSQL() {
		t.Skip("it is SQLite's authorizer that makes statements fail")
	}
	commits := 0
	everyFault(t, 200, func(e *env) injector { return &sqlFaults{path: e.databasePath(), commits: &commits} })
	if commits < len(scriptSteps) {
		t.Errorf("only %d commits failed", commits)
	}
}
