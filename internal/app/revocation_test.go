package app_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// builder makes a role that ann may assume and that may do everything with ECR, and returns her and its ARN.
func builder(s *coffertest.Server) (ann *coffertest.Server, role string) {
	ann = user(s, "ann", document("Allow", "sts:*", "*"), document("Allow", "ecr:*", "*"))
	role = s.MustQuery("iam", "CreateRole", map[string]any{"RoleName": "Builder", "AssumeRolePolicyDocument": `{"Version":"2012-10-17","Statement":{
		"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"}}`}).Text("Arn")
	s.MustQuery("iam", "PutRolePolicy", map[string]any{"RoleName": "Builder", "PolicyName": "p", "PolicyDocument": document("Allow", "ecr:*", "*")})
	return ann, role
}

func run(s *coffertest.Server, role string) *coffertest.Server {
	return s.As(s.MustQuery("sts", "AssumeRole", map[string]any{"RoleArn": role, "RoleSessionName": "run1"}).KeyOf())
}

// holder has credentials, and a registry token that was issued to them.
type holder struct {
	*coffertest.Server
	token string
}

func holding(s *coffertest.Server) holder { return holder{s, s.Token()} }

// in wants both to be good.
func (h holder) in(t *testing.T, what string) {
	t.Helper()
	if r := h.ECR("ListImages", map[string]any{"repositoryName": "team/app"}); r.Status != http.StatusOK {
		t.Errorf("%s: the API: status %d: %s", what, r.Status, r.Body)
	}
	if r := h.V2(h.token, http.MethodGet, "/v2/team/app/tags/list", nil); r.Status != http.StatusOK {
		t.Errorf("%s: /v2/: status %d: %s", what, r.Status, r.Body)
	}
}

// out wants the API to refuse with a code, and /v2/ to ask for another login.
func (h holder) out(t *testing.T, what, code string) {
	t.Helper()
	if r := h.ECR("ListImages", map[string]any{"repositoryName": "team/app"}); r.Status != http.StatusBadRequest || r.Code() != code {
		t.Errorf("%s: the API: status %d: %s", what, r.Status, r.Body)
	}
	want := http.StatusUnauthorized
	if code == "AccessDeniedException" || code == "ExpiredTokenException" {
		want = http.StatusForbidden
	}
	if r := h.V2(h.token, http.MethodGet, "/v2/team/app/tags/list", nil); r.Status != want {
		t.Errorf("%s: /v2/: status %d, want %d: %s", what, r.Status, want, r.Body)
	}
}

const unrecognized = "UnrecognizedClientException"

// A session of a role pushes and pulls.
func TestSessionsPushAndPull(t *testing.T) {
	root := coffertest.Start(t)
	root.CreateRepository("team/app")
	ann, role := builder(root)
	session := holding(run(ann, role))
	session.PushImage(session.token, "team/app", "1", []byte("layer"))
	session.in(t, "it pushed")
	if r := session.V2(session.token, http.MethodGet, "/v2/team/app/manifests/1", nil); r.Status != http.StatusOK {
		t.Errorf("pull: status %d: %s", r.Status, r.Body)
	}
	for _, r := range root.Trail() {
		if r.EventName == "BatchGetImage" && r.UserIdentity.ARN != "arn:aws:sts::123456789012:assumed-role/Builder/run1" {
			t.Errorf("the trail says of the pull: %s", r.Text)
		}
	}
}

func TestWhoIsGoneIsOut(t *testing.T) {
	root := coffertest.Start(t)
	root.CreateRepository("team/app")
	ann, role := builder(root)
	hers := ann.Credentials.AccessKeyID
	her, session := holding(ann), holding(run(ann, role))
	own := holding(root.As(ann.MustQuery("sts", "GetSessionToken", nil).KeyOf()))
	federated := holding(root.As(ann.MustQuery("sts", "GetFederationToken", map[string]any{"Name": "bob", "Policy": document("Allow", "ecr:*", "*")}).KeyOf()))
	all := map[string]holder{"ann": her, "her session": own, "her federated user": federated}
	check := func(what string, fn func(holder, *testing.T, string)) {
		t.Helper()
		for who, h := range all {
			fn(h, t, what+": "+who)
		}
		session.in(t, what+": the role's session")
	}
	in, out := holder.in, func(h holder, t *testing.T, what string) { h.out(t, what, unrecognized) }
	check("at first", in)
	root.MustQuery("iam", "UpdateAccessKey", map[string]any{"UserName": "ann", "AccessKeyId": hers, "Status": "Inactive"})
	check("her key is inactive", out)
	root.MustQuery("iam", "UpdateAccessKey", map[string]any{"UserName": "ann", "AccessKeyId": hers, "Status": "Active"})
	check("her key is active", in)
	root.MustQuery("iam", "DeleteAccessKey", map[string]any{"UserName": "ann", "AccessKeyId": hers})
	check("her key is deleted", out)
	for _, name := range []string{"p0", "p1"} {
		root.MustQuery("iam", "DeleteUserPolicy", map[string]any{"UserName": "ann", "PolicyName": name})
	}
	root.MustQuery("iam", "DeleteUser", map[string]any{"UserName": "ann"})
	check("she is deleted", out)
	root.MustQuery("iam", "DeleteRolePolicy", map[string]any{"RoleName": "Builder", "PolicyName": "p"})
	session.out(t, "the role's policy is deleted", "AccessDeniedException")
	root.MustQuery("iam", "DeleteRole", map[string]any{"RoleName": "Builder"})
	session.out(t, "the role is deleted", unrecognized)
	another, role := builder(root)
	session.out(t, "another role has its name", unrecognized)
	her.out(t, "another user has her name", unrecognized)
	holding(run(another, role)).in(t, "the new role")
}

// The way of AWS to revoke sessions of a role: deny all that was issued before.
func TestDenyByIssueTime(t *testing.T) {
	clock := coffertest.NewClock()
	root := coffertest.Start(t, coffertest.Clock(clock.Now))
	root.CreateRepository("team/app")
	ann, role := builder(root)
	session := holding(run(ann, role))
	session.in(t, "before")
	clock.Advance(time.Minute)
	root.MustQuery("iam", "PutRolePolicy", map[string]any{"RoleName": "Builder", "PolicyName": "AWSRevokeOlderSessions", "PolicyDocument": `{"Version":"2012-10-17",
		"Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"` + clock.Now().UTC().Format("2006-01-02T15:04:05.000Z") + `"}}}]}`})
	session.out(t, "an older session", "AccessDeniedException")
	holding(run(ann, role)).in(t, "a session of now")
}

func TestRevokedSessionsAreOut(t *testing.T) {
	clock := coffertest.NewClock()
	root := coffertest.Start(t, coffertest.Clock(clock.Now))
	root.CreateRepository("team/app")
	ann, role := builder(root)
	her, session := holding(ann), holding(run(ann, role))
	other := addNeighbour(t, root)
	others := other.Token()
	clock.Advance(time.Second)
	if err := root.RevokeSessions(t.Context(), coffertest.Account, clock.Now()); err != nil {
		t.Fatal(err)
	}
	session.out(t, "a session from before", unrecognized)
	if r := her.V2(her.token, http.MethodGet, "/v2/", nil); r.Status != http.StatusUnauthorized {
		t.Errorf("a registry token from before: status %d", r.Status)
	}
	holding(ann).in(t, "her key")
	holding(run(ann, role)).in(t, "a new session")
	if r := other.InRegistry(neighbour).V2(others, http.MethodGet, "/v2/", nil); r.Status != http.StatusOK {
		t.Errorf("a token of another account: status %d: %s", r.Status, r.Body)
	}
}

// A registry token ends with the session that it comes from, and with the account's wish.
func TestEndOfSessions(t *testing.T) {
	clock := coffertest.NewClock()
	root := coffertest.Start(t, coffertest.Clock(clock.Now))
	root.CreateRepository("team/app")
	ann, role := builder(root)
	her, session := holding(ann), holding(run(ann, role))
	clock.Advance(time.Hour - time.Second)
	session.in(t, "its last second")
	clock.Advance(time.Second)
	session.out(t, "its end", "ExpiredTokenException")
	her.in(t, "a token of a key")
}
