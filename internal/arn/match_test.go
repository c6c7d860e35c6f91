package arn

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestMatch(t *testing.T) {
	tests := []struct {
		pattern, value string
		want           bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "anything:at/all", true},
		{"**", "", true},
		{"?", "", false},
		{"?", "a", true},
		{"?", "ab", false},
		{"?", "é", true},
		{"?", "\xff", true},
		{"??", "é", false},
		{"*?", "", false},
		{"*?*", "é", true},
		{"a*", "a", true},
		{"*a", "ba", true},
		{"*a", "ab", false},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"*ab*ab*", "ab", false},
		{"*ab*ab*", "abab", true},
		{"*ab*ab", "abab", true},
		{"*a?c*", "abxabc", true},
		{"*a?c*", "abxab", false},
		{"*a?c*e", "aacabce", true},
		{"*?b?*?b?*", "abaaba", true},
		{"*?b?*?b?*", "ababa", false},
		{"*é?e*", "xéée", true},
		{"\xff", "\xff", false},
		{"*?b*", "a\xffb", true},
		{"*?�*b", "a\xffb", false},
		{"*?�*b", "a�b", true},
		{"ecr:Batch*", "ecr:BatchGetImage", true},
		{"ecr:Batch*", "ecr:batchGetImage", false},
		{"arn:aws:ecr:*:*:repository/foo", "arn:aws:ecr:r:a:repository/foo/bar", false},
		{"repository/foo/*", "repository/foo", false},
		{"repository/*/app", "repository/a/b/app", true},
		{"a.c", "abc", false},
		{"[ab]", "a", false},
		{`\*`, `\anything`, true},
	}
	for _, test := range tests {
		if got := Match(test.pattern, test.value); got != test.want {
			t.Errorf("Match(%q, %q) = %t", test.pattern, test.value, got)
		}
	}
}

// model is the definition of a match, in exponential time.
func model(pattern, value []rune) bool {
	switch {
	case len(pattern) == 0:
		return len(value) == 0
	case pattern[0] == '*':
		return model(pattern[1:], value) || len(value) > 0 && model(pattern, value[1:])
	case len(value) == 0:
		return false
	}
	return (pattern[0] == '?' || pattern[0] == value[0]) && model(pattern[1:], value[1:])
}

func TestMatchAgreesWithItsDefinition(t *testing.T) {
	pattern := rapid.StringOfN(rapid.SampledFrom([]rune("ab?é*?")), 0, 10, -1)
	value := rapid.StringOfN(rapid.SampledFrom([]rune("aabé")), 0, 12, -1)
	rapid.Check(t, func(t *rapid.T) {
		p, v := pattern.Draw(t, "pattern"), value.Draw(t, "value")
		if got, want := Match(p, v), model([]rune(p), []rune(v)); got != want {
			t.Fatalf("Match(%q, %q) = %t", p, v, got)
		}
	})
}

// Runs longer than a machine word are searched in several.
func TestMatchLongRuns(t *testing.T) {
	length := rapid.IntRange(60, 200)
	rapid.Check(t, func(t *rapid.T) {
		run := []byte(strings.Repeat("ab", 100)[:length.Draw(t, "length")])
		value := "xab" + string(run) + "y"
		run[rapid.IntRange(0, len(run)-1).Draw(t, "any")] = '?'
		if !Match("*"+string(run)+"*", value) {
			t.Fatalf("%q was not found", run)
		}
		other := rapid.IntRange(0, len(run)-1).Draw(t, "other")
		if run[other] != '?' {
			run[other] = 'z'
			if Match("*"+string(run)+"*", value) {
				t.Fatalf("%q was found", run)
			}
		}
	})
}

// What makes a backtracking matcher run for years must end at once. The bound is a thousand times what it takes.
func TestMatchDoesNotBlowUp(t *testing.T) {
	value := strings.Repeat("a", 100_000)
	start := time.Now()
	for _, pattern := range []string{
		strings.Repeat("*a", 500) + "b",
		strings.Repeat("a*", 500) + "b*",
		"*" + strings.Repeat("a", 1000) + "b*",
		"*" + strings.Repeat("a?", 500) + "b*",
		strings.Repeat("*?", 500) + "*b*",
	} {
		if Match(pattern, value) {
			t.Errorf("%.20q matches", pattern)
		}
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("*a?c*", "abxabc")
	f.Add("é*?", "éa")
	f.Add("*\xff?*", "a\xfe\xffb")
	f.Fuzz(func(t *testing.T, pattern, value string) {
		got := Match(pattern, value)
		if got && !Match("*"+pattern+"*", "x"+value+"y") {
			t.Fatalf("Match(%q, %q), but not with stars around it", pattern, value)
		}
		if utf8.ValidString(pattern) && !strings.ContainsAny(pattern, "*?") && got != (pattern == value) {
			t.Fatalf("Match(%q, %q) = %t", pattern, value, got)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	for b.Loop() {
		Match("arn:aws:ecr:*:123456789012:repository/team/*", "arn:aws:ecr:eu-central-1:123456789012:repository/team/app")
	}
}
