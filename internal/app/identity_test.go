package app_test

import (
	"net/http"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// document is a policy of one statement.
func document(effect, action, resource string) string {
	return `{"Version":"2012-10-17","Statement":{"Effect":"` + effect + `","Action":"` + action + `","Resource":"` + resource + `"}}`
}

// user makes a user with these inline policies, and returns a client that signs as the user.
func user(s *coffertest.Server, name string, documents ...string) *coffertest.Server {
	s.MustQuery("iam", "CreateUser", map[string]any{"UserName": name})
	for i, text := range documents {
		s.MustQuery("iam", "PutUserPolicy", map[string]any{"UserName": name, "PolicyName": "p" + string(rune('0'+i)), "PolicyDocument": text})
	}
	return s.As(s.MustQuery("iam", "CreateAccessKey", map[string]any{"UserName": name}).KeyOf())
}

func wantStatus(t *testing.T, r coffertest.Response, status int, code string) {
	t.Helper()
	if r.Status != status || r.Code() != code {
		t.Errorf("status %d, want %d %s: %s", r.Status, status, code, r.Body)
	}
}

// A user may do what its policies say, on the API and on /v2/, from one request to the next.
func TestUserHasTheRightsOfItsPolicies(t *testing.T) {
	root := coffertest.Start(t)
	for _, name := range []string{"team/app", "team/other"} {
		root.CreateRepository(name)
	}
	ann := user(root, "ann", document("Allow", "ecr:*", "arn:aws:ecr:us-east-1:123456789012:repository/team/app"), document("Allow", "ecr:GetAuthorizationToken", "*"))
	if arn := ann.MustQuery("sts", "GetCallerIdentity", nil).Text("Arn"); arn != "arn:aws:iam::123456789012:user/ann" {
		t.Errorf("she is %s", arn)
	}
	ann.MustECR("ListImages", map[string]any{"repositoryName": "team/app"}, nil)
	wantStatus(t, ann.ECR("ListImages", map[string]any{"repositoryName": "team/other"}), http.StatusBadRequest, "AccessDeniedException")
	wantStatus(t, ann.Query("iam", "CreateUser", map[string]any{"UserName": "bob"}), http.StatusForbidden, "AccessDenied")
	token := ann.Token()
	ann.PushImage(token, "team/app", "1", []byte("layer"))
	wantStatus(t, ann.V2(token, http.MethodGet, "/v2/team/other/tags/list", nil), http.StatusForbidden, "DENIED")
	root.MustQuery("iam", "PutUserPolicy", map[string]any{"UserName": "ann", "PolicyName": "p0", "PolicyDocument": document("Deny", "ecr:BatchGetImage", "*")})
	wantStatus(t, ann.V2(token, http.MethodGet, "/v2/team/app/manifests/1", nil), http.StatusForbidden, "DENIED")
}
