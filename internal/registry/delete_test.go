package registry

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/store"
)

// deletions makes a repository with these images: a has the tags a1 and a2, b the tag b1, c none; d with the tag d1 and e
// without are the children of the index x with the tag x1, and e is that of the index y without a tag, too.
func (e *env) deletions(name string) (Repository, map[string]oci.Digest) {
	e.t.Helper()
	repo := e.create(name)
	digests := map[string]oci.Digest{}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		digests[name] = e.pushImage(repo, "", name)
	}
	d, f := imageOf([]byte("d")), imageOf([]byte("e"))
	digests["x"] = e.mustPush(repo, "x1", indexOf(d, f))
	digests["y"] = e.mustPush(repo, "", indexOf(f))
	for _, tag := range []string{"a2", "a1", "b1", "d1"} {
		e.mustPush(repo, tag, imageOf([]byte(tag[:1])))
	}
	return repo, digests
}

func TestDeleteImages(t *testing.T) {
	const unknown = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	e, n := newEnv(t, nil), 0
	for what, c := range map[string]struct {
		ids      string // as "digest:tag", each by its letter or empty
		deleted  string
		failures string // as "digest:tag=code"
		left     string // images and tags, in the order of letters
	}{
		"a tag of two":                       {":a1", "a:a1", "", "a a2 b b1 c d d1 e x x1 y"},
		"the only tag":                       {":b1", "b:b1", "", "a a1 a2 c d d1 e x x1 y"},
		"both tags":                          {":a1 :a2", "a:a1 a:a2", "", "b b1 c d d1 e x x1 y"},
		"by digest":                          {"a:", "a:a1 a:a2", "", "b b1 c d d1 e x x1 y"},
		"by digest, untagged":                {"c:", "c:", "", "a a1 a2 b b1 d d1 e x x1 y"},
		"a digest with its tag":              {"a:a1", "a:a1", "", "a a2 b b1 c d d1 e x x1 y"},
		"a digest with its only tag":         {"b:b1", "b:b1", "", "a a1 a2 c d d1 e x x1 y"},
		"all pairs, as they are listed":      {"a:a1 a:a2 b:b1 c:", "a:a1 a:a2 b:b1 c:", "", "d d1 e x x1 y"},
		"a digest with another's tag":        {"a:b1", "", "a:b1=ImageTagDoesNotMatchDigest", "a a1 a2 b b1 c d d1 e x x1 y"},
		"the digest and a tag":               {"a: :a2", "a:a1 a:a2", "", "b b1 c d d1 e x x1 y"},
		"a tag and the digest":               {":a2 a:", "a:a1 a:a2", "", "b b1 c d d1 e x x1 y"},
		"the same twice":                     {":a1 :a1 a:a1 c: c:", "a:a1 c:", "", "a a2 b b1 d d1 e x x1 y"},
		"nothing":                            {":", "", ":=MissingDigestAndTag", "a a1 a2 b b1 c d d1 e x x1 y"},
		"what is not there":                  {":z1 ?: c:z1", "", ":z1=ImageNotFound ?:=ImageNotFound c:z1=ImageNotFound", "a a1 a2 b b1 c d d1 e x x1 y"},
		"no digest":                          {"!:", "", "!:=InvalidImageDigest", "a a1 a2 b b1 c d d1 e x x1 y"},
		"no digest, with a tag":              {"!:a1", "", "!:a1=InvalidImageDigest", "a a1 a2 b b1 c d d1 e x x1 y"},
		"good and bad":                       {":z1 :b1 !: c:", "b:b1 c:", ":z1=ImageNotFound !:=InvalidImageDigest", "a a1 a2 d d1 e x x1 y"},
		"a child":                            {"d:", "", "d:=ImageReferencedByManifestList", "a a1 a2 b b1 c d d1 e x x1 y"},
		"the only tag of a child":            {":d1", "", ":d1=ImageReferencedByManifestList", "a a1 a2 b b1 c d d1 e x x1 y"},
		"the only tag of a child, both told": {"d:d1", "", "d:d1=ImageReferencedByManifestList", "a a1 a2 b b1 c d d1 e x x1 y"},
		"a child and its tag":                {"d: :d1", "", "d:=ImageReferencedByManifestList :d1=ImageReferencedByManifestList", "a a1 a2 b b1 c d d1 e x x1 y"},
		"an index":                           {":x1", "x:x1", "", "a a1 a2 b b1 c d d1 e y"},
		"an index and its children":          {"x: d: e:", "x:x1", "d:=ImageReferencedByManifestList e:=ImageReferencedByManifestList", "a a1 a2 b b1 c d d1 e y"},
		"children and their index":           {"d: x:", "x:x1", "d:=ImageReferencedByManifestList", "a a1 a2 b b1 c d d1 e y"},
	} {
		n++
		repo, digests := e.deletions(fmt.Sprint("app-", n))
		digests["?"], digests["!"] = unknown, "latest"
		letters := map[string]string{}
		for letter, digest := range digests {
			letters[string(digest)] = letter
		}
		var ids []ImageID
		for id := range strings.FieldsSeq(c.ids) {
			letter, tag, _ := strings.Cut(id, ":")
			ids = append(ids, ImageID{Digest: string(digests[letter]), Tag: tag})
		}
		deleted, failures := e.delete(repo, ids...)
		short := func(id ImageID) string { return letters[id.Digest] + ":" + id.Tag }
		var got, failed []string
		for _, id := range deleted {
			got = append(got, short(id))
		}
		for _, f := range failures {
			failed = append(failed, short(f.ID)+"="+string(f.Code))
		}
		if strings.Join(got, " ") != c.deleted || strings.Join(failed, " ") != c.failures {
			t.Errorf("%s: deleted %v, failed %v", what, got, failed)
		}
		if left := e.inventory(repo, letters); left != c.left {
			t.Errorf("%s: left are %s", what, left)
		}
	}
	e.check()
}

// inventory names the images and tags of a repository.
func (e *env) inventory(repo Repository, letters map[string]string) string {
	e.t.Helper()
	var names []string
	for _, image := range read(e, func(tx *store.Tx) ([]Image, error) { return e.Images(tx, repo, AnyStatus, "", 1000) }) {
		names = append(append(names, letters[string(image.Digest)]), image.Tags...)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func TestDeleteChildOnceItsIndexesAreGone(t *testing.T) {
	e := newEnv(t, nil)
	repo, digests := e.deletions("app")
	_, failures := e.delete(repo, ImageID{Digest: string(digests["e"])})
	parents := []string{string(digests["x"]), string(digests["y"])}
	slices.Sort(parents)
	want := []Failure{{ID: ImageID{Digest: string(digests["e"])}, Code: FailureReferencedByIndex,
		Reason: "Requested image referenced by manifest list: [" + strings.Join(parents, ", ") + "]"}}
	if diff := cmp.Diff(want, failures); diff != "" {
		t.Error(diff)
	}
	for _, parent := range parents {
		if _, failures := e.delete(repo, ImageID{Digest: parent}); failures != nil {
			t.Error(failures)
		}
	}
	if deleted, failures := e.delete(repo, ImageID{Digest: string(digests["e"])}); len(deleted) != 1 || failures != nil {
		t.Errorf("deleted %v, failed %v", deleted, failures)
	}
	e.check()
}

func TestFailureTexts(t *testing.T) {
	e := newEnv(t, nil)
	repo, digests := e.deletions("app")
	for _, c := range []struct {
		id     ImageID
		reason string
	}{
		{ImageID{}, "Invalid request parameters: both tag and digest cannot be null"},
		{ImageID{Digest: "sha256"}, "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"},
		{ImageID{Tag: "nothing"}, "Requested image not found"},
		{ImageID{Digest: string(digests["c"]), Tag: "a1"}, "Requested image tag does not match the image digest"},
	} {
		if _, failures := e.delete(repo, c.id); len(failures) != 1 || failures[0].Reason != c.reason || failures[0].ID != c.id {
			t.Errorf("%v: %+v", c.id, failures)
		}
	}
}

func TestPlausibleDigest(t *testing.T) {
	for digest, want := range map[string]bool{
		"sha256:0aF": true, "SHA-512_+.:00": true, "a:0": true, "": false, ":": false, "sha256:": false, ":00": false, "sha256": false,
		"sha256:0g": false, "sha 256:00": false, "sha256:00:00": false, "sha256:00 ": false, "é:00": false,
	} {
		if got := plausibleDigest(digest); got != want {
			t.Errorf("%q: %t", digest, got)
		}
	}
}

func TestDeleteFromNoRepository(t *testing.T) {
	e := newEnv(t, nil)
	err := e.db.Update(t.Context(), func(tx *store.Tx) error {
		_, _, err := e.DeleteImages(tx, home, "app", []ImageID{{Tag: "v1"}})
		return err
	})
	wantError(t, "delete", err, ErrRepositoryNotFound)
}

// What is deleted is gone at once, from memory too, and may be pushed again.
func TestDeletedImageIsNotServed(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.createIn(home, NewRepository{Name: "app", Mutability: Immutable})
	for range 2 {
		digest := e.pushImage(repo, "v1", "layer")
		_, err := e.Manifest(t.Context(), repo, digest)
		e.must(err)
		_, err = e.ResolveTag(t.Context(), repo, "v1")
		e.must(err)
		e.delete(repo, ImageID{Tag: "v1"})
		_, err = e.Manifest(t.Context(), repo, digest)
		wantError(t, "the image", err, ErrImageNotFound)
		_, err = e.ResolveTag(t.Context(), repo, "v1")
		wantError(t, "the tag", err, ErrImageNotFound)
		if _, failures := e.delete(repo, ImageID{Tag: "v1"}); len(failures) != 1 || failures[0].Code != FailureNotFound {
			t.Errorf("deleted again: %v", failures)
		}
		e.check()
	}
}

// A delete and what it deletes are one: an error later in the transaction brings all of it back.
func TestDeleteUndone(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	digest := e.pushImage(repo, "v1", "layer")
	_, err := e.Manifest(t.Context(), repo, digest)
	e.must(err)
	undone := fmt.Errorf("undone")
	err = e.db.Update(t.Context(), func(tx *store.Tx) error {
		if _, _, err := e.DeleteImages(tx, home, "app", []ImageID{{Tag: "v1"}}); err != nil {
			return err
		}
		return undone
	})
	wantError(t, "delete", err, undone)
	if got, err := e.ResolveTag(t.Context(), repo, "v1"); got != digest || err != nil {
		t.Errorf("the tag is on %s: %v", got, err)
	}
	if _, err := e.Manifest(t.Context(), repo, digest); err != nil {
		t.Error(err)
	}
	e.check()
}

// An image that many tags name goes in one call, and the answer has an entry a tag.
func TestDeleteImageOfManyTags(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	digest := e.pushImage(repo, "", "layer")
	p, err := e.NewPush(imageOf([]byte("layer")), "", "", "")
	e.must(err)
	const tags = 1000
	e.update(func(tx *store.Tx) error {
		for i := range tags {
			p.Tag = fmt.Sprintf("v%03d", i)
			if _, err := e.PutImage(tx, repo, p); err != nil {
				return err
			}
		}
		return nil
	})
	deleted, failures := e.delete(repo, ImageID{Digest: string(digest)})
	if len(deleted) != tags || failures != nil || deleted[tags-1] != (ImageID{Digest: string(digest), Tag: "v999"}) {
		t.Errorf("%d deleted, failed %v", len(deleted), failures)
	}
	e.check()
}
