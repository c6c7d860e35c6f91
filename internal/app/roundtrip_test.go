package app_test

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
)

// trips is how many round trips a server has made to its database.
func trips(t *testing.T, s *coffertest.Server) int {
	t.Helper()
	response, err := http.Get(s.AdminURL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		var n float64
		if _, err := fmt.Sscanf(line, `coffer_database_round_trips_total{engine="postgresql"} %g`, &n); err == nil {
			return int(n)
		}
	}
	t.Fatal("there is no count of round trips")
	return 0
}

// The round trips that requests make to the database once all statements are prepared, the shared look at the changes of others
// included. What is in memory needs the look alone. docs/performance.md lists these figures.
func TestRoundTrips(t *testing.T) {
	s := newShared(t).replica(t, coffertest.Configure(func(c *app.Config) { c.AdminListen = "127.0.0.1:0" }))
	s.CreateRepository("app")
	token := s.Token()
	n := 0
	layer := []byte{}
	upload := ""
	do := func(method, path string, body any, want int, header ...string) coffertest.Response {
		got := s.V2(token, method, path, body, header...)
		if got.Status != want {
			t.Fatalf("%s %s: status %d: %s", method, path, got.Status, got.Body)
		}
		return got
	}
	digest, manifestDigest := "", ""
	manifest := func() []byte {
		return []byte(fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[]}`, digest, len(layer)))
	}
	steps := []struct {
		name string
		most int
		do   func()
	}{
		{"POST of an upload", 3, func() {
			upload = do(http.MethodPost, "/v2/app/blobs/uploads/", nil, http.StatusAccepted).Header.Get("Location")
		}},
		{"PATCH of a small layer", 4, func() {
			n++
			layer = []byte(fmt.Sprintf("layer %d", n))
			digest = coffertest.Digest(layer)
			do(http.MethodPatch, upload, layer, http.StatusAccepted)
		}},
		{"PUT that finishes it", 4, func() { do(http.MethodPut, upload+"?digest="+digest, nil, http.StatusCreated) }},
		{"PUT of a manifest by tag", 3, func() {
			manifestDigest = coffertest.Digest(manifest())
			do(http.MethodPut, fmt.Sprintf("/v2/app/manifests/v%d", n), manifest(), http.StatusCreated, "Content-Type", "application/vnd.oci.image.manifest.v1+json")
		}},
		{"HEAD by tag, cold", 3, func() { do(http.MethodHead, fmt.Sprintf("/v2/app/manifests/v%d", n), nil, http.StatusOK) }},
		{"HEAD by tag, warm", 1, func() { do(http.MethodHead, fmt.Sprintf("/v2/app/manifests/v%d", n), nil, http.StatusOK) }},
		{"GET of a manifest, warm", 1, func() { do(http.MethodGet, "/v2/app/manifests/"+manifestDigest, nil, http.StatusOK) }},
		{"GET of a layer, cold", 2, func() { do(http.MethodGet, "/v2/app/blobs/"+digest, nil, http.StatusOK) }},
		{"GET of a layer, warm", 1, func() { do(http.MethodGet, "/v2/app/blobs/"+digest, nil, http.StatusOK) }},
		{"DescribeImages", 6, func() { s.MustECR("DescribeImages", map[string]any{"repositoryName": "app"}, nil) }},
		{"BatchGetImage", 1, func() {
			s.MustECR("BatchGetImage", map[string]any{"repositoryName": "app", "imageIds": []any{map[string]any{"imageTag": fmt.Sprintf("v%d", n)}}}, nil)
		}},
		{"GetAuthorizationToken", 1, func() { s.MustECR("GetAuthorizationToken", struct{}{}, nil) }},
		{"PutImageTagMutability", 3, func() {
			s.MustECR("PutImageTagMutability", map[string]any{"repositoryName": "app", "imageTagMutability": "MUTABLE"}, nil)
		}},
		{"HEAD by tag, of a repository that has changed", 2, func() { do(http.MethodHead, fmt.Sprintf("/v2/app/manifests/v%d", n), nil, http.StatusOK) }},
	}
	// The connections have all statements after some rounds. What is done in the background counts too, and comes seldom, but on a busy
	// machine the requests come seldom as well.
	least := slices.Repeat([]int{math.MaxInt}, len(steps))
	enough := func() bool {
		for i, step := range steps {
			if least[i] > step.most {
				return false
			}
		}
		return true
	}
	for round := 0; round < 12 || round < 200 && !enough(); round++ {
		for i, step := range steps {
			before := trips(t, s)
			step.do()
			least[i] = min(least[i], trips(t, s)-before)
		}
	}
	for i, step := range steps {
		t.Logf("| %s | %d |", step.name, least[i])
		if least[i] > step.most {
			t.Errorf("%s: %d round trips, want %d at most", step.name, least[i], step.most)
		}
	}
}
