package policy

import (
	"testing"
)

var (
	aUser      = Principal{ARN: "arn:aws:iam::123456789012:user/dev/mira", Account: "123456789012", ID: "AIDAMIRAMIRAMIRAMIRA1"}
	aSession   = Principal{ARN: "arn:aws:sts::123456789012:assumed-role/Release/job-7", Account: "123456789012", ID: "AROARELEASERELEASE123", Role: "arn:aws:iam::123456789012:role/ops/Release"}
	aFederated = Principal{ARN: "arn:aws:sts::123456789012:federated-user/guest", Account: "123456789012", ID: "AIDAMIRAMIRAMIRAMIRA1", User: aUser.ARN}
	aRoot      = Principal{ARN: "arn:aws:iam::123456789012:root", Account: "123456789012", Root: true}
	aService   = Principal{ARN: "replication.ecr.amazonaws.com", Service: true}
	aProvider  = Principal{ARN: "arn:aws:iam::123456789012:oidc-provider/id.example.com/x", Provider: true}
	anonymous  = Principal{}
)

func callerOf(p Principal) *caller { return &caller{Principal: p, kind: p.kind()} }

func entries(t *testing.T, not bool, list ...rawEntry) *principals {
	t.Helper()
	p := &principals{not: not}
	for _, e := range list {
		entry, ok := newEntry(e.key, e.value)
		if !ok {
			t.Fatalf("%v is no principal", e)
		}
		p.entries = append(p.entries, entry)
	}
	return p
}

// Who is named by which element, and how closely.
func TestPrincipals(t *testing.T) {
	all := []Principal{aUser, aSession, aFederated, aRoot, aService, aProvider, anonymous}
	const (
		n = unnamed
		a = byAccount
		r = byRole
		d = byName
	)
	tests := []struct {
		entry rawEntry
		want  [7]strength // of all
	}{
		{rawEntry{"AWS", "*"}, [...]strength{d, d, d, d, d, d, d}},
		{rawEntry{"AWS", "123456789012"}, [...]strength{a, a, a, a, n, n, n}},
		{rawEntry{"AWS", "arn:aws:iam::123456789012:root"}, [...]strength{a, a, a, a, n, n, n}},
		{rawEntry{"AWS", "999999999999"}, [...]strength{n, n, n, n, n, n, n}},
		{rawEntry{"AWS", aUser.ARN}, [...]strength{d, n, r, n, n, n, n}},
		{rawEntry{"AWS", "arn:aws:iam::123456789012:user/mira"}, [...]strength{n, n, n, n, n, n, n}},
		{rawEntry{"AWS", "arn:aws:iam::123456789012:user/dev/Mira"}, [...]strength{n, n, n, n, n, n, n}},
		{rawEntry{"AWS", aUser.ID}, [...]strength{d, n, r, n, n, n, n}},
		{rawEntry{"AWS", aSession.Role}, [...]strength{n, r, n, n, n, n, n}},
		{rawEntry{"AWS", aSession.ID}, [...]strength{n, r, n, n, n, n, n}},
		{rawEntry{"AWS", "arn:aws:iam::123456789012:role/Release"}, [...]strength{n, n, n, n, n, n, n}},
		{rawEntry{"AWS", aSession.ARN}, [...]strength{n, d, n, n, n, n, n}},
		{rawEntry{"AWS", "arn:aws:sts::123456789012:assumed-role/Release/job-8"}, [...]strength{n, n, n, n, n, n, n}},
		{rawEntry{"AWS", aFederated.ARN}, [...]strength{n, n, d, n, n, n, n}},
		{rawEntry{"Service", aService.ARN}, [...]strength{n, n, n, n, d, n, n}},
		{rawEntry{"Service", "ecr.amazonaws.com"}, [...]strength{n, n, n, n, n, n, n}},
		{rawEntry{"Federated", aProvider.ARN}, [...]strength{n, n, n, n, n, d, n}},
		{rawEntry{"Federated", "accounts.google.com"}, [...]strength{n, n, n, n, n, n, n}},
	}
	for _, test := range tests {
		p := entries(t, false, test.entry)
		for i, who := range all {
			if got := p.match(callerOf(who)); got != test.want[i] {
				t.Errorf("%v names %q: %d, want %d", test.entry, who.ARN, got, test.want[i])
			}
		}
	}
	several := entries(t, false, rawEntry{"AWS", "123456789012"}, rawEntry{"AWS", aSession.ARN}, rawEntry{"AWS", aSession.Role})
	if got := several.match(callerOf(aSession)); got != byName {
		t.Errorf("the closest of several is %d", got)
	}
}

// NotPrincipal spares only those of whom every level is listed.
func TestNotPrincipal(t *testing.T) {
	account := rawEntry{"AWS", "123456789012"}
	tests := []struct {
		who   Principal
		list  []rawEntry
		spare bool
	}{
		{aUser, []rawEntry{account, {"AWS", aUser.ARN}}, true},
		{aUser, []rawEntry{account, {"AWS", aUser.ID}}, true},
		{aUser, []rawEntry{account}, false},
		{aUser, []rawEntry{{"AWS", aUser.ARN}}, false},
		{aUser, []rawEntry{{"AWS", "*"}}, true},
		{aSession, []rawEntry{account, {"AWS", aSession.Role}, {"AWS", aSession.ARN}}, true},
		{aSession, []rawEntry{account, {"AWS", aSession.ID}, {"AWS", aSession.ARN}}, true},
		{aSession, []rawEntry{account, {"AWS", aSession.Role}}, false},
		{aSession, []rawEntry{account, {"AWS", aSession.ARN}}, false},
		{aSession, []rawEntry{{"AWS", aSession.Role}, {"AWS", aSession.ARN}}, false},
		{aFederated, []rawEntry{account, {"AWS", aUser.ARN}, {"AWS", aFederated.ARN}}, true},
		{aFederated, []rawEntry{account, {"AWS", aUser.ARN}}, false},
		{Principal{ARN: aFederated.ARN, Account: aRoot.Account, User: aRoot.ARN}, []rawEntry{account, {"AWS", aFederated.ARN}}, true},
		{aRoot, []rawEntry{account}, true},
		{aRoot, []rawEntry{{"AWS", "999999999999"}}, false},
		{aService, []rawEntry{{"Service", aService.ARN}}, true},
		{aService, []rawEntry{{"Service", "ecr.amazonaws.com"}}, false},
		{aProvider, []rawEntry{{"Federated", aProvider.ARN}}, true},
		{aProvider, []rawEntry{account}, false},
		{anonymous, []rawEntry{account}, false},
		{anonymous, []rawEntry{{"AWS", "*"}}, true},
	}
	for _, test := range tests {
		p := entries(t, true, test.list...)
		if got := p.match(callerOf(test.who)) == unnamed; got != test.spare {
			t.Errorf("%v spares %q: %t", test.list, test.who.ARN, got)
		}
		bounded := callerOf(test.who)
		bounded.boundary = true
		everyone := test.list[0] == rawEntry{"AWS", "*"}
		if got := p.match(bounded) == unnamed; got != everyone {
			t.Errorf("%v spares %q with a boundary: %t", test.list, test.who.ARN, got)
		}
	}
}

func TestPrincipalSyntax(t *testing.T) {
	for _, e := range []rawEntry{
		{"AWS", ""}, {"AWS", "12345678901"}, {"AWS", "1234567890123"}, {"AWS", "mira"}, {"AWS", "**"}, {"AWS", "12345678901*"},
		{"AWS", "arn:aws:iam::123456789012:user/*"}, {"AWS", "arn:aws:iam::*:root"}, {"AWS", "arn:aws:iam::123456789012:*"},
		{"AWS", "arn:aws:iam::123456789012:group/a"}, {"AWS", "arn:aws:iam::123456789012:user/"}, {"AWS", "arn:aws:iam:us-east-1:123456789012:user/a"},
		{"AWS", "arn:other:iam::123456789012:user/a"}, {"AWS", "arn:aws:s3:::bucket"}, {"AWS", "arn:aws:sts::123456789012:assumed-role/a"},
		{"AWS", "arn:aws:sts::123456789012:assumed-role/a/b/c"}, {"AWS", "AIDA"}, {"AWS", "AKIAIOSFODNN7EXAMPLE"}, {"AWS", "ecr.amazonaws.com"},
		{"Service", "*"}, {"Service", "ecr"}, {"Service", ".amazonaws.com"}, {"Service", "*.amazonaws.com"}, {"Service", "123456789012"},
		{"Federated", "*"}, {"Federated", "id.example.com"}, {"Federated", "arn:aws:iam::123456789012:user/a"},
		{"Federated", "arn:aws:iam::123456789012:oidc-provider/*"}, {"CanonicalUser", "79a59df9"},
	} {
		if _, ok := newEntry(e.key, e.value); ok {
			t.Errorf("%v is a principal", e)
		}
	}
}

// A user or role that is created anew under an old name has no part in what its predecessor was given.
func TestResolvedPrincipals(t *testing.T) {
	ids := map[string]string{aUser.ARN: aUser.ID, aSession.Role: aSession.ID}
	o := Options{Resolve: func(arn string) (string, bool) { id, ok := ids[arn]; return id, ok }}
	document := statements(
		`{"Effect":"Allow","Principal":{"AWS":["`+aUser.ARN+`","`+aSession.Role+`","arn:aws:iam::123456789012:user/gone"]},"Action":"ecr:PutImage"}`,
		`{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::123456789012:user/gone"},"Action":"ecr:GetImage"}`)
	repository := Repository("us-east-1", "123456789012", "app")
	p, err := Load(KindRepository, []byte(document), o)
	if err != nil {
		t.Fatal(err)
	}
	set := PolicySet{Resources: map[Resource]ResourceSet{repository: {Policies: []*Policy{p}}}}
	anew, again := aUser, aSession
	anew.ID, again.ID = "AIDAOTHEROTHEROTHER12", "AROAOTHEROTHEROTHER12"
	gone := Principal{ARN: "arn:aws:iam::123456789012:user/gone", Account: "123456789012", ID: "AIDAGONEGONEGONEGONE1"}
	for _, test := range []struct {
		who    Principal
		action string
		want   string
	}{
		{aUser, "ecr:PutImage", "Allow"}, {anew, "ecr:PutImage", "ImplicitDeny"},
		{aSession, "ecr:PutImage", "Allow"}, {again, "ecr:PutImage", "ImplicitDeny"},
		{gone, "ecr:PutImage", "ImplicitDeny"}, {gone, "ecr:GetImage", "ExplicitDeny"},
	} {
		d := Evaluate(Request{Principal: test.who, Questions: Ask([]string{test.action}, repository)}, set)
		if got := outcome(d); got != test.want {
			t.Errorf("%s (%s) %s: %s", test.who.ARN, test.who.ID, test.action, got)
		}
	}
}
