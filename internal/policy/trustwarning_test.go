package policy

import (
	"slices"
	"testing"
)

func TestTrustWarnings(t *testing.T) {
	from := func(provider, action, conditions string) string {
		s := `"Principal":{"Federated":"` + provider + `"},"Action":"` + action + `"`
		if conditions != "" {
			s += `,"Condition":{` + conditions + `}`
		}
		return trusting(s)
	}
	const (
		oidc    = "arn:aws:iam::123456789012:oidc-provider/"
		github  = oidc + "token.actions.githubusercontent.com"
		own     = oidc + "id.example.com/Pipelines"
		action  = "sts:AssumeRoleWithWebIdentity"
		missing = "statement 1: it trusts everybody to whom token.actions.githubusercontent.com issues tokens: a condition on token.actions.githubusercontent.com:sub is missing"
		passes  = "statement 1: it trusts everybody to whom token.actions.githubusercontent.com issues tokens: the condition on token.actions.githubusercontent.com:sub lets everybody pass"
		ownLack = "statement 1: it trusts everybody to whom id.example.com/Pipelines issues tokens: a condition on id.example.com/Pipelines:sub is missing"
		ownWide = "statement 1: it trusts everybody to whom id.example.com/Pipelines issues tokens: the condition on id.example.com/Pipelines:sub lets everybody pass"
		anyLack = "statement 1: it trusts everybody to whom any identity provider of the account issues tokens: a condition on the subject is missing"
	)
	sub := func(operator, value string) string {
		return from(github, action, `"`+operator+`":{"token.actions.githubusercontent.com:sub":`+value+`}`)
	}
	tests := []struct {
		name, document, want string // no warning if want is empty
	}{
		{"no condition", from(github, action, ""), missing},
		{"a pattern of actions", from(github, "sts:Assume*", ""), missing},
		{"another claim", from(github, action, `"StringEquals":{"token.actions.githubusercontent.com:aud":"sts.amazonaws.com"}`), missing},
		{"another provider's subject", from(github, action, `"StringEquals":{"id.example.com:sub":"a"}`), missing},
		{"all subjects", sub("StringLike", `"*"`), passes},
		{"all repositories", sub("StringLike", `"repo:*"`), passes},
		{"all owners", sub("StringLike", `"repo:*/app:*"`), passes},
		{"all that end alike", sub("StringLike", `"*:ref:refs/heads/main"`), passes},
		{"the head is a pattern", sub("StringLike", `"rep?:acme/app:*"`), passes},
		{"owners that begin alike", sub("StringLike", `"repo:acme*"`), passes},
		{"one of two is wide", sub("StringLike", `["repo:acme/app:*","repo:*"]`), passes},
		{"all but some", sub("StringNotLike", `"repo:acme/*"`), passes},
		{"that it is there", sub("Null", `"false"`), passes},
		{"only if it is there", sub("StringEqualsIfExists", `"repo:acme/app:pull_request"`), passes},
		{"of all values, which may be none", sub("ForAllValues:StringLike", `"repo:acme/*"`), passes},
		{"one subject", sub("StringEquals", `"repo:acme/app:ref:refs/heads/main"`), ""},
		{"an owner's repositories", sub("StringLike", `["repo:acme/*","repo:acme@1/*"]`), ""},
		{"any of its values", sub("ForAnyValue:StringLike", `"repo:acme/app:*"`), ""},
		{"a subject of another make", sub("StringLike", `"repository_owner:acme:*"`), ""},
		{"another case of the key", from(github, action, `"StringEquals":{"Token.Actions.GitHubUserContent.com:SUB":"repo:acme/app:pull_request"}`), ""},
		{"wide and narrow together", from(github, action, `"StringLike":{"token.actions.githubusercontent.com:sub":"repo:*"},"StringEquals":{"token.actions.githubusercontent.com:sub":"repo:acme/app:pull_request"}`), ""},
		{"another action", from(github, "sts:TagSession", ""), ""},
		{"a denial", statements(`{"Effect":"Deny","Principal":{"Federated":"` + github + `"},"Action":"` + action + `"}`), ""},

		{"an own provider", from(own, action, ""), ownLack},
		{"an own provider and all subjects", from(own, action, `"StringLike":{"id.example.com/Pipelines:sub":"**"}`), ownWide},
		{"an own provider and some subjects", from(own, action, `"StringLike":{"id.example.com/pipelines:sub":"*:production"}`), ""},
		{"a provider of every account", from("www.amazon.com", action, ""), "statement 1: it trusts everybody to whom www.amazon.com issues tokens: a condition on www.amazon.com:user_id is missing"},
		{"a provider of every account and an application", from("www.amazon.com", action, `"StringEquals":{"www.amazon.com:app_id":"1"}`), ""},
		{"a provider of SAML", from("arn:aws:iam::123456789012:saml-provider/s", "sts:AssumeRole*", ""), ""},

		{"everyone", trusting(`"Principal":"*","Action":"` + action + `"`), anyLack},
		{"everyone, as a list", trusting(`"Principal":{"AWS":["*"]},"Action":"sts:AssumeRole*","Condition":{"StringEquals":{"aws:username":"a"}}`), anyLack},
		{"everyone with one subject", trusting(`"Principal":"*","Action":"` + action + `","Condition":{"StringEquals":{"id.example.com:sub":"a"}}`), ""},
		{"everyone who has an identity", trusting(`"Principal":"*","Action":"sts:AssumeRole"`), ""},

		{"what can't be read", `{`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := []string{test.want}
			if test.want == "" {
				want = nil
			}
			if got := Warnings([]byte(test.document)); !slices.Equal(got, want) {
				t.Errorf("got %q\nwant %q", got, want)
			}
		})
	}
	if p := mustParse(t, KindTrust, tests[0].document); !slices.Equal(p.Warnings(), []string{missing}) {
		t.Errorf("the policy has %q", p.Warnings())
	}
}

// IAM saves no policy that trusts all of a shared issuer; of other providers it is for the administrator to know.
func TestTrustsStrangers(t *testing.T) {
	trust := func(provider, condition string) *Policy {
		return mustParse(t, KindTrust, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::123456789012:oidc-provider/`+
			provider+`"},"Action":"sts:AssumeRoleWithWebIdentity"`+condition+`}]}`)
	}
	const github = "token.actions.githubusercontent.com"
	for _, tt := range []struct {
		provider, condition string
		want                bool
	}{
		{github, "", true},
		{github, `,"Condition":{"StringLike":{"` + github + `:sub":"repo:*"}}`, true},
		{github, `,"Condition":{"StringLike":{"` + github + `:sub":"repo:bank/*"}}`, false},
		{"id.example.com", "", false},
	} {
		if got := trust(tt.provider, tt.condition).TrustsStrangers(); got != tt.want {
			t.Errorf("%s with %s: %v", tt.provider, tt.condition, got)
		}
	}
}
