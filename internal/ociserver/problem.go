package ociserver

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/access"
	"github.com/coffer-registry/coffer/internal/ecrtext"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/store"
)

var errManifestTooLarge = errors.New("the manifest is larger than 4194304 bytes")

// explain turns an error into the answer that the client gets: ECR's code and text where ECR has them. What nobody knows
// is an internal error, whose cause goes to the log and not to the client.
func (x *exchange) explain(err error) *response {
	if errors.Is(err, errNoCredentials) || errors.Is(err, errBadCredentials) {
		return x.challenge()
	}
	text := ecrtext.Text{Registry: x.id.Account, Repository: x.req.Name}
	var request *oci.RequestError
	var host *hostError
	var denied *access.DeniedError
	var manifest *oci.ManifestError
	var digest *registry.DigestError
	var missing *registry.MissingError
	var immutable *registry.TagImmutableError
	var limit *registry.LimitError
	var ranges *registry.RangeError
	var read *registry.ReadError
	var syntax *rangeSyntaxError
	var deleting *deleteError
	var key *registry.KeyError
	switch {
	case errors.As(err, &key):
		return problem(http.StatusForbidden, "DENIED", ecrtext.Key(key))
	case errors.As(err, &request):
		p := problem(request.Status, request.Code, request.Message)
		p.allow = strings.Join(request.Allow, ", ")
		return p
	case errors.As(err, &host):
		return problem(http.StatusNotFound, "NAME_UNKNOWN", host.Error())
	case errors.As(err, &denied):
		return problem(http.StatusForbidden, "DENIED", denied.Error())
	case errors.Is(err, identity.ErrTokenExpired):
		return problem(http.StatusForbidden, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
	case errors.Is(err, access.ErrThrottled):
		return busy("Rate exceeded")
	case errors.Is(err, registry.ErrTooBusy):
		return busy("Too many layers are being uploaded at once")
	case errors.Is(err, registry.ErrRepositoryNotFound):
		return problem(http.StatusNotFound, "NAME_UNKNOWN", text.RepositoryNotFound())
	case errors.Is(err, registry.ErrImageNotFound):
		return problem(http.StatusNotFound, "MANIFEST_UNKNOWN", "Requested image not found")
	case errors.Is(err, registry.ErrTagsChanged):
		p := problem(http.StatusServiceUnavailable, "UNAVAILABLE", ecrtext.TagsChanged)
		p.retryAfter = "1"
		return p
	case errors.As(err, &deleting):
		if deleting.Code == registry.FailureReferencedByIndex {
			return problem(http.StatusMethodNotAllowed, "UNSUPPORTED", deleting.Reason)
		}
		return problem(http.StatusNotFound, "MANIFEST_UNKNOWN", deleting.Reason)
	case errors.Is(err, registry.ErrLayerNotFound):
		return problem(http.StatusNotFound, "BLOB_UNKNOWN", text.LayerNotFound(string(x.req.Digest)))
	case errors.Is(err, registry.ErrLayerReferenced):
		return problem(http.StatusMethodNotAllowed, "UNSUPPORTED", "An image refers to the layer; delete the image first")
	case errors.As(err, &manifest):
		// ECR's status and code for a parameter that breaks a rule, by which clients know it.
		return problem(http.StatusMethodNotAllowed, "UNSUPPORTED", ecrtext.Manifest(manifest))
	case errors.Is(err, errManifestTooLarge):
		return problem(http.StatusRequestEntityTooLarge, "MANIFEST_INVALID", ecrtext.InvalidParameter("ImageManifest", "Member must have length less than or equal to 4194304"))
	case errors.As(err, &digest):
		return problem(http.StatusBadRequest, "MANIFEST_INVALID", text.DigestDoesNotMatch(string(digest.Given)))
	case errors.As(err, &missing):
		return problem(http.StatusBadRequest, "MANIFEST_BLOB_UNKNOWN", text.Missing(missing))
	case errors.As(err, &immutable):
		return problem(http.StatusBadRequest, "TAG_INVALID", text.TagImmutable(immutable.Tag))
	case errors.As(err, &limit):
		return limitProblem(text, limit)
	case errors.Is(err, registry.ErrUploadNotFound):
		return problem(http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", text.UploadNotFound(x.req.UploadID))
	case errors.Is(err, registry.ErrUploadBusy):
		return problem(http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", "Another request is writing to the upload")
	case errors.As(err, &ranges):
		p := problem(http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", "The chunk must begin at byte "+decimal(ranges.Size)+", where the upload ended")
		p.byteRange, p.uploadID = "0-"+decimal(max(0, ranges.Size-1)), x.req.UploadID
		p.location = "/v2/" + x.req.Name + "/blobs/uploads/" + x.req.UploadID
		return p
	case errors.As(err, &syntax):
		return problem(http.StatusBadRequest, "BLOB_UPLOAD_INVALID", syntax.Error())
	case errors.Is(err, registry.ErrSizeMismatch):
		return problem(http.StatusBadRequest, "SIZE_INVALID", "The number of bytes received is not the number that was announced")
	case errors.Is(err, registry.ErrDigestMismatch):
		return problem(http.StatusBadRequest, "DIGEST_INVALID", ecrtext.DigestMismatch)
	case errors.As(err, &read):
		return problem(http.StatusBadRequest, "BLOB_UPLOAD_INVALID", "The request's body did not arrive completely")
	case errors.Is(err, store.ErrText):
		return problem(http.StatusBadRequest, "MANIFEST_INVALID", "A text of the request has a zero byte or is not UTF-8")
	}
	if p := x.unavailable(err); p != nil {
		return p
	}
	return x.internal(err)
}

// unavailable tells a client to try again later, if an error is one of what the server depends on; nil if it is none.
func (x *exchange) unavailable(err error) *response {
	message, retryAfter := access.Unavailable(err)
	if message == "" {
		return nil
	}
	x.Log.Error("refuse a request", "request", x.entry.ID, "error", err)
	p := problem(http.StatusServiceUnavailable, "UNAVAILABLE", message)
	p.retryAfter = decimal(int64(retryAfter / time.Second))
	return p
}

// trailCode is what the trail calls an error: ECR's name where it has one, by which those who search the trail know it
// whichever way the client came, and else the code of the distribution specification.
func trailCode(err error, p *response) string {
	var deleting *deleteError
	switch {
	case errors.As(err, &deleting):
		return string(deleting.Code)
	case errors.Is(err, access.ErrThrottled):
		return "ThrottlingException"
	}
	return cmp.Or(ecrtext.Exception(err), p.code)
}

func (x *exchange) internal(err error) *response {
	if x.r.Context().Err() != nil {
		return problem(http.StatusServiceUnavailable, "UNKNOWN", "The client went away")
	}
	x.Log.Error("answer a request", "request", x.entry.ID, "method", x.r.Method, "path", x.r.URL.Path, "error", err)
	return problem(http.StatusInternalServerError, "UNKNOWN", "An internal error occurred; the server's log names it under request "+x.entry.ID+".")
}

// challenge asks for credentials, in ECR's words.
func (x *exchange) challenge() *response {
	return &response{
		status: http.StatusUnauthorized, contentType: "text/plain; charset=utf-8", body: []byte("Not Authorized\n"),
		challenge: `Basic realm="` + scheme(x.entry.Secure) + "://" + headerText(x.r.Host) + `/",service="ecr.amazonaws.com"`,
		code:      "UNAUTHORIZED", message: "Not Authorized",
	}
}

// headerText keeps a host name from breaking out of the quotes around it.
func headerText(s string) string {
	return strings.Map(func(c rune) rune {
		if c == '"' || c == '\\' || c < ' ' {
			return -1
		}
		return c
	}, s)
}

func busy(message string) *response {
	p := problem(http.StatusTooManyRequests, "TOOMANYREQUESTS", message)
	p.retryAfter = "1"
	return p
}

func limitProblem(text ecrtext.Text, err *registry.LimitError) *response {
	switch err.Limit {
	case registry.LayerBytes:
		return problem(http.StatusRequestEntityTooLarge, "SIZE_INVALID", text.Limit(err))
	case registry.ManifestBytes, registry.BlobsPerImage:
		return problem(http.StatusBadRequest, "MANIFEST_INVALID", text.Limit(err))
	}
	return problem(http.StatusForbidden, "DENIED", text.Limit(err))
}

// problem makes an error response of the distribution specification.
func problem(status int, code, message string) *response {
	type one struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	// Texts always encode.
	_ = e.Encode(map[string][]one{"errors": {{code, message}}})
	body := bytes.TrimSuffix(text.Bytes(), []byte("\n"))
	return &response{status: status, contentType: "application/json", body: body, code: code, message: message}
}
