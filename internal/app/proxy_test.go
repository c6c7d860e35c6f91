package app_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
)

// proxied is a client behind a proxy on loopback that ends TLS.
type proxied struct{ http.RoundTripper }

func (p proxied) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header["X-Forwarded-For"] = []string{"192.0.2.1, 203.0.113.7"} // the first is what the client says
	r.Header["X-Forwarded-Proto"] = []string{"https"}
	return p.RoundTripper.RoundTrip(r)
}

func behindProxy(s *coffertest.Server) {
	s.Client = &http.Client{Transport: proxied{s.Client.Transport}}
}

// TestTrustedProxy asks through a proxy that is trusted, and through one that isn't: policies, the trail and the addresses in
// answers know the client in the first case, and the proxy in the second.
func TestTrustedProxy(t *testing.T) {
	const condition = `{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"},"Bool":{"aws:SecureTransport":"true"}}`
	for _, tt := range []struct {
		name    string
		proxies []string
		trusted bool
		address string
		scheme  string
	}{
		{"trusted", []string{"10.0.0.0/8", "127.0.0.1"}, true, "203.0.113.7", "https://"},
		{"another one trusted", []string{"10.0.0.0/8"}, false, "127.0.0.1", "http://"},
		{"none trusted", nil, false, "127.0.0.1", "http://"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := coffertest.Start(t, coffertest.Configure(func(c *app.Config) { c.TrustedProxy = tt.proxies }))
			s.CreateRepository("team/app")
			layer := []byte("layer")
			s.PushImage(s.Token(), "team/app", "1", layer)
			user := limited(s, "mira", condition)
			behindProxy(user)
			if got := user.ECR("DescribeRepositories", map[string]any{}); got.Status == http.StatusOK != tt.trusted {
				t.Errorf("the API has status %d: %s", got.Status, got.Body)
			}
			behindProxy(s)
			token := s.As(user.Credentials).Token()
			if got := user.V2(token, http.MethodGet, "/v2/team/app/tags/list", nil); got.Status == http.StatusOK != tt.trusted {
				t.Errorf("/v2/ has status %d: %s", got.Status, got.Body)
			}
			_, host, _ := strings.Cut(s.URL, "://")
			challenge := s.Do(s.Request(http.MethodGet, "/v2/", nil))
			if got, want := challenge.Header.Get("Www-Authenticate"), `Basic realm="`+tt.scheme+host+`/",service="ecr.amazonaws.com"`; got != want {
				t.Errorf("challenge is %s, expected %s", got, want)
			}
			var url struct{ DownloadURL string }
			s.MustECR("GetDownloadUrlForLayer", map[string]any{"repositoryName": "team/app", "layerDigest": coffertest.Digest(layer)}, &url)
			if !strings.HasPrefix(url.DownloadURL, tt.scheme+host+"/") {
				t.Errorf("the layer is at %s", url.DownloadURL)
			}
			for _, r := range s.Trail() {
				if r.EventName == "GetDownloadUrlForLayer" && !strings.Contains(r.Text, `"sourceIPAddress":"`+tt.address+`"`) {
					t.Errorf("the record is %s", r.Text)
				}
			}
		})
	}
}
