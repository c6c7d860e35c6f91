package awsapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/awsapi"
	"github.com/coffer-registry/coffer/internal/awsapi/ecr"
	"github.com/coffer-registry/coffer/internal/awsapi/sts"
)

// inputs are the input structs of the operations that these tests call.
var inputs = map[string]any{
	"BatchCheckLayerAvailability": ecr.BatchCheckLayerAvailabilityRequest{}, "BatchDeleteImage": ecr.BatchDeleteImageRequest{},
	"BatchGetImage": ecr.BatchGetImageRequest{}, "CompleteLayerUpload": ecr.CompleteLayerUploadRequest{},
	"CreatePullThroughCacheRule":       ecr.CreatePullThroughCacheRuleRequest{},
	"CreateRepository":                 ecr.CreateRepositoryRequest{},
	"CreateRepositoryCreationTemplate": ecr.CreateRepositoryCreationTemplateRequest{},
	"DescribeImages":                   ecr.DescribeImagesRequest{}, "DescribeRepositories": ecr.DescribeRepositoriesRequest{},
	"GetAuthorizationToken": ecr.GetAuthorizationTokenRequest{}, "PutImage": ecr.PutImageRequest{},
	"PutImageTagMutability": ecr.PutImageTagMutabilityRequest{}, "PutLifecyclePolicy": ecr.PutLifecyclePolicyRequest{},
	"PutReplicationConfiguration": ecr.PutReplicationConfigurationRequest{},
	"SetRepositoryPolicy":         ecr.SetRepositoryPolicyRequest{}, "TagResource": ecr.TagResourceRequest{},
	"UploadLayerPart": ecr.UploadLayerPartRequest{},
	"AssumeRole":      sts.AssumeRoleRequest{}, "AssumeRoleWithSAML": sts.AssumeRoleWithSAMLRequest{},
	"GetCallerIdentity": sts.GetCallerIdentityRequest{}, "GetSessionToken": sts.GetSessionTokenRequest{},
}

// newInput returns a pointer to an empty input of an operation.
func newInput(t testing.TB, operation string) any {
	t.Helper()
	in, known := inputs[operation]
	if !known {
		t.Fatalf("the tests don't know the input of %s", operation)
	}
	return reflect.New(reflect.TypeOf(in)).Interface()
}

func decodeJSON(t testing.TB, operation, body string) (any, error) {
	in := newInput(t, operation)
	return in, awsapi.DecodeJSON(ecr.Model, ecr.Model.Operations[operation], []byte(body), in)
}

func decodeQuery(t testing.TB, operation, form string) (any, error) {
	t.Helper()
	values, err := url.ParseQuery(form)
	if err != nil {
		t.Fatal(err)
	}
	in := newInput(t, operation)
	return in, awsapi.DecodeQuery(sts.Model, sts.Model.Operations[operation], values, in)
}

// wantError checks the code, the status and the message of an error.
func wantError(t *testing.T, err error, code, message string) {
	t.Helper()
	var got *awsapi.Error
	if !errors.As(err, &got) {
		t.Fatalf("got %v, want an *Error", err)
	}
	if diff := cmp.Diff(&awsapi.Error{Code: code, Message: message, Status: http.StatusBadRequest}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestSentencesOfECR(t *testing.T) {
	const old = `(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*`
	const prefix = `^([a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*\/?|ROOT)$`
	invalid := func(field, reason string) string {
		return "Invalid parameter at '" + field + "' failed to satisfy constraint: '" + reason + "'"
	}
	const parameter, validation = "InvalidParameterException", "ValidationException"
	for _, test := range []struct{ operation, body, code, message string }{
		{"CreateRepository", `{"repositoryName":"Team/App"}`, parameter,
			invalid("repositoryName", "must satisfy regular expression '"+old+"'")},
		{"CreateRepository", `{"repositoryName":"a"}`, parameter,
			invalid("repositoryName", "Member must have length greater than or equal to 2")},
		{"CreateRepository", `{"repositoryName":""}`, parameter,
			invalid("repositoryName", "Member must have length greater than or equal to 2")},
		{"CreateRepository", `{"repositoryName":"` + strings.Repeat("a", 257) + `"}`, parameter,
			invalid("repositoryName", "Member must have length less than or equal to 256")},
		{"CreateRepository", `{"repositoryName":"app\n"}`, parameter,
			invalid("repositoryName", "must satisfy regular expression '"+old+"'")},
		{"CreateRepository", `{"repositoryName":"app","registryId":"12345678901"}`, parameter,
			invalid("registryId", "must satisfy regular expression '[0-9]{12}'")},
		{"CreateRepository", `{}`, parameter,
			"1 validation error detected: Value null at 'repositoryName' failed to satisfy constraint: Member must not be null"},
		{"CreateRepository", `{"repositoryName":null}`, parameter,
			"1 validation error detected: Value null at 'repositoryName' failed to satisfy constraint: Member must not be null"},
		{"CreateRepository", `{"RepositoryName":"app"}`, parameter,
			"1 validation error detected: Value null at 'repositoryName' failed to satisfy constraint: Member must not be null"},
		{"CreateRepository", ``, parameter,
			"1 validation error detected: Value null at 'repositoryName' failed to satisfy constraint: Member must not be null"},
		{"CreateRepository", `{"repositoryName":"app","tags":[{"Key":"a","Value":"b"},{"Key":"c"}]}`, parameter,
			"1 validation error detected: Value null at 'tags.2.member.value' failed to satisfy constraint: Member must not be null"},
		{"CreateRepository", `{"repositoryName":"app","tags":[null]}`, parameter,
			"1 validation error detected: Value null at 'tags.1.member' failed to satisfy constraint: Member must not be null"},
		{"CreateRepository", `{"repositoryName":"app","encryptionConfiguration":{"encryptionType":"ROT13"}}`, parameter,
			invalid("encryptionConfiguration.encryptionType", "Member must satisfy enum value set: [AES256, KMS, KMS_DSSE]")},
		{"PutImageTagMutability", `{"repositoryName":"app","imageTagMutability":"mutable"}`, parameter,
			invalid("imageTagMutability", "Member must satisfy enum value set: [IMMUTABLE, MUTABLE, MUTABLE_WITH_EXCLUSION, IMMUTABLE_WITH_EXCLUSION]")},
		{"PutImageTagMutability", `{"repositoryName":"app","imageTagMutability":"MUTABLE","imageTagMutabilityExclusionFilters":[{"filterType":"WILDCARD","filter":"a b"}]}`, parameter,
			invalid("imageTagMutabilityExclusionFilters.1.member.filter", "must satisfy regular expression '^[0-9a-zA-Z._*-]{1,128}$'")},
		{"DescribeRepositories", `{"maxResults":1001}`, parameter, invalid("maxResults", "Member must have value less than or equal to 1000")},
		{"DescribeRepositories", `{"maxResults":0}`, parameter, invalid("maxResults", "Member must have value greater than or equal to 1")},
		{"DescribeRepositories", `{"repositoryNames":[]}`, parameter, invalid("repositoryNames", "Member must have length greater than or equal to 1")},
		{"BatchGetImage", `{"repositoryName":"app","imageIds":[` + strings.Repeat(`{},`, 100) + `{}]}`, parameter,
			invalid("imageIds", "Member must have length less than or equal to 100")},
		{"BatchDeleteImage", `{"repositoryName":"app","imageIds":[{"imageTag":"a"},{"imageTag":""}]}`, parameter,
			invalid("imageIds.2.member.imageTag", "Member must have length greater than or equal to 1")},
		{"GetAuthorizationToken", `{"registryIds":["123456789012","12"]}`, parameter,
			invalid("registryIds", "Member must satisfy constraint: [Member must satisfy regular expression pattern: [0-9]{12}]")},
		{"BatchCheckLayerAvailability", `{"repositoryName":"app","layerDigests":["` + strings.Repeat("é", 1001) + `"]}`, parameter,
			invalid("layerDigests", "Member must satisfy constraint: [Member must have length less than or equal to 1000, Member must have length greater than or equal to 0]")},
		{"PutImage", `{"repositoryName":"app","imageManifest":""}`, parameter, invalid("ImageManifest", "Member must have length greater than or equal to 1")},
		{"PutLifecyclePolicy", `{"repositoryName":"app","lifecyclePolicyText":"{}"}`, parameter,
			invalid("LifecyclePolicyText", "Member must have length greater than or equal to 100")},
		{"SetRepositoryPolicy", `{"repositoryName":"app","policyText":"` + strings.Repeat(`\"`, 10241) + `"}`, parameter,
			invalid("PolicyText", "Member must have length less than or equal to 10240")},
		{"UploadLayerPart", `{"repositoryName":"app","uploadId":"1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed","partFirstByte":-1,"partLastByte":0,"layerPartBlob":""}`, parameter,
			invalid("partFirstByte", "Member must have value greater than or equal to 0")},
		{"CompleteLayerUpload", `{"repositoryName":"app","uploadId":"1","layerDigests":["sha256:00"]}`, parameter,
			invalid("uploadId", "must satisfy regular expression '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}'")},
		{"CreatePullThroughCacheRule", `{"ecrRepositoryPrefix":"Team","upstreamRegistryUrl":"quay.io"}`, validation,
			invalid("ecrRepositoryPrefix", "Member must satisfy regular expression pattern: "+prefix)},
		{"CreateRepositoryCreationTemplate", `{"prefix":"team","appliedFor":["REPLICATION","NOTHING"]}`, validation,
			invalid("appliedFor", "Member must satisfy constraint: [Member must satisfy enum value set: [REPLICATION, PULL_THROUGH_CACHE, CREATE_ON_PUSH]]")},
		{"PutReplicationConfiguration", `{}`, validation,
			"1 validation error detected: Value null at 'replicationConfiguration' failed to satisfy constraint: Member must not be null"},
		{"PutReplicationConfiguration", `{"replicationConfiguration":{"rules":[{"destinations":[{"region":"us-east-1","registryId":"x"}]}]}}`, validation,
			invalid("replicationConfiguration.rules.1.member.destinations.1.member.registryId", "Member must satisfy regular expression pattern: [0-9]{12}")},
		{"CompleteLayerUpload", `{"repositoryName":"A!","registryId":"1"}`, parameter,
			"4 validation errors detected: " + invalid("registryId", "must satisfy regular expression '[0-9]{12}'") +
				"; " + invalid("repositoryName", "must satisfy regular expression '"+old+"'") +
				"; Value null at 'uploadId' failed to satisfy constraint: Member must not be null" +
				"; Value null at 'layerDigests' failed to satisfy constraint: Member must not be null"},
	} {
		t.Run(test.operation, func(t *testing.T) {
			_, err := decodeJSON(t, test.operation, test.body)
			wantError(t, err, test.code, test.message)
		})
	}
}

func TestSentencesOfSTS(t *testing.T) {
	const role = "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fbuild"
	const session = `[\w+=,.@-]*`
	detected := "1 validation error detected: "
	for _, test := range []struct{ operation, form, message string }{
		{"AssumeRole", role, detected + "Value null at 'roleSessionName' failed to satisfy constraint: Member must not be null"},
		{"AssumeRole", role + "&RoleSessionName=a", detected + "Value 'a' at 'roleSessionName' failed to satisfy constraint: Member must have length greater than or equal to 2"},
		{"AssumeRole", role + "&RoleSessionName=a%20b", detected + "Value 'a b' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: " + session},
		{"AssumeRole", role + "&RoleSessionName=*", "2 validation errors detected: Value '*' at 'roleSessionName' failed to satisfy constraint: Member must have length greater than or equal to 2; " +
			"Value '*' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: " + session},
		{"AssumeRole", role + "&RoleSessionName=ci&DurationSeconds=899", detected + "Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900"},
		{"AssumeRole", role + "&RoleSessionName=ci&Tags.member.3.Key=k&Tags.member.7.Key=&Tags.member.7.Value=v", "3 validation errors detected: " +
			"Value null at 'tags.1.member.value' failed to satisfy constraint: Member must not be null; " +
			"Value '' at 'tags.2.member.key' failed to satisfy constraint: Member must have length greater than or equal to 1; " +
			"Value '' at 'tags.2.member.key' failed to satisfy constraint: Member must satisfy regular expression pattern: " + `[\p{L}\p{Z}\p{N}_.:/=+\-@]+`},
		{"AssumeRole", role + "&RoleSessionName=ci&TransitiveTagKeys.member.1=ok&TransitiveTagKeys.member.2=*", detected +
			"Value '[ok, *]' at 'transitiveTagKeys' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 128, " +
			`Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+]`},
		{"AssumeRoleWithSAML", role + "&PrincipalArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Asaml-provider%2Fp&SAMLAssertion=abc", detected +
			"Value at 'sAMLAssertion' failed to satisfy constraint: Member must have length greater than or equal to 4"},
	} {
		t.Run(test.operation, func(t *testing.T) {
			_, err := decodeQuery(t, test.operation, test.form)
			wantError(t, err, "ValidationError", test.message)
		})
	}
}

func TestZeroStyleIsGeneric(t *testing.T) {
	text := &awsapi.Shape{Name: "Text", Kind: awsapi.String, Max: awsapi.Bound(3)}
	op := &awsapi.Operation{Name: "Op", Input: &awsapi.Shape{Kind: awsapi.Structure, Members: []awsapi.Member{{Name: "Text", Shape: text}}}}
	var in struct {
		Text string `json:"Text"`
	}
	err := awsapi.DecodeJSON(&awsapi.Model{}, op, []byte(`{"Text":"abcd"}`), &in)
	wantError(t, err, "ValidationException",
		"1 validation error detected: Value 'abcd' at 'text' failed to satisfy constraint: Member must have length less than or equal to 3")
}

func TestNumbersAreBounded(t *testing.T) {
	score := &awsapi.Shape{Name: "Score", Kind: awsapi.Double, Min: awsapi.Bound(0), Max: awsapi.Bound(10)}
	op := &awsapi.Operation{Name: "Op", Input: &awsapi.Shape{Kind: awsapi.Structure, Members: []awsapi.Member{{Name: "score", Shape: score}}}}
	for text, reason := range map[string]string{
		"0": "", "10.0": "", "9.99e0": "", `"NaN"`: "", "-1": "greater than or equal to 0", "-0.1": "greater than or equal to 0",
		"11": "less than or equal to 10", "1.01e1": "less than or equal to 10",
	} {
		var in struct {
			Score float64 `json:"score"`
		}
		err := awsapi.DecodeJSON(&awsapi.Model{}, op, fmt.Appendf(nil, `{"score":%s}`, text), &in)
		if reason != "" {
			wantError(t, err, "ValidationException", "1 validation error detected: Value '"+text+"' at 'score' failed to satisfy constraint: Member must have value "+reason)
		} else if err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestMapsAreValidated(t *testing.T) {
	word := &awsapi.Shape{Name: "Word", Kind: awsapi.String, Pattern: `[a-z]+`}
	count := &awsapi.Shape{Name: "Count", Kind: awsapi.Integer, Min: awsapi.Bound(0)}
	counts := &awsapi.Shape{Name: "Counts", Kind: awsapi.Map, Key: word, Value: count, Max: awsapi.Bound(2)}
	op := &awsapi.Operation{Name: "Op", Input: &awsapi.Shape{Kind: awsapi.Structure, Members: []awsapi.Member{{Name: "counts", Shape: counts}}}}
	const value = "1 validation error detected: Value at 'counts' failed to satisfy constraint: "
	for body, reason := range map[string]string{
		`{"counts":{"A":1}}`:             "Map keys must satisfy constraint: [Member must satisfy regular expression pattern: [a-z]+]",
		`{"counts":{"a":-1}}`:            "Map value must satisfy constraint: [Member must have value greater than or equal to 0]",
		`{"counts":{"a":1,"b":1,"c":1}}`: "Member must have length less than or equal to 2",
	} {
		var in struct {
			Counts map[string]int64 `json:"counts"`
		}
		wantError(t, awsapi.DecodeJSON(&awsapi.Model{}, op, []byte(body), &in), "ValidationException", value+reason)
	}
}

// TestMessagesAreBounded sends what would make a message of megabytes.
func TestMessagesAreBounded(t *testing.T) {
	_, err := decodeJSON(t, "TagResource", `{"resourceArn":"a","tags":[`+strings.Repeat(`{},`, 100_000)+`{}]}`)
	if err == nil || !strings.HasPrefix(err.Error(), "InvalidParameterException: 10 validation errors detected: ") || len(err.Error()) > 2000 {
		t.Errorf("got %.3000s", err)
	}
	_, err = decodeQuery(t, "AssumeRole", "RoleSessionName="+strings.Repeat("%C3%A9", 500_000)+"&RoleArn="+strings.Repeat("x", 20))
	if err == nil || len(err.Error()) > 10_000 || !strings.Contains(err.Error(), "é...' at 'roleSessionName'") {
		t.Errorf("got %.3000s", err)
	}
}

func TestBlobLengthIsThatOfItsBytes(t *testing.T) {
	blob := &awsapi.Shape{Name: "Blob", Kind: awsapi.Blob, Min: awsapi.Bound(1), Max: awsapi.Bound(4)}
	op := &awsapi.Operation{Name: "Op", Input: &awsapi.Shape{Kind: awsapi.Structure, Members: []awsapi.Member{{Name: "blob", Shape: blob}}}}
	for body, fits := range map[string]bool{
		``: false, `YQ==`: true, `YWI=`: true, `YWJj`: true, `YWJjZA==`: true, `YWJjZGU=`: false, `YWJj\nZA==\r\n`: true, `YWJjZA\u003d\u003d`: true,
	} {
		var in struct {
			Blob []byte `json:"blob"`
		}
		err := awsapi.DecodeJSON(&awsapi.Model{}, op, fmt.Appendf(nil, `{"blob":"%s"}`, body), &in)
		if (err == nil) != fits {
			t.Errorf("%q: %v", body, err)
		}
		if err != nil && !strings.Contains(err.Error(), "Value at 'blob' failed to satisfy constraint: Member must have length ") {
			t.Errorf("%q: %v", body, err)
		}
	}
}
