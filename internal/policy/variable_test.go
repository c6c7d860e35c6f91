package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var variableContext = Context{
	"aws:username": {"mira"}, "aws:principaltag/team": {"shop"}, "a:star": {"*"}, "a:mark": {"?"}, "a:empty": {""},
	"a:many": {"x", "y"}, "a:none": {}, "a:arn": {"arn:aws:s3:::a"}, "a:é": {"ñ"}, "a:quoted": {quotedStar}, "a:marked": {quotedMark}, "x": {"y"}, "a:yes": {"true"},
}

// Templates, and the text that they become; where it is null, they match nothing.
func TestVariables(t *testing.T) {
	tests := []struct {
		template string
		sound    bool
		want     string
		null     bool
	}{
		{"plain", true, "plain", false},
		{"$ {aws:username}", true, "$ {aws:username}", false},
		{"${aws:username}", true, "mira", false},
		{"${AWS:UserName}", true, "mira", false},
		{"a/${aws:username}/${aws:PrincipalTag/team}/b", true, "a/mira/shop/b", false},
		{"${a:empty}|", true, "|", false},
		{"${x}", true, "y", false},
		{"${a:é}", true, "ñ", false},
		{"${*}${?}${$}", true, "*?$", false},
		{"${$}{aws:username}", true, "${aws:username}", false},
		{"${a:missing}", true, "", true},
		{"x${a:missing}", true, "", true},
		{"${a:many}", true, "", true},
		{"${a:none}", true, "", true},
		{"${a:missing, 'b'}", true, "b", false},
		{"${a:missing,'b'}", true, "b", false},
		{"${a:missing,  ''  }|", true, "|", false},
		{"${a:missing, 'b}c, d'}", true, "b}c, d", false},
		{"${a:missing, '${aws:username}'}", true, "${aws:username}", false},
		{"${aws:username, 'b'}", true, "mira", false},
		{"${a:empty, 'b'}|", true, "|", false},
		{"${a:none, 'b'}", true, "b", false},
		{"${a:many, 'b'}", true, "", true},

		{"${", false, "${", false},
		{"${}", false, "${}", false},
		{"${aws:username", false, "${aws:username", false},
		{"${a:missing, b}", false, "${a:missing, b}", false},
		{"${a:missing, 'b}", false, "${a:missing, 'b}", false},
		{"${a:missing, 'b'c}", false, "${a:missing, 'b'c}", false},
		{"${a b}", false, "${a b}", false},
		{"${**}", false, "${**}", false},
		{"${, 'b'}", false, "${, 'b'}", false},
		{"${${aws:username}}", false, "${mira}", false},
	}
	for _, test := range tests {
		template, sound := newTemplate(test.template)
		got, ok := template.plain(contexts{resource: variableContext})
		if sound != test.sound || ok == test.null || got != test.want {
			t.Errorf("%s: sound %t, %q, %t", test.template, sound, got, ok)
		}
	}
}

// Variables in the operators that have them, and in none that doesn't.
func TestVariablesInConditions(t *testing.T) {
	tests := []struct {
		operator, policy, value string
		want                    bool
	}{
		{"StringEquals", "${aws:username}", "mira", true},
		{"StringEquals", "${a:missing}", "", false},
		{"StringNotEquals", "${a:missing}", "mira", true},
		{"StringEquals", "${*}", "*", true},
		{"StringEqualsIgnoreCase", "${aws:username}", "MIRA", true},
		{"StringLike", "${aws:username}-*", "mira-1", true},
		{"StringLike", "${a:star}", "mira", false},
		{"StringLike", "${a:star}", "*", true},
		{"StringLike", "${a:star}*", "*mira", true},
		{"StringLike", "${a:mark}*", "x", false},
		{"StringLike", "a${*}c", "abc", false},
		{"StringLike", "a${*}c", "a*c", true},
		{"StringLike", "a${?}*", "a?bc", true},
		{"StringLike", "?${*}?", "?*?", true},
		{"StringLike", "${a:é}?", "ñx", true},
		{"StringLike", "${a:quoted}", "*", false},
		{"StringLike", "${a:marked}", "?", false},
		{"StringLike", "${*}", quotedStar, false},
		{"StringNotLike", "${a:missing}*", "mira", true},
		{"ArnLike", "arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::123456789012:user/mira", true},
		{"ArnLike", "arn:aws:iam::*:user/${a:star}", "arn:aws:iam::123456789012:user/mira", false},
		{"ArnEquals", "${a:arn}", "arn:aws:s3:::a", true},
		{"ArnEquals", "${aws:username}", "mira", false},
		{"ArnLike", "arn:aws:s3:${aws:username}", "arn:aws:s3:mira:123456789012:x", false},
		{"ArnNotEquals", "${a:missing}", "arn:aws:s3:::a", true},
		{"Bool", "${aws:username}", "mira", false},
		{"Bool", "${a:yes}", "TRUE", true},
		{"NumericEquals", "${a:missing, '1'}", "1", false},
		{"DateEquals", "${a:missing, '2026'}", "2026", false},
		{"IpAddress", "${a:missing, '10.0.0.0/8'}", "10.0.0.1", false},
		{"BinaryEquals", "${a:missing, 'QQ=='}", "QQ==", false},
	}
	for _, test := range tests {
		if got := holds(t, test.operator, []string{test.policy}, []string{test.value}, variableContext); got != test.want {
			t.Errorf("%s %s of %q is %t", test.operator, test.policy, test.value, got)
		}
	}
}

func TestVariablesInResources(t *testing.T) {
	const repository = "arn:aws:ecr:us-east-1:123456789012:repository/"
	tests := []struct {
		pattern, name string
		want          bool
	}{
		{"${aws:username}", "mira", true},
		{"${aws:PrincipalTag/team}/*", "shop/web", true},
		{"${aws:PrincipalTag/team}/*", "shops/web", false},
		{"${aws:PrincipalTag/team}*", "shops/web", true},
		{"${a:star}", "mira", false},
		{"${a:star}/${a:mark}", "*/?", true},
		{"${a:missing}", "", false},
		{"${a:missing}*", "mira", false},
		{"${a:missing, 'mira'}", "mira", true},
		{"${a:missing, '*'}", "mira", false},
		{"${a:arn}", "arn:aws:s3:::a", true},
		{"x-${*}", "x-y", false},
		{"${*}", quotedStar, false},
	}
	for _, test := range tests {
		p, ok := newResourcePattern(repository+test.pattern, true, true)
		if !ok {
			t.Errorf("%s is malformed", test.pattern)
		}
		target := newTarget(repository + test.name)
		if got := p.match(&target, contexts{request: variableContext}); got != test.want {
			t.Errorf("%s matches %s: %t", test.pattern, test.name, got)
		}
	}
}

// Whatever value stands for a variable, the pattern matches exactly that value.
func TestVariablesAreLiteral(t *testing.T) {
	text := rapid.StringOf(rapid.SampledFrom([]rune("ab*?${}'é:/")))
	rapid.Check(t, func(t *rapid.T) {
		value, other := text.Draw(t, "value"), text.Draw(t, "other")
		m, _ := newMatcher(operators["StringLike"], "<${a:key}>", true)
		in := contexts{request: Context{"a:key": {value}}}
		if !m.match("<"+value+">", in) {
			t.Fatalf("%q does not match itself", value)
		}
		if m.match("<"+other+">", in) != (other == value) {
			t.Fatalf("%q matches %q", value, other)
		}
	})
}

// A text without variables is left alone, and one with them is cut without losing anything.
func TestTemplatesKeepTheirText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune("ab${},' *"))).Draw(t, "text")
		template, sound := newTemplate(text)
		for _, p := range template.parts {
			if p.key != "" || p.literal {
				return
			}
		}
		got, ok := template.plain(contexts{})
		if diff := cmp.Diff(text, got); diff != "" || !ok {
			t.Fatalf("sound %t: %s", sound, diff)
		}
	})
}
