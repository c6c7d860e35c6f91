package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// The places of statements are those that AWS's documentation shows.
func TestStatementPlaces(t *testing.T) {
	tests := []struct {
		name, document string
		want           []places
	}{
		{"one that is in no list", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}`,
			[]places{{Position{1, 38}, Position{1, 167}}}},
		{"one in a list", "{\n    \"Version\": \"2012-10-17\",\n    \"Statement\": [\n        {\n            \"Effect\": \"Allow\",\n            \"Action\": \"a:b\",\n            \"Resource\":\n                \"*\"\n        }\n    ]\n}",
			[]places{{Position{3, 19}, Position{9, 10}}}},
		{"two", "{\"Statement\":[{\"Sid\":\"é\"},\n{}]}", []places{{Position{1, 15}, Position{1, 26}}, {Position{1, 26}, Position{2, 3}}}},
		{"with line ends of two characters", "{\r\n\"Statement\":{}\r\n}", []places{{Position{2, 14}, Position{2, 15}}}},
		{"none", `{"Version":"2012-10-17"}`, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, statementPlaces([]byte(test.document)), cmp.AllowUnexported(places{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// explained is an Explanation without what other tests are about.
func explained(x Explanation) Explanation {
	x.Decision, x.Principal, x.Question, x.context = Decision{Allowed: x.Allowed, Explicit: x.Explicit, Reason: x.Reason}, Principal{}, Question{}, contexts{}
	for i := range x.Matched {
		x.Matched[i].raw, x.Matched[i].Start, x.Matched[i].End = nil, Position{}, Position{}
	}
	return x
}

func TestExplain(t *testing.T) {
	parse := func(kind Kind, list ...string) []*Policy {
		p, err := Load(kind, []byte(statements(list...)), Options{Name: kind.String()})
		if err != nil {
			t.Fatal(err)
		}
		return []*Policy{p}
	}
	const (
		push = `{"Sid":"Push","Effect":"Allow","Action":"ecr:Put*","Resource":"*"}`
		all  = `{"Sid":"All","Effect":"Allow","Action":"*","Resource":"*"}`
		pull = `{"Sid":"Pull","Effect":"Allow","Action":"ecr:BatchGetImage","Resource":"*"}`
		deny = `{"Sid":"Deny","Effect":"Deny","Action":"ecr:*","Resource":"*"}`
	)
	own := func(elements string) string {
		return `{"Sid":"Own","Effect":"Allow",` + elements + `,"Action":"ecr:*"}`
	}
	repository := Repository("us-east-1", "123456789012", "app")
	foreign := Repository("us-east-1", "999999999999", "app")
	key := Resource{ARN: "arn:aws:kms:us-east-1:123456789012:key/1", Account: "123456789012"}
	role := Resource{ARN: "arn:aws:iam::123456789012:role/r", Account: "123456789012"}
	match := func(kind Kind, layer Reason, sid string, number int) Match {
		return Match{Statement: Statement{kind.String(), sid, number}, Kind: kind, Layer: layer, Deny: sid == "Deny"}
	}
	tests := []struct {
		name     string
		who      Principal
		action   string
		resource Resource
		set      PolicySet
		attached ResourceSet
		want     Explanation
	}{
		{"all statements that allow", aUser, "ecr:PutImage", repository, PolicySet{Identity: parse(KindIdentity, pull, push, all)}, ResourceSet{}, Explanation{
			Decision: Decision{Allowed: true, Reason: ReasonIdentity}, Layers: map[Reason]Outcome{ReasonIdentity: OutcomeAllowed},
			Matched: []Match{match(KindIdentity, ReasonIdentity, "Push", 2), match(KindIdentity, ReasonIdentity, "All", 3)}}},
		{"nothing allows", aUser, "ecr:PutImage", repository, PolicySet{Identity: parse(KindIdentity, pull)}, ResourceSet{}, Explanation{
			Decision: Decision{Reason: ReasonIdentity}, Layers: map[Reason]Outcome{ReasonIdentity: OutcomeImplicitDeny}}},
		{"the boundary lacks it", aUser, "ecr:PutImage", repository, PolicySet{Identity: parse(KindIdentity, push), Boundary: parse(KindManaged, pull)}, ResourceSet{}, Explanation{
			Decision: Decision{Reason: ReasonBoundary}, Layers: map[Reason]Outcome{ReasonIdentity: OutcomeAllowed, ReasonBoundary: OutcomeImplicitDeny},
			Matched: []Match{match(KindIdentity, ReasonIdentity, "Push", 1)}}},
		{"the session denies", aSession, "ecr:PutImage", repository, PolicySet{Identity: parse(KindIdentity, push), Session: parse(KindSession, all, deny)}, ResourceSet{}, Explanation{
			Decision: Decision{Explicit: true, Reason: ReasonSession}, Layers: map[Reason]Outcome{ReasonIdentity: OutcomeAllowed, ReasonSession: OutcomeExplicitDeny},
			Matched: []Match{match(KindSession, ReasonSession, "All", 1), match(KindSession, ReasonSession, "Deny", 2), match(KindIdentity, ReasonIdentity, "Push", 1)}}},
		{"one level of the organization does not allow", aUser, "ecr:PutImage", repository,
			PolicySet{Identity: parse(KindIdentity, push), SCP: [][]*Policy{parse(KindSCP, pull), parse(KindSCP, all)}}, ResourceSet{}, Explanation{
				Decision: Decision{Reason: ReasonSCP}, Layers: map[Reason]Outcome{ReasonIdentity: OutcomeAllowed, ReasonSCP: OutcomeImplicitDeny},
				Matched: []Match{match(KindSCP, ReasonSCP, "All", 1), match(KindIdentity, ReasonIdentity, "Push", 1)}}},
		{"a token takes no policy of a resource", aUser, "ecr:GetAuthorizationToken", Registry("123456789012"), PolicySet{Identity: parse(KindIdentity, all)}, ResourceSet{
			Policies: parse(KindRegistry, `{"Sid":"Deny","Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}`)}, Explanation{
			Decision: Decision{Allowed: true, Reason: ReasonIdentity}, Layers: map[Reason]Outcome{ReasonIdentity: OutcomeAllowed},
			Matched: []Match{match(KindIdentity, ReasonIdentity, "All", 1)}}},
		{"the organization is not about roles of services", Principal{ARN: aSession.ARN, Account: aSession.Account, Role: aSession.Role, ServiceLinked: true}, "ecr:PutImage", repository,
			PolicySet{Identity: parse(KindIdentity, push), SCP: [][]*Policy{parse(KindSCP, deny)}}, ResourceSet{
				RCP: [][]*Policy{parse(KindRCP, `{"Sid":"Deny","Effect":"Deny","Principal":"*","Action":"ecr:*","Resource":"*"}`)}}, Explanation{
				Decision: Decision{Allowed: true, Reason: ReasonIdentity}, Layers: map[Reason]Outcome{ReasonIdentity: OutcomeAllowed},
				Matched: []Match{match(KindIdentity, ReasonIdentity, "Push", 1)}}},
		{"the organization is not about its management account", Principal{ARN: aUser.ARN, Account: aUser.Account, Management: true}, "ecr:PutImage", repository,
			PolicySet{Identity: parse(KindIdentity, push), SCP: [][]*Policy{parse(KindSCP, deny)}}, ResourceSet{}, Explanation{
				Decision: Decision{Allowed: true, Reason: ReasonIdentity}, Layers: map[Reason]Outcome{ReasonIdentity: OutcomeAllowed},
				Matched: []Match{match(KindIdentity, ReasonIdentity, "Push", 1)}}},
		{"the resource allows alone", aUser, "ecr:PutImage", repository, PolicySet{}, ResourceSet{Policies: parse(KindRepository, own(`"Principal":"*"`))}, Explanation{
			Decision: Decision{Allowed: true, Reason: ReasonResource}, Layers: map[Reason]Outcome{ReasonIdentity: OutcomeImplicitDeny, ReasonResource: OutcomeAllowed},
			Matched: []Match{match(KindRepository, ReasonResource, "Own", 1)}}},
		{"another account's resource", aUser, "ecr:PutImage", foreign, PolicySet{Identity: parse(KindIdentity, push)}, ResourceSet{Policies: parse(KindRepository, own(`"Principal":{"AWS":"111111111111"}`))}, Explanation{
			Decision: Decision{Reason: ReasonResource}, Foreign: true, Layers: map[Reason]Outcome{ReasonIdentity: OutcomeAllowed, ReasonResource: OutcomeImplicitDeny},
			Matched: []Match{match(KindIdentity, ReasonIdentity, "Push", 1)}}},
		{"a resource's policy that can't allow the action", aUser, "ecr:DescribeRegistry", repository, PolicySet{}, ResourceSet{Policies: parse(KindRepository, own(`"Principal":"*"`))}, Explanation{
			Decision: Decision{Reason: ReasonIdentity}, Layers: map[Reason]Outcome{ReasonIdentity: OutcomeImplicitDeny, ReasonResource: OutcomeImplicitDeny}}},
		{"a grant", aUser, "kms:Decrypt", key, PolicySet{}, ResourceSet{Grants: []Grant{{ID: "g", Grantee: aUser.ARN, Operations: []string{"Decrypt"}}}}, Explanation{
			Decision: Decision{Allowed: true, Reason: ReasonGrant}, Layers: map[Reason]Outcome{ReasonIdentity: OutcomeImplicitDeny, ReasonResource: OutcomeAllowed},
			Matched: []Match{{Statement: Statement{Policy: "g"}, Layer: ReasonGrant}}}},
		{"a role that does not trust", aUser, "sts:AssumeRole", role, PolicySet{Identity: parse(KindIdentity, all)}, ResourceSet{}, Explanation{
			Decision: Decision{Reason: ReasonTrust}, Layers: map[Reason]Outcome{ReasonIdentity: OutcomeAllowed, ReasonTrust: OutcomeImplicitDeny},
			Matched: []Match{match(KindIdentity, ReasonIdentity, "All", 1)}}},
		{"a federated user of the root", Principal{ARN: aFederated.ARN, Account: aFederated.Account, User: aRoot.ARN}, "ecr:PutImage", repository,
			PolicySet{Session: parse(KindSession, push)}, ResourceSet{}, Explanation{
				Decision: Decision{Allowed: true, Reason: ReasonIdentity}, Layers: map[Reason]Outcome{ReasonIdentity: OutcomeAllowed, ReasonSession: OutcomeAllowed},
				Matched: []Match{match(KindSession, ReasonSession, "Push", 1)}}},
		{"through an endpoint", aRoot, "ecr:PutImage", repository, PolicySet{Endpoint: parse(KindEndpoint, `{"Sid":"Deny","Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}`)}, ResourceSet{}, Explanation{
			Decision: Decision{Explicit: true, Reason: ReasonEndpoint}, Layers: map[Reason]Outcome{ReasonEndpoint: OutcomeExplicitDeny},
			Matched: []Match{match(KindEndpoint, ReasonEndpoint, "Deny", 1)}}},
		{"what policies don't limit", aUser, "sts:GetCallerIdentity", repository, PolicySet{Identity: parse(KindIdentity, deny)}, ResourceSet{}, Explanation{
			Decision: Decision{Allowed: true, Reason: ReasonAlways}}},
		{"keys that are missing", aUser, "ecr:PutImage", repository, PolicySet{Context: Context{"c:given": {"x"}}, Identity: parse(KindIdentity,
			`{"Sid":"A","Effect":"Allow","Action":"ecr:PutImage","Resource":"*","Condition":{"StringEquals":{"b:Needed":"x","C:Given":"${aws:PrincipalTag/Team}"}}}`,
			`{"Sid":"B","Effect":"Allow","Action":"ecr:*","Resource":"arn:aws:ecr:*:*:repository/${a:needed}","Condition":{"Null":{"B:needed":"true"}}}`,
			`{"Sid":"C","Effect":"Allow","Action":"ecr:PutImage","Resource":"arn:aws:ecr:*:*:repository/other","Condition":{"Bool":{"d:unneeded":"true"}}}`,
			`{"Sid":"D","Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"Bool":{"d:unneeded":"true"}}}`)}, ResourceSet{}, Explanation{
			Decision: Decision{Reason: ReasonIdentity}, Layers: map[Reason]Outcome{ReasonIdentity: OutcomeImplicitDeny},
			Missing: []string{"a:needed", "aws:PrincipalTag/Team", "b:Needed"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.set.Resources = map[Resource]ResourceSet{test.resource: test.attached}
			r := Request{Principal: test.who, Questions: Ask([]string{test.action}, test.resource)}
			x := Explain(r, test.set)
			if x.Decision != Evaluate(r, test.set) || x.Question != r.Questions[0] {
				t.Errorf("got %+v on %+v", x.Decision, x.Question)
			}
			if diff := cmp.Diff(test.want, explained(x), cmp.AllowUnexported(Match{}, Decision{}, rawStatement{}, Explanation{}, contexts{}), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Of several questions the one is explained that decided.
func TestExplainSeveralQuestions(t *testing.T) {
	repository := Repository("us-east-1", "123456789012", "app")
	set := PolicySet{Identity: []*Policy{mustParse(t, KindIdentity, statements(`{"Sid":"Push","Effect":"Allow","Action":"ecr:PutImage","Resource":"*"}`,
		`{"Sid":"List","Effect":"Allow","Action":"ecr:ListImages","Resource":"*"}`))}}
	for _, test := range []struct {
		actions   []string
		want, sid string
	}{
		{[]string{"ecr:PutImage", "ecr:ListImages"}, "ecr:PutImage", "Push"},
		{[]string{"ecr:PutImage", "ecr:StartImageScan", "ecr:TagResource"}, "ecr:StartImageScan", ""},
		{[]string{"sts:GetCallerIdentity", "ecr:StartImageScan"}, "ecr:StartImageScan", ""},
		{nil, "", ""},
	} {
		x := Explain(Request{Principal: aUser, Questions: Ask(test.actions, repository)}, set)
		sid := ""
		for _, m := range x.Matched {
			sid += m.Sid
		}
		if x.Question.Action != test.want || sid != test.sid {
			t.Errorf("%v: got %q by %q", test.actions, x.Question.Action, sid)
		}
	}
}

// What is shown as decisive: denials alone, or else what allowed, or nothing.
func TestDeciding(t *testing.T) {
	yes, no := Match{Statement: Statement{Sid: "yes"}}, Match{Statement: Statement{Sid: "no"}, Deny: true}
	for _, test := range []struct {
		decision Decision
		matched  []Match
		want     []Match
	}{
		{Decision{Explicit: true}, []Match{yes, no, no}, []Match{no, no}},
		{Decision{Allowed: true}, []Match{yes, yes}, []Match{yes, yes}},
		{Decision{}, []Match{yes}, nil},
	} {
		x := Explanation{Decision: test.decision, Matched: test.matched}
		if diff := cmp.Diff(test.want, x.Deciding(), cmp.AllowUnexported(Match{}, rawStatement{})); diff != "" {
			t.Errorf("%+v: %s", test.decision, diff)
		}
	}
}

// An explanation decides as Evaluate does, and what it shows accounts for the decision.
func TestExplainAgreesWithEvaluate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawn := drawSet(t)
		request, about := drawRequest(t)
		set := drawn.compile(t, about)
		set.Context = Context{"a:number": {"7"}}
		x := Explain(request, set)
		if d := Evaluate(request, set); x.Decision != d {
			t.Fatalf("explained %+v, evaluated %+v", x.Decision, d)
		}
		denying := func(m Match) bool { return m.Deny }
		deciding := func(m Match) bool { return m.Statement == x.Statement && m.Deny == x.Explicit }
		switch {
		case x.Reason == ReasonAlways:
		case x.Explicit:
			if x.Layers[x.Reason] != OutcomeExplicitDeny || !slices.ContainsFunc(x.Matched, deciding) {
				t.Fatalf("nothing denies in %+v", x)
			}
		case slices.ContainsFunc(x.Matched, denying):
			t.Fatalf("a denial was missed in %+v", x)
		case x.Allowed:
			if x.Statement != (Statement{}) && !slices.ContainsFunc(x.Matched, deciding) {
				t.Fatalf("nothing allows in %+v", x)
			}
			for _, reason := range []Reason{ReasonSCP, ReasonRCP, ReasonEndpoint} {
				if outcome, ok := x.Layers[reason]; ok && outcome != OutcomeAllowed {
					t.Fatalf("%s limits in %+v", reason, x)
				}
			}
		case x.Reason != ReasonResource && x.Reason != ReasonTrust: // these also deny whom no policy may allow
			if x.Layers[x.Reason] != OutcomeImplicitDeny {
				t.Fatalf("%s allows in %+v", x.Reason, x)
			}
		}
		for _, m := range x.Matched {
			if (m.Layer == ReasonGrant) != (m.Start == Position{} && m.End == Position{}) {
				t.Fatalf("%+v is written nowhere", m)
			}
		}
		for _, key := range x.Missing {
			if values := x.context.get(strings.ToLower(key)); len(values) > 0 {
				t.Fatalf("%s is not missing: %q", key, values)
			}
		}
	})
}
