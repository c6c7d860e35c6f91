package registry

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/policy"
)

func keys(digestOnly string, tags ...string) policy.Context {
	c := policy.Context{"coffer:imagedigestonly": {digestOnly}}
	if len(tags) > 0 {
		c["coffer:imagetag"] = tags
	}
	return c
}

func TestImageKeys(t *testing.T) {
	for name, tt := range map[string]struct {
		ids  []ImageID
		want policy.Context
	}{
		"none":             {nil, keys("true")},
		"a digest":         {[]ImageID{{Digest: "d"}}, keys("true")},
		"a tag":            {[]ImageID{{Tag: "a"}}, keys("false", "a")},
		"both":             {[]ImageID{{Digest: "d", Tag: "a"}}, keys("false", "a")},
		"several":          {[]ImageID{{Tag: "c"}, {Digest: "d"}, {Tag: "a"}, {Tag: "c"}}, keys("false", "a", "c")},
		"several, no tags": {[]ImageID{{Digest: "d"}, {Digest: "e"}}, keys("true")},
	} {
		if diff := cmp.Diff(tt.want, KeysOf(tt.ids...)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A deletion by digest takes all tags of the image, and is asked about each.
func TestDeletionKeys(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	first, second := string(e.pushImage(repo, "prod-1", "one")), string(e.pushImage(repo, "dev", "two"))
	e.pushImage(repo, "latest", "one")
	for name, tt := range map[string]struct {
		repository string
		ids        []ImageID
		digestOnly string
		tags       []string
	}{
		"by tag":            {"app", []ImageID{{Tag: "prod-1"}}, "false", []string{"prod-1"}},
		"by both":           {"app", []ImageID{{Digest: first, Tag: "prod-1"}}, "false", []string{"prod-1"}},
		"by digest":         {"app", []ImageID{{Digest: first}}, "true", []string{"latest", "prod-1"}},
		"two by digest":     {"app", []ImageID{{Digest: second}, {Digest: first}, {Digest: first}}, "true", []string{"dev", "latest", "prod-1"}},
		"one of each":       {"app", []ImageID{{Tag: "dev"}, {Digest: first}}, "false", []string{"dev", "latest", "prod-1"}},
		"no image":          {"app", []ImageID{{Digest: string(textDigest("absent"))}, {}}, "true", nil},
		"no repository":     {"absent", []ImageID{{Digest: first}}, "true", nil},
		"a tag of nowhere":  {"absent", []ImageID{{Tag: "a"}}, "false", []string{"a"}},
		"nothing that is":   {"app", []ImageID{{}}, "true", nil},
		"what is no digest": {"app", []ImageID{{Digest: "x"}}, "true", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, tags, err := e.DeletionKeys(t.Context(), home, tt.repository, tt.ids)
			e.must(err)
			if diff := cmp.Diff(keys(tt.digestOnly, tt.tags...), got); diff != "" {
				t.Error(diff)
			}
			if !slices.Equal(tags, tt.tags) {
				t.Errorf("the tags are %q", tags)
			}
		})
	}
}

// Nothing goes with an image that nobody was asked about.
func TestCheckDeleted(t *testing.T) {
	asked := []string{"a", "c"}
	for _, deleted := range [][]ImageID{nil, {{Digest: "d"}}, {{Digest: "d", Tag: "c"}, {Digest: "d", Tag: "a"}}} {
		if err := CheckDeleted(deleted, asked); err != nil {
			t.Errorf("%v: %v", deleted, err)
		}
	}
	wantError(t, "a tag that came later", CheckDeleted([]ImageID{{Digest: "d", Tag: "a"}, {Digest: "d", Tag: "b"}}, asked), ErrTagsChanged)
}
