package oci

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	digestA = DigestOf([]byte("a"))
	digestB = DigestOf([]byte("b"))
	digestC = DigestOf([]byte("c"))
)

func TestDigest(t *testing.T) {
	if got := DigestOf(nil); got != "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("digest of nothing: %s", got)
	}
	if _, err := ParseDigest(string(digestA)); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "sha256:", "sha256:00", "SHA256:" + string(digestA[7:]), strings.ToUpper(string(digestA)),
		"sha512:" + strings.Repeat("0", 128), string(digestA) + "0", string(digestA[:70]) + "g", " " + string(digestA)} {
		if _, err := ParseDigest(bad); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

func TestNamesAndTags(t *testing.T) {
	for name, want := range map[string]bool{
		"ab": true, "a/b": true, "team/app-1.x_y": true, "0a": true, strings.Repeat("a", 256): true,
		"": false, "a": false, "A": false, "ab/": false, "/ab": false, "a//b": false, "a..b": false, "a-": false, "-a": false,
		"a__b": true, "a--b": true, "a---b/c__d": true, "a___b": false, "a_-b": false, "a-_b": false, "a.-b": false, "a__": false, "__a": false, "a--/b": false,
		"a/./b": false, "a/../b": false, "a b": false, "ä1": false, "a%2fb": false, "a:b": false, strings.Repeat("a", 257): false,
	} {
		if got := ValidRepositoryName(name); got != want {
			t.Errorf("name %q: %v", name, got)
		}
	}
	for tag, want := range map[string]bool{
		"1": true, "_": true, "v1.0-x_Y": true, strings.Repeat("a", 128): true,
		"": false, ".a": false, "-a": false, "a+b": false, "a/b": false, "a:b": false, "ä": false, strings.Repeat("a", 129): false,
	} {
		if got := ValidTag(tag); got != want {
			t.Errorf("tag %q: %v", tag, got)
		}
	}
}

func TestParseRequest(t *testing.T) {
	a := string(digestA)
	for _, test := range []struct {
		method, target string
		want           Request
	}{
		{"GET", "/v2", Request{Kind: Ping, N: 0}},
		{"GET", "/v2/", Request{Kind: Ping}},
		{"HEAD", "/v2/", Request{Kind: Ping}},
		{"GET", "/v2/_catalog?n=5&last=ab", Request{Kind: Catalog, N: 5, Last: "ab"}},
		{"GET", "/v2/team/app/tags/list", Request{Kind: TagsList, Name: "team/app"}},
		{"GET", "/v2/team/app/tags/list?n=0&last=x", Request{Kind: TagsList, Name: "team/app", Last: "x"}},
		{"HEAD", "/v2/ab/manifests/v1", Request{Kind: ManifestHead, Name: "ab", Tag: "v1"}},
		{"GET", "/v2/ab/manifests/" + a, Request{Kind: ManifestGet, Name: "ab", Digest: digestA}},
		{"GET", "/v2/ab/manifests/sha256%3A" + a[7:], Request{Kind: ManifestGet, Name: "ab", Digest: digestA}},
		{"PUT", "/v2/ab/manifests/v1", Request{Kind: ManifestPut, Name: "ab", Tag: "v1"}},
		{"DELETE", "/v2/ab/manifests/v1", Request{Kind: ManifestDelete, Name: "ab", Tag: "v1"}},
		{"GET", "/v2/ab/referrers/" + a + "?artifactType=x%2Fy&artifactType=z", Request{Kind: Referrers, Name: "ab", Digest: digestA, ArtifactTypes: []string{"x/y", "z"}}},
		{"HEAD", "/v2/ab/blobs/" + a, Request{Kind: BlobHead, Name: "ab", Digest: digestA}},
		{"GET", "/v2/ab/blobs/" + a + "?X-Coffer-Token=x", Request{Kind: BlobGet, Name: "ab", Digest: digestA}},
		{"DELETE", "/v2/ab/blobs/" + a, Request{Kind: BlobDelete, Name: "ab", Digest: digestA}},
		{"POST", "/v2/ab/blobs/uploads/", Request{Kind: UploadStart, Name: "ab"}},
		{"POST", "/v2/ab/blobs/uploads", Request{Kind: UploadStart, Name: "ab"}},
		{"POST", "/v2/ab/blobs/uploads/?mount=" + a + "&from=cd/ef", Request{Kind: UploadMount, Name: "ab", Digest: digestA, From: "cd/ef"}},
		{"POST", "/v2/ab/blobs/uploads/?mount=" + a, Request{Kind: UploadMount, Name: "ab", Digest: digestA}},
		{"POST", "/v2/ab/blobs/uploads/?mount=sha512:00&from=cd", Request{Kind: UploadStart, Name: "ab"}},
		{"POST", "/v2/ab/blobs/uploads/?digest=" + a, Request{Kind: UploadSingle, Name: "ab", Digest: digestA}},
		{"GET", "/v2/ab/blobs/uploads/U-1", Request{Kind: UploadStatus, Name: "ab", UploadID: "U-1"}},
		{"PATCH", "/v2/ab/blobs/uploads/U-1", Request{Kind: UploadChunk, Name: "ab", UploadID: "U-1"}},
		{"PUT", "/v2/ab/blobs/uploads/U-1?digest=" + url.QueryEscape(a), Request{Kind: UploadFinish, Name: "ab", UploadID: "U-1", Digest: digestA}},
		{"DELETE", "/v2/ab/blobs/uploads/U-1", Request{Kind: UploadCancel, Name: "ab", UploadID: "U-1"}},
		// Names that look like the rest of a path.
		{"GET", "/v2/ab/manifests/tags/list", Request{Kind: TagsList, Name: "ab/manifests"}},
		{"GET", "/v2/blobs/uploads/manifests/v1", Request{Kind: ManifestGet, Name: "blobs/uploads", Tag: "v1"}},
		{"POST", "/v2/manifests/blobs/blobs/uploads/", Request{Kind: UploadStart, Name: "manifests/blobs"}},
		{"GET", "/v2/v2/v2/tags/list", Request{Kind: TagsList, Name: "v2/v2"}},
	} {
		u, err := url.ParseRequestURI(test.target)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(test.target, "?n=") && test.want.Kind != Ping {
			test.want.N = -1
		}
		got, err := ParseRequest(test.method, u)
		if test.want.Kind == Ping {
			got.N = 0
		}
		if err != nil || !cmp.Equal(got, test.want) {
			t.Errorf("%s %s: %v %s", test.method, test.target, err, cmp.Diff(test.want, got))
		}
	}
}

func TestParseRequestRefuses(t *testing.T) {
	a := string(digestA)
	for _, test := range []struct {
		method, target string
		status         int
		code           string
	}{
		{"GET", "/v2/ab", 404, "UNSUPPORTED"},
		{"GET", "/v2x/ab/tags/list", 404, "UNSUPPORTED"},
		{"GET", "/v2/_catalog/", 404, "UNSUPPORTED"},
		{"GET", "/v2/ab/tags/list/", 404, "UNSUPPORTED"},
		{"GET", "/v2//tags/list", 400, "NAME_INVALID"},
		{"GET", "/v2/AB/tags/list", 400, "NAME_INVALID"},
		{"GET", "/v2/a%62/tags/list", 400, "NAME_INVALID"},
		{"GET", "/v2/ab/../cd/tags/list", 400, "NAME_INVALID"},
		{"GET", "/v2/ab/%2e%2e/cd/tags/list", 400, "NAME_INVALID"},
		{"GET", "/v2/ab%2Fcd/tags/list", 400, "NAME_INVALID"},
		{"GET", "/v2/ab//cd/manifests/v1", 400, "NAME_INVALID"},
		{"GET", "/v2/ab/manifests/.INVALID", 404, "MANIFEST_UNKNOWN"},
		{"GET", "/v2/ab/manifests/a%2Fb", 404, "MANIFEST_UNKNOWN"},
		{"PUT", "/v2/ab/manifests/a+b", 400, "TAG_INVALID"},
		{"PUT", "/v2/ab/manifests/", 400, "TAG_INVALID"},
		{"GET", "/v2/ab/manifests/sha256:00", 400, "DIGEST_INVALID"},
		{"GET", "/v2/ab/manifests/sha512:" + strings.Repeat("0", 128), 400, "DIGEST_INVALID"},
		{"GET", "/v2/ab/blobs/v1", 400, "DIGEST_INVALID"},
		{"GET", "/v2/ab/referrers/v1", 400, "DIGEST_INVALID"},
		{"PUT", "/v2/ab/blobs/uploads/U", 400, "DIGEST_INVALID"},
		{"PUT", "/v2/ab/blobs/uploads/U?digest=md5:0", 400, "DIGEST_INVALID"},
		{"POST", "/v2/ab/blobs/uploads/?digest=md5:0", 400, "DIGEST_INVALID"},
		{"PATCH", "/v2/ab/blobs/uploads/" + strings.Repeat("a", 65), 404, "BLOB_UPLOAD_UNKNOWN"},
		{"PATCH", "/v2/ab/blobs/uploads/a%00", 404, "BLOB_UPLOAD_UNKNOWN"},
		{"GET", "/v2/ab/tags/list?n=-1", 400, "PAGINATION_NUMBER_INVALID"},
		{"GET", "/v2/ab/tags/list?n=x", 400, "PAGINATION_NUMBER_INVALID"},
		{"GET", "/v2/ab/tags/list?n=99999999999", 400, "PAGINATION_NUMBER_INVALID"},
		{"GET", "/v2/ab/tags/list?last=" + strings.Repeat("x", 2000), 400, "UNSUPPORTED"},
		{"GET", "/v2/ab/tags/list?n=%zz", 400, "UNSUPPORTED"},
		{"GET", "/v2/ab/tags/list?" + strings.Repeat("a=b&", 30), 400, "UNSUPPORTED"},
		{"POST", "/v2/", 405, "UNSUPPORTED"},
		{"PATCH", "/v2/ab/manifests/v1", 405, "UNSUPPORTED"},
		{"PUT", "/v2/ab/blobs/" + a, 405, "UNSUPPORTED"},
		{"get", "/v2/ab/tags/list", 405, "UNSUPPORTED"},
	} {
		u, err := url.ParseRequestURI(test.target)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParseRequest(test.method, u)
		refusal, ok := err.(*RequestError)
		if !ok || refusal.Status != test.status || refusal.Code != test.code {
			t.Errorf("%s %s: %#v", test.method, test.target, err)
		}
		if ok && refusal.Status == http.StatusMethodNotAllowed && !slices.IsSorted(refusal.Allow) || ok && refusal.Message == "" {
			t.Errorf("%s %s: %#v", test.method, test.target, refusal)
		}
	}
}

func TestContentRange(t *testing.T) {
	for text, want := range map[string][2]int64{"0-99": {0, 99}, "5-5": {5, 5}, "bytes 10-19/100": {10, 19}, "bytes=0-1": {0, 1}} {
		if first, last, err := ParseContentRange(text); err != nil || first != want[0] || last != want[1] {
			t.Errorf("%q: %d-%d, %v", text, first, last, err)
		}
	}
	for _, bad := range []string{"", "-", "5-4", "-5-9", "a-b", "0-", "+1-2", "1-+2", "0-9223372036854775807", "0-99999999999999999999", "1-2-3"} {
		if _, _, err := ParseContentRange(bad); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

func descriptorText(mediaType string, d Digest, size int) string {
	return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, mediaType, d, size)
}

func imageText(more string) string {
	return `{"schemaVersion":2,"mediaType":"` + MediaTypeOCIManifest + `","config":` + descriptorText("application/x.config", digestA, 3) +
		`,"layers":[` + descriptorText("application/x.layer", digestB, 10) + `,` + descriptorText("application/x.layer", digestB, 10) + `]` + more + `}`
}

func TestParseManifest(t *testing.T) {
	m, err := ParseManifest("", []byte(imageText(`,"subject":`+descriptorText("x/y", digestC, 1)+`,"annotations":{"k":"v\u00e4"}`)))
	if err != nil {
		t.Fatal(err)
	}
	layer := Descriptor{MediaType: "application/x.layer", Digest: digestB, Size: 10}
	want := &Manifest{
		MediaType: MediaTypeOCIManifest, Config: &Descriptor{MediaType: "application/x.config", Digest: digestA, Size: 3},
		Layers: []Descriptor{layer, layer}, Subject: &Descriptor{MediaType: "x/y", Digest: digestC, Size: 1},
		ArtifactType: "application/x.config", Annotations: map[string]string{"k": "vä"},
	}
	if !cmp.Equal(m, want) {
		t.Error(cmp.Diff(want, m))
	}
	if got := slices.Collect(m.Blobs()); !cmp.Equal(got, []Descriptor{*want.Config, layer}) || m.LayerSize() != 13 {
		t.Errorf("blobs %v of %d bytes", got, m.LayerSize())
	}
	m, err = ParseManifest(MediaTypeOCIManifest, []byte(imageText(`,"artifactType":"a/b"`)))
	if err != nil || m.ArtifactType != "a/b" {
		t.Errorf("%v, %v", m, err)
	}
	index := `{"schemaVersion":2,"manifests":[` + descriptorText(MediaTypeOCIManifest, digestA, 5) + `]}`
	if m, err = ParseManifest(MediaTypeDockerList, []byte(index)); err != nil || len(m.Manifests) != 1 || m.MediaType != MediaTypeDockerList {
		t.Errorf("%v, %v", m, err)
	}
	one := `{"schemaVersion":1,"name":"x","tag":"y","fsLayers":[{"blobSum":"` + string(digestA) + `"},{"blobSum":"` + string(digestA) + `"}],"history":[]}`
	if m, err = ParseManifest(MediaTypeDockerSignedOne, []byte(one)); err != nil || len(slices.Collect(m.Blobs())) != 1 {
		t.Errorf("%v, %v", m, err)
	}
	foreign := `{"schemaVersion":2,"config":` + descriptorText("x/y", digestA, 3) + `,"layers":[{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","digest":"` +
		string(digestB) + `","size":10,"urls":["https://example.com/x"]}]}`
	if m, err = ParseManifest(MediaTypeDockerManifest, []byte(foreign)); err != nil || len(slices.Collect(m.Blobs())) != 1 {
		t.Errorf("%v, %v", m, err)
	}
}

func TestParseManifestRefuses(t *testing.T) {
	good := imageText("")
	for name, test := range map[string]struct{ mediaType, body string }{
		"no JSON":                   {MediaTypeOCIManifest, "hello"},
		"no object":                 {MediaTypeOCIManifest, "[]"},
		"two values":                {MediaTypeOCIManifest, good + good},
		"a member twice":            {MediaTypeOCIManifest, strings.Replace(good, `{"sch`, `{"schemaVersion":2,"sch`, 1)},
		"deep":                      {MediaTypeOCIManifest, imageText(`,"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100))},
		"another type":              {MediaTypeDockerManifest, good},
		"unknown type":              {"application/json", strings.Replace(good, MediaTypeOCIManifest, "application/json", 1)},
		"no type":                   {"", strings.Replace(good, `"mediaType":"`+MediaTypeOCIManifest+`",`, "", 1)},
		"type not a string":         {MediaTypeOCIManifest, strings.Replace(good, `"`+MediaTypeOCIManifest+`"`, "1", 1)},
		"schema 1 as 2":             {MediaTypeOCIManifest, strings.Replace(good, `"schemaVersion":2`, `"schemaVersion":1`, 1)},
		"no config":                 {MediaTypeOCIManifest, `{"schemaVersion":2,"layers":[]}`},
		"no layers":                 {MediaTypeOCIManifest, `{"schemaVersion":2,"config":` + descriptorText("x/y", digestA, 1) + `}`},
		"layers in another case":    {MediaTypeOCIManifest, strings.Replace(good, `"layers"`, `"Layers"`, 1)},
		"image and index":           {MediaTypeOCIManifest, imageText(`,"manifests":[]`)},
		"index and image":           {MediaTypeOCIIndex, `{"schemaVersion":2,"manifests":[],"layers":[]}`},
		"index without manifests":   {MediaTypeOCIIndex, `{"schemaVersion":2}`},
		"bad digest":                {MediaTypeOCIManifest, strings.Replace(good, string(digestB), "sha256:0", 1)},
		"digest of another kind":    {MediaTypeOCIManifest, strings.Replace(good, string(digestB), "sha512:"+strings.Repeat("0", 128), 1)},
		"negative size":             {MediaTypeOCIManifest, strings.Replace(good, `"size":10`, `"size":-10`, 1)},
		"fractional size":           {MediaTypeOCIManifest, strings.Replace(good, `"size":10`, `"size":1.5`, 1)},
		"size as text":              {MediaTypeOCIManifest, strings.Replace(good, `"size":10`, `"size":"10"`, 1)},
		"descriptor without type":   {MediaTypeOCIManifest, strings.Replace(good, `"application/x.layer"`, `""`, 1)},
		"subject is a text":         {MediaTypeOCIManifest, imageText(`,"subject":"x"`)},
		"annotation is a number":    {MediaTypeOCIManifest, imageText(`,"annotations":{"a":1}`)},
		"annotations are a list":    {MediaTypeOCIManifest, imageText(`,"annotations":[]`)},
		"artifactType is an object": {MediaTypeOCIManifest, imageText(`,"artifactType":{}`)},
		"too large":                 {MediaTypeOCIManifest, imageText(`,"x":"` + strings.Repeat("x", MaxManifestSize) + `"`)},
	} {
		m, err := ParseManifest(test.mediaType, []byte(test.body))
		if _, ok := err.(*ManifestError); !ok {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
}

func TestAccept(t *testing.T) {
	got := ParseAccept([]string{"Application/X+json; q=0.5, text/*", "a/b;q=0", "", "c/d;q=0.000, e/f;v=1"})
	if want := []string{"application/x+json", "text/*", "e/f"}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	for mediaType, want := range map[string]bool{"application/x+json": true, "text/plain": true, "a/b": false, "textual/x": false} {
		if AcceptAllows(got, mediaType) != want {
			t.Errorf("%s: %v", mediaType, !want)
		}
	}
	if !AcceptAllows(nil, "a/b") || !AcceptAllows([]string{"*/*"}, "a/b") {
		t.Error("all types are not allowed")
	}
}

func TestLayerSizeDoesNotOverflow(t *testing.T) {
	m := &Manifest{Layers: []Descriptor{{Digest: digestA, Size: 1 << 62}, {Digest: digestB, Size: 1 << 62}}}
	if got := m.LayerSize(); got != 1<<63-1 {
		t.Errorf("%d", got)
	}
}

func FuzzParseManifest(f *testing.F) {
	for mediaType := range forms {
		f.Add(mediaType, imageText(`,"subject":null`))
	}
	f.Fuzz(func(t *testing.T, mediaType, body string) {
		m, err := ParseManifest(mediaType, []byte(body))
		if err != nil {
			return
		}
		for d := range m.Blobs() {
			if _, err := ParseDigest(string(d.Digest)); err != nil || d.Size < 0 {
				t.Errorf("blob %+v", d)
			}
		}
	})
}

func FuzzParseRequest(f *testing.F) {
	f.Add("GET", "/v2/ab/manifests/v1", "n=1")
	f.Add("POST", "/v2/ab/blobs/uploads/", "mount="+string(digestA))
	f.Fuzz(func(t *testing.T, method, path, query string) {
		u, err := url.Parse(path)
		if err != nil {
			return
		}
		u.RawQuery = query
		r, err := ParseRequest(method, u)
		if err != nil {
			return
		}
		if r.Kind != Ping && r.Kind != Catalog && !ValidRepositoryName(r.Name) || r.Tag != "" && !ValidTag(r.Tag) || r.N < -1 {
			t.Errorf("%+v", r)
		}
		if _, err := ParseDigest(string(r.Digest)); r.Digest != "" && err != nil {
			t.Errorf("%+v", r)
		}
	})
}
