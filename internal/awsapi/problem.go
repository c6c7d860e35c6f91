package awsapi

import (
	"errors"
	"net/http"

	"github.com/coffer-registry/coffer/internal/access"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/sigv4"
	"github.com/coffer-registry/coffer/internal/store"
)

// fail answers a request that did not succeed, and records it if it never entered.
func (x *exchange) fail(err error) {
	if errors.Is(err, errUnknownTarget) {
		http.NotFound(x.w, x.r)
		return
	}
	problem := x.problem(err)
	var early refusal
	if errors.As(err, &early) {
		if x.entry.Name == "" {
			x.entry.Name = "UnknownOperation"
		}
		if err := x.refuse(err, problem); err != nil {
			problem = x.problem(err)
		}
	}
	x.explainDenial(err)
	if problem.Status == http.StatusRequestEntityTooLarge {
		x.w.Header().Set("Connection", "close")
	}
	if x.query {
		model := &Model{}
		if x.service != nil {
			model = x.service.Model
		}
		WriteQueryError(x.w, model, x.id, problem)
		return
	}
	WriteJSONError(x.w, x.id, x.version, problem)
}

// maxExplanation bounds the header that explains a denial, in characters: proxies take only so much of headers.
const maxExplanation = 4096

// explainDenial gives the client of a denied call what sts:DecodeAuthorizationMessage decodes for those of its account who
// may know why.
func (x *exchange) explainDenial(err error) {
	var denied *access.DeniedError
	if !errors.As(err, &denied) {
		return
	}
	message := x.server.Door.Explain(x.r.Context(), x.entry)
	if message == nil {
		return
	}
	encoded, err := x.server.Directory.EncodeMessage(denied.Principal.Account, message)
	if err == nil && len(encoded) <= maxExplanation {
		x.w.Header().Set("X-Amzn-Authorization-Message", encoded)
	}
}

// errNotAuthenticated is what the refusal of somebody's proof of identity is.
var errNotAuthenticated = errors.New("not authenticated")

// NotAuthenticated makes of an error the refusal of a proof of identity, which counts as a failed sign-in.
func NotAuthenticated(err error) error { return &notAuthenticated{err} }

type notAuthenticated struct{ error }

func (e *notAuthenticated) Unwrap() error        { return e.error }
func (e *notAuthenticated) Is(target error) bool { return target == errNotAuthenticated }

// refuse records a request that was turned away before it could enter. Of an operation that nobody signs, each counts as a
// failed sign-in, whatever is wrong with it: there is nothing else that bounds what strangers leave in the trail.
func (x *exchange) refuse(err error, problem *Error) error {
	var signature *sigv4.Error
	unsigned := x.op.model != nil && x.op.model.Unsigned
	if unsigned || errors.Is(err, errNotAuthenticated) || errors.Is(err, identity.ErrUnknownKey) || errors.As(err, &signature) && signature.Kind == sigv4.Mismatch {
		return x.server.Door.RefuseSignIn(x.r.Context(), x.entry, problem.Code, problem.Message)
	}
	return x.server.Door.Refuse(x.entry, problem.Code, problem.Message)
}

// problem turns an error into what the client is told of it. What nobody knows is an internal error, whose cause goes to
// the log and not to the client.
func (x *exchange) problem(err error) *Error {
	var known *Error
	var signature *sigv4.Error
	var denied *access.DeniedError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &signature):
		return x.signatureProblem(signature)
	case errors.Is(err, identity.ErrUnknownKey):
		return x.either("UnrecognizedClientException", "InvalidClientTokenId", http.StatusForbidden, "The security token included in the request is invalid.")
	case errors.Is(err, identity.ErrTokenExpired):
		return x.either("ExpiredTokenException", "ExpiredToken", http.StatusForbidden, "The security token included in the request is expired")
	case errors.As(err, &denied):
		return x.either("AccessDeniedException", "AccessDenied", http.StatusForbidden, denied.Error())
	case errors.Is(err, access.ErrThrottled):
		return x.either("ThrottlingException", "Throttling", http.StatusBadRequest, "Rate exceeded")
	case errors.Is(err, store.ErrText):
		return x.either("ValidationException", "ValidationError", http.StatusBadRequest, "A text of the request has a zero byte or is not UTF-8.")
	}
	if message, _ := access.Unavailable(err); message != "" {
		x.server.Log.Error("refuse a request", "request", x.id, "error", err)
		return x.unavailable(message)
	}
	if x.service != nil && x.service.Problem != nil {
		if problem := x.service.Problem(err); problem != nil {
			return problem
		}
	}
	if x.r.Context().Err() != nil {
		return &Error{Code: "RequestCanceled", Message: "The client went away.", Status: http.StatusServiceUnavailable}
	}
	x.server.Log.Error("answer a request", "request", x.id, "operation", x.name, "error", err)
	return x.either("ServerException", "InternalFailure", http.StatusInternalServerError, "An internal error occurred; the server's log names it under request "+x.id+".")
}

func (x *exchange) unavailable(message string) *Error {
	p := x.either("ServiceUnavailableException", "ServiceUnavailable", http.StatusServiceUnavailable, message)
	p.Status = http.StatusServiceUnavailable
	return p
}

// either makes an error of the protocol in use: client errors of awsJson all have the status 400.
func (x *exchange) either(jsonCode, queryCode string, queryStatus int, message string) *Error {
	if x.query {
		return &Error{Code: queryCode, Message: message, Status: queryStatus}
	}
	status := http.StatusBadRequest
	if queryStatus >= http.StatusInternalServerError {
		status = queryStatus
	}
	return &Error{Code: jsonCode, Message: message, Status: status}
}

func (x *exchange) accessDenied() string {
	if x.query {
		return "AccessDenied"
	}
	return "AccessDeniedException"
}

func (x *exchange) signatureProblem(err *sigv4.Error) *Error {
	switch err.Kind {
	case sigv4.Missing:
		if x.query {
			return &Error{Code: "MissingAuthenticationToken", Message: "Request is missing Authentication Token", Status: http.StatusForbidden}
		}
		return &Error{Code: "MissingAuthenticationTokenException", Message: "Missing Authentication Token", Status: http.StatusBadRequest}
	case sigv4.Incomplete, sigv4.Unsupported, sigv4.Ambiguous:
		return x.either("IncompleteSignatureException", "IncompleteSignature", http.StatusBadRequest, err.Message)
	}
	return x.either("InvalidSignatureException", "SignatureDoesNotMatch", http.StatusForbidden, err.Message)
}
