package ociserver_test

import (
	"net/http"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// Who searches the trail for an exception of ECR finds it whichever way the client came.
func TestTrailNamesErrorsAsECR(t *testing.T) {
	s := coffertest.Start(t)
	s.CreateRepository("team/app")
	token := s.Token()
	_, manifest := s.PushImage(token, "team/app", "1", []byte("layer"))
	s.MustECR("PutImageTagMutability", map[string]any{"repositoryName": "team/app", "imageTagMutability": "IMMUTABLE"}, nil)
	missing := coffertest.Digest([]byte("no such bytes"))
	for _, c := range []struct {
		method, path string
		body         any
		exception    string
	}{
		{http.MethodPut, "/v2/team/app/manifests/1", manifest, "ImageTagAlreadyExistsException"},
		{http.MethodPut, "/v2/team/app/manifests/2", `{"schemaVersion":2`, "InvalidParameterException"},
		{http.MethodPut, "/v2/team/app/manifests/" + missing, manifest, "ImageDigestDoesNotMatchException"},
		{http.MethodPut, "/v2/team/app/manifests/3", coffertest.Manifest([]byte("no such config"), nil), "LayersNotFoundException"},
		{http.MethodGet, "/v2/team/app/manifests/9", nil, "ImageNotFoundException"},
		{http.MethodGet, "/v2/team/app/blobs/" + missing, nil, "LayersNotFoundException"},
		{http.MethodGet, "/v2/team/none/manifests/1", nil, "RepositoryNotFoundException"},
		{http.MethodPost, "/v2/team/app/blobs/uploads/?digest=" + missing, "bytes", "InvalidLayerException"},
		{http.MethodGet, "/v2/team/app/nothing/here", nil, "UNSUPPORTED"},
	} {
		r := s.V2(token, c.method, c.path, c.body, "Content-Type", coffertest.ManifestType)
		if r.Status < 400 {
			t.Fatalf("%s %s: status %d", c.method, c.path, r.Status)
		}
		id := r.Header.Get("X-Amzn-Requestid")
		found := 0
		for _, record := range s.Trail() {
			if record.RequestID != id {
				continue
			}
			if found++; record.ErrorCode != c.exception || record.ErrorMessage != r.Message() {
				t.Errorf("%s %s: the trail has %s: %q, want %s: %q", c.method, c.path, record.ErrorCode, record.ErrorMessage, c.exception, r.Message())
			}
		}
		if found != 1 {
			t.Errorf("%s %s: %d records", c.method, c.path, found)
		}
	}
}
