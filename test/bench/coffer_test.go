package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCofferCalls(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != "POST" || r.URL.Path != "/" || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" ||
			!strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential="+exampleKeyID+"/") {
			t.Errorf("%s %s %v, %v", r.Method, r.URL, r.Header, err)
		}
		var in map[string]any
		if err := json.Unmarshal(body, &in); err != nil {
			t.Error(err)
		}
		switch target := r.Header.Get("X-Amz-Target"); {
		case strings.HasSuffix(target, "_V20150921.GetAuthorizationToken"):
			io.WriteString(w, `{"authorizationData":[{"authorizationToken":"QVdTOng=","expiresAt":1.7e9}]}`)
		case strings.HasSuffix(target, "_V20150921.DescribeImages") && in["repositoryName"] == "a" && in["nextToken"] == "t" && in["maxResults"] == 2.0:
			io.WriteString(w, `{"imageDetails":[{"imageDigest":"sha256:1"},{"imageDigest":"sha256:2"}],"nextToken":"u"}`)
		case strings.HasSuffix(target, "_V20150921.CreateRepository") && in["repositoryName"] == "a":
			io.WriteString(w, `{"repository":{}}`)
		default:
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"__type":"ValidationException"}`)
		}
	}))
	defer s.Close()
	addr := s.Listener.Addr().String()
	if got, err := (coffer{}).login(t.Context(), addr); got != "Basic QVdTOng=" || err != nil {
		t.Errorf("login = %q, %v", got, err)
	}
	if err := (coffer{}).createRepository(t.Context(), addr, "a"); err != nil {
		t.Error(err)
	}
	if p, err := (coffer{}).describeImages(t.Context(), addr, "a", "t", 2); err != nil || len(p.ImageDetails) != 2 || p.NextToken != "u" {
		t.Errorf("describeImages = %+v, %v", p, err)
	}
	if err := (coffer{}).createRepository(t.Context(), addr, "b"); err == nil || !strings.Contains(err.Error(), "ValidationException") {
		t.Errorf("an error was taken as %v", err)
	}
}
