package iam_test

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// statement is a policy of one statement, which ends as more says.
func statement(effect, action, resource, more string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"` + effect + `","Action":"` + action + `","Resource":"` + resource + `"` + more + `}]}`
}

const (
	iamARN = "arn:aws:iam::123456789012:"
	appARN = "arn:aws:ecr:us-east-1:123456789012:repository/team/app"
)

// newUser makes a user with an inline policy, and returns a client that signs as the user.
func newUser(s *coffertest.Server, name, document string) *coffertest.Server {
	s.MustQuery("iam", "CreateUser", map[string]any{"UserName": name})
	s.MustQuery("iam", "PutUserPolicy", map[string]any{"UserName": name, "PolicyName": "own", "PolicyDocument": document})
	return s.As(s.MustQuery("iam", "CreateAccessKey", map[string]any{"UserName": name}).KeyOf())
}

// simulated is what a client reads of an answer of the simulator.
type simulated struct {
	Results []struct {
		Action   string `xml:"EvalActionName"`
		Resource string `xml:"EvalResourceName"`
		Decision string `xml:"EvalDecision"`
		Matched  []struct {
			ID    string   `xml:"SourcePolicyId"`
			Type  string   `xml:"SourcePolicyType"`
			Start position `xml:"StartPosition"`
			End   position `xml:"EndPosition"`
		} `xml:"MatchedStatements>member"`
		Missing       []string `xml:"MissingContextValues>member"`
		Boundary      string   `xml:"PermissionsBoundaryDecisionDetail>AllowedByPermissionsBoundary"`
		Organizations string   `xml:"OrganizationsDecisionDetail>AllowedByOrganizations"`
		Specific      []struct {
			Resource string   `xml:"EvalResourceName"`
			Decision string   `xml:"EvalResourceDecision"`
			Missing  []string `xml:"MissingContextValues>member"`
			Details  []detail `xml:"EvalDecisionDetails>entry"`
		} `xml:"ResourceSpecificResults>member"`
	} `xml:"EvaluationResults>member"`
	Truncated bool   `xml:"IsTruncated"`
	Marker    string `xml:"Marker"`
}

type position struct{ Line, Column int }

type detail struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

func simulate(t *testing.T, s *coffertest.Server, operation string, in map[string]any) simulated {
	t.Helper()
	var out struct {
		Custom    simulated `xml:"SimulateCustomPolicyResult"`
		Principal simulated `xml:"SimulatePrincipalPolicyResult"`
	}
	if err := xml.Unmarshal(s.MustQuery("iam", operation, in).Body, &out); err != nil {
		t.Fatal(err)
	}
	if operation == "SimulateCustomPolicy" {
		return out.Custom
	}
	return out.Principal
}

// decisions are the answers as "action resource decision", with the policies that matched.
func (s simulated) decisions() (all []string) {
	for _, r := range s.Results {
		text := r.Action + " on " + r.Resource + " " + r.Decision
		for _, m := range r.Matched {
			text += " " + m.ID
		}
		all = append(all, text)
	}
	return all
}

func wantDecisions(t *testing.T, s simulated, decisions ...string) {
	t.Helper()
	if diff := cmp.Diff(decisions, s.decisions()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestCustomPolicyIsSimulated(t *testing.T) {
	s := coffertest.Start(t)
	documented := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}`
	later := map[string]any{"ContextKeyName": "aws:CurrentTime", "ContextKeyValues": []string{"2019-04-25T11:00:00Z"}, "ContextKeyType": "date"}
	out := simulate(t, s, "SimulateCustomPolicy", map[string]any{"PolicyInputList": []string{documented}, "ActionNames": []string{"dynamodb:CreateBackup"}, "ContextEntries": []any{later}})
	wantDecisions(t, out, "dynamodb:CreateBackup on * allowed PolicyInputList.1")
	if m := out.Results[0].Matched[0]; m.Type != "IAM Policy" || m.Start != (position{1, 38}) || m.End != (position{1, 167}) {
		t.Errorf("the places of AWS's example: %+v", m)
	}
	out = simulate(t, s, "SimulateCustomPolicy", map[string]any{"PolicyInputList": []string{documented}, "ActionNames": []string{"dynamodb:CreateBackup"}})
	wantDecisions(t, out, "dynamodb:CreateBackup on * implicitDeny")
	if diff := cmp.Diff([]string{"aws:CurrentTime"}, out.Results[0].Missing); diff != "" {
		t.Errorf("missing keys: -want +got\n%s", diff)
	}

	in := map[string]any{
		"PolicyInputList":                    []string{statement("Allow", "ecr:*", "*", ""), statement("Deny", "ecr:PutImage", "*", "")},
		"PermissionsBoundaryPolicyInputList": []string{statement("Allow", "ecr:*Image", "*", "")},
		"ActionNames":                        []string{"ecr:PutImage", "ecr:BatchGetImage", "ecr:ListImages"}, "ResourceArns": []string{appARN, "*"},
	}
	out = simulate(t, s, "SimulateCustomPolicy", in)
	all := []string{
		"ecr:PutImage on " + appARN + " explicitDeny PolicyInputList.2", "ecr:PutImage on * explicitDeny PolicyInputList.2",
		"ecr:BatchGetImage on " + appARN + " allowed PermissionsBoundaryPolicyInputList.1 PolicyInputList.1",
		"ecr:BatchGetImage on * allowed PermissionsBoundaryPolicyInputList.1 PolicyInputList.1",
		"ecr:ListImages on " + appARN + " implicitDeny", "ecr:ListImages on * implicitDeny",
	}
	wantDecisions(t, out, all...)
	if r := out.Results[4]; r.Boundary != "false" || len(r.Specific) != 1 || r.Specific[0].Resource != appARN || r.Specific[0].Decision != "implicitDeny" {
		t.Errorf("what the boundary doesn't allow: %+v", r)
	}
	if r := out.Results[5]; r.Specific != nil {
		t.Errorf("no resource: %+v", r)
	}

	// Page by page.
	in["MaxItems"] = 4
	first := simulate(t, s, "SimulateCustomPolicy", in)
	wantDecisions(t, first, all[:4]...)
	in["Marker"] = first.Marker
	second := simulate(t, s, "SimulateCustomPolicy", in)
	if wantDecisions(t, second, all[4:]...); !first.Truncated || second.Truncated || second.Marker != "" {
		t.Errorf("pages: %v, %v", first.Truncated, second.Truncated)
	}
}

// A simulation across accounts needs both of them to allow.
func TestResourcePolicyIsSimulated(t *testing.T) {
	s := coffertest.Start(t)
	ann, other := iamARN+"user/ann", "arn:aws:ecr:us-east-1:111122223333:repository/app"
	policy := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + ann + `"},"Action":"ecr:BatchGetImage"}}`
	for _, test := range []struct {
		name, resource, identity, resourcePolicy, owner string
		want                                            string
		details                                         []detail
	}{
		{"one's own account", appARN, "ecr:PutImage", policy, "", "allowed ResourcePolicy", nil},
		{"nobody allows", other, "ecr:PutImage", "", "", "implicitDeny", []detail{{"IAM Policy", "implicitDeny"}, {"Resource Policy", "implicitDeny"}}},
		{"the resource allows", other, "ecr:PutImage", policy, "", "implicitDeny", []detail{{"IAM Policy", "implicitDeny"}, {"Resource Policy", "allowed"}}},
		{"both allow", other, "ecr:*", policy, "", "allowed PolicyInputList.1 ResourcePolicy", []detail{{"IAM Policy", "allowed"}, {"Resource Policy", "allowed"}}},
		{"an owner who is named", "arn:aws:ecr:us-east-1::repository/app", "ecr:*", "", "arn:aws:iam::111122223333:root", "implicitDeny",
			[]detail{{"IAM Policy", "allowed"}, {"Resource Policy", "implicitDeny"}}},
		{"an owner who isn't", "arn:aws:ecr:us-east-1::repository/app", "ecr:*", "", "", "allowed PolicyInputList.1", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := map[string]any{"PolicyInputList": []string{statement("Allow", test.identity, "*", "")}, "CallerArn": ann,
				"ActionNames": []string{"ecr:BatchGetImage"}, "ResourceArns": []string{test.resource}}
			for key, value := range map[string]string{"ResourcePolicy": test.resourcePolicy, "ResourceOwner": test.owner} {
				if value != "" {
					in[key] = value
				}
			}
			out := simulate(t, s, "SimulateCustomPolicy", in)
			wantDecisions(t, out, "ecr:BatchGetImage on "+test.resource+" "+test.want)
			if diff := cmp.Diff(test.details, out.Results[0].Specific[0].Details); diff != "" {
				t.Errorf("details: -want +got\n%s", diff)
			}
		})
	}
}

func TestSimulationIsRefused(t *testing.T) {
	s := coffertest.Start(t)
	newUser(s, "ann", statement("Allow", "ecr:*", "*", ""))
	entry := func(typ string, values ...string) map[string]any {
		return map[string]any{"ContextEntries": []any{map[string]any{"ContextKeyName": "aws:SomeKey", "ContextKeyType": typ, "ContextKeyValues": values}}}
	}
	for _, test := range []struct {
		name string
		more map[string]any
		code string
	}{
		{"nothing wrong", nil, ""},
		{"no policy", map[string]any{"PolicyInputList": []string{`{"Statement":[]`}}, "InvalidInput"},
		{"a wildcard", map[string]any{"ActionNames": []string{"ecr:*"}}, "InvalidInput"},
		{"no ARN", map[string]any{"ResourceArns": []string{"team/app"}}, "InvalidInput"},
		{"a caller that is no user", map[string]any{"CallerArn": iamARN + "role/builder"}, "InvalidInput"},
		{"a resource policy and no caller", map[string]any{"ResourcePolicy": statement("Allow", "ecr:*", "*", `,"Principal":"*"`)}, "InvalidInput"},
		{"an owner that is no account", map[string]any{"ResourceOwner": iamARN + "user/ann"}, "InvalidInput"},
		{"two boundaries", map[string]any{"PermissionsBoundaryPolicyInputList": []string{statement("Allow", "*", "*", ""), statement("Allow", "*", "*", "")}}, "InvalidInput"},
		{"too many", map[string]any{"ActionNames": slices.Repeat([]string{"ecr:PutImage"}, 101), "ResourceArns": slices.Repeat([]string{appARN}, 100)}, "InvalidInput"},
		{"a number", entry("numeric", "1.5"), ""},
		{"no number", entry("numeric", "many"), "InvalidInput"},
		{"two numbers", entry("numeric", "1", "2"), "InvalidInput"},
		{"a list of numbers", entry("numericList", "1", "2"), ""},
		{"no truth", entry("boolean", "yes"), "InvalidInput"},
		{"no address", entry("ip", "localhost"), "InvalidInput"},
		{"addresses", entry("ipList", "203.0.113.7", "2001:db8::/32"), ""},
		{"a date", entry("date", "2019-04-25T11:00Z"), ""},
		{"no date", entry("date", "tomorrow"), "InvalidInput"},
		{"a marker of another list", map[string]any{"Marker": s.MustQuery("iam", "ListUsers", map[string]any{"MaxItems": 1}).Text("Marker") + "x"}, "ValidationError"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := map[string]any{"PolicyInputList": []string{statement("Allow", "ecr:*", "*", "")}, "ActionNames": []string{"ecr:PutImage"}}
			for key, value := range test.more {
				in[key] = value
			}
			if r := s.Query("iam", "SimulateCustomPolicy", in); r.Text("Code") != test.code {
				t.Errorf("status %d: %s", r.Status, r.Body)
			}
		})
	}
	for source, code := range map[string]string{
		iamARN + "user/bob": "NoSuchEntity", iamARN + "user/team/ann": "NoSuchEntity", iamARN + "user/ANN": "NoSuchEntity",
		iamARN + "root": "InvalidInput", "arn:aws:sts::123456789012:assumed-role/builder/run": "InvalidInput",
		"arn:aws:iam::111122223333:user/ann": "AccessDenied",
	} {
		in := map[string]any{"PolicySourceArn": source, "ActionNames": []string{"ecr:PutImage"}}
		if r := s.Query("iam", "SimulatePrincipalPolicy", in); r.Text("Code") != code {
			t.Errorf("the policies of %s: status %d: %s", source, r.Status, r.Body)
		}
	}
}

// A page ends where it has read much, however many answers were asked for.
func TestSimulationIsBounded(t *testing.T) {
	s := coffertest.Start(t)
	var statements []string
	for i := range 900 {
		statements = append(statements, `{"Sid":"s`+strconv.Itoa(i)+`","Effect":"Allow","Action":"ecr:PutImage","Resource":"arn:aws:ecr:*:*:repository/`+strconv.Itoa(i)+`"}`)
	}
	document := `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
	resources := make([]string, 25)
	for i := range resources {
		resources[i] = "arn:aws:ecr:us-east-1:123456789012:repository/" + strconv.Itoa(i)
	}
	input := map[string]any{"PolicyInputList": []string{document, document}, "ActionNames": []string{"ecr:PutImage"}, "ResourceArns": resources, "MaxItems": 1000}
	first := simulate(t, s, "SimulateCustomPolicy", input)
	if n := len(first.Results); !first.Truncated || n*2*len(document) > 5<<20 || n < 10 {
		t.Errorf("%d answers, each from %d bytes of policies", n, 2*len(document))
	}
	input["Marker"] = first.Marker
	second := simulate(t, s, "SimulateCustomPolicy", input)
	if n := len(first.Results) + len(second.Results); n != len(resources) || second.Truncated || second.Results[0].Resource != resources[len(first.Results)] {
		t.Errorf("%d answers in two pages", n)
	}
}

func TestContextKeysAreListed(t *testing.T) {
	s := coffertest.Start(t)
	newUser(s, "ann", statement("Allow", "ecr:*", "arn:aws:ecr:*:*:repository/${aws:username}", `,"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`))
	given := []string{statement("Allow", "ecr:*", "*", `,"Condition":{"Bool":{"aws:SecureTransport":"true"}}`)}
	for operation, test := range map[string]struct {
		in   map[string]any
		want []string
	}{
		"GetContextKeysForCustomPolicy": {map[string]any{"PolicyInputList": given}, []string{"aws:SecureTransport"}},
		"GetContextKeysForPrincipalPolicy": {map[string]any{"PolicyInputList": given, "PolicySourceArn": iamARN + "user/ann"},
			[]string{"aws:SecureTransport", "aws:SourceIp", "aws:username"}},
	} {
		if diff := cmp.Diff(test.want, s.MustQuery("iam", operation, test.in).Texts("member")); diff != "" {
			t.Errorf("%s: -want +got\n%s", operation, diff)
		}
	}
	if r := s.Query("iam", "GetContextKeysForCustomPolicy", map[string]any{"PolicyInputList": []string{"{}"}}); r.Status != http.StatusBadRequest || r.Text("Code") != "InvalidInput" {
		t.Errorf("status %d: %s", r.Status, r.Body)
	}
}
