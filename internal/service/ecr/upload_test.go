package ecr_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// part is the input of UploadLayerPart for the content.
func part(first, last, content string) string {
	return `{"repositoryName":"team/app","uploadId":"${upload}","partFirstByte":` + first + `,"partLastByte":` + last + `,"layerPartBlob":"${base64:` + content + `}"}`
}

func received(last string) string {
	return `{"registryId":"123456789012","repositoryName":"team/app","uploadId":"${upload}","lastByteReceived":` + last + `}`
}

func complete(digests ...string) string {
	list, _ := json.Marshal(digests)
	return `{"repositoryName":"team/app","uploadId":"${upload}","layerDigests":` + string(list) + `}`
}

func completed(content string) string {
	return `{"registryId":"123456789012","repositoryName":"team/app","uploadId":"${upload}","layerDigest":"${digest:` + content + `}"}`
}

// badPart is the refusal of a part; last is the last byte that was received, if any.
func badPart(message, last string) string {
	if last != "" {
		last = `,"lastValidByteReceived":` + last
	}
	return `{"__type":"InvalidLayerPartException","message":"` + message + `","registryId":"123456789012","repositoryName":"team/app","uploadId":"${upload}"` + last + `}`
}

func noUploadText(id string) string {
	return "UploadNotFoundException: The upload with id '" + id + "' could not be found in the repository with name 'team/app' in the registry with id '123456789012'"
}

const (
	initiate   = `{"repositoryName":"team/app"}`
	initiated  = `{"uploadId":"${=upload}","partSize":20}`
	wrongFirst = "The first byte of the layer part is not the one that follows the last byte received"
	wrongSize  = "The layer part does not have as many bytes as its range says"
	mismatch   = "InvalidLayerException: None of the provided layer digests match the calculated layer digest"
)

var (
	small = coffertest.Limits(map[string]int64{"part-bytes-min": 10, "part-bytes-max": 20, "layer-parts": 3, "layer-bytes": 45})
	parts = map[string]string{"ten": "0123456789", "five": "abcde", "twenty": "0123456789abcdefghij", "more": "0123456789abcdefghijk",
		"fifteen": "0123456789abcde", "tens": "01234567890123456789", "five ten": "abcde0123456789"}
)

var uploadScripts = []script{
	{name: "UploadLayerPart", options: []coffertest.Option{small}, contents: parts, calls: []call{
		{name: "start", operation: "InitiateLayerUpload", in: initiate, want: initiated},
		{name: "nothing was sent", operation: "CompleteLayerUpload", in: complete("${digest:five}"), want: "EmptyUploadException: The upload has not received any layer part"},
		{name: "not at the beginning", operation: "UploadLayerPart", in: part("10", "19", "ten"), want: badPart(wrongFirst, "")},
		{name: "first", operation: "UploadLayerPart", in: part("0", "9", "ten"), want: received("9")},
		{name: "the same again", operation: "UploadLayerPart", in: part("0", "9", "ten"), want: badPart(wrongFirst, "9")},
		{name: "too far", operation: "UploadLayerPart", in: part("11", "15", "five"), want: badPart(wrongFirst, "9")},
		{name: "a range of another length", operation: "UploadLayerPart", in: part("10", "15", "five"), want: badPart(wrongSize, "9")},
		{name: "a range that ends before it begins", operation: "UploadLayerPart", in: part("10", "8", "five"), want: badPart(wrongSize, "9")},
		{name: "a negative range", operation: "UploadLayerPart", in: part("-1", "3", "five"), want: invalid("partFirstByte", "Member must have value greater than or equal to 0")},
		{name: "too large", operation: "UploadLayerPart", in: part("10", "30", "more"), want: "LimitExceededException: The layer part exceeds the maximum allowed size which is '20' bytes"},
		{name: "the last may be small", operation: "UploadLayerPart", in: part("10", "14", "five"), want: received("14")},
		{name: "none of the digests", operation: "CompleteLayerUpload", in: complete("${digest:ten}", "${digest:five}", "sha512:00"), want: mismatch},
		{name: "one of the digests", operation: "CompleteLayerUpload", in: complete("${digest:ten}", "${digest:fifteen}"), want: completed("fifteen")},
		{name: "it is over", operation: "CompleteLayerUpload", in: complete("${digest:fifteen}"), want: noUploadText("${upload}")},
		{name: "the layer is there", operation: "BatchCheckLayerAvailability", in: `{"repositoryName":"team/app","layerDigests":["${digest:fifteen}"]}`,
			want: `{"layers":[{"layerDigest":"${digest:fifteen}","layerAvailability":"AVAILABLE","layerSize":15}],"failures":[]}`},
	}},
	{name: "small parts", options: []coffertest.Option{small}, contents: parts, calls: []call{
		{name: "start", operation: "InitiateLayerUpload", in: initiate, want: initiated},
		{name: "a small one", operation: "UploadLayerPart", in: part("0", "4", "five"), want: received("4")},
		{name: "that is not the last", operation: "UploadLayerPart", in: part("5", "14", "ten"), want: received("14")},
		{name: "is refused at the end", operation: "CompleteLayerUpload", in: complete("${digest:five ten}"),
			want: "LayerPartTooSmallException: Layer parts must be at least 5 MiB in size, except for the last one"},
	}},
	{name: "many parts", options: []coffertest.Option{small}, contents: parts, calls: []call{
		{name: "start", operation: "InitiateLayerUpload", in: initiate, want: initiated},
		{name: "one", operation: "UploadLayerPart", in: part("0", "9", "ten"), want: received("9")},
		{name: "two", operation: "UploadLayerPart", in: part("10", "19", "ten"), want: received("19")},
		{name: "three", operation: "UploadLayerPart", in: part("20", "29", "ten"), want: received("29")},
		{name: "too many", operation: "UploadLayerPart", in: part("30", "39", "ten"), want: "LimitExceededException: The layer exceeds the maximum allowed number of parts which is '3'"},
	}},
	{name: "a large layer", options: []coffertest.Option{small}, contents: parts, calls: []call{
		{name: "start", operation: "InitiateLayerUpload", in: initiate, want: initiated},
		{name: "one", operation: "UploadLayerPart", in: part("0", "19", "twenty"), want: received("19")},
		{name: "two", operation: "UploadLayerPart", in: part("20", "39", "twenty"), want: received("39")},
		{name: "too much", operation: "UploadLayerPart", in: part("40", "49", "ten"), want: "LimitExceededException: The layer exceeds the maximum allowed size which is '45' bytes"},
		{name: "as much as may be", operation: "UploadLayerPart", in: part("40", "44", "five"), want: received("44")},
	}},
	{name: "a layer that is there", options: []coffertest.Option{small}, contents: parts, setup: func(w *session) {
		w.PushBlob(w.values["token"], "team/app", []byte(parts["ten"]))
	}, calls: []call{
		{name: "start", operation: "InitiateLayerUpload", in: initiate, want: initiated},
		{name: "send it again", operation: "UploadLayerPart", in: part("0", "9", "ten"), want: received("9")},
		{name: "is refused", operation: "CompleteLayerUpload", in: complete("${digest:ten}"),
			want: "LayerAlreadyExistsException: The layer with digest ${digest:ten} already exists in the repository with name 'team/app' in the registry with id '123456789012'"},
		{name: "and refused again", operation: "CompleteLayerUpload", in: complete("${digest:ten}"), want: noUploadText("${upload}")},
	}},
	{name: "uploads that are not there", contents: parts, setup: func(w *session) {
		w.values["upload"] = noUpload
		w.CreateRepository("other")
	}, calls: []call{
		{name: "a part", operation: "UploadLayerPart", in: part("0", "4", "five"), want: noUploadText(noUpload)},
		{name: "the end", operation: "CompleteLayerUpload", in: complete("${digest:five}"), want: noUploadText(noUpload)},
		{name: "of another repository", operation: "InitiateLayerUpload", in: `{"repositoryName":"other"}`, want: `{"uploadId":"${=upload}","partSize":10485760}`},
		{name: "is not of this one", operation: "UploadLayerPart", in: part("0", "4", "five"), want: noUploadText("${upload}")},
		{name: "no id", operation: "UploadLayerPart", in: strings.Replace(part("0", "4", "five"), "${upload}", "x", 1), want: invalid("uploadId",
			"must satisfy regular expression '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}'")},
		{name: "no digest", operation: "CompleteLayerUpload", in: complete("latest"), want: "InvalidParameterException: Invalid parameter at 'layerDigests' failed to satisfy constraint: " +
			"'Member must satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z0-9-_+.]+:[a-fA-F0-9]+]'"},
		{name: "no digests", operation: "CompleteLayerUpload", in: complete(), want: "InvalidParameterException: 1 validation error detected: Value null at 'layerDigests' failed to satisfy constraint: Member must not be null"},
		{name: "start in no repository", operation: "InitiateLayerUpload", in: `{"repositoryName":"no/such"}`, want: noRepository("no/such", coffertest.Account)},
		{name: "a part in no repository", operation: "UploadLayerPart", in: strings.Replace(part("0", "4", "five"), "team/app", "no/such", 1), want: noRepository("no/such", coffertest.Account)},
		{name: "the end in no repository", operation: "CompleteLayerUpload", in: strings.Replace(complete("${digest:five}"), "team/app", "no/such", 1), want: noRepository("no/such", coffertest.Account)},
	}},
}

// Parts have the sizes of ECR unless they are configured: 5 MiB at least but for the last, 10 MiB at most.
func TestPartSizes(t *testing.T) {
	w := start(t)
	send := func(upload string, first int, b []byte) coffertest.Response {
		t.Helper()
		return w.ECR("UploadLayerPart", map[string]any{"repositoryName": "team/app", "uploadId": upload, "partFirstByte": first, "partLastByte": first + len(b) - 1, "layerPartBlob": b})
	}
	begin := func() string {
		t.Helper()
		var out struct {
			UploadID string
			PartSize int
		}
		w.MustECR("InitiateLayerUpload", map[string]string{"repositoryName": "team/app"}, &out)
		if out.PartSize != 10<<20 {
			t.Errorf("partSize %d", out.PartSize)
		}
		return out.UploadID
	}
	for size, code := range map[int]string{5<<20 - 1: "LayerPartTooSmallException", 5 << 20: ""} {
		upload, first, last := begin(), bytes.Repeat([]byte("x"), size), []byte("the last part")
		for _, r := range []coffertest.Response{send(upload, 0, first), send(upload, size, last)} {
			if r.Status != http.StatusOK {
				t.Fatalf("a part: status %d: %s", r.Status, r.Body)
			}
		}
		digest := coffertest.Digest(append(first, last...))
		if r := w.ECR("CompleteLayerUpload", map[string]any{"repositoryName": "team/app", "uploadId": upload, "layerDigests": []string{digest}}); r.Code() != code {
			t.Errorf("a first part of %d bytes: %s", size, r.Body)
		}
	}
	upload := begin()
	if r := send(upload, 0, make([]byte, 10<<20+1)); r.Code() != "LimitExceededException" {
		t.Errorf("a part of more than 10 MiB: %s", r.Body)
	}
	if r := send(upload, 0, make([]byte, 20_971_521)); r.Code() != "InvalidParameterException" {
		t.Errorf("a part of more than the model allows: %s", r.Body)
	}
	if r := send(upload, 0, make([]byte, 10<<20)); r.Status != http.StatusOK {
		t.Errorf("a part of 10 MiB: %s", r.Body)
	}
}
