package policy

import "testing"

// A key is the resource's before the request's, and the request's before the caller's.
func TestOrderOfContexts(t *testing.T) {
	repository := Repository("us-east-1", "123456789012", "app")
	one := func(value string) Context { return Context{"a:key": {value}} }
	for _, test := range []struct {
		name                      string
		resource, request, caller Context
		want                      string
	}{
		{"the caller's alone", nil, nil, one("caller"), "caller"},
		{"the caller's beside other keys", Context{"a:other": {"x"}}, Context{"a:other": {"y"}}, one("caller"), "caller"},
		{"the request's", nil, one("request"), one("caller"), "request"},
		{"the resource's", one("resource"), one("request"), one("caller"), "resource"},
		{"the resource's before the caller's", one("resource"), nil, one("caller"), "resource"},
		{"none of the request's", nil, Context{"a:key": {}}, one("caller"), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, value := range []string{"resource", "request", "caller"} {
				set := PolicySet{
					Identity:  []*Policy{mustParse(t, KindIdentity, allow(`"Action":"*","Condition":{"StringEquals":{"a:key":"`+value+`"}}`))},
					Resources: map[Resource]ResourceSet{repository: {Context: test.resource}},
					Context:   test.caller,
				}
				r := Request{Principal: aUser, Questions: Ask([]string{"ecr:PutImage"}, repository), Context: test.request}
				if got := Evaluate(r, set).Allowed; got != (value == test.want) {
					t.Errorf("%s: allowed is %t", value, got)
				}
			}
		})
	}
}

// Variables stand for the caller's keys too, and a key of the caller that is ambiguous denies.
func TestCallersContext(t *testing.T) {
	repository := Repository("us-east-1", "123456789012", "team/app")
	r := Request{Principal: aUser, Questions: Ask([]string{"ecr:PutImage"}, repository)}
	set := PolicySet{
		Identity: []*Policy{mustParse(t, KindIdentity, statements(
			`{"Effect":"Allow","Action":"*","Resource":"arn:aws:ecr:*:*:repository/${aws:PrincipalTag/team}/*"}`,
			`{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/state":"blocked"}}}`))},
		Context: Context{},
	}
	set.Context.Put("aws:PrincipalTag/team", "team")
	if d := Evaluate(r, set); !d.Allowed {
		t.Errorf("by its tag: %s", d.Message(aUser))
	}
	set.Context.Put("aws:PrincipalTag/state", "a")
	set.Context.Put("aws:PrincipalTag/State", "b")
	if d := Evaluate(r, set); d.Allowed || !d.Explicit {
		t.Errorf("with two states: %+v", d)
	}
}
