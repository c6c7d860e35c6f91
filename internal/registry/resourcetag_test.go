package registry

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/store"
)

func (e *env) tag(repo Repository, tags ...ResourceTag) error {
	return e.db.Update(e.t.Context(), func(tx *store.Tx) error { return e.TagRepository(tx, repo, tags) })
}

func (e *env) resourceTags(repo Repository) []ResourceTag {
	e.t.Helper()
	return read(e, func(tx *store.Tx) ([]ResourceTag, error) { return e.ResourceTags(tx, repo) })
}

func TestResourceTags(t *testing.T) {
	e := newEnv(t, nil)
	repo, other := e.create("app"), e.create("other")
	if tags := e.resourceTags(repo); tags == nil || len(tags) > 0 {
		t.Errorf("at first: %v", tags)
	}
	e.must(e.tag(repo, ResourceTag{"Team", "a"}, ResourceTag{"team", "b"}, ResourceTag{"empty", ""}))
	e.must(e.tag(repo, ResourceTag{"team", "c"}, ResourceTag{"new key", "x + - = . _ : / @"}, ResourceTag{"größe", "日本"}))
	e.must(e.tag(repo))
	want := []ResourceTag{{"Team", "a"}, {"empty", ""}, {"größe", "日本"}, {"new key", "x + - = . _ : / @"}, {"team", "c"}}
	if tags := e.resourceTags(repo); !slices.Equal(tags, want) {
		t.Errorf("the tags are %v", tags)
	}
	e.update(func(tx *store.Tx) error {
		return e.UntagRepository(tx, repo, []string{"team", "Empty", "absent", "empty"})
	})
	if tags := e.resourceTags(repo); !slices.Equal(tags, []ResourceTag{want[0], want[2], want[3]}) {
		t.Errorf("after removing two: %v", tags)
	}
	if tags := e.resourceTags(other); len(tags) > 0 {
		t.Errorf("another repository has %v", tags)
	}
}

func TestResourceTagRules(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	for what, c := range map[string]struct {
		tags []ResourceTag
		ok   bool
	}{
		"an empty key":           {[]ResourceTag{{"", "x"}}, false},
		"a key of 128":           {[]ResourceTag{{strings.Repeat("ä", 128), ""}}, true},
		"a key of 129":           {[]ResourceTag{{strings.Repeat("k", 129), ""}}, false},
		"a value of 256":         {[]ResourceTag{{"v", strings.Repeat("ä", 256)}}, true},
		"a value of 257":         {[]ResourceTag{{"v", strings.Repeat("v", 257)}}, false},
		"a reserved key":         {[]ResourceTag{{"aws:x", ""}}, false},
		"a reserved key, shouty": {[]ResourceTag{{"AWS:x", ""}}, false},
		"a key that begins so":   {[]ResourceTag{{"awsx", "aws:x"}}, true},
		"a key twice":            {[]ResourceTag{{"k", "1"}, {"k", "1"}}, false},
		"keys that differ":       {[]ResourceTag{{"k", "1"}, {"K", "1"}}, true},
		"a bad key":              {[]ResourceTag{{"a*", ""}}, false},
		"a bad value":            {[]ResourceTag{{"a", "x\n"}}, false},
		"bytes that are no text": {[]ResourceTag{{"a", "\xff"}}, false},
		"a bad one after a good": {[]ResourceTag{{"good", ""}, {"", ""}}, false},
	} {
		before := e.resourceTags(repo)
		err := e.tag(repo, c.tags...)
		if c.ok {
			wantError(t, what, err, nil)
			continue
		}
		wantErrorAs[*ResourceTagError](t, what, err)
		if after := e.resourceTags(repo); !slices.Equal(before, after) {
			t.Errorf("%s: the tags are %v", what, after)
		}
	}
}

func TestResourceTagLimit(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	var tags []ResourceTag
	for i := range 50 {
		tags = append(tags, ResourceTag{fmt.Sprint("key", i), ""})
	}
	e.must(errors.Join(e.tag(repo, tags[:49]...), e.tag(repo, tags[49])))
	e.must(e.tag(repo, tags...)) // the same again
	err := e.tag(repo, ResourceTag{"one", "more"})
	if as := wantErrorAs[*LimitError](t, "a 51st", err); as != nil && (as.Limit != ResourceTags || as.Value != 50) {
		t.Errorf("the limit is %s of %d", as.Limit, as.Value)
	}
	if tags := e.resourceTags(repo); len(tags) != 50 {
		t.Errorf("%d tags", len(tags))
	}
}
