package oci

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func FuzzParseDigest(f *testing.F) {
	f.Add(string(digestA))
	f.Add("sha256:" + strings.Repeat("F", 64))
	f.Add("sha512:" + strings.Repeat("0", 128))
	grammar := regexp.MustCompile(`\Asha256:[0-9a-f]{64}\z`)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDigest(text)
		if (err == nil) != grammar.MatchString(text) || err == nil && string(d) != text || err != nil && d != "" {
			t.Errorf("%q: %q, %v", text, d, err)
		}
	})
}

// ecrName and ecrTag are the grammars of ECR and of the distribution specification.
var (
	ecrName = regexp.MustCompile(`\A[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*\z`)
	ecrTag  = regexp.MustCompile(`\A[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\z`)
)

func FuzzNamesAndTags(f *testing.F) {
	for _, text := range []string{"team/app", "a__b---c", "a._b", "a/", "V1.0_x-y", strings.Repeat("a", 257), "\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if want := ecrName.MatchString(text) && len(text) >= 2 && len(text) <= 256; ValidRepositoryName(text) != want {
			t.Errorf("name %q: %v", text, !want)
		}
		if want := ecrTag.MatchString(text); ValidTag(text) != want {
			t.Errorf("tag %q: %v", text, !want)
		}
	})
}

func FuzzParseContentRange(f *testing.F) {
	for _, text := range []string{"0-99", "bytes 5-5/10", "bytes=0-1", "9-5", "-1-2", "0-9223372036854775807"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, last, err := ParseContentRange(text)
		if err != nil {
			if _, ok := err.(*RequestError); !ok || first != 0 || last != 0 {
				t.Errorf("%q: %d-%d, %#v", text, first, last, err)
			}
			return
		}
		// The length must not overflow, and what was read must be what is there.
		if first < 0 || last < first || last-first+1 < 1 {
			t.Errorf("%q: %d-%d", text, first, last)
		}
		for _, n := range []int64{first, last} {
			if !strings.Contains(text, strconv.FormatInt(n, 10)) {
				t.Errorf("%q: %d", text, n)
			}
		}
	})
}

func FuzzParseAccept(f *testing.F) {
	for _, text := range []string{"*/*", "a/b;q=0, c/d;q=0.5", ",;,", "A/B ; Q=0.0", strings.Repeat("a/b,", 200)} {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		accepted := ParseAccept([]string{one, two})
		if len(accepted) > maxAccepted {
			t.Errorf("%d types", len(accepted))
		}
		for _, a := range accepted {
			if a == "" || strings.ContainsAny(a, ",;") || a != strings.ToLower(strings.TrimSpace(a)) {
				t.Errorf("%q", a)
			}
		}
		// What was read reads the same again.
		if again := ParseAccept(accepted); !slices.Equal(again, accepted) {
			t.Errorf("%q becomes %q", accepted, again)
		}
	})
}
