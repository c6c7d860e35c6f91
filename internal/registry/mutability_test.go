package registry

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/coffer-registry/coffer/internal/store"
)

func TestTagImmutable(t *testing.T) {
	filters := []string{"latest", "prod-*", "*-rc*"}
	for _, c := range []struct {
		m         Mutability
		filters   []string
		tag       string
		immutable bool
	}{
		{Mutable, nil, "v1", false},
		{Immutable, nil, "v1", true},
		{MutableWithExclusion, filters, "v1", false},
		{MutableWithExclusion, filters, "latest", true},
		{MutableWithExclusion, filters, "prod-1", true},
		{MutableWithExclusion, filters, "v1-rc2", true},
		{ImmutableWithExclusion, filters, "v1", true},
		{ImmutableWithExclusion, filters, "latest", false},
		{ImmutableWithExclusion, filters, "Latest", true},
		{ImmutableWithExclusion, filters, "latest2", true},
		{ImmutableWithExclusion, filters, "prod-", false},
		{ImmutableWithExclusion, filters, "prod", true},
		{ImmutableWithExclusion, filters, "my-prod-1", true},
	} {
		if got := c.m.tagImmutable(c.filters, c.tag); got != c.immutable {
			t.Errorf("%s %v: %s immutable is %t", c.m, c.filters, c.tag, got)
		}
	}
}

func TestMatchWildcard(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		match      bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "abc", true}, {"**", "", true},
		{"a", "a", true}, {"a", "ab", false}, {"a", "A", false}, {"a*", "a", true}, {"*a", "ba", true}, {"*a", "ab", false},
		{"a*a", "a", false}, {"a*a", "aa", true}, {"a*b*c", "abc", true}, {"a*b*c", "axbxbxc", true}, {"a*b*c", "acb", false},
		{"*ab*ab", "ab", false}, {"*ab*ab", "abab", true}, {"a.c", "abc", false}, {"a*.*", "a.", true}, {"?", "a", false},
	} {
		if got := matchWildcard(c.pattern, c.s); got != c.match {
			t.Errorf("%q on %q is %t", c.pattern, c.s, got)
		}
	}
}

// slowMatch says by its definition what matchWildcard finds quickly.
func slowMatch(pattern, s string) bool {
	switch {
	case pattern == "":
		return s == ""
	case pattern[0] == '*':
		return slowMatch(pattern[1:], s) || s != "" && slowMatch(pattern, s[1:])
	}
	return s != "" && s[0] == pattern[0] && slowMatch(pattern[1:], s[1:])
}

func TestMatchWildcardByDefinition(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		pattern := rapid.StringOfN(rapid.SampledFrom([]rune("ab*")), 0, 8, -1).Draw(rt, "pattern")
		s := rapid.StringOfN(rapid.SampledFrom([]rune("ab")), 0, 10, -1).Draw(rt, "s")
		if got, want := matchWildcard(pattern, s), slowMatch(pattern, s); got != want {
			rt.Errorf("%q on %q is %t, want %t", pattern, s, got, want)
		}
	})
}

func TestCheckMutability(t *testing.T) {
	many := []string{"a", "b", "c", "d", "e"}
	for _, c := range []struct {
		m       Mutability
		filters []string
		want    error
	}{
		{Mutable, nil, nil},
		{Immutable, nil, nil},
		{Mutable, many[:1], ErrFiltersUnexpected},
		{Immutable, many[:1], ErrFiltersUnexpected},
		{MutableWithExclusion, nil, ErrFiltersMissing},
		{ImmutableWithExclusion, []string{}, ErrFiltersMissing},
		{MutableWithExclusion, many[:1], nil},
		{ImmutableWithExclusion, many, nil},
		{ImmutableWithExclusion, append(many, "f"), &LimitError{Limit: ExclusionFilters}},
	} {
		wantSame(t, string(c.m), checkMutability(c.m, c.filters, Limits{}), c.want)
	}
}

// Pushing an existing tag again: the same image, or another one over it, in all four modes.
func TestPushExistingTag(t *testing.T) {
	type outcome int
	const (
		moved outcome = iota
		exists
		immutable
	)
	check := func(t *testing.T, what string, err error, want outcome, tag string) {
		t.Helper()
		switch want {
		case moved:
			wantError(t, what, err, nil)
		case exists:
			if as := wantErrorAs[*ImageExistsError](t, what, err); as != nil && as.Tag != tag {
				t.Errorf("%s: the error names the tag %q", what, as.Tag)
			}
		case immutable:
			if as := wantErrorAs[*TagImmutableError](t, what, err); as != nil && as.Tag != tag {
				t.Errorf("%s: the error names the tag %q", what, as.Tag)
			}
		}
	}
	for _, c := range []struct {
		m             Mutability
		tag           string
		same, another outcome
	}{
		{Mutable, "v1", exists, moved},
		{Immutable, "v1", immutable, immutable},
		{MutableWithExclusion, "v1", exists, moved},
		{MutableWithExclusion, "rel-1", immutable, immutable},
		{ImmutableWithExclusion, "v1", immutable, immutable},
		{ImmutableWithExclusion, "rel-1", exists, moved},
	} {
		e := newEnv(t, nil)
		n := NewRepository{Name: "app", Mutability: c.m}
		if c.m.withExclusion() {
			n.Filters = []string{"rel-*"}
		}
		repo := e.createIn(home, n)
		first := e.pushImage(repo, c.tag, "first")
		second := e.pushImage(repo, "", "second")
		what := string(c.m) + ": " + c.tag
		_, err := e.push(repo, c.tag, imageOf([]byte("first")))
		check(t, what+" with the same image", err, c.same, c.tag)
		_, err = e.push(repo, c.tag, imageOf([]byte("second")))
		check(t, what+" with another image", err, c.another, c.tag)
		now, err := e.ResolveTag(t.Context(), repo, c.tag)
		if want := map[bool]any{true: second, false: first}[c.another == moved]; now != want || err != nil {
			t.Errorf("%s is on %s, want %s: %v", what, now, want, err)
		}
		// A new tag, a second tag on an image, and a deleted tag are nobody's to keep.
		e.mustPush(repo, "rel-new", imageOf([]byte("first")))
		e.mustPush(repo, "new", imageOf([]byte("first")))
		e.delete(repo, ImageID{Tag: c.tag})
		if c.another == moved {
			e.pushImage(repo, "", "second")
		}
		e.mustPush(repo, c.tag, imageOf([]byte("second")))
		e.check()
	}
}

func TestSetMutability(t *testing.T) {
	e := newEnv(t, nil)
	set := func(name string, m Mutability, filters ...string) error {
		_, err := change(e, func(tx *store.Tx) (Repository, error) { return e.SetMutability(tx, home, name, m, filters) })
		return err
	}
	wantError(t, "of no repository", set("app", Immutable), ErrRepositoryNotFound)
	repo := e.create("app")
	e.pushImage(repo, "v1", "first")
	e.pushImage(repo, "", "second")
	move := func() error { _, err := e.push(repo, "v1", imageOf([]byte("second"))); return err }
	e.must(set("app", Immutable))
	wantErrorAs[*TagImmutableError](t, "after IMMUTABLE", move())
	wantError(t, "filters with IMMUTABLE", set("app", Immutable, "v*"), ErrFiltersUnexpected)
	e.must(set("app", ImmutableWithExclusion, "x*"))
	wantErrorAs[*TagImmutableError](t, "after filters that don't match", move())
	e.must(set("app", ImmutableWithExclusion, "v*"))
	found, err := e.Find(t.Context(), home, "app")
	if err != nil || found.Mutability != ImmutableWithExclusion || len(found.Filters) != 1 || found.Filters[0] != "v*" {
		t.Errorf("it is %s %v: %v", found.Mutability, found.Filters, err)
	}
	e.must(move())
	e.must(set("app", Mutable))
	if found, _ = e.Find(t.Context(), home, "app"); found.Filters != nil {
		t.Errorf("the filters stay: %v", found.Filters)
	}
}
