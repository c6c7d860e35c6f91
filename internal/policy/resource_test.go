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

// An exception for everything leaves nothing.
func TestNotResourceEverything(t *testing.T) {
	for _, except := range []string{"*", "arn:aws:ecr:*:*:*"} {
		p := mustParse(t, KindManaged, allow(`"Action":"ecr:*","NotResource":"`+except+`"`))
		r := Request{Principal: aUser, Questions: Ask([]string{"ecr:PutImage"}, Repository("us-east-1", "123456789012", "app"))}
		if d := Evaluate(r, PolicySet{Identity: []*Policy{p}}); d.Allowed {
			t.Errorf("all but %s: %+v", except, d)
		}
	}
}

// Statements whose actions are different patterns of one service are told apart.
func TestPatternsOfOneService(t *testing.T) {
	p := mustParse(t, KindManaged, statements(
		`{"Effect":"Allow","Action":["ecr:Put*","ecr:List*"],"Resource":"*"}`,
		`{"Effect":"Deny","Action":["ecr:List?ags*","ecr:Delete*"],"Resource":"*"}`,
		`{"Effect":"Allow","Action":["ecr:Get*","s3:Put*"],"Resource":"*"}`))
	for action, want := range map[string]string{
		"ecr:PutImage": "Allow", "ecr:ListImages": "Allow", "ecr:ListTagsForResource": "ExplicitDeny", "ecr:DeleteRepository": "ExplicitDeny",
		"ecr:GetImage": "Allow", "s3:PutObject": "Allow", "s3:GetObject": "ImplicitDeny", "ecr:StartImageScan": "ImplicitDeny",
	} {
		r := Request{Principal: aUser, Questions: Ask([]string{action}, Registry("123456789012"))}
		if got := outcome(Evaluate(r, PolicySet{Identity: []*Policy{p}})); got != want {
			t.Errorf("%s: got %s, want %s", action, got, want)
		}
	}
}

// Roles that are assumed and keys that are used demand that their own policies allow; nothing else does.
func TestWhatDemandsTrust(t *testing.T) {
	const role, key = "arn:aws:iam::123456789012:role/r", "arn:aws:kms:us-east-1:123456789012:key/1"
	for _, test := range []struct {
		action, resource string
		reason           Reason
	}{
		{"sts:assumerole", role, ReasonTrust}, {"sts:tagsession", role, ReasonTrust}, {"iam:passrole", role, ""},
		{"sts:assumerole", "arn:aws:iam::123456789012:user/u", ""}, {"sts:getsessiontoken", "*", ""}, {"sts:x", "arn:aws:ecr:us-east-1:123456789012:role/r", ""},
		{"kms:decrypt", key, ReasonResource}, {"kms:createalias", "arn:aws:kms:us-east-1:123456789012:alias/a", ""}, {"kms:listkeys", "*", ""},
		{"ecr:putimage", key, ""}, {"kms:x", "arn:aws:ecr:us-east-1:123456789012:key/1", ""},
	} {
		target := newTarget(test.resource)
		if reason, demands := demandsTrust(test.action, &target); reason != test.reason || demands != (test.reason != "") {
			t.Errorf("%s on %s: %q, %t", test.action, test.resource, reason, demands)
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
