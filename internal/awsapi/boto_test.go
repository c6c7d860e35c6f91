package awsapi_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/awsapi"
	"github.com/coffer-registry/coffer/internal/awsapi/ecr"
	"github.com/coffer-registry/coffer/internal/awsapi/sts"
)

// botoScript calls the server at argv[1] and prints what boto3 makes of the answers.
const botoScript = `
import json, sys
import boto3, botocore.config, botocore.exceptions
config = botocore.config.Config(retries={"max_attempts": 0}, parameter_validation=False)
def client(name):
    return boto3.client(name, endpoint_url=sys.argv[1], region_name="eu-central-1", aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
                        aws_secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", config=config)
out = []
def call(method, **arguments):
    try:
        answer = method(**arguments)
    except botocore.exceptions.ClientError as error:
        answer = error.response
    meta = answer.pop("ResponseMetadata")
    answer["meta"] = [meta["HTTPStatusCode"], meta["RequestId"]]
    out.append(answer)
r, s = client("ecr"), client("sts")
call(r.create_repository, repositoryName="team/app", tags=[{"Key": "k", "Value": "v"}])
call(r.create_repository, repositoryName="Team")
call(r.upload_layer_part, repositoryName="app", uploadId="1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed", partFirstByte=0, partLastByte=2, layerPartBlob=b"\x00\xff>")
call(r.describe_registry)
call(s.get_caller_identity)
call(s.assume_role, RoleArn="arn:aws:iam::123456789012:role/build", RoleSessionName="ci", Tags=[{"Key": "k", "Value": "v w"}], PolicyArns=[])
call(s.assume_role, RoleArn="arn:aws:iam::123456789012:role/build", RoleSessionName="?")
print(json.dumps(out, default=lambda v: v.isoformat()))
`

// fakeAWS answers the calls of the script by the codecs alone.
func fakeAWS(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		target, isJSON := strings.CutPrefix(r.Header.Get("X-Amz-Target"), ecr.Model.TargetPrefix+".")
		if isJSON {
			serveJSON(t, w, target, body)
			return
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			t.Error(err)
		}
		serveQuery(t, w, form)
	}
}

func serveJSON(t *testing.T, w http.ResponseWriter, name string, body []byte) {
	op := ecr.Model.Operations[name]
	if inputs[name] == nil {
		awsapi.WriteJSONError(w, requestID, "1.1", awsapi.UnknownOperation(name))
		return
	}
	in := newInput(t, name)
	if err := awsapi.DecodeJSON(ecr.Model, op, body, in); err != nil {
		awsapi.WriteJSONError(w, requestID, "1.1", err.(*awsapi.Error))
		return
	}
	switch in := in.(type) {
	case *ecr.CreateRepositoryRequest:
		awsapi.WriteJSON(w, requestID, "1.1", &ecr.CreateRepositoryResponse{Repository: &ecr.Repository{
			RepositoryName: in.RepositoryName, RepositoryARN: in.Tags[0].Key + in.Tags[0].Value,
			CreatedAt: ptr(awsapi.NewTime(time.UnixMilli(1448875853241))), ImageTagMutabilityExclusionFilters: []ecr.ImageTagMutabilityExclusionFilter{},
		}})
	case *ecr.UploadLayerPartRequest:
		failure := ecr.Model.Error("InvalidLayerPartException", string(in.LayerPartBlob[2:]))
		failure.Members = map[string]any{"lastValidByteReceived": 41, "uploadId": in.UploadID}
		awsapi.WriteJSONError(w, requestID, "1.1", failure)
	}
}

func serveQuery(t *testing.T, w http.ResponseWriter, form url.Values) {
	name := form.Get("Action")
	op := sts.Model.Operations[name]
	in := newInput(t, name)
	if err := awsapi.DecodeQuery(sts.Model, op, form, in); err != nil {
		awsapi.WriteQueryError(w, sts.Model, requestID, err.(*awsapi.Error))
		return
	}
	switch in := in.(type) {
	case *sts.GetCallerIdentityRequest:
		awsapi.WriteQuery(w, sts.Model, op, requestID, &sts.GetCallerIdentityResponse{Account: "123456789012", Arn: "arn:aws:iam::123456789012:root", UserID: "<&>"})
	case *sts.AssumeRoleRequest:
		awsapi.WriteQuery(w, sts.Model, op, requestID, &sts.AssumeRoleResponse{
			SourceIdentity: in.Tags[0].Value, PackedPolicySize: ptr(int64(len(in.PolicyARNs))),
			Credentials: &sts.Credentials{AccessKeyID: "ASIAIOSFODNN7EXAMPLE", Expiration: awsapi.NewTime(time.Unix(1448875853, 0))},
		})
	}
}

// TestBotoUnderstands has the real SDK call operations and looks at what it makes of the answers.
func TestBotoUnderstands(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil || exec.Command(python, "-c", "import boto3").Run() != nil {
		t.Skip("python3 with boto3 is not installed")
	}
	server := httptest.NewServer(fakeAWS(t))
	defer server.Close()
	c := exec.CommandContext(t.Context(), python, "-c", botoScript, server.URL)
	c.Env = append(os.Environ(), "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "NO_PROXY=*")
	c.Stderr = os.Stderr
	text, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got []any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	type object = map[string]any
	ok, bad := []any{200.0, requestID}, []any{400.0, requestID}
	const old = `(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*`
	invalid := "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression '" + old + "''"
	detected := "2 validation errors detected: Value '?' at 'roleSessionName' failed to satisfy constraint: Member must have length greater than or equal to 2; " +
		`Value '?' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*`
	want := []any{
		object{"meta": ok, "repository": object{"repositoryName": "team/app", "repositoryArn": "kv", "createdAt": got[0].(object)["repository"].(object)["createdAt"],
			"imageTagMutabilityExclusionFilters": []any{}}},
		object{"meta": bad, "message": invalid, "Error": object{"Code": "InvalidParameterException", "Message": invalid}},
		object{"meta": bad, "message": ">", "lastValidByteReceived": 41.0, "uploadId": "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
			"Error": object{"Code": "InvalidLayerPartException", "Message": ">"}},
		object{"meta": bad, "Error": object{"Code": "UnknownOperationException",
			"Message": "The operation DescribeRegistry is not available on this server."}},
		object{"meta": ok, "Account": "123456789012", "Arn": "arn:aws:iam::123456789012:root", "UserId": "<&>"},
		object{"meta": ok, "SourceIdentity": "v w", "PackedPolicySize": 0.0, "Credentials": object{"AccessKeyId": "ASIAIOSFODNN7EXAMPLE",
			"SecretAccessKey": "", "SessionToken": "", "Expiration": "2015-11-30T09:30:53+00:00"}},
		object{"meta": bad, "Error": object{"Type": "Sender", "Code": "ValidationError", "Message": detected}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	// boto3 gives the time in the zone of the machine.
	created, err := time.Parse(time.RFC3339, got[0].(object)["repository"].(object)["createdAt"].(string))
	if err != nil || created.UnixMilli() != 1448875853241 {
		t.Errorf("createdAt is %v, %v", created, err)
	}
}
