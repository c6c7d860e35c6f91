package registry

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/coffer-registry/coffer/internal/store"
)

var ignoreInternals = cmpopts.IgnoreUnexported(Repository{}, Image{}, Layer{})

func TestRepositoryKeepsItsSettings(t *testing.T) {
	e := newEnv(t, nil)
	for _, n := range []NewRepository{
		{Name: "plain", Mutability: Mutable},
		{Name: "team/strict.one_two-three", Mutability: Immutable, ScanOnPush: true, Tags: []ResourceTag{{"a", "1"}, {"b", ""}}},
		{Name: "with/filters", Mutability: MutableWithExclusion, Filters: []string{"v*", "prod-*-*"}},
	} {
		made := e.createIn(home, n)
		want := Repository{Registry: home, Name: n.Name, CreatedAt: e.clock.Now(), Mutability: n.Mutability, Filters: n.Filters,
			ScanOnPush: n.ScanOnPush, Encryption: Encryption{Type: EncryptionAES256}}
		if diff := cmp.Diff(want, made, ignoreInternals); diff != "" {
			t.Error(diff)
		}
		e.restart()
		found, err := e.Find(t.Context(), home, n.Name)
		if diff := cmp.Diff(want, found, ignoreInternals); diff != "" || err != nil {
			t.Errorf("after a restart: %v\n%s", err, diff)
		}
		if want := "arn:aws:ecr:us-east-1:123456789012:repository/" + n.Name; found.ARN() != want {
			t.Errorf("its ARN is %s, want %s", found.ARN(), want)
		}
		tags := read(e, func(tx *store.Tx) ([]ResourceTag, error) { return e.ResourceTags(tx, found) })
		if !slices.Equal(tags, n.Tags) {
			t.Errorf("its tags are %v, want %v", tags, n.Tags)
		}
	}
	if done := e.check(); done.Repositories != 3 {
		t.Errorf("the check saw %d repositories", done.Repositories)
	}
}

func TestCreateRepositoryAgain(t *testing.T) {
	e := newEnv(t, nil)
	e.create("app")
	_, err := change(e, func(tx *store.Tx) (Repository, error) {
		return e.CreateRepository(tx, home, NewRepository{Name: "app", Mutability: Immutable})
	})
	wantError(t, "create it again", err, ErrRepositoryExists)
	// Other registries have names of their own.
	for _, id := range []ID{abroad, foreign} {
		e.createIn(id, NewRepository{Name: "app", Mutability: Mutable})
	}
	e.check()
}

// What fails leaves nothing behind: no repository, no count, no tags.
func TestCreateRepositoryRefused(t *testing.T) {
	e := newEnv(t, map[Limit]int64{ResourceTags: 1})
	for what, n := range map[string]NewRepository{
		"filters that the mutability does not take": {Name: "app", Mutability: Mutable, Filters: []string{"x"}},
		"no filters":             {Name: "app", Mutability: ImmutableWithExclusion},
		"too many filters":       {Name: "app", Mutability: MutableWithExclusion, Filters: []string{"a", "b", "c", "d", "e", "f"}},
		"too many resource tags": {Name: "app", Mutability: Mutable, Tags: []ResourceTag{{"a", ""}, {"b", ""}}},
		"a bad resource tag":     {Name: "app", Mutability: Mutable, Tags: []ResourceTag{{"aws:a", ""}}},
	} {
		if _, err := change(e, func(tx *store.Tx) (Repository, error) { return e.CreateRepository(tx, home, n) }); err == nil {
			t.Errorf("%s: created", what)
		}
		_, err := e.Find(t.Context(), home, "app")
		wantError(t, what, err, ErrRepositoryNotFound)
	}
	e.check()
	e.create("app")
}

func TestRepositoriesPerRegistry(t *testing.T) {
	e := newEnv(t, map[Limit]int64{RepositoriesPerRegistry: 2})
	add := func(id ID, name string) error {
		_, err := change(e, func(tx *store.Tx) (Repository, error) {
			return e.CreateRepository(tx, id, NewRepository{Name: name, Mutability: Mutable})
		})
		return err
	}
	e.must(errors.Join(add(home, "one"), add(home, "two")))
	err := add(home, "three")
	if as := wantErrorAs[*LimitError](t, "a third", err); as != nil && (as.Limit != RepositoriesPerRegistry || as.Value != 2) {
		t.Errorf("the limit is %s of %d", as.Limit, as.Value)
	}
	wantError(t, "one that exists, at the limit", add(home, "two"), ErrRepositoryExists)
	e.must(add(abroad, "three"))
	e.must(e.deleteRepository(home, "one", false))
	e.must(add(home, "three"))
	e.sweep()
	wantErrorAs[*LimitError](t, "a fourth", add(home, "four"))
	e.check()
}

func TestRepositoriesInPages(t *testing.T) {
	e := newEnv(t, nil)
	var names []string
	for i := range 7 {
		names = append(names, fmt.Sprintf("app-%d", i))
	}
	names = append(names, "0first", "zz/last", "app-1/below")
	slices.Sort(names)
	for _, name := range names {
		e.create(name)
		e.createIn(abroad, NewRepository{Name: "abroad-" + name, Mutability: Mutable})
	}
	e.create("gone")
	e.must(e.deleteRepository(home, "gone", false))
	for _, size := range []int{1, 2, 3, len(names), len(names) + 1} {
		var got []string
		for after := ""; ; {
			page := read(e, func(tx *store.Tx) ([]Repository, error) { return e.Repositories(tx, home, after, size) })
			for _, repo := range page {
				got = append(got, repo.Name)
			}
			if len(page) < size {
				break
			}
			after = page[len(page)-1].Name
		}
		if !slices.Equal(got, names) {
			t.Errorf("pages of %d: %v", size, got)
		}
	}
}

func TestDeleteRepository(t *testing.T) {
	e := newEnv(t, nil)
	wantError(t, "delete what is not there", e.deleteRepository(home, "app", true), ErrRepositoryNotFound)
	e.create("app")
	e.must(e.deleteRepository(home, "app", false))
	wantError(t, "delete it again", e.deleteRepository(home, "app", false), ErrRepositoryNotFound)
	repo := e.create("app")
	digest := e.pushImage(repo, "", "layer")
	wantError(t, "delete one with an untagged image", e.deleteRepository(home, "app", false), ErrRepositoryNotEmpty)
	e.delete(repo, ImageID{Digest: string(digest)})
	e.must(e.deleteRepository(home, "app", false)) // layers and uploads don't count
	e.sweep()
	e.check()
}

// The name is free at once, and nothing of what was in the old repository is in the new one, before the sweep or after.
func TestDeleteRepositoryWithForce(t *testing.T) {
	e := newEnv(t, nil)
	old := e.createIn(home, NewRepository{Name: "app", Mutability: Mutable, Tags: []ResourceTag{{"team", "a"}}})
	digest := e.pushImage(old, "v1", "layer")
	u := e.startUpload(old)
	_, err := e.Manifest(t.Context(), old, digest) // into the cache
	e.must(err)
	_, err = e.ResolveTag(t.Context(), old, "v1")
	e.must(err)
	_, err = e.Find(t.Context(), home, "app")
	e.must(err)
	e.must(e.deleteRepository(home, "app", true))
	_, err = e.Find(t.Context(), home, "app")
	wantError(t, "find the deleted one", err, ErrRepositoryNotFound)
	e.check()
	repo := e.create("app")
	for _, when := range []string{"before the sweep", "after the sweep"} {
		_, err = e.Manifest(t.Context(), repo, digest)
		wantError(t, when+": the image", err, ErrImageNotFound)
		_, err = e.ResolveTag(t.Context(), repo, "v1")
		wantError(t, when+": the tag", err, ErrImageNotFound)
		_, err = e.content(repo, textDigest("layer"))
		wantError(t, when+": the layer", err, ErrLayerNotFound)
		_, err = e.Resume(t.Context(), repo, u.ID)
		wantError(t, when+": the upload", err, ErrUploadNotFound)
		if tags := read(e, func(tx *store.Tx) ([]ResourceTag, error) { return e.ResourceTags(tx, repo) }); len(tags) > 0 {
			t.Errorf("%s: it has the tags %v", when, tags)
		}
		e.check()
		if when == "before the sweep" {
			if s := e.sweep(); s.Repositories != 1 || s.Objects != 3 {
				t.Errorf("swept %+v", s)
			}
		}
	}
	for _, table := range []string{"image", "manifest", "tag", "layer", "image_layer", "upload", "resource_tag", "garbage"} {
		if n := e.count(`SELECT count(*) FROM ` + table); n > 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
	if n := len(e.keys()); n > 0 {
		t.Errorf("%d objects are left", n)
	}
}

// Several deleted repositories of one name wait for the sweeper side by side, and the list doesn't show them.
func TestTombstones(t *testing.T) {
	e := newEnv(t, nil)
	for i := range 3 {
		e.pushImage(e.create("app"), "v1", fmt.Sprint("layer ", i))
		e.must(e.deleteRepository(home, "app", true))
		e.clock.Advance(time.Second)
	}
	if repos := read(e, func(tx *store.Tx) ([]Repository, error) { return e.Repositories(tx, home, "", 10) }); len(repos) > 0 {
		t.Errorf("listed: %v", repos)
	}
	for _, name := range []string{"#", "app", tombstonePrefix + "1"} {
		_, err := e.Find(t.Context(), home, name)
		wantError(t, name, err, ErrRepositoryNotFound)
	}
	if done := e.check(); done.Repositories != 0 || done.Orphans != 0 {
		t.Errorf("the check saw %+v", done)
	}
	if s := e.sweep(); s.Repositories != 3 {
		t.Errorf("swept %+v", s)
	}
	e.check()
}

// The keys of a deleted repository are bound to the name that it had: nobody may come to need them.
func TestDeletedRepositoryIsNoTwin(t *testing.T) {
	e := newEnv(t, nil)
	old, other := e.create("old"), e.create("other")
	content := []byte("layer")
	e.pushImage(old, "v1", string(content))
	e.must(e.deleteRepository(home, "old", true))
	e.pushLayer(other, content)
	e.wantContent(other, content)
	e.sweep()
	e.wantContent(other, content)
	e.check()
}

// What one registry has is not in another, even under the same names.
func TestRegistriesAreApart(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	digest := e.pushImage(repo, "v1", "layer")
	for _, id := range []ID{abroad, foreign} {
		_, err := e.Find(t.Context(), id, "app")
		wantError(t, "before there is one", err, ErrRepositoryNotFound)
		other := e.createIn(id, NewRepository{Name: "app", Mutability: Mutable})
		_, err = e.Manifest(t.Context(), other, digest)
		wantError(t, "the image", err, ErrImageNotFound)
		_, err = e.Layer(t.Context(), other, textDigest("layer"))
		wantError(t, "the layer", err, ErrLayerNotFound)
		wantError(t, "delete", e.deleteRepository(id, "app", false), nil)
	}
	e.wantContent(repo, []byte("layer"))
}

// What a request that began before has to store when its repository is gone, or another has its name, is refused.
func TestRepositoryGoneMeanwhile(t *testing.T) {
	for what, again := range map[string]bool{"gone": false, "there again": true} {
		e := newEnv(t, nil)
		repo := e.create("app")
		layer := []byte("layer")
		digest := e.pushImage(repo, "v1", "layer")
		tr, err := e.Begin(t.Context(), repo, textDigest("another"))
		e.must(err)
		p, err := e.NewPush(imageOf(layer), "", "v2", digest)
		e.must(err)
		fresh, err := e.NewPush(indexOf(), "", "v3", "")
		e.must(err)
		e.must(e.deleteRepository(home, "app", true))
		e.sweep()
		if again {
			e.create("app")
		}
		_, _, err = e.finish(tr, []byte("another"))
		wantError(t, what+": a layer", err, ErrRepositoryNotFound)
		for _, p := range []Push{p, fresh} {
			_, err = change(e, func(tx *store.Tx) (Image, error) { return e.PutImage(tx, repo, p) })
			wantError(t, what+": an image", err, ErrRepositoryNotFound)
		}
		e.sweep()
		e.check()
	}
}
