package ecr_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/policy"
)

var registryScripts = []script{
	{name: "DescribeRegistry", calls: []call{
		{name: "without replication", operation: "DescribeRegistry", in: `{}`, want: `{"registryId":"123456789012","replicationConfiguration":{"rules":[]}}`},
		{name: "with what it does not know", operation: "DescribeRegistry", in: `{"registryId":"999999999999","x":[1]}`,
			want: `{"registryId":"123456789012","replicationConfiguration":{"rules":[]}}`},
	}},
	{name: "GetAuthorizationToken", calls: []call{
		{name: "of one's own registry", operation: "GetAuthorizationToken", in: `{}`,
			want: `{"authorizationData":[{"authorizationToken":"${=token}","expiresAt":${expires},"proxyEndpoint":"http://${host}"}]}`,
			before: func(w *session) {
				w.clock.Advance(12 * 3600e9)
				w.values["expires"] = w.expand("${now}")
				w.clock.Advance(-12 * 3600e9)
			}},
		{name: "of several registries", operation: "GetAuthorizationToken", in: `{"registryIds":["123456789012","999999999999"]}`,
			want: `{"authorizationData":[{"authorizationToken":"${=one}","expiresAt":${expires},"proxyEndpoint":"http://${host}"},` +
				`{"authorizationToken":"${=two}","expiresAt":${expires},"proxyEndpoint":"http://${host}"}]}`},
		{name: "of too many", operation: "GetAuthorizationToken", in: `{"registryIds":[` + strings.Repeat(`"123456789012",`, 10) + `"123456789012"]}`,
			want: invalid("registryIds", "Member must have length less than or equal to 10")},
		{name: "of none", operation: "GetAuthorizationToken", in: `{"registryIds":[]}`, want: invalid("registryIds", "Member must have length greater than or equal to 1")},
		{name: "of no registry", operation: "GetAuthorizationToken", in: `{"registryIds":["1"]}`,
			want: "InvalidParameterException: Invalid parameter at 'registryIds' failed to satisfy constraint: 'Member must satisfy constraint: " +
				"[Member must satisfy regular expression pattern: [0-9]{12}]'"},
	}},
	{name: "GetAuthorizationToken with a domain", options: []coffertest.Option{func(c *app.Config, _ *app.Options) { c.Domain = "registry.example.com" }}, calls: []call{
		{name: "each account has a host", operation: "GetAuthorizationToken", in: `{"registryIds":["123456789012","999999999999"]}`,
			want: `{"authorizationData":[{"authorizationToken":"${=one}","expiresAt":${expires},"proxyEndpoint":"https://123456789012.dkr.ecr.us-east-1.registry.example.com"},` +
				`{"authorizationToken":"${=two}","expiresAt":${expires},"proxyEndpoint":"https://999999999999.dkr.ecr.us-east-1.registry.example.com"}]}`,
			before: func(w *session) {
				w.clock.Advance(12 * 3600e9)
				w.values["expires"] = w.expand("${now}")
				w.clock.Advance(-12 * 3600e9)
			}},
	}},
}

// A token is what clients split at its first colon, and good at the docker endpoint.
func TestTokenIsAPassword(t *testing.T) {
	w := start(t)
	var out struct {
		AuthorizationData []struct{ AuthorizationToken string }
	}
	w.MustECR("GetAuthorizationToken", struct{}{}, &out)
	token := out.AuthorizationData[0].AuthorizationToken
	text, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	if parts := strings.Split(string(text), ":"); len(parts) != 2 || parts[0] != "AWS" || parts[1] == "" {
		t.Errorf("the token has %d parts, the first is %q", len(parts), parts[0])
	}
	if r := w.V2(token, http.MethodGet, "/v2/", nil); r.Status != http.StatusOK {
		t.Errorf("status %d", r.Status)
	}
	for _, secret := range []string{coffertest.AccessKeyID, coffertest.SecretAccessKey} {
		if strings.Contains(string(text), secret) {
			t.Error("the token says with which key it was made")
		}
	}
}

// Who may not call what a layer's address leads to can't use the address either.
func TestRightsAreCheckedAtEachUse(t *testing.T) {
	denied := false
	w := start(t, func(_ *app.Config, o *app.Options) {
		o.Evaluate = func(r policy.Request) policy.Decision {
			if denied && len(r.Questions) > 0 {
				return policy.Decision{Action: r.Questions[0].Action, Resource: r.Questions[0].Resource.ARN, Reason: policy.ReasonIdentity}
			}
			return policy.Evaluate(r, policy.PolicySet{})
		}
	})
	w.contents = images
	w.push("team/app", "1", "one")
	var out struct{ DownloadURL string }
	w.MustECR("GetDownloadUrlForLayer", json.RawMessage(w.expand(`{"repositoryName":"team/app","layerDigest":"${digest:layer}"}`)), &out)
	path := strings.TrimPrefix(out.DownloadURL, w.URL)
	if r := w.V2("", http.MethodGet, path, nil); r.Status != http.StatusOK {
		t.Fatalf("status %d", r.Status)
	}
	denied = true
	if r := w.V2("", http.MethodGet, path, nil); r.Status != http.StatusForbidden || r.Code() != "DENIED" {
		t.Errorf("status %d: %s", r.Status, r.Body)
	}
}
