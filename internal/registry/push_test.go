package registry

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/store"
)

// described is what the registry tells of an image.
func (e *env) described(repo Repository, id ImageID) Image {
	e.t.Helper()
	return read(e, func(tx *store.Tx) (Image, error) { return e.ImageByID(tx, repo, id) })
}

func TestPushAndPull(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	for _, content := range [][]byte{emptyConfig, []byte("one"), []byte("two")} {
		e.pushLayer(repo, content)
	}
	// Spaces and the order of members are the client's own.
	body := append([]byte(" \n"), imageWith(map[string]any{"annotations": map[string]string{"b": "<&>", "a": ""}}, []byte("one"), []byte("two"))...)
	image, err := e.push(repo, "v1", body)
	e.must(err)
	want := Image{Digest: oci.DigestOf(body), MediaType: oci.MediaTypeOCIManifest, ArtifactType: configType,
		ManifestSize: int64(len(body)), Size: 2 + 3 + 3, PushedAt: e.clock.Now(), Tags: []string{"v1"}}
	if diff := cmp.Diff(want, image, ignoreInternals); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, e.described(repo, ImageID{Tag: "v1"}), ignoreInternals); diff != "" {
		t.Error(diff)
	}
	e.restart()
	digest, err := e.ResolveTag(t.Context(), repo, "v1")
	e.must(err)
	for range 2 { // from the database and from memory
		m, err := e.Manifest(t.Context(), repo, digest)
		if err != nil || !bytes.Equal(m.Body, body) || m.MediaType != oci.MediaTypeOCIManifest {
			t.Errorf("it reads back as %q: %v", m.Body, err)
		}
	}
	e.check()
}

func TestNewPush(t *testing.T) {
	e := newEnv(t, map[Limit]int64{ManifestBytes: 2000, BlobsPerImage: 3})
	one, two, three := []byte("1"), []byte("2"), []byte("3")
	pad := func(n int) []byte {
		body := imageOf()
		return append(body, bytes.Repeat([]byte(" "), n-len(body))...)
	}
	children := [][]byte{imageOf(one), imageOf(two), imageOf(three), imageOf()}
	for what, c := range map[string]struct {
		body      []byte
		mediaType string
		given     oci.Digest
		want      error
	}{
		"as many bytes as allowed":      {pad(2000), "", "", nil},
		"a byte more":                   {pad(2001), "", "", &LimitError{Limit: ManifestBytes}},
		"config and two layers":         {imageOf(one, two), "", "", nil},
		"config and three layers":       {imageOf(one, two, three), "", "", &LimitError{Limit: BlobsPerImage}},
		"an index of three":             {indexOf(children[:3]...), "", "", nil},
		"an index of four":              {indexOf(children...), "", "", &LimitError{Limit: BlobsPerImage}},
		"the digest that it has":        {imageOf(one), "", oci.DigestOf(imageOf(one)), nil},
		"another digest":                {imageOf(one), "", oci.DigestOf(one), &DigestError{}},
		"its own type, given":           {imageOf(one), oci.MediaTypeOCIManifest, "", nil},
		"another type":                  {imageOf(one), oci.MediaTypeDockerManifest, "", &oci.ManifestError{}},
		"no JSON, with a digest":        {one[:0], "", oci.DigestOf(one), &oci.ManifestError{}},
		"no JSON and too large":         {bytes.Repeat(one, 2001), "", "", &LimitError{Limit: ManifestBytes}},
		"no config":                     {manifestOf(oci.MediaTypeOCIManifest, map[string]any{"layers": []any{}}), "", "", &oci.ManifestError{}},
		"a subject that isn't a digest": {imageWith(map[string]any{"subject": map[string]any{"digest": "x"}}), "", "", &oci.ManifestError{}},
	} {
		p, err := e.NewPush(c.body, c.mediaType, "v1", c.given)
		switch c.want.(type) {
		case *DigestError:
			if as := wantErrorAs[*DigestError](t, what, err); as != nil && (as.Given != c.given || as.Computed != oci.DigestOf(c.body)) {
				t.Errorf("%s: %v", what, as)
			}
		case *oci.ManifestError:
			wantErrorAs[*oci.ManifestError](t, what, err)
		default:
			wantSame(t, what, err, c.want)
		}
		if c.want == nil && (p.Digest != oci.DigestOf(c.body) || p.Tag != "v1") {
			t.Errorf("%s: digest %s, tag %s", what, p.Digest, p.Tag)
		}
	}
}

func TestMissingLayers(t *testing.T) {
	e := newEnv(t, nil)
	repo, other := e.create("app"), e.create("other")
	e.pushImage(other, "v1", "elsewhere") // doesn't count
	wantMissing := func(what string, manifest []byte, digests ...oci.Digest) {
		t.Helper()
		_, err := e.push(repo, "v1", manifest)
		as := wantErrorAs[*MissingError](t, what, err)
		if as != nil && (as.Images || !slices.Equal(as.Digests, digests)) {
			t.Errorf("%s: images %t, %v", what, as.Images, as.Digests)
		}
	}
	wantMissing("all", imageOf([]byte("elsewhere")), oci.DigestOf(emptyConfig), textDigest("elsewhere"))
	e.pushLayer(repo, emptyConfig)
	wantMissing("one of two", imageOf([]byte("b"), []byte("b")), textDigest("b"))
	e.pushLayer(repo, []byte("b"))
	e.mustPush(repo, "v1", imageOf([]byte("b"), []byte("b"))) // a layer twice
	e.check()
}

func TestMissingChildren(t *testing.T) {
	e := newEnv(t, nil)
	repo, other := e.create("app"), e.create("other")
	e.pushImage(repo, "", "a")
	e.pushImage(other, "", "b")
	_, err := e.push(repo, "v1", indexOf(imageOf([]byte("a")), imageOf([]byte("b"))))
	as := wantErrorAs[*MissingError](t, "an index with a child of another repository", err)
	if as != nil && (!as.Images || !slices.Equal(as.Digests, []oci.Digest{oci.DigestOf(imageOf([]byte("b")))})) {
		t.Errorf("images %t, %v", as.Images, as.Digests)
	}
	if n := e.count(`SELECT count(*) FROM image_child`); n > 0 {
		t.Errorf("%d children of an index that was refused", n)
	}
	e.check()
}

// Layers that others distribute need not be there.
func TestForeignLayers(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	e.pushLayer(repo, emptyConfig)
	body := manifestOf(oci.MediaTypeDockerManifest, map[string]any{"config": describe(configType, emptyConfig), "layers": []any{
		map[string]any{"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "size": 9, "digest": textDigest("windows"),
			"urls": []string{"https://example.com/windows"}}}})
	e.mustPush(repo, "v1", body)
	e.check()
}

func TestIndexes(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	small, large := imageOf([]byte("s")), imageOf([]byte("large one"))
	e.pushImage(repo, "", "s")
	e.pushImage(repo, "", "large one")
	index := indexOf(small, large, small)
	digest := e.mustPush(repo, "v1", index)
	outer := manifestOf(oci.MediaTypeOCIIndex, map[string]any{"manifests": []any{describe(oci.MediaTypeOCIIndex, index)}, "artifactType": "x/y"})
	e.mustPush(repo, "outer", outer)
	if size := e.described(repo, ImageID{Digest: string(digest)}).Size; size != 2+9 {
		t.Errorf("the index has %d bytes, its largest image 11", size)
	}
	if got := e.described(repo, ImageID{Tag: "outer"}); got.Size != 2+9 || got.ArtifactType != "x/y" {
		t.Errorf("the outer index has %d bytes and the type %s", got.Size, got.ArtifactType)
	}
	empty := indexOf()
	e.mustPush(repo, "empty", empty)
	e.check()
}

// A tag that moves leaves the old image, without a tag if it had no other, and in both directions the counts are right.
func TestMoveTag(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	first := e.pushImage(repo, "v1", "first")
	e.mustPush(repo, "latest", imageOf([]byte("first")))
	pushed := e.clock.Now()
	e.clock.Advance(time.Minute)
	second := e.pushImage(repo, "latest", "second")
	e.check()
	for digest, tags := range map[oci.Digest][]string{first: {"v1"}, second: {"latest"}} {
		if got := e.described(repo, ImageID{Digest: string(digest)}); !slices.Equal(got.Tags, tags) {
			t.Errorf("%s has the tags %v, want %v", digest, got.Tags, tags)
		}
	}
	e.mustPush(repo, "v1", imageOf([]byte("second")))
	if got := e.described(repo, ImageID{Digest: string(first)}); got.Tags != nil || !got.PushedAt.Equal(pushed) {
		t.Errorf("the old image has the tags %v and is pushed at %v", got.Tags, got.PushedAt)
	}
	if got := e.described(repo, ImageID{Tag: "v1"}); !slices.Equal(got.Tags, []string{"latest", "v1"}) || got.Digest != second {
		t.Errorf("%s has the tags %v", got.Digest, got.Tags)
	}
	e.mustPush(repo, "v1", imageOf([]byte("first"))) // and back
	for tag, want := range map[string]oci.Digest{"v1": first, "latest": second} {
		if got, err := e.ResolveTag(t.Context(), repo, tag); got != want || err != nil {
			t.Errorf("%s is on %s, want %s: %v", tag, got, want, err)
		}
	}
	e.check()
}

// Retagging doesn't renew the time of the push.
func TestPushAgainKeepsItsTime(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	e.pushImage(repo, "v1", "first")
	pushed := e.clock.Now()
	e.clock.Advance(time.Hour)
	image, err := e.push(repo, "v2", imageOf([]byte("first")))
	if err != nil || !image.PushedAt.Equal(pushed) {
		t.Errorf("pushed at %v, want %v: %v", image.PushedAt, pushed, err)
	}
	_, err = e.push(repo, "", imageOf([]byte("first")))
	if as := wantErrorAs[*ImageExistsError](t, "push it without a tag", err); as != nil && as.Tag != "" {
		t.Errorf("the error names the tag %q", as.Tag)
	}
}

func TestTagsPerImage(t *testing.T) {
	e := newEnv(t, map[Limit]int64{TagsPerImage: 2})
	repo := e.create("app")
	e.pushImage(repo, "one", "first")
	first := imageOf([]byte("first"))
	e.mustPush(repo, "two", first)
	_, err := e.push(repo, "three", first)
	if as := wantErrorAs[*LimitError](t, "a third tag", err); as != nil && (as.Limit != TagsPerImage || as.Value != 2 || as.Tag != "three") {
		t.Errorf("the limit is %s of %d, with the tag %s", as.Limit, as.Value, as.Tag)
	}
	_, err = e.push(repo, "two", first)
	wantErrorAs[*ImageExistsError](t, "a tag that the image has, at the limit", err)
	e.pushImage(repo, "other", "second")
	_, err = e.push(repo, "other", first)
	wantErrorAs[*LimitError](t, "a tag of another image", err)
	e.mustPush(repo, "two", imageOf([]byte("second")))
	e.mustPush(repo, "three", first)
	e.check()
}

func TestImagesPerRepository(t *testing.T) {
	e := newEnv(t, map[Limit]int64{ImagesPerRepository: 2})
	repo, other := e.create("app"), e.create("other")
	e.pushImage(repo, "one", "first")
	e.pushImage(repo, "", "second")
	e.pushLayer(repo, []byte("third"))
	_, err := e.push(repo, "three", imageOf([]byte("third")))
	if as := wantErrorAs[*LimitError](t, "a third image", err); as != nil && (as.Limit != ImagesPerRepository || as.Value != 2) {
		t.Errorf("the limit is %s of %d", as.Limit, as.Value)
	}
	e.mustPush(repo, "more", imageOf([]byte("first")))
	e.pushImage(other, "", "third")
	e.delete(repo, ImageID{Tag: "more"}, ImageID{Tag: "one"})
	e.mustPush(repo, "three", imageOf([]byte("third")))
	e.check()
}

// A manifest in the database is sealed, and bound to its place.
func TestManifestsAreSealed(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	digest := e.pushImage(repo, "v1", "layer")
	second := e.pushImage(repo, "v2", "another")
	sealed := func(d oci.Digest) (body []byte) {
		e.view(func(tx *store.Tx) error {
			return tx.QueryRow(`SELECT body FROM manifest WHERE digest = $1`, string(d)).Scan(&body)
		})
		return body
	}
	if bytes.Contains(sealed(digest), []byte("schemaVersion")) {
		t.Error("the manifest is plain")
	}
	e.update(func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE manifest SET body = $1 WHERE digest = $2`, sealed(second), string(digest))
		return err
	})
	if _, err := e.Manifest(t.Context(), repo, digest); err == nil {
		t.Error("the manifest of another image is taken for this one's")
	}
	if _, faults := e.faults(); len(faults) != 1 || !strings.Contains(faults[0], string(digest)) {
		t.Errorf("the check found %q", faults)
	}
}

func TestPushToNoRepository(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	e.must(e.deleteRepository(home, "app", false))
	_, err := e.push(repo, "v1", indexOf())
	wantError(t, "push", err, ErrRepositoryNotFound)
	_, _, err = func() (Layer, bool, error) {
		tr, err := e.Begin(t.Context(), repo)
		e.must(err)
		return e.finish(tr, []byte("x"))
	}()
	wantError(t, "push a layer", err, ErrRepositoryNotFound)
	e.create("app")
	_, _, err = func() (Layer, bool, error) {
		tr, err := e.Begin(t.Context(), repo)
		e.must(err)
		return e.finish(tr, []byte("x"))
	}()
	wantError(t, "push a layer to the one that was there before", err, ErrRepositoryNotFound)
}

// Many clients push and move one tag at once: one of the images has it in the end, and all counts are right.
func TestTagRace(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	const clients = 8
	for i := range clients {
		e.pushImage(repo, "", fmt.Sprint("layer ", i))
	}
	done := make(chan error)
	for i := range clients {
		go func() {
			for round := range 5 {
				if _, err := e.push(repo, "latest", imageOf(fmt.Appendf(nil, "layer %d", i))); err != nil {
					if _, exists := err.(*ImageExistsError); !exists {
						done <- fmt.Errorf("client %d, round %d: %w", i, round, err)
						return
					}
				}
			}
			done <- nil
		}()
	}
	for range clients {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	digest, err := e.ResolveTag(t.Context(), repo, "latest")
	e.must(err)
	if got := e.described(repo, ImageID{Tag: "latest"}); got.Digest != digest {
		t.Errorf("memory says %s, the database %s", digest, got.Digest)
	}
	e.check()
}
