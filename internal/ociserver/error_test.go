package ociserver_test

import (
	"bufio"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/policy"
)

// denyPushes is a policy that allows everything but pushes.
func denyPushes(_ *app.Config, o *app.Options) {
	o.Evaluate = func(r policy.Request) policy.Decision {
		for _, q := range r.Questions {
			if q.Action == "ecr:PutImage" || q.Action == "ecr:UploadLayerPart" {
				return policy.Decision{Action: q.Action, Resource: q.Resource.ARN, Reason: policy.ReasonIdentity}
			}
		}
		return policy.Evaluate(r, policy.PolicySet{})
	}
}

func deniedText(action, repository string) string {
	return refusal(403, "DENIED", "User: arn:aws:iam::123456789012:root is not authorized to perform: "+action+
		" on resource: arn:aws:ecr:us-east-1:123456789012:repository/"+repository+" because no identity-based policy allows the "+action+" action")
}

const busy = "429\nContent-Type: application/json\nRetry-After: 1\n\n" + `{"errors":[{"code":"TOOMANYREQUESTS","message":"Rate exceeded"}]}`

var errorScripts = []script{
	{name: "denied", options: []coffertest.Option{denyPushes}, contents: images, exchanges: []exchange{
		{name: "an image", request: put("1", "one", coffertest.ManifestType), response: deniedText("ecr:PutImage", "team/app")},
		{name: "to a repository that isn't there", request: "PUT /v2/no/such/manifests/1 HTTP/1.1\n\n{}", response: deniedText("ecr:PutImage", "no/such")},
		{name: "the start of an upload is not", request: start, response: started},
		{name: "a part", request: "PATCH /v2/team/app/blobs/uploads/${upload} HTTP/1.1\n\nbytes", response: deniedText("ecr:UploadLayerPart", "team/app")},
		{name: "the end", request: "PUT /v2/team/app/blobs/uploads/${upload}?digest=${digest:one} HTTP/1.1", response: deniedText("ecr:UploadLayerPart", "team/app")},
		{name: "all at once", request: "POST /v2/team/app/blobs/uploads/?digest=${digest:one} HTTP/1.1\n\n${body:one}", response: deniedText("ecr:UploadLayerPart", "team/app")},
	}},
	{name: "throttled", options: []coffertest.Option{coffertest.Limits(map[string]int64{"rate-batch-get-image": 2})}, contents: images, exchanges: []exchange{
		{name: "first", request: get("1"), response: noImage},
		{name: "second", request: get("1"), response: noImage},
		{name: "third", request: get("1"), response: busy},
		{name: "HEAD is the same action", request: "HEAD /v2/team/app/manifests/1 HTTP/1.1", response: "429\nContent-Length: 65\nContent-Type: application/json\nRetry-After: 1\n\n"},
		{name: "another action", request: "GET /v2/team/app/tags/list HTTP/1.1", response: tagsOf("team/app")},
		{name: "a second later", before: func(w *session) { w.clock.Advance(1e9) }, request: get("1"), response: noImage},
	}},
	{name: "too many uploads at once", options: []coffertest.Option{coffertest.Limits(map[string]int64{"concurrent-uploads": 1})}, exchanges: []exchange{
		{name: "start", request: start, response: started},
		{name: "while another is under way", before: holdUpload, request: "PATCH /v2/team/app/blobs/uploads/${upload} HTTP/1.1\n\nbytes",
			response: "429\nContent-Type: application/json\nRetry-After: 1\n\n" + `{"errors":[{"code":"TOOMANYREQUESTS","message":"Too many layers are being uploaded at once"}]}`},
	}},
	{name: "a repository that is not there", exchanges: inNoRepository()},
	{name: "paths", exchanges: []exchange{
		{name: "of the first version", request: "GET /v2/v1/search HTTP/1.1", response: nothingHere},
		{name: "a repository alone", request: "GET /v2/team/app HTTP/1.1", response: nothingHere},
		{name: "a slash too many", request: "GET /v2//tags/list HTTP/1.1", response: refusal(400, "NAME_INVALID", badName)},
		{name: "a slash too many within", request: "GET /v2/team//app/tags/list HTTP/1.1", response: refusal(400, "NAME_INVALID", badName)},
		{name: "a parent", request: "GET /v2/team/../app/tags/list HTTP/1.1", response: refusal(400, "NAME_INVALID", badName)},
		{name: "an encoded slash", request: "GET /v2/team%2Fapp/tags/list HTTP/1.1", response: refusal(400, "NAME_INVALID", badName)},
		{name: "an encoded parent", request: "GET /v2/team/%2e%2e/app/tags/list HTTP/1.1", response: refusal(400, "NAME_INVALID", badName)},
		{name: "an encoded slash after the version", request: "GET /v2%2Fteam/app/tags/list HTTP/1.1", response: nothingHere},
	}},
	{name: "a damaged layer", contents: images, setup: func(w *session) {
		pushLayers(w)
		damage(w)
	}, exchanges: []exchange{
		{name: "is not served", request: "GET /v2/team/app/blobs/${digest:layer} HTTP/1.1",
			response: "500\nContent-Type: application/json\n\n" +
				`{"errors":[{"code":"UNKNOWN","message":"An internal error occurred; the server's log names it under request ${=id}."}]}`},
	}},
}

// inNoRepository are requests of every kind for a repository that does not exist.
func inNoRepository() []exchange {
	const digest, upload = "sha256:" + zeros, "/v2/no/such/blobs/uploads/" + noUpload
	var all []exchange
	for _, request := range []string{"GET /v2/no/such/tags/list", "GET /v2/no/such/referrers/" + digest, "GET /v2/no/such/manifests/1", "DELETE /v2/no/such/manifests/1",
		"GET /v2/no/such/blobs/" + digest, "DELETE /v2/no/such/blobs/" + digest, "POST /v2/no/such/blobs/uploads/", "POST /v2/no/such/blobs/uploads/?digest=" + digest,
		"POST /v2/no/such/blobs/uploads/?from=team/app&mount=" + digest, "GET " + upload, "PATCH " + upload, "PUT " + upload + "?digest=" + digest, "DELETE " + upload} {
		all = append(all, exchange{name: request, request: request + " HTTP/1.1", response: refusal(404, "NAME_UNKNOWN",
			"The repository with name 'no/such' does not exist in the registry with id '123456789012'")})
	}
	return append(all, exchange{name: "HEAD of a layer", request: "HEAD /v2/no/such/blobs/" + digest + " HTTP/1.1", response: "404\nContent-Length: 137\nContent-Type: application/json\n\n"})
}

var nothingHere = refusal(404, "UNSUPPORTED", "The distribution specification has nothing at this path")

// damage changes a byte of every object.
func damage(w *session) {
	w.t.Helper()
	err := filepath.WalkDir(filepath.Join(w.Config.Data, "blobs"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text[len(text)-1] ^= 1
		return os.WriteFile(path, text, 0o600)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// holdUpload begins an upload on a connection of its own, and returns when the server waits for its bytes.
func holdUpload(w *session) {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.values["host"])
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	request := w.wire("POST /v2/team/app/blobs/uploads/?digest=sha256:"+zeros+" HTTP/1.1\nExpect: 100-continue\nContent-Length: 10", "")
	if _, err := io.WriteString(conn, request); err != nil {
		w.t.Fatal(err)
	}
	// The server asks for the body when it begins to read it.
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		w.t.Fatalf("%q, %v", line, err)
	}
}
