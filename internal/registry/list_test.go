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

// pages collects a list page by page. between runs before each page but the first.
func pages[T any](after T, size int, next func(after T, size int) []T, between func()) []T {
	var all []T
	for first := true; ; first = false {
		if !first && between != nil {
			between()
		}
		page := next(after, size)
		all = append(all, page...)
		if len(page) < size {
			return all
		}
		after = page[len(page)-1]
	}
}

func (e *env) imagePage(repo Repository, status TagStatus) func(Image, int) []Image {
	return func(after Image, size int) []Image {
		e.t.Helper()
		return read(e, func(tx *store.Tx) ([]Image, error) { return e.Images(tx, repo, status, string(after.Digest), size) })
	}
}

func (e *env) idPage(repo Repository, status TagStatus) func(ImageID, int) []ImageID {
	return func(after ImageID, size int) []ImageID {
		e.t.Helper()
		return read(e, func(tx *store.Tx) ([]ImageID, error) { return e.ImageIDs(tx, repo, status, after, size) })
	}
}

func (e *env) namePage(repo Repository) func(string, int) []string {
	return func(after string, size int) []string {
		e.t.Helper()
		names, err := e.TagNames(e.t.Context(), repo, after, size)
		e.must(err)
		return names
	}
}

// listed makes a repository of images with 0 to 3 tags, and returns all pairs of digest and tag in their order.
func (e *env) listed(name string, images int) (Repository, []ImageID) {
	e.t.Helper()
	repo := e.create(name)
	var ids []ImageID
	for i := range images {
		text := fmt.Sprint("layer ", i)
		digest := e.pushImage(repo, "", text)
		for tag := range i % 4 {
			name := fmt.Sprintf("v%d.%d", i, tag)
			e.mustPush(repo, name, imageOf([]byte(text)))
			ids = append(ids, ImageID{Digest: string(digest), Tag: name})
		}
		if i%4 == 0 {
			ids = append(ids, ImageID{Digest: string(digest)})
		}
	}
	slices.SortFunc(ids, compareIDs)
	return repo, ids
}

func compareIDs(a, b ImageID) int {
	return strings.Compare(a.Digest+" "+a.Tag, b.Digest+" "+b.Tag)
}

func TestListsInPagesOfAnySize(t *testing.T) {
	e := newEnv(t, nil)
	repo, ids := e.listed("app", 9)
	e.listed("other", 3)
	var names []string
	for _, id := range ids {
		if id.Tag != "" {
			names = append(names, id.Tag)
		}
	}
	slices.Sort(names)
	for _, status := range []TagStatus{AnyStatus, Tagged, Untagged} {
		want := []ImageID{}
		for _, id := range ids {
			if status == AnyStatus || (status == Tagged) == (id.Tag != "") {
				want = append(want, id)
			}
		}
		for size := 1; size <= len(ids)+1; size++ {
			got := pages(ImageID{}, size, e.idPage(repo, status), nil)
			if diff := cmp.Diff(want, append([]ImageID{}, got...)); diff != "" {
				t.Errorf("ids %q in pages of %d: %s", status, size, diff)
			}
			got = got[:0]
			for _, image := range pages(Image{}, size, e.imagePage(repo, status), nil) {
				if image.Tags == nil {
					got = append(got, ImageID{Digest: string(image.Digest)})
				}
				for _, tag := range image.Tags {
					got = append(got, ImageID{Digest: string(image.Digest), Tag: tag})
				}
			}
			if diff := cmp.Diff(want, append([]ImageID{}, got...)); diff != "" {
				t.Errorf("images %q in pages of %d: %s", status, size, diff)
			}
		}
	}
	for size := 1; size <= len(names)+1; size++ {
		if got := pages("", size, e.namePage(repo), nil); !slices.Equal(got, names) {
			t.Errorf("tags in pages of %d: %v", size, got)
		}
	}
}

func TestListsOfAnEmptyRepository(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	if got := e.idPage(repo, AnyStatus)(ImageID{}, 10); got == nil || len(got) > 0 {
		t.Errorf("ids: %v", got)
	}
	if got := e.imagePage(repo, AnyStatus)(Image{}, 10); got == nil || len(got) > 0 {
		t.Errorf("images: %v", got)
	}
	if got := e.namePage(repo)("", 10); len(got) > 0 {
		t.Errorf("tags: %v", got)
	}
}

// TagNames are in the order of their bytes: capitals before small letters, and no language's rules.
func TestOrderOfTags(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	e.pushImage(repo, "", "layer")
	names := []string{"10", "9", "A", "Z", "_", "a", "a-b", "a.b", "aa", "z"}
	slices.Sort(names)
	for _, name := range names {
		e.mustPush(repo, name, imageOf([]byte("layer")))
	}
	for size := 1; size <= len(names); size++ {
		if got := pages("", size, e.namePage(repo), nil); !slices.Equal(got, names) {
			t.Errorf("tags in pages of %d: %v", size, got)
		}
	}
	for after, want := range map[string]string{"": "10", "0": "10", "9": "A", "a": "a-b", "a-": "a-b", "a-b": "a.b", "b": "z"} {
		if got := e.namePage(repo)(after, 1); len(got) != 1 || got[0] != want {
			t.Errorf("after %q: %v", after, got)
		}
	}
}

// While others push, delete and move tags, a reader of all pages sees what was there all the time exactly once, in order,
// and nothing twice.
func TestPagesBesideChanges(t *testing.T) {
	e := newEnv(t, nil)
	repo, ids := e.listed("app", 12)
	var stay []string // these are left alone
	for i, id := range ids {
		if id.Tag != "" && i%2 == 0 {
			stay = append(stay, id.Tag)
		}
	}
	next, turns := 100, 0
	churn := func() {
		if turns++; turns > 6 {
			return // Who reads a row at a time would never come to an end.
		}
		for range 3 {
			next++
			e.pushImage(repo, fmt.Sprintf("v%d", next), fmt.Sprint("layer ", next))
		}
		e.delete(repo, ImageID{Tag: fmt.Sprintf("v%d", next-1)})
		e.mustPush(repo, fmt.Sprintf("v%d", next), imageOf(fmt.Appendf(nil, "layer %d", next-2)))
		for i, id := range ids {
			if id.Tag != "" && i%2 == 1 && next%2 == 1 {
				e.delete(repo, ImageID{Tag: id.Tag})
				ids[i].Tag = ""
				return
			}
		}
	}
	for _, size := range []int{1, 2, 5} {
		seen := map[ImageID]int{}
		turns = 0
		all := pages(ImageID{}, size, e.idPage(repo, AnyStatus), churn)
		for _, id := range all {
			seen[id]++
		}
		if !slices.IsSortedFunc(all, compareIDs) {
			t.Errorf("pages of %d: not in order", size)
		}
		for id, n := range seen {
			if n > 1 {
				t.Errorf("pages of %d: %v is listed %d times", size, id, n)
			}
		}
		turns = 0
		names := pages("", size, e.namePage(repo), churn)
		if !slices.IsSorted(names) {
			t.Errorf("pages of %d: the tags are not in order", size)
		}
		for _, tag := range stay {
			digest, err := e.ResolveTag(t.Context(), repo, tag)
			e.must(err)
			if seen[ImageID{Digest: string(digest), Tag: tag}] != 1 || !slices.Contains(names, tag) {
				t.Errorf("pages of %d: %s is missing", size, tag)
			}
		}
		turns = 0
		images := pages(Image{}, size, e.imagePage(repo, AnyStatus), churn)
		for i := 1; i < len(images); i++ {
			if images[i-1].Digest >= images[i].Digest {
				t.Errorf("pages of %d: images are not in order", size)
			}
		}
	}
	e.check()
}

// The place where a page ended may be gone when the next is asked for.
func TestNextPageAfterADelete(t *testing.T) {
	e := newEnv(t, nil)
	repo, ids := e.listed("app", 8)
	for i, id := range ids[:len(ids)-1] {
		e.delete(repo, id)
		if got := e.idPage(repo, AnyStatus)(id, 1); len(got) != 1 || got[0] != ids[i+1] {
			t.Errorf("after %v: %v, want %v", id, got, ids[i+1])
		}
		if names := e.namePage(repo)(id.Tag, 100); slices.Contains(names, id.Tag) {
			t.Errorf("the deleted %s is listed", id.Tag)
		}
	}
}

func TestImageByID(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	a, b := e.pushImage(repo, "v1", "a"), e.pushImage(repo, "", "b")
	e.mustPush(repo, "latest", imageOf([]byte("a")))
	for _, c := range []struct {
		id   ImageID
		want oci.Digest
		tags []string
	}{
		{ImageID{Digest: string(a)}, a, []string{"latest", "v1"}},
		{ImageID{Tag: "v1"}, a, []string{"latest", "v1"}},
		{ImageID{Digest: string(a), Tag: "v1"}, a, []string{"latest", "v1"}},
		{ImageID{Digest: string(b)}, b, nil},
	} {
		if got := e.described(repo, c.id); got.Digest != c.want || !slices.Equal(got.Tags, c.tags) {
			t.Errorf("%v is %s with %v", c.id, got.Digest, got.Tags)
		}
	}
	for _, id := range []ImageID{{}, {Tag: "x"}, {Digest: string(b), Tag: "v1"}, {Digest: "sha256:00"}, {Digest: string(a), Tag: "x"}} {
		err := e.db.View(t.Context(), func(tx *store.Tx) error { _, err := e.ImageByID(tx, repo, id); return err })
		wantError(t, fmt.Sprint(id), err, ErrImageNotFound)
	}
}
