package registry

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/store"
)

// referrerOf makes an artifact that refers to a subject.
func referrerOf(subject oci.Digest, artifactType, note string) []byte {
	extra := map[string]any{"subject": descriptor{oci.MediaTypeOCIManifest, subject, 1}, "annotations": map[string]string{"note": note}}
	if artifactType != "" {
		extra["artifactType"] = artifactType
	}
	return imageWith(extra)
}

func (e *env) referrerPage(repo Repository, subject oci.Digest, types ...string) func(Referrer, int) []Referrer {
	return func(after Referrer, size int) []Referrer {
		e.t.Helper()
		return read(e, func(tx *store.Tx) ([]Referrer, error) {
			return e.Referrers(tx, repo, subject, types, string(after.Digest), size)
		})
	}
}

func (e *env) referrers(repo Repository, subject oci.Digest, types ...string) []oci.Digest {
	e.t.Helper()
	var digests []oci.Digest
	for _, r := range e.referrerPage(repo, subject, types...)(Referrer{}, 1000) {
		digests = append(digests, r.Digest)
	}
	return digests
}

func TestReferrers(t *testing.T) {
	e := newEnv(t, nil)
	repo, other := e.create("app"), e.create("other")
	subject := oci.DigestOf(imageOf([]byte("layer")))
	e.pushLayer(repo, emptyConfig)
	e.pushLayer(other, emptyConfig)
	if got := e.referrerPage(repo, subject)(Referrer{}, 10); got == nil || len(got) > 0 {
		t.Errorf("of a subject that nobody knows: %v", got)
	}
	body := referrerOf(subject, "x/sbom", "early")
	early := e.mustPush(repo, "", body)
	e.pushImage(repo, "v1", "layer") // the subject comes later
	late := e.mustPush(repo, "sig", referrerOf(subject, "", "late"))
	e.mustPush(other, "", referrerOf(subject, "x/sbom", "elsewhere"))
	e.mustPush(repo, "", referrerOf(textDigest("another"), "x/sbom", "of another"))
	both := []oci.Digest{early, late}
	slices.Sort(both)
	for _, c := range []struct {
		types []string
		want  []oci.Digest
	}{
		{nil, both}, {[]string{"x/sbom"}, []oci.Digest{early}}, {[]string{configType}, []oci.Digest{late}},
		{[]string{configType, "x/sbom"}, both}, {[]string{"x/none"}, nil}, {[]string{""}, nil},
	} {
		if got := e.referrers(repo, subject, c.types...); !slices.Equal(got, c.want) {
			t.Errorf("of the types %q: %v", c.types, got)
		}
	}
	want := []Referrer{{Image: Image{Digest: early, MediaType: oci.MediaTypeOCIManifest, ArtifactType: "x/sbom", Subject: subject,
		ManifestSize: int64(len(body)), Size: 2, PushedAt: e.clock.Now()}, Annotations: map[string]string{"note": "early"}}}
	if diff := cmp.Diff(want, e.referrerPage(repo, subject, "x/sbom")(Referrer{}, 10), ignoreInternals); diff != "" {
		t.Error(diff)
	}
	e.check()
}

// Pages are full whatever a filter leaves out, over the pages in which the rows are read.
func TestReferrersInPages(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	e.pushLayer(repo, emptyConfig)
	subject := textDigest("subject")
	const count = 2*referrerPageSize + 5
	var all, few []oci.Digest
	var pushes []Push
	for i := range count {
		artifactType := "x/many"
		if i%50 == 0 {
			artifactType = "x/few"
		}
		p, err := e.NewPush(referrerOf(subject, artifactType, fmt.Sprint(i)), "", "", "")
		e.must(err)
		pushes = append(pushes, p)
		if all = append(all, p.Digest); artifactType == "x/few" {
			few = append(few, p.Digest)
		}
	}
	e.update(func(tx *store.Tx) error {
		for _, p := range pushes {
			if _, err := e.PutImage(tx, repo, p); err != nil {
				return err
			}
		}
		return nil
	})
	slices.Sort(all)
	slices.Sort(few)
	for _, size := range []int{1, 7, referrerPageSize - 1, referrerPageSize, referrerPageSize + 1, count, count + 1} {
		for _, c := range []struct {
			types []string
			want  []oci.Digest
		}{{nil, all}, {[]string{"x/few"}, few}} {
			if size == 1 && c.types == nil {
				continue // long, and says nothing more
			}
			var got []oci.Digest
			for _, r := range pages(Referrer{}, size, e.referrerPage(repo, subject, c.types...), nil) {
				got = append(got, r.Digest)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%v in pages of %d: %d of %d", c.types, size, len(got), len(c.want))
			}
		}
	}
}

// recorded sweeps, and returns the digests of which the referee was told.
func (e *env) recorded() (told []oci.Digest) {
	e.t.Helper()
	_, err := e.Sweep(e.t.Context(), func(tx *store.Tx, id ID, repository string, digest oci.Digest) error {
		if id != home || repository != "app" {
			e.t.Errorf("told of %v %s", id, repository)
		}
		tx.OnCommit(func() { told = append(told, digest) })
		return nil
	})
	e.must(err)
	return told
}

// Referrers follow their subject, and theirs follow them, but not one that an index holds.
func TestReferrersFollowTheirSubject(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	subject := e.pushImage(repo, "v1", "layer")
	signature := e.mustPush(repo, "sig", referrerOf(subject, "x/sig", ""))
	countersignature := e.mustPush(repo, "", referrerOf(signature, "x/sig", ""))
	body := referrerOf(subject, "x/sbom", "")
	held := e.mustPush(repo, "", body)
	e.mustPush(repo, "index", indexOf(body))
	unrelated := e.mustPush(repo, "", referrerOf(textDigest("another"), "x/sig", ""))
	if told := e.recorded(); told != nil {
		t.Errorf("swept %v, while the subject is there", told)
	}
	e.delete(repo, ImageID{Tag: "v1"})
	if told := e.recorded(); !slices.Equal(told, []oci.Digest{signature, countersignature}) {
		t.Errorf("swept %v", told)
	}
	for digest, want := range map[oci.Digest]error{signature: ErrImageNotFound, countersignature: ErrImageNotFound, held: nil, unrelated: nil} {
		_, err := e.Manifest(t.Context(), repo, digest)
		wantError(t, string(digest), err, want)
	}
	_, err := e.ResolveTag(t.Context(), repo, "sig")
	wantError(t, "the tag of a swept referrer", err, ErrImageNotFound)
	if told := e.recorded(); told != nil {
		t.Errorf("swept again: %v", told)
	}
	e.check()
}

func TestSweptCountsReferrersThatGo(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	subject := e.pushImage(repo, "v1", "layer")
	held := referrerOf(subject, "x/held", "")
	e.mustPush(repo, "", held)
	e.mustPush(repo, "index", indexOf(held))
	e.mustPush(repo, "", referrerOf(subject, "x/goes", ""))
	e.delete(repo, ImageID{Tag: "v1"})
	if s := e.sweep(); s.Referrers != 1 {
		t.Errorf("swept %+v", s)
	}
}

// A deleted subject that is pushed again before the sweep keeps its referrers.
func TestSubjectComesBack(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	subject := e.pushImage(repo, "v1", "layer")
	e.mustPush(repo, "", referrerOf(subject, "x/sig", ""))
	e.delete(repo, ImageID{Tag: "v1"})
	e.pushImage(repo, "v1", "layer")
	if told := e.recorded(); told != nil {
		t.Errorf("swept %v", told)
	}
	if got := e.referrers(repo, subject); len(got) != 1 {
		t.Errorf("referrers: %v", got)
	}
}

// A referrer that is pushed again, after its subject went and before the sweep, was acknowledged and stays.
func TestReferrerPushedAgain(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	for what, c := range map[string]struct {
		tag    string
		exists bool
	}{"with a new tag": {"new", false}, "without a tag": {"", true}} {
		subject := e.pushImage(repo, "v1", "layer of "+what)
		body := referrerOf(subject, "x/sig", "")
		digest := e.mustPush(repo, "", body)
		e.delete(repo, ImageID{Tag: "v1"})
		p, err := e.NewPush(body, "", c.tag, "")
		e.must(err)
		e.update(func(tx *store.Tx) error {
			_, err := e.PutImage(tx, repo, p)
			if c.exists {
				// The docker protocol takes this for success.
				wantErrorAs[*ImageExistsError](t, what, err)
				return nil
			}
			return err
		})
		if told := e.recorded(); told != nil {
			t.Errorf("%s: swept %v", what, told)
		}
		if _, err := e.Manifest(t.Context(), repo, digest); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	e.check()
}

// The record of a referrer's end and the end itself are one: if the record can't be written, the referrer stays.
func TestRefereeFails(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	subject := e.pushImage(repo, "v1", "layer")
	digest := e.mustPush(repo, "", referrerOf(subject, "x/sig", ""))
	e.delete(repo, ImageID{Tag: "v1"})
	full := fmt.Errorf("the trail is full")
	s, err := e.Sweep(t.Context(), func(*store.Tx, ID, string, oci.Digest) error { return full })
	wantError(t, "sweep", err, full)
	if s.Referrers != 0 {
		t.Errorf("swept %+v", s)
	}
	if _, err := e.Manifest(t.Context(), repo, digest); err != nil {
		t.Error(err)
	}
	if told := e.recorded(); !slices.Equal(told, []oci.Digest{digest}) {
		t.Errorf("swept %v", told)
	}
}

// Referrers of a repository that is deleted go with it, unrecorded: the repository's record covers them.
func TestReferrersOfADeletedRepository(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	subject := e.pushImage(repo, "v1", "layer")
	e.mustPush(repo, "", referrerOf(subject, "x/sig", ""))
	e.delete(repo, ImageID{Tag: "v1"})
	e.must(e.deleteRepository(home, "app", true))
	if told := e.recorded(); told != nil {
		t.Errorf("swept %v", told)
	}
	if n := e.count(`SELECT count(*) FROM image`); n > 0 {
		t.Errorf("%d images are left", n)
	}
}
