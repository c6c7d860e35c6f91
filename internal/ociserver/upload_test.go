package ociserver_test

import "github.com/coffer-registry/coffer/internal/coffertest"

// started is the answer to the beginning of an upload, of which nothing has come yet.
const started = `
202
Docker-Upload-Uuid: ${=upload}
Location: /v2/team/app/blobs/uploads/${=upload2}
Range: 0-0

`

const start = "POST /v2/team/app/blobs/uploads/ HTTP/1.1"

// progress is the answer to a chunk after which the upload holds this range.
func progress(held string) string {
	return "202\nDocker-Upload-Uuid: ${upload}\nLocation: /v2/team/app/blobs/uploads/${upload}\nRange: " + held + "\n\n"
}

// stored is the answer to the end of an upload.
func stored(repository, content string) string {
	return "201\nDocker-Content-Digest: ${digest:" + content + "}\nLocation: /v2/" + repository + "/blobs/${digest:" + content + "}\n\n"
}

func found(content string) string {
	return "200\nContent-Length: ${size:" + content + "}\nContent-Type: application/octet-stream\n" +
		"Docker-Content-Digest: ${digest:" + content + "}\nEtag: \"${digest:" + content + "}\"\n\n"
}

const mismatch = "None of the provided layer digests match the calculated layer digest"

// halves are a layer in two pieces.
var halves = map[string]string{"layer": "the first half, the second half", "first": "the first half,", "second": " the second half"}

func unknownUpload(id string) string {
	return refusal(404, "BLOB_UPLOAD_UNKNOWN",
		"The upload with id '"+id+"' could not be found in the repository with name 'team/app' in the registry with id '123456789012'")
}

const noUpload = "00000000-0000-4000-8000-000000000000"

var uploadScripts = []script{
	{name: "upload in chunks of a known length", contents: halves, exchanges: []exchange{
		{name: "start", request: start, response: started},
		{name: "status of nothing", request: "GET /v2/team/app/blobs/uploads/${upload} HTTP/1.1",
			response: "204\nDocker-Upload-Uuid: ${upload}\nLocation: /v2/team/app/blobs/uploads/${upload}\nRange: 0-0\n\n"},
		{name: "first chunk", request: "PATCH /v2/team/app/blobs/uploads/${upload} HTTP/1.1\nContent-Range: 0-14\nContent-Type: application/octet-stream\n\n${body:first}",
			response: progress("0-14")},
		{name: "the same again", request: "PATCH /v2/team/app/blobs/uploads/${upload} HTTP/1.1\nContent-Range: 0-14\n\n${body:first}", response: `
416
Content-Type: application/json
Docker-Upload-Uuid: ${upload}
Location: /v2/team/app/blobs/uploads/${upload}
Range: 0-14

{"errors":[{"code":"BLOB_UPLOAD_INVALID","message":"The chunk must begin at byte 15, where the upload ended"}]}`},
		{name: "one too far", request: "PATCH /v2/team/app/blobs/uploads/${upload} HTTP/1.1\nContent-Range: 16-31\n\n${body:second}", response: `
416
Content-Type: application/json
Docker-Upload-Uuid: ${upload}
Location: /v2/team/app/blobs/uploads/${upload}
Range: 0-14

{"errors":[{"code":"BLOB_UPLOAD_INVALID","message":"The chunk must begin at byte 15, where the upload ended"}]}`},
		{name: "a range of another length", request: "PATCH /v2/team/app/blobs/uploads/${upload} HTTP/1.1\nContent-Range: 15-20\n\n${body:second}",
			response: refusal(400, "SIZE_INVALID", "The number of bytes received is not the number that was announced")},
		{name: "a chunk shorter than its range", request: "PATCH /v2/team/app/blobs/uploads/${upload} HTTP/1.1\nContent-Range: 15-99\nTransfer-Encoding: chunked\n\n${body:second}",
			response: refusal(400, "SIZE_INVALID", "The number of bytes received is not the number that was announced")},
		{name: "no range", request: "PATCH /v2/team/app/blobs/uploads/${upload} HTTP/1.1\nContent-Range: all\n\n${body:second}",
			response: refusal(400, "BLOB_UPLOAD_INVALID", "the Content-Range all is not of the form 0-99")},
		{name: "what was refused is not there", request: "GET /v2/team/app/blobs/uploads/${upload} HTTP/1.1",
			response: "204\nDocker-Upload-Uuid: ${upload}\nLocation: /v2/team/app/blobs/uploads/${upload}\nRange: 0-14\n\n"},
		{name: "second chunk", request: "PATCH /v2/team/app/blobs/uploads/${upload} HTTP/1.1\nContent-Range: 15-30\n\n${body:second}", response: progress("0-30")},
		{name: "a digest that the bytes don't have", request: "PUT /v2/team/app/blobs/uploads/${upload}?digest=${digest:first} HTTP/1.1",
			response: refusal(400, "DIGEST_INVALID", mismatch)},
		{name: "the layer is not there yet", request: "HEAD /v2/team/app/blobs/${digest:layer} HTTP/1.1",
			response: "404\nContent-Length: 239\nContent-Type: application/json\n\n"},
		{name: "no digest", request: "PUT /v2/team/app/blobs/uploads/${upload} HTTP/1.1",
			response: refusal(400, "DIGEST_INVALID", "The digest is not a digest of the form sha256:<64 lower-case hexadecimal digits>")},
		{name: "finish", request: "PUT /v2/team/app/blobs/uploads/${upload}?digest=${digest:layer} HTTP/1.1", response: stored("team/app", "layer")},
		{name: "the layer is there", request: "HEAD /v2/team/app/blobs/${digest:layer} HTTP/1.1", response: found("layer")},
		{name: "the upload is over", request: "PUT /v2/team/app/blobs/uploads/${upload}?digest=${digest:layer} HTTP/1.1", response: unknownUpload("${upload}")},
	}},
	{name: "upload as docker does", contents: halves, exchanges: []exchange{
		{name: "is it there", request: "HEAD /v2/team/app/blobs/${digest:layer} HTTP/1.1", response: "404\nContent-Length: 239\nContent-Type: application/json\n\n"},
		{name: "start", request: start, response: started},
		{name: "one chunk of unknown length", request: "PATCH ${location} HTTP/1.1\nTransfer-Encoding: chunked\n\n${body:layer}", response: progress("0-30"),
			before: func(w *session) { w.values["location"] = "/v2/team/app/blobs/uploads/" + w.values["upload"] }},
		{name: "finish", request: "PUT ${location}?digest=${digest:layer} HTTP/1.1\nContent-Length: 0", response: stored("team/app", "layer")},
		{name: "the same layer again", request: start, response: started},
		{name: "is a success again", request: "PUT /v2/team/app/blobs/uploads/${upload}?digest=${digest:layer} HTTP/1.1\n\n${body:layer}", response: stored("team/app", "layer")},
	}},
	{name: "upload in few requests", contents: map[string]string{"a": "a layer", "b": "", "c": "the first and the rest", "rest": " and the rest"}, exchanges: []exchange{
		{name: "POST with a digest", request: "POST /v2/team/app/blobs/uploads/?digest=${digest:a} HTTP/1.1\nContent-Type: application/octet-stream\n\n${body:a}",
			response: stored("team/app", "a")},
		{name: "POST with a wrong digest", request: "POST /v2/team/app/blobs/uploads/?digest=${digest:b} HTTP/1.1\n\n${body:a}",
			response: refusal(400, "DIGEST_INVALID", mismatch)},
		{name: "POST with no digest", request: "POST /v2/team/app/blobs/uploads/?digest=md5:0 HTTP/1.1\n\n${body:a}",
			response: refusal(400, "DIGEST_INVALID", "The digest is not a digest of the form sha256:<64 lower-case hexadecimal digits>")},
		{name: "an empty layer", request: "POST /v2/team/app/blobs/uploads/?digest=${digest:b} HTTP/1.1\nContent-Length: 0", response: stored("team/app", "b")},
		{name: "POST, then PUT of all", request: start, response: started},
		{name: "PUT of all", request: "PUT /v2/team/app/blobs/uploads/${upload}?digest=${digest:a} HTTP/1.1\n\n${body:a}", response: stored("team/app", "a")},
		{name: "POST, PATCH, and the rest with PUT", request: start, response: started},
		{name: "PATCH", request: "PATCH /v2/team/app/blobs/uploads/${upload} HTTP/1.1\n\nthe first", response: progress("0-8")},
		{name: "a rest that is none", request: "PUT /v2/team/app/blobs/uploads/${upload}?digest=${digest:c} HTTP/1.1\nContent-Range: 5-17\n\n${body:rest}", response: `
416
Content-Type: application/json
Docker-Upload-Uuid: ${upload}
Location: /v2/team/app/blobs/uploads/${upload}
Range: 0-8

{"errors":[{"code":"BLOB_UPLOAD_INVALID","message":"The chunk must begin at byte 9, where the upload ended"}]}`},
		{name: "PUT of the rest", request: "PUT /v2/team/app/blobs/uploads/${upload}?digest=${digest:c} HTTP/1.1\nContent-Range: 9-21\n\n${body:rest}",
			response: stored("team/app", "c")},
		{name: "it is whole", request: "GET /v2/team/app/blobs/${digest:c} HTTP/1.1", response: whole("c")},
	}},
	{name: "uploads that end early", exchanges: []exchange{
		{name: "start", request: start, response: started},
		{name: "a chunk", request: "PATCH /v2/team/app/blobs/uploads/${upload} HTTP/1.1\n\nsome bytes", response: progress("0-9")},
		{name: "from another repository", request: "GET /v2/team/other/blobs/uploads/${upload} HTTP/1.1",
			before: func(w *session) { w.CreateRepository("team/other") },
			response: refusal(404, "BLOB_UPLOAD_UNKNOWN",
				"The upload with id '${upload}' could not be found in the repository with name 'team/other' in the registry with id '123456789012'")},
		{name: "cancel", request: "DELETE /v2/team/app/blobs/uploads/${upload} HTTP/1.1", response: "204\n\n"},
		{name: "cancel again", request: "DELETE /v2/team/app/blobs/uploads/${upload} HTTP/1.1", response: unknownUpload("${upload}")},
		{name: "go on", request: "PATCH /v2/team/app/blobs/uploads/${upload} HTTP/1.1\n\nmore", response: unknownUpload("${upload}")},
		{name: "one that never was", request: "GET /v2/team/app/blobs/uploads/" + noUpload + " HTTP/1.1", response: unknownUpload(noUpload)},
		{name: "one that can't be", request: "GET /v2/team/app/blobs/uploads/a%2Fb HTTP/1.1", response: refusal(404, "BLOB_UPLOAD_UNKNOWN", "The upload could not be found")},
		{name: "to no repository", request: "POST /v2/no/such/blobs/uploads/ HTTP/1.1",
			response: refusal(404, "NAME_UNKNOWN", "The repository with name 'no/such' does not exist in the registry with id '123456789012'")},
	}},
	{name: "mount", contents: map[string]string{"layer": "a layer that moves", "loose": "a layer of no image"}, setup: func(w *session) {
		for _, name := range []string{"team/source", "team/target"} {
			w.CreateRepository(name)
		}
		w.PushImage(w.values["token"], "team/source", "1", []byte(w.contents["layer"]))
		w.PushBlob(w.values["token"], "team/source", []byte(w.contents["loose"]))
	}, exchanges: []exchange{
		{name: "a layer of an image", request: "POST /v2/team/target/blobs/uploads/?mount=${digest:layer}&from=team/source HTTP/1.1", response: stored("team/target", "layer")},
		{name: "it is there", request: "GET /v2/team/target/blobs/${digest:layer} HTTP/1.1", response: whole("layer")},
		{name: "again", request: "POST /v2/team/target/blobs/uploads/?mount=${digest:layer}&from=team/source HTTP/1.1", response: stored("team/target", "layer")},
		{name: "one that no image refers to", request: "POST /v2/team/app/blobs/uploads/?mount=${digest:loose}&from=team/source HTTP/1.1", response: started},
		{name: "one that isn't there", request: "POST /v2/team/app/blobs/uploads/?mount=sha256:" + zeros + "&from=team/source HTTP/1.1", response: started},
		{name: "from nowhere", request: "POST /v2/team/app/blobs/uploads/?mount=${digest:layer}&from=no/such HTTP/1.1", response: started},
		{name: "from no name", request: "POST /v2/team/app/blobs/uploads/?mount=${digest:layer}&from=../source HTTP/1.1", response: started},
		{name: "from wherever it is", request: "POST /v2/team/app/blobs/uploads/?mount=${digest:layer} HTTP/1.1", response: started},
		{name: "no digest", request: "POST /v2/team/app/blobs/uploads/?mount=latest&from=team/source HTTP/1.1", response: started},
		{name: "the upload that was begun instead", request: "PUT /v2/team/app/blobs/uploads/${upload}?digest=${digest:layer} HTTP/1.1\n\n${body:layer}", response: stored("team/app", "layer")},
		{name: "into no repository", request: "POST /v2/no/such/blobs/uploads/?mount=${digest:layer}&from=team/source HTTP/1.1",
			response: refusal(404, "NAME_UNKNOWN", "The repository with name 'no/such' does not exist in the registry with id '123456789012'")},
	}},
	{name: "a layer may be only so large", options: []coffertest.Option{coffertest.Limits(map[string]int64{"layer-bytes": 10})}, contents: map[string]string{"large": "12345678901"}, exchanges: []exchange{
		{name: "announced", request: "POST /v2/team/app/blobs/uploads/?digest=${digest:large} HTTP/1.1\n\n${body:large}", response: tooLarge},
		{name: "not announced", request: "POST /v2/team/app/blobs/uploads/?digest=${digest:large} HTTP/1.1\nTransfer-Encoding: chunked\n\n${body:large}", response: tooLarge},
		{name: "start", request: start, response: started},
		{name: "as much as may be", request: "PATCH /v2/team/app/blobs/uploads/${upload} HTTP/1.1\n\n1234567890", response: progress("0-9")},
		{name: "one more", request: "PATCH /v2/team/app/blobs/uploads/${upload} HTTP/1.1\n\n1", response: tooLarge},
	}},
}

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

var tooLarge = refusal(413, "SIZE_INVALID", "The layer exceeds the maximum allowed size which is '10' bytes")
