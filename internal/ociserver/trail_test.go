package ociserver_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// step is a request of a client with the record that it leaves; upload stands for the upload in both.
type step struct {
	method, path, body string
	status             int
	event              string
	readOnly           bool
	parameters         string
	response           string
	errorCode          string
}

// TestTrailOfDocker pushes and pulls as docker does, and finds each request in the trail once, under ECR's name.
func TestTrailOfDocker(t *testing.T) {
	s := coffertest.Start(t)
	s.CreateRepository("team/app")
	s.CreateRepository("team/source")
	token := s.Token()
	s.PushImage(token, "team/source", "1", []byte(layer))
	seen := map[string]bool{}
	for _, r := range s.Trail() {
		seen[r.RequestID] = true
	}
	const registry, repository = `{"registryId":"123456789012"`, `{"registryId":"123456789012","repositoryName":"team/app"`
	layerDigest, manifest := coffertest.Digest([]byte(layer)), manifestOf(nil)
	configDigest, digest := coffertest.Digest([]byte(config)), coffertest.Digest([]byte(manifest))
	tag, blobs := "/v2/team/app/manifests/1", "/v2/team/app/blobs/"
	upload := ""
	for _, want := range []step{
		{"GET", "/v2/", "", 200, "PingRegistry", true, "null", "null", ""},
		{"HEAD", tag, "", 404, "BatchGetImage", true, repository + `,"imageIds":[{"imageTag":"1"}]}`, "null", "ImageNotFoundException"},
		{"HEAD", blobs + configDigest, "", 404, "BatchCheckLayerAvailability", true, repository + `,"layerDigests":["` + configDigest + `"]}`, "null", "LayersNotFoundException"},
		{"POST", blobs + "uploads/", "", 202, "InitiateLayerUpload", false, repository + `}`, repository + `,"uploadId":"upload"}`, ""},
		{"GET", "upload", "", 204, "DescribeLayerUpload", true, repository + `,"uploadId":"upload"}`, "null", ""},
		{"PATCH", "upload", config, 202, "UploadLayerPart", false, repository + `,"uploadId":"upload"}`, repository + `,"uploadId":"upload","lastByteReceived":36}`, ""},
		{"PUT", "upload?digest=" + layerDigest, "", 400, "CompleteLayerUpload", false, repository + `,"layerDigests":["` + layerDigest + `"],"uploadId":"upload"}`, "null", "InvalidLayerException"},
		{"PUT", "upload?digest=" + configDigest, "", 201, "CompleteLayerUpload", false, repository + `,"layerDigests":["` + configDigest + `"],"uploadId":"upload"}`,
			repository + `,"layerDigest":"` + configDigest + `"}`, ""},
		{"POST", blobs + "uploads/?mount=" + layerDigest + "&from=team/source", "", 201, "MountLayer", false,
			repository + `,"layerDigest":"` + layerDigest + `","sourceRepositoryName":"team/source"}`, repository + `,"layerDigest":"` + layerDigest + `","sourceRepositoryName":"team/source"}`, ""},
		{"POST", blobs + "uploads/?mount=" + digest + "&from=team/source", "", 202, "InitiateLayerUpload", false,
			repository + `,"layerDigest":"` + digest + `","sourceRepositoryName":"team/source"}`, repository + `,"uploadId":"upload"}`, ""},
		{"DELETE", "upload", "", 204, "AbortLayerUpload", false, repository + `,"uploadId":"upload"}`, repository + `,"uploadId":"upload"}`, ""},
		{"POST", blobs + "uploads/?digest=" + layerDigest, layer, 201, "CompleteLayerUpload", false, repository + `,"layerDigests":["` + layerDigest + `"]}`, repository + `,"layerDigest":"` + layerDigest + `"}`, ""},
		{"PUT", tag, manifest, 201, "PutImage", false, repository + `,"imageTag":"1"}`,
			repository + `,"imageDigest":"` + digest + `","imageTag":"1","imageManifestMediaType":"` + coffertest.ManifestType + `"}`, ""},
		{"PUT", tag, "{", 405, "PutImage", false, repository + `,"imageTag":"1"}`, "null", "InvalidParameterException"},
		{"GET", tag, "", 200, "BatchGetImage", true, repository + `,"imageIds":[{"imageTag":"1"}]}`, "null", ""},
		{"GET", "/v2/team/app/manifests/" + digest, "", 200, "BatchGetImage", true, repository + `,"imageIds":[{"imageDigest":"` + digest + `"}]}`, "null", ""},
		{"HEAD", blobs + layerDigest, "", 200, "BatchCheckLayerAvailability", true, repository + `,"layerDigests":["` + layerDigest + `"]}`, "null", ""},
		{"GET", blobs + layerDigest, "", 200, "GetDownloadUrlForLayer", true, repository + `,"layerDigest":"` + layerDigest + `"}`, "null", ""},
		{"GET", "/v2/team/app/referrers/" + digest, "", 200, "ListImageReferrers", true, repository + `,"subjectId":{"imageDigest":"` + digest + `"}}`, "null", ""},
		{"GET", "/v2/team/app/tags/list", "", 200, "ListImages", true, repository + `}`, "null", ""},
		{"GET", "/v2/_catalog", "", 200, "DescribeRepositories", true, registry + `}`, "null", ""},
		{"DELETE", tag, "", 202, "BatchDeleteImage", false, repository + `,"imageIds":[{"imageTag":"1"}]}`, repository + `,"imageDigest":"` + digest + `","imageTag":"1"}`, ""},
		{"DELETE", blobs + layerDigest, "", 202, "DeleteLayer", false, repository + `,"layerDigest":"` + layerDigest + `"}`, repository + `,"layerDigest":"` + layerDigest + `"}`, ""},
		{"GET", "/v2/team/app/nothing", "", 404, "UnknownOperation", false, "null", "null", "UNSUPPORTED"},
	} {
		t.Run(want.method+" "+want.path, func(t *testing.T) {
			path := want.path
			if rest, ok := strings.CutPrefix(path, "upload"); ok {
				path = blobs + "uploads/" + upload + rest
			}
			answer := s.V2(token, want.method, path, want.body, "Content-Type", contentTypeOf(want.body))
			if id := answer.Header.Get("Docker-Upload-Uuid"); id != "" {
				upload = id
			}
			var fresh []coffertest.Record
			for _, r := range s.Trail() {
				if !seen[r.RequestID] {
					fresh = append(fresh, r)
				}
				seen[r.RequestID] = true
			}
			if answer.Status != want.status || len(fresh) != 1 {
				t.Fatalf("status %d, %d records", answer.Status, len(fresh))
			}
			r := fresh[0]
			got := step{want.method, want.path, want.body, answer.Status, r.EventName, r.ReadOnly, member(t, r, "requestParameters", upload), member(t, r, "responseElements", upload), r.ErrorCode}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(step{})); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if r.RequestID != answer.Header.Get("X-Amzn-Requestid") || r.EventSource != "ecr.amazonaws.com" || r.UserIdentity.Type != "Root" ||
				r.UserIdentity.AccessKeyID != coffertest.AccessKeyID || r.RecipientAccountID != coffertest.Account {
				t.Errorf("the record: %s", r.Text)
			}
		})
	}
}

// contentTypeOf is that of a body that is a manifest, and none of others.
func contentTypeOf(body string) string {
	if strings.HasPrefix(body, "{") && body != config {
		return coffertest.ManifestType
	}
	return ""
}

// member is the text of a member of a record, in which "upload" stands for the upload.
func member(t *testing.T, r coffertest.Record, name, upload string) string {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(r.Text), &members); err != nil {
		t.Fatal(err)
	}
	text := string(members[name])
	if upload != "" {
		text = strings.ReplaceAll(text, upload, "upload")
	}
	return text
}

// A change that fails leaves its record and nothing else.
func TestTrailOfAFailedChange(t *testing.T) {
	s := coffertest.Start(t)
	s.CreateRepository("team/app")
	token := s.Token()
	before := len(s.Trail())
	r := s.V2(token, http.MethodPut, "/v2/team/app/manifests/1", manifestOf(nil), "Content-Type", coffertest.ManifestType)
	if r.Code() != "MANIFEST_BLOB_UNKNOWN" {
		t.Fatalf("status %d: %s", r.Status, r.Body)
	}
	records := s.Trail()
	if len(records) != before+1 {
		t.Fatalf("%d records more", len(records)-before)
	}
	for _, record := range records {
		if record.RequestID == r.Header.Get("X-Amzn-Requestid") && (record.ErrorCode != "LayersNotFoundException" || record.ErrorMessage != r.Message() || record.ResponseElements != nil) {
			t.Errorf("the record: %s", record.Text)
		}
	}
	if r := s.V2(token, http.MethodGet, "/v2/team/app/tags/list", nil); string(r.Body) != `{"name":"team/app","tags":[]}` {
		t.Errorf("%s", r.Body)
	}
}
