package ecr_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// record is a record in CloudTrail's format, with what is open in it written as REQUEST, EVENT and TIME.
func record(name, parameters, response, more string, readOnly bool) string {
	resources := `"resources":[{"ARN":"arn:aws:ecr:us-east-1:123456789012:repository/team/app","accountId":"123456789012","type":"AWS::ECR::Repository"}],`
	only := "false"
	if readOnly {
		only = "true"
	}
	return `{"eventVersion":"1.11","userIdentity":{"type":"Root","principalId":"123456789012","arn":"arn:aws:iam::123456789012:root",` +
		`"accountId":"123456789012","accessKeyId":"AKIAIOSFODNN7EXAMPLE"},"eventTime":"TIME","eventSource":"ecr.amazonaws.com","eventName":"` + name +
		`","awsRegion":"us-east-1","sourceIPAddress":"127.0.0.1","userAgent":"Go-http-client/1.1",` + more + `"requestParameters":` + parameters +
		`,"responseElements":` + response + `,"requestID":"REQUEST","eventID":"EVENT","readOnly":` + only + `,` + resources +
		`"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"123456789012","eventCategory":"Management"}`
}

func failed(code, message string) string {
	return `"errorCode":"` + code + `","errorMessage":"` + message + `",`
}

// TestTrailOfCalls compares whole records.
func TestTrailOfCalls(t *testing.T) {
	w := start(t)
	w.contents = with(images, parts)
	w.MustECR("DeleteRepository", map[string]any{"repositoryName": "team/app"}, nil)
	seen := map[string]bool{}
	for _, r := range w.Trail() {
		seen[r.RequestID] = true
	}
	repositoryText := `{"repository":` + strings.Replace(repository("team/app", "MUTABLE", ""), "${now}", `"CREATED"`, 1) + `}`
	for _, test := range []struct{ name, operation, in, want string }{
		{"a change", "CreateRepository", `{"repositoryName":"team/app","tags":[{"Key":"k","Value":"v"}]}`,
			record("CreateRepository", `{"repositoryName":"team/app","tags":[{"Key":"k","Value":"v"}]}`, repositoryText, "", false)},
		{"a change that failed", "CreateRepository", `{"repositoryName":"team/app"}`, record("CreateRepository", `{"repositoryName":"team/app"}`, "null",
			failed("RepositoryAlreadyExistsException", "The repository with name 'team/app' already exists in the registry with id '123456789012'"), false)},
		{"a read", "DescribeRepositories", `{"repositoryNames":["team/app"]}`, record("DescribeRepositories", `{"repositoryNames":["team/app"]}`, "null", "", true)},
		{"a read that failed", "BatchGetImage", `{"repositoryName":"team/app","imageIds":[{"imageTag":"1"}],"registryId":"123456789012","x":1}`,
			record("BatchGetImage", `{"registryId":"123456789012","repositoryName":"team/app","imageIds":[{"imageTag":"1"}]}`, "null", "", true)},
		{"a change without an answer", "TagResource", `{` + appARN + `,"tags":[{"Key":"k","Value":"w"}]}`,
			record("TagResource", `{`+appARN+`,"tags":[{"Key":"k","Value":"w"}]}`, "null", "", false)},
		{"the beginning of an upload", "InitiateLayerUpload", initiate, record("InitiateLayerUpload", initiate, `{"uploadId":"${upload}","partSize":10485760}`, "", false)},
		{"a part leaves out its bytes", "UploadLayerPart", part("0", "9", "ten"), record("UploadLayerPart",
			`{"repositoryName":"team/app","uploadId":"${upload}","partFirstByte":0,"partLastByte":9}`, received("9"), "", false)},
		{"a part that failed", "UploadLayerPart", part("0", "9", "ten"), record("UploadLayerPart", `{"repositoryName":"team/app","uploadId":"${upload}","partFirstByte":0,"partLastByte":9}`,
			"null", failed("InvalidLayerPartException", wrongFirst), false)},
		{"the end of an upload", "CompleteLayerUpload", complete("${digest:ten}"), record("CompleteLayerUpload",
			`{"repositoryName":"team/app","uploadId":"${upload}","layerDigests":["${digest:ten}"]}`, completed("ten"), "", false)},
		{"an image", "PutImage", `{"repositoryName":"team/app","imageManifest":${body:nothing},"imageTag":"1"}`,
			record("PutImage", `{"repositoryName":"team/app","imageManifest":${body:nothing},"imageTag":"1"}`, `{"image":`+image(byBoth("nothing", "1"), "nothing", coffertest.IndexType)+`}`, "", false)},
		{"a delete", "DeleteRepository", `{"repositoryName":"team/app","force":true}`, record("DeleteRepository", `{"repositoryName":"team/app","force":true}`, repositoryText, "", false)},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.t = t
			w.contents["nothing"] = indexOf()
			answer := w.ECR(test.operation, w.expand(test.in))
			var started struct{ UploadID string }
			if json.Unmarshal(answer.Body, &started); started.UploadID != "" {
				w.values["upload"] = started.UploadID
			}
			var fresh []coffertest.Record
			for _, r := range w.Trail() {
				if !seen[r.RequestID] {
					fresh = append(fresh, r)
				}
				seen[r.RequestID] = true
			}
			if len(fresh) != 1 {
				t.Fatalf("%d records", len(fresh))
			}
			r := fresh[0]
			got := strings.NewReplacer(r.RequestID, "REQUEST", eventID(t, r.Text), "EVENT", w.clock.Now().UTC().Format("2006-01-02T15:04:05Z"), "TIME",
				w.clock.Now().UTC().Format("Jan 2, 2006 3:04:05 PM"), "CREATED").Replace(r.Text)
			if diff := cmp.Diff(parse(t, []byte(w.expand(test.want))), parse(t, []byte(got))); diff != "" || answer.Header.Get("X-Amzn-Requestid") != r.RequestID {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func eventID(t *testing.T, text string) string {
	t.Helper()
	var r struct{ EventID string }
	if err := json.Unmarshal([]byte(text), &r); err != nil || len(r.EventID) != 36 {
		t.Fatalf("%v: %s", err, text)
	}
	return r.EventID
}
