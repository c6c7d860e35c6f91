package registry

import (
	"strings"
	"testing"
)

func TestLimitsHoldDefaults(t *testing.T) {
	seen := map[Limit]bool{}
	none, err := NewLimits(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range Definitions() {
		if seen[d.Limit] {
			t.Errorf("%s is defined twice", d.Limit)
		}
		seen[d.Limit] = true
		if d.Unit == "" || d.Max > 0 && d.Default > d.Max {
			t.Errorf("%s: unit %q, default %d, maximum %d", d.Limit, d.Unit, d.Default, d.Max)
		}
		for what, l := range map[string]Limits{"zero value": {}, "no changes": none} {
			if got := l.Get(d.Limit); got != d.Default {
				t.Errorf("%s: %s is %d, want %d", what, d.Limit, got, d.Default)
			}
		}
	}
	for limit, ecr := range map[Limit]int64{
		RepositoriesPerRegistry: 100_000, ImagesPerRepository: 100_000, TagsPerImage: 1_000, LayerBytes: 52_000 << 20, LayerParts: 4_200,
		PartBytesMin: 5 << 20, PartBytesMax: 10 << 20, BlobsPerImage: 4_200, ManifestBytes: 4 << 20, ExclusionFilters: 5, ResourceTags: 50,
	} {
		if got := (Limits{}).Get(limit); got != ecr {
			t.Errorf("%s is %d, and ECR's is %d", limit, got, ecr)
		}
	}
	if got := (Limits{}).Get("nonsense"); got != 0 {
		t.Errorf("a limit that isn't one is %d", got)
	}
}

func TestChangedLimits(t *testing.T) {
	for _, c := range []struct {
		name  string
		value int64
		wrong string // part of the error
	}{
		{"tags-per-image", 1, ""},
		{"tags-per-image", 0, "tags-per-image can't be 0"},
		{"tags-per-image", -1, "tags-per-image can't be -1"},
		{"manifest-bytes", 4 << 20, ""},
		{"manifest-bytes", 4<<20 + 1, "manifest-bytes can't be above 4194304"},
		{"layer-grace-seconds", 0, ""},
		{"upload-expiry-seconds", 0, ""},
		{"layer-grace-seconds", -1, "layer-grace-seconds can't be -1"},
		{"rate-put-image", 0, ""},
		{"rate-put-image", 10, ""},
		{"rate-put-image", -10, "rate-put-image can't be -10"},
		{"Tags-per-image", 1, `no limit named "Tags-per-image"; the limits are repositories-per-registry, `},
	} {
		l, err := NewLimits(map[string]int64{c.name: c.value})
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%s = %d: error is %v", c.name, c.value, err)
			}
			continue
		}
		if err != nil || l.Get(Limit(c.name)) != c.value {
			t.Errorf("%s = %d: it is %d: %v", c.name, c.value, l.Get(Limit(c.name)), err)
		}
		if l.Get(ResourceTags) != 50 {
			t.Errorf("%s = %d changes another", c.name, c.value)
		}
	}
}
