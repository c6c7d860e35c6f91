package ecr_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/ociserver"
)

func noLayer(digest string) string {
	return "LayersNotFoundException: The layer with digest " + digest + " does not exist within the repository with name 'team/app' in the registry with id '123456789012'"
}

var layerScripts = []script{
	{name: "BatchCheckLayerAvailability", contents: with(images, map[string]string{"loose": "a layer of no image"}), setup: func(w *session) {
		w.push("team/app", "1", "one")
		w.PushBlob(w.values["token"], "team/app", []byte("a layer of no image"))
	}, calls: []call{
		{name: "each in its way", operation: "BatchCheckLayerAvailability",
			in: `{"repositoryName":"team/app","layerDigests":["${digest:layer}","${digest:config}","${digest:loose}","${digest:absent}","latest","","sha512:00"]}`,
			want: `{"layers":[{"layerDigest":"${digest:layer}","layerAvailability":"AVAILABLE","layerSize":${size:layer},"mediaType":"` + coffertest.LayerType + `"},` +
				`{"layerDigest":"${digest:config}","layerAvailability":"AVAILABLE","layerSize":${size:config},"mediaType":"` + coffertest.ConfigType + `"},` +
				`{"layerDigest":"${digest:loose}","layerAvailability":"AVAILABLE","layerSize":${size:loose}},` +
				`{"layerDigest":"${digest:absent}","layerAvailability":"UNAVAILABLE"}],"failures":[` +
				`{"layerDigest":"latest","failureCode":"InvalidLayerDigest","failureReason":"Invalid layer digest: it must be sha256: and 64 lower-case hexadecimal digits"},` +
				`{"failureCode":"MissingLayerDigest","failureReason":"Layer digest must not be empty"},` +
				`{"layerDigest":"sha512:00","failureCode":"InvalidLayerDigest","failureReason":"Invalid layer digest: it must be sha256: and 64 lower-case hexadecimal digits"}]}`},
		{name: "none", operation: "BatchCheckLayerAvailability", in: `{"repositoryName":"team/app","layerDigests":[]}`,
			want: invalid("layerDigests", "Member must have length greater than or equal to 1")},
		{name: "too many", operation: "BatchCheckLayerAvailability", in: `{"repositoryName":"team/app","layerDigests":[` + strings.Repeat(`"x",`, 100) + `"x"]}`,
			want: invalid("layerDigests", "Member must have length less than or equal to 100")},
		{name: "no such repository", operation: "BatchCheckLayerAvailability", in: `{"repositoryName":"no/such","layerDigests":["${digest:layer}"]}`, want: noRepository("no/such", coffertest.Account)},
	}},
	{name: "GetDownloadUrlForLayer", contents: with(images, map[string]string{"loose": "a layer of no image"}), setup: func(w *session) {
		w.push("team/app", "1", "one")
		w.PushBlob(w.values["token"], "team/app", []byte("a layer of no image"))
	}, calls: []call{
		{name: "of an image", operation: "GetDownloadUrlForLayer", in: `{"repositoryName":"team/app","layerDigest":"${digest:layer}"}`,
			want: `{"downloadUrl":"${=url}","layerDigest":"${digest:layer}"}`},
		{name: "a config is a layer too", operation: "GetDownloadUrlForLayer", in: `{"repositoryName":"team/app","layerDigest":"${digest:config}"}`,
			want: `{"downloadUrl":"${=url}","layerDigest":"${digest:config}"}`},
		{name: "of no image", operation: "GetDownloadUrlForLayer", in: `{"repositoryName":"team/app","layerDigest":"${digest:loose}"}`, want: "LayerInaccessibleException: " +
			"The layer with digest ${digest:loose} is not accessible within the repository with name 'team/app' in the registry with id '123456789012' because no image refers to it"},
		{name: "absent", operation: "GetDownloadUrlForLayer", in: `{"repositoryName":"team/app","layerDigest":"${digest:absent}"}`, want: noLayer("${digest:absent}")},
		{name: "of another algorithm", operation: "GetDownloadUrlForLayer", in: `{"repositoryName":"team/app","layerDigest":"sha512:00"}`, want: noLayer("sha512:00")},
		{name: "no digest", operation: "GetDownloadUrlForLayer", in: `{"repositoryName":"team/app","layerDigest":"latest"}`,
			want: invalid("layerDigest", "must satisfy regular expression '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'")},
		{name: "no such repository", operation: "GetDownloadUrlForLayer", in: `{"repositoryName":"no/such","layerDigest":"${digest:layer}"}`, want: noRepository("no/such", coffertest.Account)},
		{name: "of an image that was deleted", operation: "GetDownloadUrlForLayer", in: `{"repositoryName":"team/app","layerDigest":"${digest:layer}"}`,
			before: func(w *session) {
				w.MustECR("BatchDeleteImage", map[string]any{"repositoryName": "team/app", "imageIds": []any{map[string]string{"imageTag": "1"}}}, nil)
			}, want: "LayerInaccessibleException: " +
				"The layer with digest ${digest:layer} is not accessible within the repository with name 'team/app' in the registry with id '123456789012' because no image refers to it"},
	}},
}

func with(contents, more map[string]string) map[string]string {
	all := map[string]string{}
	for _, m := range []map[string]string{contents, more} {
		for name, text := range m {
			all[name] = text
		}
	}
	return all
}

// An address works without credentials, for a while, and for its layer in its repository alone.
func TestDownloadAddress(t *testing.T) {
	w := start(t)
	w.contents = images
	w.push("team/app", "1", "one")
	w.CreateRepository("app")
	w.push("app", "1", "one")
	var out struct{ DownloadURL string }
	w.MustECR("GetDownloadUrlForLayer", map[string]string{"repositoryName": "team/app", "layerDigest": w.expand("${digest:layer}")}, &out)
	get := func(url string, headers ...string) coffertest.Response {
		t.Helper()
		r, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(headers) == 2 {
			r.Header.Set(headers[0], headers[1])
		}
		return w.Do(r)
	}
	if r := get(out.DownloadURL); r.Status != http.StatusOK || string(r.Body) != layer {
		t.Errorf("status %d: %s", r.Status, r.Body)
	}
	if r := get(out.DownloadURL, "Range", "bytes=2-6"); r.Status != http.StatusPartialContent || string(r.Body) != layer[2:7] {
		t.Errorf("a range: status %d: %s", r.Status, r.Body)
	}
	for _, changed := range []struct{ what, old, new string }{
		{"another layer", w.expand("${digest:layer}"), w.expand("${digest:config}")},
		{"another repository", "team/app", "app"},
		{"another kind of thing", "/blobs/" + w.expand("${digest:layer}"), "/manifests/1"},
	} {
		if r := get(strings.Replace(out.DownloadURL, changed.old, changed.new, 1)); r.Status != http.StatusUnauthorized {
			t.Errorf("%s: status %d", changed.what, r.Status)
		}
	}
	w.clock.Advance(ociserver.DownloadLifetime - 1e9)
	if r := get(out.DownloadURL); r.Status != http.StatusOK {
		t.Errorf("before its end: status %d", r.Status)
	}
	w.clock.Advance(1e9)
	if r := get(out.DownloadURL); r.Status != http.StatusForbidden {
		t.Errorf("after its end: status %d", r.Status)
	}
}
