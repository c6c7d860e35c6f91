package app_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
)

// public is a policy that lets everyone pull.
const public = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":[` + pullActions + `,"ecr:ListImages"]}]}`

func allowAnonymous(c *app.Config, _ *app.Options) { c.AllowAnonymous = true }

// requests are the pulls of one image, and what is no pull.
func requests(digest, layer string) (pulls, others [][2]string) {
	return [][2]string{
			{"GET", "/v2/team/app/manifests/1"}, {"HEAD", "/v2/team/app/manifests/1"}, {"GET", "/v2/team/app/manifests/" + digest},
			{"GET", "/v2/team/app/blobs/" + layer}, {"HEAD", "/v2/team/app/blobs/" + layer}, {"GET", "/v2/team/app/tags/list"}, {"GET", "/v2/team/app/referrers/" + digest},
		}, [][2]string{
			{"GET", "/v2/"}, {"GET", "/v2/_catalog"}, {"PUT", "/v2/team/app/manifests/1"}, {"DELETE", "/v2/team/app/manifests/1"}, {"DELETE", "/v2/team/app/blobs/" + layer},
			{"POST", "/v2/team/app/blobs/uploads/"}, {"POST", "/v2/team/app/blobs/uploads/?mount=" + layer + "&from=team/app"}, {"POST", "/v2/team/app/blobs/uploads/?digest=" + layer},
			{"PATCH", "/v2/team/app/blobs/uploads/11111111-2222-4333-8444-555555555555"}, {"GET", "/v2/team/app/blobs/uploads/11111111-2222-4333-8444-555555555555"}, {"GET", "/v2/nothing"},
		}
}

// wantChallenge wants to be told to log in, as clients understand it.
func wantChallenge(t *testing.T, what string, r coffertest.Response) {
	t.Helper()
	if r.Status != http.StatusUnauthorized || !strings.HasPrefix(r.Header.Get("Www-Authenticate"), `Basic realm="http://`) || len(r.Body) > 0 && string(r.Body) != "Not Authorized\n" {
		t.Errorf("%s: status %d, challenge %q: %s", what, r.Status, r.Header.Get("Www-Authenticate"), r.Body)
	}
}

// Without credentials one gets what the policy of a repository gives to everyone, and only where the deployment has that.
func TestPullsWithoutCredentials(t *testing.T) {
	for name, option := range map[string]coffertest.Option{"allowed": allowAnonymous, "not allowed": func(*app.Config, *app.Options) {}} {
		t.Run(name, func(t *testing.T) {
			s := coffertest.Start(t, option)
			s.CreateRepository("team/app")
			layer := []byte("layer")
			digest, manifest := s.PushImage(s.Token(), "team/app", "1", layer)
			pulls, others := requests(digest, coffertest.Digest(layer))
			for _, p := range pulls {
				wantChallenge(t, "without a policy: "+p[0]+" "+p[1], s.V2("", p[0], p[1], nil))
			}
			s.MustECR("SetRepositoryPolicy", map[string]any{"repositoryName": "team/app", "policyText": public}, nil)
			for _, p := range pulls {
				r := s.V2("", p[0], p[1], nil)
				if name != "allowed" {
					wantChallenge(t, p[0]+" "+p[1], r)
				} else if r.Status != http.StatusOK {
					t.Errorf("%s %s: status %d: %s", p[0], p[1], r.Status, r.Body)
				}
			}
			s.MustECR("SetRepositoryPolicy", map[string]any{"repositoryName": "team/app", "policyText": resourcePolicy("Allow", `"*"`, "ecr:*")}, nil)
			for _, o := range others {
				wantChallenge(t, o[0]+" "+o[1], s.V2("", o[0], o[1], manifest))
			}
			wantChallenge(t, "another repository", s.V2("", "GET", "/v2/no/such/manifests/1", nil))
			if r := s.V2("", "GET", "/v2/team/app/manifests/1", nil); name == "allowed" && !bytes.Equal(r.Body, manifest) {
				t.Errorf("status %d: %s", r.Status, r.Body)
			}
		})
	}
}

// Nothing but the word of the repository's own policy opens it to everyone.
func TestWhatDoesNotOpenToEveryone(t *testing.T) {
	s := coffertest.Start(t, allowAnonymous)
	s.CreateRepository("team/app")
	s.PushImage(s.Token(), "team/app", "1", []byte("layer"))
	pull := func() coffertest.Response { return s.V2("", http.MethodGet, "/v2/team/app/manifests/1", nil) }
	statement := func(more string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"ecr:*"` + more + `}]}`
	}
	for name, text := range map[string]string{
		"an account":         resourcePolicy("Allow", `{"AWS":"123456789012"}`, "ecr:*"),
		"a service":          resourcePolicy("Allow", `{"Service":"lambda.amazonaws.com"}`, "ecr:*"),
		"another action":     resourcePolicy("Allow", `"*"`, "ecr:ListImages"),
		"an account's own":   statement(`,"Condition":{"StringEquals":{"aws:PrincipalAccount":"123456789012"}}`),
		"an organization's":  statement(`,"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-exampleorg"}}`),
		"another address":    statement(`,"Condition":{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`),
		"everyone but":       statement(`},{"Effect":"Deny","Principal":"*","Action":"ecr:BatchGetImage"`),
		"not the anonymous":  statement(`,"Condition":{"StringNotEquals":{"aws:PrincipalType":"Anonymous"}}`),
		"by digest, not tag": statement(`,"Condition":{"Bool":{"coffer:ImageDigestOnly":"true"}}`),
	} {
		s.MustECR("SetRepositoryPolicy", map[string]any{"repositoryName": "team/app", "policyText": text}, nil)
		wantChallenge(t, name, pull())
	}
	s.MustECR("DeleteRepositoryPolicy", map[string]any{"repositoryName": "team/app"}, nil)
	s.MustECR("PutRegistryPolicy", map[string]any{"policyText": onRegistry("Allow", `"*"`, "ecr:*", "*")}, nil)
	wantChallenge(t, "the registry's policy", pull())
	for name, text := range map[string]string{
		"an address":   statement(`,"Condition":{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}`),
		"in AWS":       resourcePolicy("Allow", `{"AWS":"*"}`, "ecr:Batch*"),
		"the tag":      statement(`,"Condition":{"ForAnyValue:StringEquals":{"coffer:ImageTag":"1"}}`),
		"without more": statement(""),
	} {
		s.MustECR("SetRepositoryPolicy", map[string]any{"repositoryName": "team/app", "policyText": text}, nil)
		if r := pull(); r.Status != http.StatusOK {
			t.Errorf("%s: status %d: %s", name, r.Status, r.Body)
		}
	}
	s.MustECR("PutRegistryPolicy", map[string]any{"policyText": onRegistry("Deny", `"*"`, "ecr:BatchGetImage", "*")}, nil)
	wantChallenge(t, "a denial of the registry's policy", pull())
}

// Whoever comes with credentials is judged by them, and is not let in as nobody if they are no good.
func TestCredentialsCountWhereNobodyNeedsThem(t *testing.T) {
	s := coffertest.Start(t, allowAnonymous)
	s.CreateRepository("team/app")
	s.PushImage(s.Token(), "team/app", "1", []byte("layer"))
	s.MustECR("SetRepositoryPolicy", map[string]any{"repositoryName": "team/app", "policyText": public}, nil)
	pull := func(authorization string) coffertest.Response {
		return s.Do(s.Request(http.MethodGet, "/v2/team/app/manifests/1", nil, "Authorization", authorization))
	}
	for _, bad := range []string{"Basic QVdTOmdhcmJhZ2U=", "Basic QVdTOg==", "Basic eDo=", "Bearer x", "Basic"} {
		wantChallenge(t, bad, pull(bad))
	}
	// Neither user nor password is what some clients send that have none.
	if r := pull("Basic Og=="); r.Status != http.StatusOK {
		t.Errorf("an empty user and password: status %d", r.Status)
	}
	ann := user(s, "ann", document("Allow", "ecr:GetAuthorizationToken", "*"), document("Deny", "ecr:BatchGetImage", "*"))
	wantStatus(t, s.V2(ann.Token(), http.MethodGet, "/v2/team/app/manifests/1", nil), http.StatusForbidden, "DENIED")
}

func TestTrailOfPullsWithoutCredentials(t *testing.T) {
	s := coffertest.Start(t, allowAnonymous)
	s.CreateRepository("team/app")
	s.PushImage(s.Token(), "team/app", "1", []byte("layer"))
	before := len(s.Trail())
	s.V2("", http.MethodGet, "/v2/team/app/manifests/1", nil)
	s.MustECR("SetRepositoryPolicy", map[string]any{"repositoryName": "team/app", "policyText": public}, nil)
	s.V2("", http.MethodGet, "/v2/team/app/manifests/1", nil)
	s.V2("", http.MethodDelete, "/v2/team/app/manifests/1", nil)
	all := s.Trail()
	if len(all) != before+4 {
		t.Fatalf("%d records", len(all)-before)
	}
	var found []coffertest.Record
	for _, r := range all {
		if r.UserIdentity.Type == "Unknown" {
			found = append(found, r)
		}
	}
	want := []struct{ event, code, message, identity string }{
		{"BatchGetImage", "AccessDenied", deniedTo("anonymous", "ecr:BatchGetImage", coffertest.Account, "team/app", "resource-based"), `"userIdentity":{"type":"Unknown","principalId":"anonymous"}`},
		{"BatchGetImage", "", "", `"userIdentity":{"type":"Unknown","principalId":"anonymous"}`},
		{"BatchDeleteImage", "UNAUTHORIZED", "Not Authorized", `"userIdentity":{"type":"Unknown"}`},
	}
	if len(found) != len(want) {
		t.Fatalf("%d records of nobody", len(found))
	}
	for i, w := range want {
		if r := found[i]; r.EventName != w.event || r.ErrorCode != w.code || r.ErrorMessage != w.message || !strings.Contains(r.Text, w.identity) {
			t.Errorf("%d: %s", i, r.Text)
		}
	}
}
