package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAuthorizationMessage(t *testing.T) {
	repository := Repository("us-east-1", "123456789012", "app")
	foreign := Repository("us-east-1", "999999999999", "app")
	parse := func(kind Kind, document string) []*Policy {
		p, err := Load(kind, []byte(document), Options{Name: kind.String()})
		if err != nil {
			t.Fatal(err)
		}
		return []*Policy{p}
	}
	denying := parse(KindIdentity, statements(
		`{"Sid":"Guard","Effect":"Deny","Action":["ecr:PutImage","ecr:Batch*"],"Resource":"arn:aws:ecr:*:*:repository/*","Condition":{"StringEquals":{"aws:ResourceTag/Stage":["prod","<live>"]}}}`,
		`{"Sid":"All","Effect":"Allow","Action":"*","Resource":"*"}`))
	tests := []struct {
		name     string
		who      Principal
		resource Resource
		set      PolicySet
		attached ResourceSet
		context  Context
		want     string
	}{
		{"a denial by a statement", aSession, repository, PolicySet{Identity: denying, Context: Context{"aws:principaltag/team": {"blue"}}},
			ResourceSet{Context: Context{"aws:resourcetag/stage": {"prod"}}}, Context{"aws:sourceip": {"10.0.0.1"}, "a:own": {"x", "y"}, "a:twice": {ambiguous}, "aws:principaltag/team": {"red"}}, `{
			"allowed":false,"explicitDeny":true,
			"matchedStatements":{"items":[{"statementId":"Guard","effect":"DENY",
				"principals":{"items":[{"value":"AROARELEASERELEASE123"}]},"principalGroups":{"items":[]},
				"actions":{"items":[{"value":"ecr:PutImage"},{"value":"ecr:Batch*"}]},
				"resources":{"items":[{"value":"arn:aws:ecr:*:*:repository/*"}]},
				"conditions":{"items":[{"key":"aws:ResourceTag/Stage","values":{"items":[{"value":"prod"},{"value":"<live>"}]}}]}}]},
			"failures":{"items":[]},
			"context":{"principal":{"id":"AROARELEASERELEASE123:job-7","arn":"arn:aws:sts::123456789012:assumed-role/Release/job-7"},
				"action":"ecr:PutImage","resource":"arn:aws:ecr:us-east-1:123456789012:repository/app",
				"conditions":{"items":[{"key":"a:own","values":{"items":[{"value":"x"},{"value":"y"}]}},{"key":"a:twice","values":{"items":[]}},
					{"key":"aws:PrincipalTag/team","values":{"items":[{"value":"red"}]}},{"key":"aws:ResourceTag/stage","values":{"items":[{"value":"prod"}]}},
					{"key":"aws:SourceIp","values":{"items":[{"value":"10.0.0.1"}]}}]}}}`},
		{"nothing allows", aUser, repository, PolicySet{}, ResourceSet{}, nil, `{
			"allowed":false,"explicitDeny":false,"matchedStatements":{"items":[]},"failures":{"items":[]},
			"context":{"principal":{"id":"AIDAMIRAMIRAMIRAMIRA1","arn":"arn:aws:iam::123456789012:user/dev/mira"},
				"action":"ecr:PutImage","resource":"arn:aws:ecr:us-east-1:123456789012:repository/app","conditions":{"items":[]}}}`},
		{"allowed by the resource", aRoot, foreign, PolicySet{}, ResourceSet{Context: Context{"aws:resourcetag/stage": {"prod"}}, Policies: parse(KindRepository,
			statements(`{"Sid":"theirs","Effect":"Allow","Principal":"*","Action":"*"}`))}, Context{"a:own": {"x"}}, `{
			"allowed":true,"explicitDeny":false,"matchedStatements":{"items":[]},"failures":{"items":[]},
			"context":{"principal":{"id":"123456789012","arn":"arn:aws:iam::123456789012:root"},
				"action":"ecr:PutImage","resource":"arn:aws:ecr:us-east-1:999999999999:repository/app","conditions":{"items":[{"key":"a:own","values":{"items":[{"value":"x"}]}}]}}}`},
		{"denied by another account", aRoot, foreign, PolicySet{}, ResourceSet{Policies: parse(KindRepository,
			statements(`{"Sid":"theirs","Effect":"Deny","Principal":"*","Action":"*"}`))}, nil, `{
			"allowed":false,"explicitDeny":false,"matchedStatements":{"items":[]},"failures":{"items":[]},
			"context":{"principal":{"id":"123456789012","arn":"arn:aws:iam::123456789012:root"},
				"action":"ecr:PutImage","resource":"arn:aws:ecr:us-east-1:999999999999:repository/app","conditions":{"items":[]}}}`},
		{"denied by what begins with Not", aUser, repository, PolicySet{}, ResourceSet{Policies: parse(KindResource,
			statements(`{"Effect":"Deny","NotPrincipal":{"AWS":["1","2"]},"NotAction":"s3:*","NotResource":"arn:aws:s3:::*"}`))}, nil, `{
			"allowed":false,"explicitDeny":true,
			"matchedStatements":{"items":[{"statementId":"","effect":"DENY",
				"principals":{"items":[]},"notPrincipals":{"items":[{"value":"1"},{"value":"2"}]},"principalGroups":{"items":[]},
				"actions":{"items":[]},"notActions":{"items":[{"value":"s3:*"}]},
				"resources":{"items":[]},"notResources":{"items":[{"value":"arn:aws:s3:::*"}]},"conditions":{"items":[]}}]},
			"failures":{"items":[]},
			"context":{"principal":{"id":"AIDAMIRAMIRAMIRAMIRA1","arn":"arn:aws:iam::123456789012:user/dev/mira"},"action":"ecr:PutImage","resource":"arn:aws:ecr:us-east-1:123456789012:repository/app","conditions":{"items":[]}}}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.set.Resources = map[Resource]ResourceSet{test.resource: test.attached}
			got := AuthorizationMessage(Explain(Request{Principal: test.who, Questions: Ask([]string{"ecr:PutImage"}, test.resource), Context: test.context}, test.set))
			var want bytes.Buffer
			if err := json.Compact(&want, []byte(test.want)); err != nil {
				t.Fatal(err)
			}
			if string(got) != want.String() {
				t.Errorf("got  %s\nwant %s", got, &want)
			}
		})
	}
}

func TestUserIDs(t *testing.T) {
	for want, p := range map[string]Principal{
		aUser.ID: aUser, "AROARELEASERELEASE123:job-7": aSession, "123456789012:guest": aFederated, "123456789012": aRoot,
		aService.ARN: aService, aProvider.ARN: aProvider, "anonymous": anonymous,
	} {
		if got := p.userID(); got != want {
			t.Errorf("%s: got %s", p.ARN, got)
		}
	}
}

// However large its parts are, a message stays a message of bounded size, that says what was decided.
func TestAuthorizationMessageIsBounded(t *testing.T) {
	texts := rapid.OneOf(rapid.StringN(0, 600, -1), rapid.SampledFrom([]string{strings.Repeat("\x01", 5000), strings.Repeat("é", 9000), strings.Repeat("\xff", 300)}))
	rapid.Check(t, func(t *rapid.T) {
		x := Explanation{
			Decision:  Decision{Explicit: rapid.Bool().Draw(t, "explicit")},
			Principal: Principal{ARN: texts.Draw(t, "arn"), ID: texts.Draw(t, "id"), Role: rapid.SampledFrom([]string{"", "role"}).Draw(t, "role")},
			Question:  Question{Action: texts.Draw(t, "action"), Resource: Resource{ARN: texts.Draw(t, "resource")}},
			context:   contexts{request: rapid.MapOfN(texts, rapid.SliceOfN(texts, 0, 3), 0, 40).Draw(t, "context")},
		}
		for range rapid.IntRange(0, 40).Draw(t, "statements") {
			x.Matched = append(x.Matched, Match{Statement: Statement{Sid: texts.Draw(t, "sid")}, Deny: true,
				raw: &rawStatement{actions: elements{present: true, values: rapid.SliceOfN(texts, 0, 3).Draw(t, "actions")}}})
		}
		message := AuthorizationMessage(x)
		var m authorizationMessage
		if err := json.Unmarshal(message, &m); err != nil || len(message) > MaxAuthorizationMessage || m.Allowed || m.ExplicitDeny != (x.Explicit && len(x.Matched) > 0) {
			t.Fatalf("%d bytes: %v: %s", len(message), err, message)
		}
	})
}

// What is less needed goes first.
func TestAuthorizationMessageIsShortened(t *testing.T) {
	long := strings.Repeat("x", 2000)
	many := func(n int, text string) Context {
		c := Context{}
		for i := range n {
			c[fmt.Sprintf("a:%04d", i)] = []string{text}
		}
		return c
	}
	statement := Match{Statement: Statement{Sid: "S"}, Deny: true, raw: &rawStatement{actions: elements{present: true, values: []string{long}}}}
	for _, test := range []struct {
		name                            string
		x                               Explanation
		statements, actions, conditions int
	}{
		{"short", Explanation{Matched: []Match{statement}, context: contexts{request: many(2, "x")}}, 1, 1, 2},
		{"long statements", Explanation{Matched: []Match{statement, statement, statement, statement}, context: contexts{request: many(2, "x")}}, 4, 0, 2},
		{"many conditions", Explanation{Matched: []Match{statement}, context: contexts{request: many(900, "x")}}, 1, 0, mostConditions},
		{"a long condition", Explanation{Matched: []Match{statement}, context: contexts{request: Context{"a:a": {long, long, long, long}, "b:b": {"x"}}}}, 1, 0, 1},
		{"a long name", Explanation{Matched: []Match{statement}, context: contexts{request: many(2, "x")}, Question: Question{Action: long + long + long + long}}, 0, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.x.Explicit = true
			var m authorizationMessage
			if err := json.Unmarshal(AuthorizationMessage(test.x), &m); err != nil {
				t.Fatal(err)
			}
			actions := 0
			for _, s := range m.MatchedStatements.Items {
				actions += len(s.Actions.Items)
			}
			if len(m.MatchedStatements.Items) != test.statements || actions != test.actions || len(m.Context.Conditions.Items) != test.conditions {
				t.Errorf("got %d statements with %d actions, and %d conditions", len(m.MatchedStatements.Items), actions, len(m.Context.Conditions.Items))
			}
		})
	}
}

func TestKeyNames(t *testing.T) {
	for key, want := range map[string]string{
		"aws:principalarn":              "aws:PrincipalArn",
		"aws:resourcetag/cost/center:a": "aws:ResourceTag/cost/center:a",
		"ecr:resourcetag/x":             "ecr:ResourceTag/x",
		"kms:encryptioncontext:a:b/c":   "kms:EncryptionContext:a:b/c",
		"kms:encryptioncontextkeys":     "kms:EncryptionContextKeys",
		"token.example.com:sub":         "token.example.com:sub",
		"aws:resourcetag":               "aws:resourcetag",
		"":                              "",
	} {
		if got := keyName(key); got != want {
			t.Errorf("%s: got %s", key, got)
		}
	}
}
