package awsapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/coffer-registry/coffer/internal/strictjson"
)

// maxDepth bounds how deeply the values of a request may be nested.
const maxDepth = 64

// DecodeJSON decodes the body of an awsJson request into the struct of the operation's input, and validates it. An empty
// body is an empty input. The error is an *Error: SerializationException for what is no JSON text that strictjson accepts,
// or has values of wrong types, and that of the model's style for what breaks the model.
func DecodeJSON(m *Model, op *Operation, body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	in, err := strictjson.Parse(body, maxDepth)
	if err != nil {
		var failure *strictjson.Error
		errors.As(err, &failure)
		return serialization(failure.Error())
	}
	return decodeInput(m, op, in, into, serialization)
}

// decodeInput decodes and validates an input of either protocol. malformed makes the error of a wrong type.
func decodeInput(m *Model, op *Operation, in strictjson.Value, into any, malformed func(string) *Error) error {
	if in.Kind() != strictjson.Object {
		return malformed("the input must be a structure")
	}
	if op.Input == nil {
		return nil
	}
	if err := decode(in, into); err != nil {
		return malformed(err.message())
	}
	return validate(m, op, in)
}

// WriteJSON answers an awsJson call: out is the struct of the operation's output, or nil for an empty one. version is that
// of the request, "1.0" or "1.1". If out can't be encoded, which only a number beyond JSON can bring about, the client is
// told an internal error and the cause is returned.
func WriteJSON(w http.ResponseWriter, requestID, version string, out any) error {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	if err := e.Encode(out); err != nil {
		WriteJSONError(w, requestID, version, &Error{Code: "InternalFailure", Status: http.StatusInternalServerError})
		return err
	}
	text := bytes.TrimSuffix(body.Bytes(), []byte("\n"))
	if string(text) == "null" {
		text = []byte("{}")
	}
	writeBody(w, requestID, jsonType(version), http.StatusOK, text)
	return nil
}

// WriteJSONError answers an awsJson call that failed.
func WriteJSONError(w http.ResponseWriter, requestID, version string, err *Error) {
	w.Header().Set("X-Amzn-ErrorType", err.Code)
	writeBody(w, requestID, jsonType(version), err.status(), errorBody(err))
}

// acceptsJSON reports whether the client asks for JSON by its first choice.
func acceptsJSON(r *http.Request) bool {
	mediaType, _, _ := strings.Cut(r.Header.Get("Accept"), ",")
	mediaType, _, _ = strings.Cut(mediaType, ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), "application/json")
}

// WriteQueryJSON answers an awsQuery call as JSON of the same structure, as STS does for those who check who signed a
// request.
func WriteQueryJSON(w http.ResponseWriter, op *Operation, requestID string, out any) error {
	body, err := json.Marshal(map[string]any{op.Name + "Response": map[string]any{
		op.Name + "Result": out, "ResponseMetadata": map[string]string{"RequestId": requestID},
	}})
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	writeBody(w, requestID, "application/json", http.StatusOK, body)
	return nil
}

// errorBody writes an error's members, and never a null: clients are known to crash on one.
func errorBody(err *Error) []byte {
	body := appendMember([]byte{'{'}, "__type", err.Code)
	if err.Message != "" {
		body = appendMember(body, "message", err.Message)
	}
	for _, name := range slices.Sorted(maps.Keys(err.Members)) {
		// These have a meaning of their own to clients.
		if name != "__type" && name != "message" && name != "code" {
			body = appendMember(body, name, err.Members[name])
		}
	}
	return append(body, '}')
}

// appendMember appends a member to an object that is still open. It leaves out what is null or can't be encoded.
func appendMember(body []byte, name string, value any) []byte {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil || text.String() == "null\n" {
		return body
	}
	if len(body) > 1 {
		body = append(body, ',')
	}
	body = append(strconv.AppendQuote(body, name), ':')
	return append(body, bytes.TrimSuffix(text.Bytes(), []byte("\n"))...)
}

// jsonType is the content type of an answer to a request of that version.
func jsonType(version string) string {
	if version != "1.0" {
		version = "1.1"
	}
	return "application/x-amz-json-" + version
}

func writeBody(w http.ResponseWriter, requestID, contentType string, status int, body []byte) {
	h := w.Header()
	h.Set("X-Amzn-RequestId", requestID)
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	// A client that has gone away has nobody to tell.
	_, _ = w.Write(body)
}
