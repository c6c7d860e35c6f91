package registry

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/coffer-registry/coffer/internal/blob/blobtest"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/store"
)

// faultStep is one step of a client, which can be tried again after it failed.
type faultStep struct {
	name string
	do   func(*faultScript) error
}

// faultScript pushes, tags, deletes and sweeps, and remembers what was acknowledged.
type faultScript struct {
	*env
	repo   Repository
	upload string
	layer  []byte
}

var faultSteps = []faultStep{
	{"start", func(s *faultScript) error {
		u, err := change(s.env, func(tx *store.Tx) (Upload, error) { return s.StartUpload(tx, s.repo) })
		s.upload = u.ID
		return err
	}},
	{"part", func(s *faultScript) error {
		done := read(s.env, func(tx *store.Tx) (Upload, error) { return s.Registry.Upload(tx, s.repo, s.upload) })
		if done.Size > 0 {
			return nil // The answer was lost, not the part.
		}
		_, err := s.sendPart(s.repo, s.upload, s.layer[:len(s.layer)/2])
		return err
	}},
	{"finish", func(s *faultScript) error {
		_, _, err := s.finishUpload(s.repo, s.upload, s.layer[len(s.layer)/2:])
		if errors.Is(err, ErrUploadNotFound) {
			_, err = s.Layer(s.t.Context(), s.repo, oci.DigestOf(s.layer))
		}
		return err
	}},
	{"config", func(s *faultScript) error {
		t, err := s.Begin(s.t.Context(), s.repo)
		if err != nil {
			return err
		}
		_, _, err = s.finish(t, emptyConfig)
		return err
	}},
	{"push", func(s *faultScript) error { return s.pushAgain("1") }},
	{"tag", func(s *faultScript) error { return s.pushAgain("2") }},
	{"delete", func(s *faultScript) error {
		_, err := change(s.env, func(tx *store.Tx) (bool, error) {
			_, _, err := s.DeleteImages(tx, home, s.repo.Name, []ImageID{{Tag: "2"}})
			return true, err
		})
		return err
	}},
	{"sweep", func(s *faultScript) error {
		_, err := s.Sweep(s.t.Context(), func(*store.Tx, ID, string, oci.Digest) error { return nil })
		return err
	}},
}

// pushAgain pushes the image; that it is there already is as good.
func (s *faultScript) pushAgain(tag string) error {
	_, err := s.push(s.repo, tag, imageOf(s.layer))
	var exists *ImageExistsError
	if errors.As(err, &exists) {
		return nil
	}
	return err
}

// Whichever call of the object store fails, before it does its work or after, nothing is left that the check minds, the
// same step succeeds when it is tried again, and what was acknowledged is there.
func TestEveryFaultOfTheObjectStore(t *testing.T) {
	for name, fault := range map[string]blobtest.Fault{"before": blobtest.Before, "after": blobtest.After} {
		t.Run(name, func(t *testing.T) {
			for n := 1; ; n++ {
				if !runFaultScript(t, n, fault) {
					if n < 6 {
						t.Errorf("the script calls the store %d times only", n-1)
					}
					return
				}
			}
		})
	}
}

// runFaultScript runs the script with the n-th call of the object store failing, and reports whether there was one.
func runFaultScript(t *testing.T, n int, fault blobtest.Fault) bool {
	t.Helper()
	e := newEnv(t, nil)
	s := &faultScript{env: e, repo: e.create("team/app"), layer: bytes.Repeat([]byte("layer "), 100_000)}
	e.blobs.Use(blobtest.Nth(n, fault))
	hit := false
	for _, step := range faultSteps {
		err := step.do(s)
		if err == nil {
			continue
		}
		if !e.blobs.Hit() {
			t.Fatalf("call %d, %s: %v", n, step.name, err)
		}
		hit = true
		e.blobs.Use(nil)
		s.wantClean(n, step.name)
		if err := step.do(s); err != nil {
			t.Fatalf("call %d, %s again: %v", n, step.name, err)
		}
	}
	hit = hit || e.blobs.Hit()
	e.blobs.Use(nil)
	s.wantClean(n, "the end")
	e.wantContent(s.repo, s.layer)
	if got := read(e, func(tx *store.Tx) (Image, error) { return e.ImageByID(tx, s.repo, ImageID{Tag: "1"}) }); got.Digest != oci.DigestOf(imageOf(s.layer)) {
		t.Errorf("call %d: the tag points to %s", n, got.Digest)
	}
	return hit
}

func (s *faultScript) wantClean(n int, where string) {
	s.t.Helper()
	_, err := s.Check(context.Background(), func(text string) { s.t.Errorf("call %d, after %s: %s", n, where, text) }, func(Checked) {})
	if err != nil {
		s.t.Errorf("call %d, after %s: %v", n, where, err)
	}
}
