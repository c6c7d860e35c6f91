package app_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

const githubProvider = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"

func wantMessage(t *testing.T, r coffertest.Response, status int, code, message string) {
	t.Helper()
	if r.Status != status || r.Code() != code || r.Message() != message {
		t.Errorf("status %d %s %q, want %d %s %q", r.Status, r.Code(), r.Message(), status, code, message)
	}
}

func TestOIDCProviders(t *testing.T) {
	s := coffertest.Start(t)
	create := map[string]any{"Url": "https://token.actions.githubusercontent.com", "ClientIDList": []string{"sts.amazonaws.com"},
		"ThumbprintList": []string{strings.Repeat("AB", 20)}, "Tags": []any{map[string]string{"Key": "team", "Value": "ci"}}}
	if arn := s.MustQuery("iam", "CreateOpenIDConnectProvider", create).Text("OpenIDConnectProviderArn"); arn != githubProvider {
		t.Errorf("it is %s", arn)
	}
	wantMessage(t, s.Query("iam", "CreateOpenIDConnectProvider", create), http.StatusConflict, "EntityAlreadyExists",
		"Provider with url https://token.actions.githubusercontent.com already exists.")
	on := func(more map[string]any) map[string]any {
		in := map[string]any{"OpenIDConnectProviderArn": githubProvider}
		for name, value := range more {
			in[name] = value
		}
		return in
	}
	s.MustQuery("iam", "AddClientIDToOpenIDConnectProvider", on(map[string]any{"ClientID": "other"}))
	s.MustQuery("iam", "AddClientIDToOpenIDConnectProvider", on(map[string]any{"ClientID": "other"}))
	s.MustQuery("iam", "RemoveClientIDFromOpenIDConnectProvider", on(map[string]any{"ClientID": "sts.amazonaws.com"}))
	s.MustQuery("iam", "UpdateOpenIDConnectProviderThumbprint", on(map[string]any{"ThumbprintList": []string{strings.Repeat("c", 40)}}))
	s.MustQuery("iam", "TagOpenIDConnectProvider", on(map[string]any{"Tags": []any{map[string]string{"Key": "stage", "Value": "test"}}}))
	s.MustQuery("iam", "UntagOpenIDConnectProvider", on(map[string]any{"TagKeys": []string{"team", "none"}}))
	got := s.MustQuery("iam", "GetOpenIDConnectProvider", on(nil))
	if got.Text("Url") != "token.actions.githubusercontent.com" || !strings.Contains(string(got.Body), "<ClientIDList><member>other</member></ClientIDList>") ||
		!strings.Contains(string(got.Body), strings.Repeat("c", 40)) || !slices.Equal(got.Texts("Key"), []string{"stage"}) {
		t.Errorf("it is %s", got.Body)
	}
	if got := s.MustQuery("iam", "ListOpenIDConnectProviders", nil); !slices.Equal(got.Texts("Arn"), []string{githubProvider}) {
		t.Errorf("the list is %s", got.Body)
	}
	s.MustQuery("iam", "DeleteOpenIDConnectProvider", on(nil))
	s.MustQuery("iam", "DeleteOpenIDConnectProvider", on(nil))
	wantMessage(t, s.Query("iam", "GetOpenIDConnectProvider", on(nil)), http.StatusNotFound, "NoSuchEntity",
		"OpenIDConnect Provider not found for arn "+githubProvider)
	for _, url := range []string{"http://id.example.com", "https://", "https://u@id.example.com", "https://id.example.com?a=b", "https://id.example.com#f", "id.example.com"} {
		wantMessage(t, s.Query("iam", "CreateOpenIDConnectProvider", map[string]any{"Url": url}), http.StatusBadRequest, "ValidationError",
			"Invalid Open ID Connect Provider URL")
	}
	six := slices.Repeat([]string{strings.Repeat("a", 40)}, 6)
	wantMessage(t, s.Query("iam", "CreateOpenIDConnectProvider", map[string]any{"Url": "https://a.example.com", "ThumbprintList": six}),
		http.StatusBadRequest, "InvalidInput", "Thumbprint list must contain fewer than 5 entries.")
	for i := range 100 {
		s.MustQuery("iam", "CreateOpenIDConnectProvider", map[string]any{"Url": fmt.Sprintf("https://id%d.example.com", i)})
	}
	wantMessage(t, s.Query("iam", "CreateOpenIDConnectProvider", map[string]any{"Url": "https://a.example.com"}), http.StatusConflict, "LimitExceeded",
		"Cannot exceed quota for OpenIdConnectProvidersPerAccount: 100")
}
