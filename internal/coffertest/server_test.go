package coffertest_test

import (
	"bytes"
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The thin path: what the other tests of this module build on works from the first call to the last.
func TestPushAndPull(t *testing.T) {
	s := coffertest.Start(t)
	s.CreateRepository("team/app")
	token := s.Token()
	layer := bytes.Repeat([]byte("layer "), 50_000)
	digest, manifest := s.PushImage(token, "team/app", "1", layer)
	if digest != coffertest.Digest(manifest) {
		t.Errorf("the manifest was stored under %s", digest)
	}
	for path, want := range map[string][]byte{
		"/v2/team/app/manifests/1":                       manifest,
		"/v2/team/app/manifests/" + digest:               manifest,
		"/v2/team/app/blobs/" + coffertest.Digest(layer): layer,
	} {
		r := s.V2(token, http.MethodGet, path, nil)
		if r.Status != http.StatusOK || !bytes.Equal(r.Body, want) {
			t.Errorf("GET %s: status %d, %d bytes, want %d", path, r.Status, len(r.Body), len(want))
		}
	}
}
