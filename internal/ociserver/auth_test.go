package ociserver_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/sigv4"
)

// tokenOf logs in to another region.
func (w *session) tokenOf(region string) string {
	w.t.Helper()
	r := w.Request(http.MethodPost, "/", strings.NewReader("{}"), "Content-Type", "application/x-amz-json-1.1",
		"X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken")
	err := sigv4.Sign(r, []byte("{}"), sigv4.Credentials{AccessKeyID: coffertest.AccessKeyID, Secret: secret.New(coffertest.SecretAccessKey)},
		sigv4.Scope{Region: region, Service: "ecr"}, w.clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	var out struct {
		AuthorizationData []struct{ AuthorizationToken string }
	}
	if err := json.Unmarshal(w.Do(r).Body, &out); err != nil || len(out.AuthorizationData) != 1 {
		w.t.Fatalf("log in to %s: %v", region, err)
	}
	return out.AuthorizationData[0].AuthorizationToken
}

func basic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

// challenge is ECR's, byte for byte.
const challenge = `
401
Content-Type: text/plain; charset=utf-8
Www-Authenticate: Basic realm="http://${host}/",service="ecr.amazonaws.com"

Not Authorized
`

const welcome = `
200
Content-Type: application/json

{}`

const expired = "Your authorization token has expired. Reauthenticate and try again."

var authScripts = []script{
	{name: "who is calling", setup: func(w *session) {
		password, _ := base64.StdEncoding.DecodeString(w.values["token"])
		_, secret, _ := strings.Cut(string(password), ":")
		w.values["wrong user"] = basic("aws", secret)
		w.values["garbage"] = basic("AWS", "garbage")
		w.values["altered"] = basic("AWS", secret[:len(secret)-8]+"AAAAAAAA")
		w.values["long"] = basic("AWS", strings.Repeat("A", 8<<10))
		w.values["no password"] = basic("AWS", "")
		w.values["key"] = basic(coffertest.AccessKeyID, coffertest.SecretAccessKey)
	}, exchanges: []exchange{
		{name: "nobody", request: "GET /v2/ HTTP/1.1\nAuthorization:", response: challenge},
		{name: "nobody without the slash", request: "GET /v2 HTTP/1.1\nAuthorization:", response: challenge},
		{name: "nobody, at a repository", request: "GET /v2/team/app/tags/list HTTP/1.1\nAuthorization:", response: challenge},
		{name: "nobody, where nothing is", request: "GET /v2/nothing HTTP/1.1\nAuthorization:", response: challenge},
		{name: "nobody pushes", request: "POST /v2/team/app/blobs/uploads/ HTTP/1.1\nAuthorization:", response: challenge},
		{name: "HEAD by nobody", request: "HEAD /v2/ HTTP/1.1\nAuthorization:", response: `
401
Content-Length: 15
Content-Type: text/plain; charset=utf-8
Www-Authenticate: Basic realm="http://${host}/",service="ecr.amazonaws.com"

`},
		{name: "another user", request: "GET /v2/ HTTP/1.1\nAuthorization: Basic ${wrong user}", response: challenge},
		{name: "garbage", request: "GET /v2/ HTTP/1.1\nAuthorization: Basic ${garbage}", response: challenge},
		{name: "an altered token", request: "GET /v2/ HTTP/1.1\nAuthorization: Basic ${altered}", response: challenge},
		{name: "a token that is too long", request: "GET /v2/ HTTP/1.1\nAuthorization: Basic ${long}", response: challenge},
		{name: "no password", request: "GET /v2/ HTTP/1.1\nAuthorization: Basic ${no password}", response: challenge},
		{name: "an access key", request: "GET /v2/ HTTP/1.1\nAuthorization: Basic ${key}", response: challenge},
		{name: "no base64", request: "GET /v2/ HTTP/1.1\nAuthorization: Basic %%%", response: challenge},
		{name: "a bearer token", request: "GET /v2/ HTTP/1.1\nAuthorization: Bearer ${token}", response: challenge},
		{name: "a good token", request: "GET /v2/ HTTP/1.1", response: welcome},
		{name: "a good token without the slash", request: "GET /v2 HTTP/1.1", response: welcome},
		{name: "HEAD with a good token", request: "HEAD /v2/ HTTP/1.1", response: "200\nContent-Length: 2\nContent-Type: application/json\n\n"},
		{name: "there is no token server", request: "GET /v2/token HTTP/1.1",
			response: refusal(404, "UNSUPPORTED", "The distribution specification has nothing at this path")},
		{name: "another method", request: "DELETE /v2/ HTTP/1.1", response: `
405
Allow: GET, HEAD
Content-Type: application/json

{"errors":[{"code":"UNSUPPORTED","message":"The method is not supported at this path"}]}`},
	}},
	{name: "a token grows old", exchanges: []exchange{
		{name: "its last second", before: func(w *session) { w.clock.Advance(12*time.Hour - time.Second) },
			request: "GET /v2/ HTTP/1.1", response: welcome},
		{name: "over", before: func(w *session) { w.clock.Advance(time.Second) },
			request: "GET /v2/ HTTP/1.1", response: refusal(403, "DENIED", expired)},
		{name: "over at a repository", request: "GET /v2/team/app/tags/list HTTP/1.1", response: refusal(403, "DENIED", expired)},
		{name: "a new one", before: func(w *session) { w.values["token"] = w.Token() }, request: "GET /v2/ HTTP/1.1", response: welcome},
	}},
	{name: "hosts", options: []coffertest.Option{func(c *app.Config, _ *app.Options) {
		c.Region = []string{coffertest.Region, "eu-west-1"}
	}}, setup: func(w *session) {
		w.values["west"] = w.tokenOf("eu-west-1")
	}, exchanges: []exchange{
		{name: "no registry host is the first account and region", request: "GET /v2/team/app/tags/list HTTP/1.1", response: tagsOf("team/app")},
		{name: "a registry host", request: "GET /v2/team/app/tags/list HTTP/1.1\nHost: 123456789012.dkr.ecr.us-east-1.example.com",
			response: tagsOf("team/app")},
		{name: "with a port", request: "GET /v2/team/app/tags/list HTTP/1.1\nHost: 123456789012.dkr.ecr.us-east-1.example.com:5000",
			response: tagsOf("team/app")},
		{name: "of the dual stack", request: "GET /v2/team/app/tags/list HTTP/1.1\nHost: 123456789012.dkr-ecr.us-east-1.example.com",
			response: tagsOf("team/app")},
		{name: "of FIPS", request: "GET /v2/team/app/tags/list HTTP/1.1\nHost: 123456789012.dkr.ecr-fips.us-east-1.example.com",
			response: tagsOf("team/app")},
		{name: "a token of one region in another", request: "GET /v2/ HTTP/1.1\nHost: 123456789012.dkr.ecr.eu-west-1.example.com", response: `
401
Content-Type: text/plain; charset=utf-8
Www-Authenticate: Basic realm="http://123456789012.dkr.ecr.eu-west-1.example.com/",service="ecr.amazonaws.com"

Not Authorized
`},
		{name: "the other way round", request: "GET /v2/ HTTP/1.1\nAuthorization: Basic ${west}", response: challenge},
		{name: "the token of that region", request: "GET /v2/ HTTP/1.1\nHost: 123456789012.dkr.ecr.eu-west-1.example.com\nAuthorization: Basic ${west}",
			response: welcome},
		{name: "each region has repositories of its own",
			request:  "GET /v2/team/app/tags/list HTTP/1.1\nHost: 123456789012.dkr.ecr.eu-west-1.example.com\nAuthorization: Basic ${west}",
			response: refusal(404, "NAME_UNKNOWN", "The repository with name 'team/app' does not exist in the registry with id '123456789012'")},
		{name: "an account that does not exist", request: "GET /v2/ HTTP/1.1\nHost: 999999999999.dkr.ecr.us-east-1.example.com",
			response: refusal(404, "NAME_UNKNOWN", "Could not resolve registry id from host 999999999999.dkr.ecr.us-east-1.example.com")},
		{name: "before anybody has to say who they are", request: "GET /v2/ HTTP/1.1\nHost: 999999999999.dkr.ecr.us-east-1.example.com\nAuthorization:",
			response: refusal(404, "NAME_UNKNOWN", "Could not resolve registry id from host 999999999999.dkr.ecr.us-east-1.example.com")},
		{name: "a region that is not served", request: "GET /v2/ HTTP/1.1\nHost: 123456789012.dkr.ecr.ap-south-1.example.com",
			response: refusal(404, "NAME_UNKNOWN", "Could not resolve registry id from host 123456789012.dkr.ecr.ap-south-1.example.com")},
		{name: "what only looks like a registry host", request: "GET /v2/team/app/tags/list HTTP/1.1\nHost: 12345678901x.dkr.ecr.eu-west-1.example.com",
			response: tagsOf("team/app")},
		{name: "headers of a proxy count for nothing", request: `
GET /v2/ HTTP/1.1
Authorization:
X-Forwarded-Host: 999999999999.dkr.ecr.eu-west-1.example.com
X-Forwarded-Proto: https
X-Forwarded-For: 203.0.113.7
Forwarded: for=203.0.113.7;proto=https;host=example.com`, response: challenge},
	}},
}

// tagsOf is the list of all tags of a repository.
func tagsOf(repository string, tags ...string) string {
	list, _ := json.Marshal(append([]string{}, tags...))
	return "200\nContent-Type: application/json\n\n" + `{"name":"` + repository + `","tags":` + string(list) + `}`
}
