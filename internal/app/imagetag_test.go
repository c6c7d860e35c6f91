package app_test

import (
	"net/http"
	"testing"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/policy"
)

// releases is a user's policy under which nobody but others touches tags that begin with prod-.
const releases = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr:*","Resource":"*"},
	{"Effect":"Deny","Action":["ecr:PutImage","ecr:BatchDeleteImage"],"Resource":"*","Condition":{"ForAnyValue:StringLike":{"coffer:ImageTag":"prod-*"}}}]}`

// Who may not touch a tag neither sets nor moves nor deletes it, whichever way: not with its image by digest either.
func TestTagsThatOnlyOthersTouch(t *testing.T) {
	root := coffertest.Start(t)
	root.CreateRepository("team/app")
	ci := user(root, "ci", releases)
	token := ci.Token()
	devDigest, dev := ci.PushImage(token, "team/app", "dev-1", []byte("dev"))
	prodDigest, prod := root.PushImage(root.Token(), "team/app", "prod-1", []byte("prod"))
	root.PushManifest(root.Token(), "team/app", "latest", prod)
	id := func(name, value string) map[string]string { return map[string]string{name: value} }
	put := func(tag string, manifest []byte) coffertest.Response {
		return ci.ECR("PutImage", map[string]any{"repositoryName": "team/app", "imageTag": tag, "imageManifest": string(manifest)})
	}
	remove := func(ids ...map[string]string) coffertest.Response {
		return ci.ECR("BatchDeleteImage", map[string]any{"repositoryName": "team/app", "imageIds": ids})
	}
	v2 := func(method, reference string, body []byte) coffertest.Response {
		return ci.V2(token, method, "/v2/team/app/manifests/"+reference, body, "Content-Type", coffertest.ManifestType)
	}
	for name, r := range map[string]coffertest.Response{
		"set a tag":                        put("prod-2", dev),
		"move a tag":                       put("prod-1", dev),
		"delete a tag":                     remove(id("imageTag", "prod-1")),
		"delete a tag among others":        remove(id("imageTag", "dev-1"), id("imageTag", "prod-1")),
		"delete a tag by both":             remove(map[string]string{"imageTag": "prod-1", "imageDigest": prodDigest}),
		"delete the image":                 remove(id("imageDigest", prodDigest)),
		"delete the image among others":    remove(id("imageDigest", devDigest), id("imageDigest", prodDigest)),
		"set a tag at /v2/":                v2(http.MethodPut, "prod-2", dev),
		"move a tag at /v2/":               v2(http.MethodPut, "prod-1", dev),
		"delete a tag at /v2/":             v2(http.MethodDelete, "prod-1", nil),
		"delete the image at /v2/":         v2(http.MethodDelete, prodDigest, nil),
		"delete a tag that does not exist": remove(id("imageTag", "prod-3")),
	} {
		if code := r.Code(); code != "AccessDeniedException" && code != "DENIED" {
			t.Errorf("%s: status %d: %s", name, r.Status, r.Body)
		}
	}
	var images struct {
		ImageDetails []struct{ ImageTags []string }
	}
	ci.MustECR("DescribeImages", map[string]any{"repositoryName": "team/app", "imageIds": []any{id("imageTag", "prod-1"), id("imageTag", "dev-1")}}, &images)
	if len(images.ImageDetails) != 2 || len(images.ImageDetails[0].ImageTags) != 2 || len(images.ImageDetails[1].ImageTags) != 1 {
		t.Errorf("%+v", images)
	}
	wantStatus(t, put("dev-2", prod), http.StatusOK, "")
	wantStatus(t, v2(http.MethodPut, "dev-3", dev), http.StatusCreated, "")
	wantStatus(t, v2(http.MethodPut, prodDigest, prod), http.StatusCreated, "")
	wantStatus(t, remove(id("imageTag", "latest")), http.StatusOK, "")
	wantStatus(t, v2(http.MethodDelete, "dev-2", nil), http.StatusAccepted, "")
	wantStatus(t, v2(http.MethodDelete, devDigest, nil), http.StatusAccepted, "")
	wantStatus(t, v2(http.MethodGet, "prod-1", nil), http.StatusOK, "")
}

// A cluster that must not follow tags gets images by digest only.
func TestImagesByDigestOnly(t *testing.T) {
	root := coffertest.Start(t)
	root.CreateRepository("team/app")
	digest, manifest := root.PushImage(root.Token(), "team/app", "1", []byte("layer"))
	node := user(root, "node", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ecr:Batch*","ecr:Get*","ecr:DescribeImages"],"Resource":"*"},
		{"Effect":"Deny","Action":["ecr:BatchGetImage","ecr:DescribeImages"],"Resource":"*","Condition":{"Bool":{"coffer:ImageDigestOnly":"false"}}}]}`)
	token := node.Token()
	get := func(ids ...map[string]string) coffertest.Response {
		return node.ECR("BatchGetImage", map[string]any{"repositoryName": "team/app", "imageIds": ids})
	}
	byTag, byDigest := map[string]string{"imageTag": "1"}, map[string]string{"imageDigest": digest}
	for name, r := range map[string]coffertest.Response{
		"by tag":                  get(byTag),
		"by digest and by tag":    get(byDigest, byTag),
		"by tag and digest":       get(map[string]string{"imageTag": "1", "imageDigest": digest}),
		"described by tag":        node.ECR("DescribeImages", map[string]any{"repositoryName": "team/app", "imageIds": []any{byTag}}),
		"by tag at /v2/":          node.V2(token, http.MethodGet, "/v2/team/app/manifests/1", nil),
		"a tag that isn't /v2/":   node.V2(token, http.MethodGet, "/v2/team/app/manifests/2", nil),
		"pushed as if it were ok": node.V2(token, http.MethodPut, "/v2/team/app/manifests/2", manifest, "Content-Type", coffertest.ManifestType),
	} {
		if code := r.Code(); code != "AccessDeniedException" && code != "DENIED" {
			t.Errorf("%s: status %d: %s", name, r.Status, r.Body)
		}
	}
	if r := node.V2(token, http.MethodHead, "/v2/team/app/manifests/1", nil); r.Status != http.StatusForbidden {
		t.Errorf("HEAD by tag: status %d", r.Status)
	}
	for name, r := range map[string]coffertest.Response{
		"by digest":           get(byDigest, byDigest),
		"described by digest": node.ECR("DescribeImages", map[string]any{"repositoryName": "team/app", "imageIds": []any{byDigest}}),
		"described all":       node.ECR("DescribeImages", map[string]any{"repositoryName": "team/app"}),
		"referrers":           node.ECR("ListImageReferrers", map[string]any{"repositoryName": "team/app", "subjectId": byDigest}),
		"by digest at /v2/":   node.V2(token, http.MethodGet, "/v2/team/app/manifests/"+digest, nil),
		"HEAD at /v2/":        node.V2(token, http.MethodHead, "/v2/team/app/manifests/"+digest, nil),
		"referrers at /v2/":   node.V2(token, http.MethodGet, "/v2/team/app/referrers/"+digest, nil),
		"its layer":           node.V2(token, http.MethodGet, "/v2/team/app/blobs/"+coffertest.Digest([]byte("layer")), nil),
	} {
		if r.Status != http.StatusOK {
			t.Errorf("%s: status %d: %s", name, r.Status, r.Body)
		}
	}
}

// One who may only read some tags gets no others in the same call.
func TestTagsInABatch(t *testing.T) {
	root := coffertest.Start(t)
	root.CreateRepository("team/app")
	for _, tag := range []string{"dev-1", "dev-2", "prod-1"} {
		root.PushImage(root.Token(), "team/app", tag, []byte(tag))
	}
	dev := user(root, "dev", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ecr:BatchGetImage","Resource":"*",
		"Condition":{"ForAllValues:StringLike":{"coffer:ImageTag":"dev-*"},"Bool":{"coffer:ImageDigestOnly":"false"}}}}`)
	get := func(tags ...string) coffertest.Response {
		var ids []any
		for _, tag := range tags {
			ids = append(ids, map[string]string{"imageTag": tag})
		}
		return dev.ECR("BatchGetImage", map[string]any{"repositoryName": "team/app", "imageIds": ids})
	}
	wantStatus(t, get("dev-1", "dev-2"), http.StatusOK, "")
	wantStatus(t, get("dev-1", "prod-1"), http.StatusBadRequest, "AccessDeniedException")
	wantStatus(t, get("prod-1", "dev-1", "dev-2"), http.StatusBadRequest, "AccessDeniedException")
}

// A tag that an image gets while the gate is asked about its deletion does not go with it unasked.
func TestTagThatComesBetween(t *testing.T) {
	var s *coffertest.Server
	var between func()
	s = coffertest.Start(t, func(_ *app.Config, o *app.Options) {
		o.Evaluate = func(r policy.Request) policy.Decision {
			if between != nil && r.Questions[0].Action == "ecr:BatchDeleteImage" {
				push := between
				between = nil
				push()
			}
			return policy.Decision{Allowed: true}
		}
	})
	s.CreateRepository("team/app")
	token := s.Token()
	digest, manifest := s.PushImage(token, "team/app", "dev-1", []byte("layer"))
	for tag, remove := range map[string]func() coffertest.Response{
		"prod-1": func() coffertest.Response {
			return s.ECR("BatchDeleteImage", map[string]any{"repositoryName": "team/app", "imageIds": []any{map[string]string{"imageDigest": digest}}})
		},
		"prod-2": func() coffertest.Response {
			return s.V2(token, http.MethodDelete, "/v2/team/app/manifests/"+digest, nil)
		},
	} {
		between = func() { s.PushManifest(token, "team/app", tag, manifest) }
		r := remove()
		if r.Status < 500 || r.Message() != "The tags of the image changed while it was being deleted. Try again." {
			t.Errorf("%s: status %d: %s", tag, r.Status, r.Body)
		}
		wantStatus(t, s.V2(token, http.MethodGet, "/v2/team/app/manifests/"+tag, nil), http.StatusOK, "")
	}
	wantStatus(t, s.V2(token, http.MethodDelete, "/v2/team/app/manifests/"+digest, nil), http.StatusAccepted, "")
}
