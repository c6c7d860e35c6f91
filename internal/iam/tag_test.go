package iam

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/store"
)

// tagged puts tags on one owner, and returns the refusal or what is there then.
func tagged(t *testing.T, s *Store, owner string, tags ...Tag) (all []Tag, refusal *Error) {
	t.Helper()
	err := s.db.Update(t.Context(), func(tx *store.Tx) error { return s.PutTags(tx, account, owner, tags) })
	if err != nil && !errors.As(err, &refusal) {
		t.Fatal(err)
	}
	s.mustView(t, func(tx *store.Tx) error { all, err = s.Tags(tx, owner); return err })
	return all, refusal
}

func (s *Store) mustView(t testing.TB, fn func(*store.Tx) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func TestTagsReplaceWithoutRegardToCase(t *testing.T) {
	s := newStore(t)
	tagged(t, s, "AIDA1", Tag{"Department", "foo"}, Tag{"a", ""})
	tagged(t, s, "AIDA2", Tag{"department", "other"})
	got, refusal := tagged(t, s, "AIDA1", Tag{"department", "bar"})
	if diff := cmp.Diff([]Tag{{"a", ""}, {"department", "bar"}}, got); diff != "" || refusal != nil {
		t.Errorf("%v\n%s", refusal, diff)
	}
	s.mustUpdate(t, func(tx *store.Tx) error {
		return s.DeleteTags(tx, account, "AIDA1", []string{"DEPARTMENT", "not there"})
	})
	got, _ = tagged(t, s, "AIDA1")
	if diff := cmp.Diff([]Tag{{"a", ""}}, got); diff != "" {
		t.Error(diff)
	}
	if other, _ := tagged(t, s, "AIDA2"); len(other) != 1 {
		t.Errorf("another's tags: %v", other)
	}
}

func TestTagsAreRefused(t *testing.T) {
	s := newStore(t)
	for name, test := range map[string]struct {
		tags []Tag
		want Error
	}{
		"reserved":          {[]Tag{{"aws:x", "1"}}, Error{InvalidInput, "Tag keys that begin with aws: are reserved for the system."}},
		"reserved in any":   {[]Tag{{"ok", ""}, {"AwS:x", "1"}}, Error{InvalidInput, "Tag keys that begin with aws: are reserved for the system."}},
		"twice":             {[]Tag{{"k", "1"}, {"k", "1"}}, Error{InvalidInput, "Duplicate tag keys found. Please note that Tag keys are case insensitive."}},
		"twice but in case": {[]Tag{{"k", "1"}, {"K", "2"}}, Error{InvalidInput, "Duplicate tag keys found. Please note that Tag keys are case insensitive."}},
		"too many":          {many("k", tagsPerOwner), Error{LimitExceeded, "The number of tags has reached the maximum limit of 50."}},
	} {
		t.Run(name, func(t *testing.T) {
			tagged(t, s, "AIDA of "+name, Tag{"before", "1"})
			got, refusal := tagged(t, s, "AIDA of "+name, test.tags...)
			if refusal == nil || *refusal != test.want {
				t.Errorf("the refusal: %v", refusal)
			}
			if diff := cmp.Diff([]Tag{{"before", "1"}}, got); diff != "" {
				t.Errorf("something changed:\n%s", diff)
			}
		})
	}
	if _, refusal := tagged(t, s, "AIDA1", many("k", tagsPerOwner)...); refusal != nil {
		t.Errorf("as many as the quota allows: %v", refusal)
	}
	if _, refusal := tagged(t, s, "AIDA1", many("K", tagsPerOwner)...); refusal != nil {
		t.Errorf("the same in other case: %v", refusal)
	}
}

func many(prefix string, n int) []Tag {
	tags := make([]Tag, n)
	for i := range tags {
		tags[i] = Tag{Key: fmt.Sprintf("%s%02d", prefix, i), Value: "v"}
	}
	return tags
}

func TestTagPages(t *testing.T) {
	s := newStore(t)
	tagged(t, s, "AIDA1", many("K", 5)...)
	tagged(t, s, "AIDA2", Tag{"K99", ""})
	for n, want := range map[int]int{1: 5, 2: 3, 4: 2, 5: 1, 50: 1} {
		var all []Tag
		pages, after := 0, ""
		for more := true; more; pages++ {
			var page []Tag
			s.mustView(t, func(tx *store.Tx) (err error) { page, more, err = s.TagPage(tx, "AIDA1", after, n); return err })
			all = append(all, page...)
			after = page[len(page)-1].Key
		}
		if diff := cmp.Diff(many("K", 5), all); diff != "" || pages != want {
			t.Errorf("pages of %d: %d pages\n%s", n, pages, diff)
		}
	}
}
