package sts_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

type in = map[string]any

const (
	account = coffertest.Account
	rolePre = "arn:aws:iam::" + account + ":role/"
)

// world is a server with a clock, and who there is.
type world struct {
	*coffertest.Server
	t     *testing.T
	clock *coffertest.FakeClock
}

func newWorld(t *testing.T) *world {
	clock := coffertest.NewClock()
	return &world{coffertest.Start(t, coffertest.Clock(clock.Now)), t, clock}
}

// statement is a statement of an identity's policy, with a condition or none.
func statement(effect, action, resource string, condition ...string) string {
	return `{"Effect":"` + effect + `","Action":"` + action + `","Resource":"` + resource + `"` + conditioned(condition) + `}`
}

func conditioned(condition []string) string {
	if len(condition) == 0 {
		return ""
	}
	return `,"Condition":` + condition[0]
}

func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// trust is a statement of a trust policy: of an ARN or an account that may do these things.
func trust(principal, actions string, condition ...string) string {
	return `{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":["` + strings.ReplaceAll(actions, " ", `","`) + `"]` + conditioned(condition) + `}`
}

// user makes a user with these statements as its policy, and returns a client that signs as the user.
func (w *world) user(name string, statements ...string) *coffertest.Server {
	w.t.Helper()
	w.MustQuery("iam", "CreateUser", in{"UserName": name})
	if len(statements) > 0 {
		w.MustQuery("iam", "PutUserPolicy", in{"UserName": name, "PolicyName": "p", "PolicyDocument": document(statements...)})
	}
	return w.As(w.MustQuery("iam", "CreateAccessKey", in{"UserName": name}).KeyOf())
}

// role makes a role with this trust policy and these statements as its policy. more is further input of CreateRole.
func (w *world) role(name, trusting string, more in, statements ...string) string {
	w.t.Helper()
	input := in{"RoleName": name, "Path": "/team/", "AssumeRolePolicyDocument": trusting}
	for key, value := range more {
		input[key] = value
	}
	arn := w.MustQuery("iam", "CreateRole", input).Text("Arn")
	if len(statements) > 0 {
		w.MustQuery("iam", "PutRolePolicy", in{"RoleName": name, "PolicyName": "p", "PolicyDocument": document(statements...)})
	}
	return arn
}

// assume is the input of AssumeRole.
func assume(role string, more in) in {
	input := in{"RoleArn": role, "RoleSessionName": "run1"}
	for key, value := range more {
		input[key] = value
	}
	return input
}

// session assumes a role and returns a client that signs as its session.
func session(s *coffertest.Server, role string, more in) *coffertest.Server {
	return s.As(s.MustQuery("sts", "AssumeRole", assume(role, more)).KeyOf())
}

func tags(pairs ...string) (all []any) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, in{"Key": pairs[i], "Value": pairs[i+1]})
	}
	return all
}

func policies(arns ...string) (all []any) {
	for _, arn := range arns {
		all = append(all, in{"arn": arn})
	}
	return all
}

// refused wants an error of a code and a message; an empty message is any.
func (w *world) refused(what string, r coffertest.Response, status int, code, message string) {
	w.t.Helper()
	if r.Status != status || r.Code() != code || message != "" && r.Message() != message {
		w.t.Errorf("%s: status %d: %s\nwant %d %s: %s", what, r.Status, r.Body, status, code, message)
	}
}

func (w *world) denied(what string, r coffertest.Response, message string) {
	w.t.Helper()
	w.refused(what, r, http.StatusForbidden, "AccessDenied", message)
}

func (w *world) invalid(what string, r coffertest.Response, message string) {
	w.t.Helper()
	w.refused(what, r, http.StatusBadRequest, "ValidationError", message)
}

func TestAssumeRole(t *testing.T) {
	w := newWorld(t)
	role := w.role("Builder", document(trust(account, "sts:AssumeRole")), nil, statement("Allow", "ecr:DescribeRepositories", "*"))
	ann := w.user("ann", statement("Allow", "sts:AssumeRole", rolePre+"*"))
	r := ann.MustQuery("sts", "AssumeRole", assume(role, nil))
	key := r.KeyOf()
	if !regexp.MustCompile(`^ASIA[A-Z2-7]{16}$`).MatchString(key.AccessKeyID) || len(key.SecretAccessKey) != 40 || len(key.SessionToken) > 1000 {
		t.Errorf("the credentials are %+v", key)
	}
	want := map[string]string{
		"Expiration": w.clock.Now().Add(time.Hour).UTC().Format(time.RFC3339), "Arn": "arn:aws:sts::123456789012:assumed-role/Builder/run1",
		"PackedPolicySize": "", "SourceIdentity": "",
	}
	got := map[string]string{}
	for element := range want {
		got[element] = r.Text(element)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if id := r.Text("AssumedRoleId"); !regexp.MustCompile(`^AROA[A-Z2-7]{17}:run1$`).MatchString(id) {
		t.Errorf("AssumedRoleId %s", id)
	}
	run := w.As(key)
	who := run.MustQuery("sts", "GetCallerIdentity", nil)
	if who.Text("Arn") != want["Arn"] || who.Text("UserId") != r.Text("AssumedRoleId") || who.Text("Account") != account {
		t.Errorf("it is %s", who.Body)
	}
	run.MustECR("DescribeRepositories", in{}, nil)
	w.refused("what the role may not do", run.ECR("DescribeRegistry", in{}), http.StatusBadRequest, "AccessDeniedException", "")
	// An edit of the role's policies counts at once.
	w.MustQuery("iam", "DeleteRolePolicy", in{"RoleName": "Builder", "PolicyName": "p"})
	w.refused("once its policy is gone", run.ECR("DescribeRepositories", in{}), http.StatusBadRequest, "AccessDeniedException", "")
	if account := w.MustQuery("sts", "GetAccessKeyInfo", in{"AccessKeyId": key.AccessKeyID}).Text("Account"); account != coffertest.Account {
		t.Errorf("the key is of account %s", account)
	}
	for _, operation := range []string{"GetSessionToken", "GetFederationToken"} {
		w.denied(operation, run.Query("sts", operation, in{"Name": "bob"}), "Cannot call "+operation+" with session credentials")
	}
}

// What AssumeRole is refused for is said in the same words whether or not there is such a role.
func TestWhoMayAssume(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.user("ann", statement("Allow", "sts:AssumeRole", rolePre+"*")), w.user("bob")
	open := w.role("open", document(trust(account, "sts:AssumeRole")), nil)
	hers := w.role("hers", document(trust("arn:aws:iam::123456789012:user/ann", "sts:AssumeRole")), nil)
	his := w.role("his", document(trust("arn:aws:iam::123456789012:user/bob", "sts:AssumeRole")), nil)
	const gone = rolePre + "team/gone"
	sentence := func(who, role, suffix string) string {
		return "User: arn:aws:iam::123456789012:user/" + who + " is not authorized to perform: sts:AssumeRole on resource: " + role + suffix
	}
	const (
		byTrust    = " because no role trust policy allows the sts:AssumeRole action"
		byIdentity = " because no identity-based policy allows the sts:AssumeRole action"
	)
	session(ann, open, nil)
	session(ann, hers, nil)
	session(bob, his, nil) // whom the role itself trusts needs no policy
	for _, role := range []string{his, gone} {
		w.denied("a role that doesn't trust her, or is none", ann.Query("sts", "AssumeRole", assume(role, nil)), sentence("ann", role, byTrust))
	}
	for _, role := range []string{open, hers, gone} {
		w.denied("one who may assume none", bob.Query("sts", "AssumeRole", assume(role, nil)), sentence("bob", role, byIdentity))
	}
	for _, role := range []string{open, gone} {
		w.denied("root", w.Query("sts", "AssumeRole", assume(role, nil)), "Roles may not be assumed by root accounts.")
	}
	for _, role := range []string{"arn:aws:iam::123456789012:user/open", "arn:aws:iam::12345678901:role/open", "arn:aws:iam:us-east-1:123456789012:role/open",
		"arn:aws:sts::123456789012:role/open", "arn:aws-cn:iam::123456789012:role/open", "no ARN, but long enough"} {
		w.invalid("no role", ann.Query("sts", "AssumeRole", assume(role, nil)), role+" is invalid")
	}
	w.invalid("a context", ann.Query("sts", "AssumeRole", assume(open, in{"ProvidedContexts": []any{in{"ProviderArn": "arn:aws:iam::aws:contextProvider/IdentityCenter",
		"ContextAssertion": "assertion"}}})), "")
	// The name of a role is found without regard to case, and an ARN is not.
	w.denied("another case", ann.Query("sts", "AssumeRole", assume(rolePre+"team/OPEN", nil)), sentence("ann", rolePre+"team/OPEN", byTrust))
}

// The condition keys of AssumeRole, by trust policies that want them to have a value.
func TestConditionsOfAssumeRole(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", statement("Allow", "sts:*", "*"))
	for i, test := range []struct {
		condition string
		// good is further input that is allowed, and bad what is denied; nil is none.
		good []in
		bad  []in
	}{
		{`{"StringEquals":{"sts:ExternalId":"x1"}}`, []in{{"ExternalId": "x1"}}, []in{nil, {"ExternalId": "x2"}}},
		{`{"StringLike":{"sts:RoleSessionName":"run*"}}`, []in{nil}, []in{{"RoleSessionName": "other"}}},
		{`{"StringEquals":{"sts:RoleSessionName":"${aws:username}"}}`, []in{{"RoleSessionName": "ann"}}, []in{nil}},
		{`{"StringEquals":{"sts:SourceIdentity":"ann"}}`, []in{{"SourceIdentity": "ann"}}, []in{nil, {"SourceIdentity": "bob"}}},
		{`{"NumericLessThanEquals":{"sts:DurationSeconds":"3600"}}`, []in{nil}, []in{{"DurationSeconds": 3601}}},
		{`{"StringEquals":{"aws:RequestTag/team":"a"}}`, []in{{"Tags": tags("Team", "a")}}, []in{nil, {"Tags": tags("team", "b")}}},
		{`{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}`, []in{{"Tags": tags("a", "1")}}, []in{{"Tags": tags("a", "1", "c", "1")}}},
		{`{"ForAnyValue:StringEquals":{"sts:TransitiveTagKeys":"a"}}`, []in{{"Tags": tags("a", "1"), "TransitiveTagKeys": []string{"a"}}}, []in{{"Tags": tags("a", "1")}, nil}},
		{`{"Null":{"aws:MultiFactorAuthPresent":"true","aws:TokenIssueTime":"true"}}`, []in{nil}, nil},
		{`{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`, nil, []in{nil}},
		{`{"StringEquals":{"aws:ResourceTag/t":"role"}}`, []in{nil}, nil},
	} {
		role := w.role(fmt.Sprint("r", i), document(trust(account, "sts:AssumeRole sts:TagSession sts:SetSourceIdentity", test.condition)),
			in{"MaxSessionDuration": 7200, "Tags": tags("t", "role")})
		for _, good := range test.good {
			session(ann, role, good)
		}
		for _, bad := range test.bad {
			w.denied(test.condition, ann.Query("sts", "AssumeRole", assume(role, bad)), "")
		}
	}
}

// Tags and a source identity need permissions of their own, on both sides.
func TestTagSessionAndSetSourceIdentity(t *testing.T) {
	w := newWorld(t)
	plain := w.role("plain", document(trust(account, "sts:AssumeRole")), nil)
	full := w.role("full", document(trust(account, "sts:AssumeRole sts:TagSession sts:SetSourceIdentity")), nil)
	ann, bob := w.user("ann", statement("Allow", "sts:*", "*")), w.user("bob", statement("Allow", "sts:AssumeRole", "*"))
	for action, more := range map[string]in{"sts:TagSession": {"Tags": tags("k", "v")}, "sts:SetSourceIdentity": {"SourceIdentity": "ann"}} {
		for who, s := range map[string]*coffertest.Server{plain: ann, full: bob} {
			r := s.Query("sts", "AssumeRole", assume(who, more))
			if w.denied(action, r, ""); !strings.Contains(r.Message(), "is not authorized to perform: "+action+" on resource: "+who) {
				t.Errorf("%s: %s", action, r.Message())
			}
		}
		session(ann, full, more)
	}
	r := ann.MustQuery("sts", "AssumeRole", assume(full, in{"SourceIdentity": "ann", "Tags": tags("k", "v")}))
	if r.Text("SourceIdentity") != "ann" || r.Text("PackedPolicySize") == "" {
		t.Errorf("%s", r.Body)
	}
}

func TestChainsOfRoles(t *testing.T) {
	w := newWorld(t)
	all := document(trust(account, "sts:AssumeRole sts:TagSession sts:SetSourceIdentity"))
	first := w.role("first", all, in{"MaxSessionDuration": 43200}, statement("Allow", "sts:*", "*"))
	second := w.role("second", all, in{"MaxSessionDuration": 43200, "Tags": tags("TEAM", "role")}, statement("Allow", "sts:*", "*"))
	third := w.role("third", document(trust(account, "sts:AssumeRole sts:TagSession sts:SetSourceIdentity", `{"StringEquals":{"aws:PrincipalTag/team":"a"},"Null":{"aws:PrincipalTag/once":"true"}}`)), nil)
	ann := w.user("ann", statement("Allow", "sts:*", "*"))
	one := session(ann, first, in{"DurationSeconds": 43200, "Tags": tags("team", "a", "once", "o", "id", "1"), "TransitiveTagKeys": []string{"Team", "ID"}, "SourceIdentity": "ann"})
	w.invalid("longer than an hour", one.Query("sts", "AssumeRole", assume(second, in{"DurationSeconds": 3601})),
		"The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	for _, more := range []in{{"Tags": tags("TEAM", "b")}, {"Tags": tags("team", "a")}, {"Tags": tags("\u0130d", "2")}, {"TransitiveTagKeys": []string{"team"}}} {
		w.refused("overriding a transitive tag", one.Query("sts", "AssumeRole", assume(second, more)), http.StatusBadRequest, "InvalidParameterValue",
			"One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
	}
	w.denied("another source identity", one.Query("sts", "AssumeRole", assume(second, in{"SourceIdentity": "bob"})), "")
	r := one.MustQuery("sts", "AssumeRole", assume(second, in{"DurationSeconds": 3600, "Tags": tags("own", "x")}))
	if r.Text("SourceIdentity") != "ann" {
		t.Errorf("the source identity got lost: %s", r.Body)
	}
	two := w.As(r.KeyOf())
	// The tag that goes on is in place of the role's, and the one that doesn't is gone.
	three := two.MustQuery("sts", "AssumeRole", assume(third, nil))
	if three.Text("SourceIdentity") != "ann" {
		t.Errorf("the source identity got lost: %s", three.Body)
	}
	w.denied("what does not go on is there in the first session", one.Query("sts", "AssumeRole", assume(third, nil)), "")
	// What a session inherits needs the permissions that it needed at first.
	closed := w.role("closed", document(trust(account, "sts:AssumeRole")), nil)
	if r := two.Query("sts", "AssumeRole", assume(closed, nil)); !strings.Contains(r.Message(), "sts:TagSession") {
		t.Errorf("an inherited tag: %s", r.Body)
	}
	identityOnly := w.role("identity", document(trust(account, "sts:AssumeRole sts:TagSession")), nil)
	if r := two.Query("sts", "AssumeRole", assume(identityOnly, nil)); !strings.Contains(r.Message(), "sts:SetSourceIdentity") {
		t.Errorf("an inherited source identity: %s", r.Body)
	}
	// In the trust policy, the tag that goes on is in place of the role's.
	tagged := w.role("tagged", document(trust(account, "sts:AssumeRole sts:TagSession sts:SetSourceIdentity", `{"StringEquals":{"aws:ResourceTag/team":"a","aws:ResourceTag/other":"o"}}`)),
		in{"Tags": tags("Team", "role", "other", "o")})
	session(two, tagged, nil)
	w.denied("the role's own tag", ann.Query("sts", "AssumeRole", assume(tagged, nil)), "")
}

func TestWhatSessionTagsMayBe(t *testing.T) {
	w := newWorld(t)
	role := w.role("Builder", document(trust(account, "sts:AssumeRole sts:TagSession")), nil)
	ann := w.user("ann", statement("Allow", "sts:*", "*"))
	var many []string
	for i := range 51 {
		many = append(many, fmt.Sprint("k", i), "v")
	}
	w.refused("twice", ann.Query("sts", "AssumeRole", assume(role, in{"Tags": tags("k", "1", "K", "2")})), http.StatusBadRequest, "InvalidParameterValue",
		"Duplicate tag keys found. Please note that Tag keys are case insensitive.")
	w.refused("not passed", ann.Query("sts", "AssumeRole", assume(role, in{"Tags": tags("k", "1"), "TransitiveTagKeys": []string{"other"}})), http.StatusBadRequest, "InvalidParameterValue",
		"The specified transitive tag key must be included in the requested tags.")
	w.invalid("reserved", ann.Query("sts", "AssumeRole", assume(role, in{"Tags": tags("AWS:k", "1")})), "")
	w.invalid("too many", ann.Query("sts", "AssumeRole", assume(role, in{"Tags": tags(many...)})), "")
	session(ann, role, in{"Tags": tags(many[:100]...)})
}

func TestDurations(t *testing.T) {
	w := newWorld(t)
	role := w.role("Builder", document(trust(account, "sts:AssumeRole")), in{"MaxSessionDuration": 7200})
	ann := w.user("ann", statement("Allow", "sts:AssumeRole", "*"))
	for seconds, life := range map[any]time.Duration{nil: time.Hour, 900: 15 * time.Minute, 7200: 2 * time.Hour} {
		r := ann.MustQuery("sts", "AssumeRole", assume(role, in{"DurationSeconds": seconds}))
		if want := w.clock.Now().Add(life).UTC().Format(time.RFC3339); r.Text("Expiration") != want {
			t.Errorf("%v s: until %s, want %s", seconds, r.Text("Expiration"), want)
		}
	}
	w.invalid("longer than the role", ann.Query("sts", "AssumeRole", assume(role, in{"DurationSeconds": 7201})),
		"The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	w.invalid("too short", ann.Query("sts", "AssumeRole", assume(role, in{"DurationSeconds": 899})), "")
	w.invalid("too long", ann.Query("sts", "AssumeRole", assume(role, in{"DurationSeconds": 43201})), "")
	run := session(ann, role, in{"DurationSeconds": 900})
	w.clock.Advance(15*time.Minute - time.Second)
	run.MustQuery("sts", "GetCallerIdentity", nil)
	w.clock.Advance(time.Second)
	w.refused("the session's end", run.Query("sts", "GetCallerIdentity", nil), http.StatusForbidden, "ExpiredToken", "The security token included in the request is expired")
}
