package awsapi_test

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/awsapi"
	"github.com/coffer-registry/coffer/internal/awsapi/ecr"
)

const requestID = "5a2c3d0e-9f1b-4c6d-8e7f-0123456789ab"

// answer writes down what a handler answers, with sorted headers.
func answer(handle func(http.ResponseWriter)) string {
	r := httptest.NewRecorder()
	handle(r)
	var b strings.Builder
	fmt.Fprintln(&b, r.Code)
	for _, name := range slices.Sorted(maps.Keys(r.Header())) {
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(r.Header()[name], " | "))
	}
	b.WriteString("\n" + r.Body.String())
	return b.String()
}

func ptr[T any](v T) *T { return &v }

func TestJSONOnTheWire(t *testing.T) {
	created := awsapi.NewTime(time.UnixMilli(1448875853241))
	for _, test := range []struct {
		name   string
		handle func(http.ResponseWriter)
		want   string
	}{
		{"success", func(w http.ResponseWriter) {
			awsapi.WriteJSON(w, requestID, "1.1", &ecr.DescribeRepositoriesResponse{Repositories: []ecr.Repository{{
				RepositoryARN: "arn:aws:ecr:us-east-1:123456789012:repository/a", RepositoryName: "a", CreatedAt: &created,
				ImageScanningConfiguration: &ecr.ImageScanningConfiguration{ScanOnPush: ptr(false)},
			}}})
		}, `200
Content-Length: 184
Content-Type: application/x-amz-json-1.1
X-Amzn-Requestid: ` + requestID + `

{"repositories":[{"repositoryArn":"arn:aws:ecr:us-east-1:123456789012:repository/a","repositoryName":"a","createdAt":1448875853.241,"imageScanningConfiguration":{"scanOnPush":false}}]}`},
		{"empty lists are there and nil ones are not", func(w http.ResponseWriter) {
			awsapi.WriteJSON(w, requestID, "1.1", &ecr.BatchGetImageResponse{Failures: []ecr.ImageFailure{}})
		}, `200
Content-Length: 15
Content-Type: application/x-amz-json-1.1
X-Amzn-Requestid: ` + requestID + `

{"failures":[]}`},
		{"text is not escaped for HTML", func(w http.ResponseWriter) {
			awsapi.WriteJSON(w, requestID, "1.0", &ecr.BatchGetImageResponse{Images: []ecr.Image{{ImageManifest: "{\"a\": \"<&>é\"}\n"}}})
		}, `200
Content-Length: 53
Content-Type: application/x-amz-json-1.0
X-Amzn-Requestid: ` + requestID + `

{"images":[{"imageManifest":"{\"a\": \"<&>é\"}\n"}]}`},
		{"no output", func(w http.ResponseWriter) { awsapi.WriteJSON(w, requestID, "2.7", nil) }, `200
Content-Length: 2
Content-Type: application/x-amz-json-1.1
X-Amzn-Requestid: ` + requestID + `

{}`},
		{"nil output", func(w http.ResponseWriter) {
			awsapi.WriteJSON(w, requestID, "1.1", (*ecr.TagResourceResponse)(nil))
		}, `200
Content-Length: 2
Content-Type: application/x-amz-json-1.1
X-Amzn-Requestid: ` + requestID + `

{}`},
		{"error", func(w http.ResponseWriter) {
			awsapi.WriteJSONError(w, requestID, "1.1", &awsapi.Error{Code: "RepositoryNotFoundException", Message: "The repository with name '<a>' does not exist"})
		}, `400
Content-Length: 98
Content-Type: application/x-amz-json-1.1
X-Amzn-Errortype: RepositoryNotFoundException
X-Amzn-Requestid: ` + requestID + `

{"__type":"RepositoryNotFoundException","message":"The repository with name '<a>' does not exist"}`},
		{"error with members", func(w http.ResponseWriter) {
			awsapi.WriteJSONError(w, requestID, "1.1", &awsapi.Error{Code: "InvalidLayerPartException", Message: "m", Members: map[string]any{
				"uploadId": "u", "lastValidByteReceived": int64(5), "registryId": nil, "code": 7, "__type": "x", "repositoryName": math.NaN(),
			}})
		}, `400
Content-Length: 93
Content-Type: application/x-amz-json-1.1
X-Amzn-Errortype: InvalidLayerPartException
X-Amzn-Requestid: ` + requestID + `

{"__type":"InvalidLayerPartException","message":"m","lastValidByteReceived":5,"uploadId":"u"}`},
		{"fault", func(w http.ResponseWriter) {
			awsapi.WriteJSONError(w, requestID, "1.0", ecr.Model.Error("ServerException", "m"))
		}, `500
Content-Length: 42
Content-Type: application/x-amz-json-1.0
X-Amzn-Errortype: ServerException
X-Amzn-Requestid: ` + requestID + `

{"__type":"ServerException","message":"m"}`},
		{"unknown operation", func(w http.ResponseWriter) {
			awsapi.WriteJSONError(w, requestID, "1.1", awsapi.UnknownOperation("PutThing"))
		}, `400
Content-Length: 106
Content-Type: application/x-amz-json-1.1
X-Amzn-Errortype: UnknownOperationException
X-Amzn-Requestid: ` + requestID + `

{"__type":"UnknownOperationException","message":"The operation PutThing is not available on this server."}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, answer(test.handle)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestOutputThatCannotBeEncoded(t *testing.T) {
	r := httptest.NewRecorder()
	err := awsapi.WriteJSON(r, requestID, "1.1", &ecr.CvssScore{BaseScore: ptr(math.Inf(1))})
	if err == nil || r.Code != 500 || r.Body.String() != `{"__type":"InternalFailure"}` {
		t.Errorf("got %v, %d, %s", err, r.Code, r.Body)
	}
}

func TestDecodeJSON(t *testing.T) {
	got, err := decodeJSON(t, "CreateRepository", ` {"repositoryName":"team/app", "REPOSITORYNAME":"Evil", "unknown":{"a":[null]},
		"registryId":null, "tags":[{"Key":"k\u00e9","Value":""}], "imageScanningConfiguration":{"scanOnPush":false},
		"encryptionConfiguration":{"encryptionType":"KMS","kmsKey":"alias\/a"}} `)
	if err != nil {
		t.Fatal(err)
	}
	want := &ecr.CreateRepositoryRequest{
		RepositoryName: "team/app", Tags: []ecr.Tag{{Key: "ké"}},
		ImageScanningConfiguration: &ecr.ImageScanningConfiguration{ScanOnPush: ptr(false)},
		EncryptionConfiguration:    &ecr.EncryptionConfiguration{EncryptionType: "KMS", KmsKey: "alias/a"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestDecodeLayerPart(t *testing.T) {
	got, err := decodeJSON(t, "UploadLayerPart", `{"repositoryName":"app","uploadId":"1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
		"partFirstByte":0,"partLastByte":9223372036854775807,"layerPartBlob":"AP8+"}`)
	if err != nil {
		t.Fatal(err)
	}
	want := &ecr.UploadLayerPartRequest{RepositoryName: "app", UploadID: "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
		PartLastByte: math.MaxInt64, LayerPartBlob: []byte{0, 0xff, 0x3e}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestEmptyBodyIsEmptyInput(t *testing.T) {
	for _, body := range []string{"", " \r\n", "{}"} {
		if _, err := decodeJSON(t, "DescribeRepositories", body); err != nil {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestMalformedJSONIsRefused(t *testing.T) {
	for body, message := range map[string]string{
		`{`:                               "invalid JSON at byte 1: text ends where a member's name should be",
		`{"maxResults":1,"maxResults":2}`: "invalid JSON at byte 16: object has two members of the same name",
		`{"maxResults":1,"max\u0052esults":2000}`: "invalid JSON at byte 16: object has two members of the same name",
		"{\"nextToken\":\"\xff\"}":                "invalid JSON at byte 14: invalid UTF-8",
		strings.Repeat("[", 65):                   "invalid JSON at byte 64: values are nested too deeply",
		`[]`:                                      "the input must be a structure",
		`null`:                                    "the input must be a structure",
		`"{}"`:                                    "the input must be a structure",
		`{"maxResults":"5"}`:                      "'maxResults' must be an integer",
		`{"maxResults":5.0}`:                      "'maxResults' must be an integer",
		`{"maxResults":9223372036854775808}`:      "'maxResults' must be an integer",
		`{"nextToken":5}`:                         "'nextToken' must be a string",
		`{"repositoryNames":"a"}`:                 "'repositoryNames' must be a list",
		`{"repositoryNames":["a",{}]}`:            "'repositoryNames.2.member' must be a string",
	} {
		_, err := decodeJSON(t, "DescribeRepositories", body)
		t.Run(body[:min(len(body), 30)], func(t *testing.T) { wantError(t, err, "SerializationException", message) })
	}
	for body, message := range map[string]string{
		`{"repositoryName":"app","imageScanningConfiguration":{"scanOnPush":"true"}}`: "'imageScanningConfiguration.scanOnPush' must be a boolean",
		`{"repositoryName":"app","imageScanningConfiguration":[]}`:                    "'imageScanningConfiguration' must be a structure",
		`{"repositoryName":"app","tags":[{"Key":1}]}`:                                 "'tags.1.member.Key' must be a string",
	} {
		_, err := decodeJSON(t, "CreateRepository", body)
		wantError(t, err, "SerializationException", message)
	}
	for _, blob := range []string{`"YQ="`, `"Y Q=="`, `"YQ==YQ=="`, `"_-8="`, `5`, `{}`} {
		_, err := decodeJSON(t, "UploadLayerPart", `{"layerPartBlob":`+blob+`}`)
		wantError(t, err, "SerializationException", "'layerPartBlob' must be a blob in base64")
	}
}

func TestOtherTypesDecode(t *testing.T) {
	shape := func(kind awsapi.Kind) *awsapi.Shape { return &awsapi.Shape{Kind: kind} }
	op := &awsapi.Operation{Name: "Op", Input: &awsapi.Shape{Kind: awsapi.Structure, Members: []awsapi.Member{
		{Name: "at", Shape: shape(awsapi.Timestamp)}, {Name: "score", Shape: shape(awsapi.Double)},
		{Name: "counts", Shape: &awsapi.Shape{Kind: awsapi.Map, Key: shape(awsapi.String), Value: shape(awsapi.Integer)}},
	}}}
	type input struct {
		At     *awsapi.Time     `json:"at"`
		Score  *float64         `json:"score"`
		Counts map[string]int64 `json:"counts"`
	}
	for body, want := range map[string]input{
		`{"at":1.5,"score":1e-3}`:       {At: ptr(awsapi.NewTime(time.UnixMilli(1500))), Score: ptr(0.001)},
		`{"at":"1970-01-01T00:00:02Z"}`: {At: ptr(awsapi.NewTime(time.Unix(2, 0)))},
		`{"score":"-Infinity"}`:         {Score: ptr(math.Inf(-1))},
		`{"counts":{"a":1,"b":-2}}`:     {Counts: map[string]int64{"a": 1, "b": -2}},
	} {
		var got input
		if err := awsapi.DecodeJSON(&awsapi.Model{}, op, []byte(body), &got); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", body, diff)
		}
	}
	for body, message := range map[string]string{
		`{"at":true}`:          "'at' must be a timestamp",
		`{"at":"yesterday"}`:   "'at' must be a timestamp",
		`{"at":1e300}`:         "'at' must be a timestamp",
		`{"score":"Inf"}`:      "'score' must be a number",
		`{"score":1e999}`:      "'score' must be a number",
		`{"counts":[]}`:        "'counts' must be a map",
		`{"counts":{"a":"1"}}`: "'counts.a' must be an integer",
	} {
		wantError(t, awsapi.DecodeJSON(&awsapi.Model{}, op, []byte(body), &input{}), "SerializationException", message)
	}
}

func TestErrorText(t *testing.T) {
	if got := (&awsapi.Error{Code: "C", Message: "m"}).Error(); got != "C: m" {
		t.Error(got)
	}
	if got := (&awsapi.Error{Code: "C"}).Error(); got != "C" {
		t.Error(got)
	}
	if got := ecr.Model.Error("Unheard", "m"); got.Code != "Unheard" || got.Status != 400 {
		t.Errorf("%#v", got)
	}
}

func BenchmarkDecodeLayerPart(b *testing.B) {
	body := fmt.Appendf(nil, `{"repositoryName":"app","uploadId":"1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed","partFirstByte":0,"partLastByte":1,"layerPartBlob":"%s"}`,
		bytes.Repeat([]byte("c29tZSBieXRlcyBvZiBhIGxheWVy"), 1<<19))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		var in ecr.UploadLayerPartRequest
		if err := awsapi.DecodeJSON(ecr.Model, ecr.Model.Operations["UploadLayerPart"], body, &in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeBatchGetImage(b *testing.B) {
	body := []byte(`{"repositoryName":"team/app","imageIds":[{"imageTag":"v1"}],"acceptedMediaTypes":["application/vnd.oci.image.manifest.v1+json"]}`)
	b.ReportAllocs()
	for b.Loop() {
		var in ecr.BatchGetImageRequest
		if err := awsapi.DecodeJSON(ecr.Model, ecr.Model.Operations["BatchGetImage"], body, &in); err != nil {
			b.Fatal(err)
		}
	}
}
