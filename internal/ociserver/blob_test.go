package ociserver_test

import (
	"strconv"
	"strings"

	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/ociserver"
)

// whole is the answer that holds all of a blob.
func whole(content string) string {
	return "200\nAccept-Ranges: bytes\nContent-Type: application/octet-stream\nDocker-Content-Digest: ${digest:" + content + "}\n" +
		"Etag: \"${digest:" + content + "}\"\n\n${body:" + content + "}"
}

// part is the answer that holds bytes of the layer "letters".
func part(first, last int) string {
	return "206\nAccept-Ranges: bytes\nContent-Range: bytes " + strconv.Itoa(first) + "-" + strconv.Itoa(last) + "/26\n" +
		"Content-Type: application/octet-stream\nDocker-Content-Digest: ${digest:letters}\nEtag: \"${digest:letters}\"\n\n" + letters[first:last+1]
}

const letters = "abcdefghijklmnopqrstuvwxyz"

func noBlob(digest string) string {
	return refusal(404, "BLOB_UNKNOWN",
		"The layer with digest "+digest+" does not exist within the repository with name 'team/app' in the registry with id '123456789012'")
}

var blobScripts = []script{
	{name: "blobs", contents: map[string]string{"letters": letters, "absent": "not pushed", "empty": "", "large": strings.Repeat("0123456789abcdef", 5_000)},
		setup: func(w *session) {
			for _, name := range []string{"letters", "empty", "large"} {
				w.PushBlob(w.values["token"], "team/app", []byte(w.contents[name]))
			}
		}, exchanges: []exchange{
			{name: "HEAD", request: "HEAD /v2/team/app/blobs/${digest:letters} HTTP/1.1", response: found("letters")},
			{name: "GET", request: "GET /v2/team/app/blobs/${digest:letters} HTTP/1.1", response: whole("letters")},
			{name: "GET of many chunks", request: "GET /v2/team/app/blobs/${digest:large} HTTP/1.1", response: whole("large")},
			{name: "GET of nothing", request: "GET /v2/team/app/blobs/${digest:empty} HTTP/1.1", response: whole("empty")},
			{name: "the client has it", request: "GET /v2/team/app/blobs/${digest:letters} HTTP/1.1\nIf-None-Match: \"${digest:letters}\"",
				response: "304\nDocker-Content-Digest: ${digest:letters}\nEtag: \"${digest:letters}\"\n\n"},
			{name: "HEAD, and the client has it", request: "HEAD /v2/team/app/blobs/${digest:letters} HTTP/1.1\nIf-None-Match: W/\"${digest:letters}\"",
				response: "304\nDocker-Content-Digest: ${digest:letters}\nEtag: \"${digest:letters}\"\n\n"},
			{name: "the client has another", request: "GET /v2/team/app/blobs/${digest:letters} HTTP/1.1\nIf-None-Match: \"${digest:absent}\"", response: whole("letters")},
			{name: "absent", request: "GET /v2/team/app/blobs/${digest:absent} HTTP/1.1", response: noBlob("${digest:absent}")},
			{name: "HEAD of what is absent", request: "HEAD /v2/team/app/blobs/${digest:absent} HTTP/1.1", response: "404\nContent-Length: 239\nContent-Type: application/json\n\n"},
			{name: "in no repository", request: "GET /v2/no/such/blobs/${digest:letters} HTTP/1.1",
				response: refusal(404, "NAME_UNKNOWN", "The repository with name 'no/such' does not exist in the registry with id '123456789012'")},
			{name: "no digest", request: "GET /v2/team/app/blobs/latest HTTP/1.1",
				response: refusal(400, "DIGEST_INVALID", "The digest is not a digest of the form sha256:<64 lower-case hexadecimal digits>")},
			{name: "another method", request: "PUT /v2/team/app/blobs/${digest:letters} HTTP/1.1", response: `
405
Allow: DELETE, GET, HEAD
Content-Type: application/json

{"errors":[{"code":"UNSUPPORTED","message":"The method is not supported at this path"}]}`},
		}},
	{name: "ranges of blobs", contents: map[string]string{"letters": letters}, setup: func(w *session) {
		w.PushBlob(w.values["token"], "team/app", []byte(letters))
	}, exchanges: []exchange{
		{name: "from the middle", request: ranged("bytes=3-5"), response: part(3, 5)},
		{name: "one byte", request: ranged("bytes=0-0"), response: part(0, 0)},
		{name: "to the end", request: ranged("bytes=20-"), response: part(20, 25)},
		{name: "beyond the end", request: ranged("bytes=20-99"), response: part(20, 25)},
		{name: "the last bytes", request: ranged("bytes=-4"), response: part(22, 25)},
		{name: "more last bytes than there are", request: ranged("bytes=-99"), response: part(0, 25)},
		{name: "after the end", request: ranged("bytes=26-"), response: unsatisfiable},
		{name: "backwards", request: ranged("bytes=5-3"), response: "416\nContent-Type: text/plain; charset=utf-8\nDocker-Content-Digest: ${digest:letters}\n\ninvalid range\n"},
		{name: "of the same blob", request: ranged("bytes=3-5") + "\nIf-Range: \"${digest:letters}\"", response: part(3, 5)},
		{name: "of another blob", request: ranged("bytes=3-5") + "\nIf-Range: \"sha256:" + zeros + "\"", response: whole("letters")},
		{name: "several", request: ranged("bytes=0-1,-2"), response: `
206
Accept-Ranges: bytes
Content-Type: multipart/byteranges; boundary=${=boundary}
Docker-Content-Digest: ${digest:letters}
Etag: "${digest:letters}"

--${=b1}` + "\r\nContent-Range: bytes 0-1/26\r\nContent-Type: application/octet-stream\r\n\r\nab\r\n" +
			"--${=b2}\r\nContent-Range: bytes 24-25/26\r\nContent-Type: application/octet-stream\r\n\r\nyz\r\n--${=b3}\r\n"},
		{name: "so many that all is less", request: ranged("bytes=0-20,0-20,0-20"), response: whole("letters")},
	}},
	{name: "delete a blob", contents: map[string]string{"loose": "a layer of no image", "layer": "a layer of an image"}, setup: func(w *session) {
		w.PushBlob(w.values["token"], "team/app", []byte(w.contents["loose"]))
		w.PushImage(w.values["token"], "team/app", "1", []byte(w.contents["layer"]))
	}, exchanges: []exchange{
		{name: "of no image", request: "DELETE /v2/team/app/blobs/${digest:loose} HTTP/1.1", response: "202\n\n"},
		{name: "it is gone", request: "GET /v2/team/app/blobs/${digest:loose} HTTP/1.1", response: noBlob("${digest:loose}")},
		{name: "again", request: "DELETE /v2/team/app/blobs/${digest:loose} HTTP/1.1", response: noBlob("${digest:loose}")},
		{name: "of an image", request: "DELETE /v2/team/app/blobs/${digest:layer} HTTP/1.1",
			response: refusal(405, "UNSUPPORTED", "An image refers to the layer; delete the image first")},
		{name: "it is still there", request: "HEAD /v2/team/app/blobs/${digest:layer} HTTP/1.1", response: found("layer")},
	}},
	{name: "download addresses", contents: map[string]string{"layer": letters, "other": "another layer"}, setup: func(w *session) {
		w.PushImage(w.values["token"], "team/app", "1", []byte(letters), []byte(w.contents["other"]))
		w.CreateRepository("app")
		w.PushImage(w.values["token"], "app", "1", []byte(letters))
		var out struct{ DownloadURL string }
		w.MustECR("GetDownloadUrlForLayer", map[string]string{"repositoryName": "team/app", "layerDigest": coffertest.Digest([]byte(letters))}, &out)
		_, w.values["key"], _ = strings.Cut(out.DownloadURL, "?")
		w.values["url"] = strings.TrimPrefix(out.DownloadURL, w.URL)
	}, exchanges: []exchange{
		{name: "without credentials", request: "GET ${url} HTTP/1.1\nAuthorization:", response: whole("layer")},
		{name: "HEAD", request: "HEAD ${url} HTTP/1.1\nAuthorization:", response: found("layer")},
		{name: "a range", request: "GET ${url} HTTP/1.1\nAuthorization:\nRange: bytes=-3", response: `
206
Accept-Ranges: bytes
Content-Range: bytes 23-25/26
Content-Type: application/octet-stream
Docker-Content-Digest: ${digest:layer}
Etag: "${digest:layer}"

xyz`},
		{name: "for another layer", request: "GET /v2/team/app/blobs/${digest:other}?${key} HTTP/1.1\nAuthorization:", response: challenge},
		{name: "for another repository", request: "GET /v2/app/blobs/${digest:layer}?${key} HTTP/1.1\nAuthorization:", response: challenge},
		{name: "for a manifest", request: "GET /v2/team/app/manifests/1?${key} HTTP/1.1\nAuthorization:", response: challenge},
		{name: "for a delete", request: "DELETE ${url} HTTP/1.1\nAuthorization:", response: challenge},
		{name: "for an upload", request: "POST /v2/team/app/blobs/uploads/?${key} HTTP/1.1\nAuthorization:", response: challenge},
		{name: "for the ping", request: "GET /v2/?${key} HTTP/1.1\nAuthorization:", response: challenge},
		{name: "altered", request: "GET ${url}A HTTP/1.1\nAuthorization:", response: challenge},
		{name: "empty", request: "GET /v2/team/app/blobs/${digest:layer}?X-Coffer-Token= HTTP/1.1\nAuthorization:", response: challenge},
		{name: "a registry token in its place", request: "GET /v2/team/app/blobs/${digest:layer}?X-Coffer-Token=${token} HTTP/1.1\nAuthorization:", response: challenge},
		{name: "over", before: func(w *session) { w.clock.Advance(ociserver.DownloadLifetime) }, request: "GET ${url} HTTP/1.1\nAuthorization:",
			response: refusal(403, "DENIED", expired)},
	}},
}

func ranged(value string) string {
	return "GET /v2/team/app/blobs/${digest:letters} HTTP/1.1\nRange: " + value
}

// unsatisfiable is in the words of net/http, which serves ranges.
const unsatisfiable = `
416
Content-Range: bytes */26
Content-Type: text/plain; charset=utf-8
Docker-Content-Digest: ${digest:letters}

invalid range: failed to overlap
`
