package policy

import "testing"

func TestResources(t *testing.T) {
	const web = "arn:aws:ecr:us-east-1:123456789012:repository/shop/web"
	tests := []struct {
		pattern, resource string
		want              bool
	}{
		{"*", web, true},
		{"*", "*", true},
		{"**", "*", true},
		{web, web, true},
		{web, "*", false},
		{web, web + "/x", false},
		{web + "/*", web, false},
		{web + "*", web, true},
		{"arn:aws:ecr:us-east-1:123456789012:repository/Shop/web", web, false},
		{"arn:aws:ecr:us-east-1:123456789012:repository/s*b", web, true},
		{"arn:aws:ecr:us-east-1:123456789012:repository/s*p/w?b", web, true},
		{"arn:aws:ecr:us-east-1:123456789012:repository/s*p/w?b", web + "b", false},
		{"arn:aws:ecr:us-east-1:123456789012:*/web", web, true},
		{"arn:aws:ecr:us-east-1:123456789012:*", web, true},
		{"arn:aws:ecr:us-*-1:1234567890??:repository/*", web, true},
		{"arn:aws:ecr:us-east-1:*:*", web, true},
		{"arn:aws:ecr:*:repository/shop/web", web, false},
		{"arn:aws:*:*:*:*", web, true},
		{"arn:aws:s3:*:*:*", web, false},
		{"arn:*:ecr:*:*:*", web, true},
		{"arn:aws", web, true},
		{"arn:aws:ecr", web, true},
		{"arn:aws:ecr:us-east-2", web, false},
		{"arn:aws:ecr:us-east-1:123456789012", web, true},
		{"arn:aws:ecr:us-east-1:12345678901", web, false},
		{"arn:aws:logs:*:*:log-group:a*", "arn:aws:logs:us-east-1:123456789012:log-group:a:b:c", true},
		{"arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket/a:b", true},
		{"arn:aws:ecr:us-east-1:123456789012:repository/*", "arn:aws:ecr:us-east-1:123456789012:repository/*", true},
		{"arn:aws:ecr:us-east-1:123456789012:repository/shop/*", "arn:aws:ecr:us-east-1:123456789012:repository/*", false},
		{"arn:aws:ecr:*:*:*", "arn:aws:ecr", false},
	}
	for _, test := range tests {
		p, ok := newResourcePattern(test.pattern, true, true)
		if !ok {
			t.Errorf("%s is no pattern", test.pattern)
		}
		target := newTarget(test.resource)
		if got := p.match(&target, contexts{}); got != test.want {
			t.Errorf("%s matches %s: %t", test.pattern, test.resource, got)
		}
	}
}

func TestResourcesThatAreNone(t *testing.T) {
	for _, pattern := range []string{"", "a", "repository/a", "arn", "arn:aws:ecr", "arn:aws:ecr:r:1:", "arn:aws:${a:b}:r:1:x", "arn:aws:ecr:r:1:${"} {
		_, ok := newResourcePattern(pattern, false, true)
		if want := pattern == "arn:aws:ecr:r:1:"; ok != want {
			t.Errorf("%q: %t", pattern, ok)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, test := range []struct {
		pattern, value string
		want           bool
	}{
		{"", "", true}, {"", "a", false}, {"a", "a", true}, {"a*", "ab", true}, {"a*", "b", false}, {"a**", "ab", true}, {"***", "", true},
		{"*a", "ba", true}, {"a*a", "a", false}, {"a*a", "aa", true}, {"a?", "a", false}, {"?", "é", true}, {"ab*ba", "aba", false},
		{"a*b*c", "axbxc", true}, {"a*b*c", "axc", false},
	} {
		g := newGlob(test.pattern)
		if got := g.match(test.value); got != test.want {
			t.Errorf("%q matches %q: %t", test.pattern, test.value, got)
		}
	}
}
