package blob

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// Errors of stores on S3, whose texts say in one line what to do.
var (
	// ErrBucket means that there is no such bucket.
	ErrBucket = errors.New("the bucket does not exist")
	// ErrAccess means that the credentials may not do what was attempted.
	ErrAccess = errors.New("the object store refuses access")
	// ErrCredentials means that no credentials were found, or none that can be used.
	ErrCredentials = errors.New("no credentials for the object store")
	// ErrRegion means that the bucket is in another region.
	ErrRegion = errors.New("the region of the bucket is another")
	// ErrUnreachable means that the server doesn't answer, or not as one of S3.
	ErrUnreachable = errors.New("the object store can't be reached")
	// ErrSlow means that bytes came so slowly that others, who waited for memory, went first. What was synced can be gone on
	// with: the client should try again.
	ErrSlow = errors.New("the bytes of the upload come too slowly while others wait")
)

// codeOf is the code of an error of the server, or empty.
func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// statusOf is the HTTP status of an error of the server, or 0.
func statusOf(err error) int {
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}

// s3Error turns an error of the client into one of this package, with a text of one line.
func (s *S3) s3Error(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	code, status := codeOf(err), statusOf(err)
	switch code {
	case "NoSuchBucket":
		return fmt.Errorf("%w: make bucket %s, or correct the URL of the object store", ErrBucket, s.place.bucket)
	case "NoSuchKey", "NoSuchUpload", "NotFound":
		return fmt.Errorf("%w (%s)", fs.ErrNotExist, code)
	case "PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "MovedPermanently":
		return fmt.Errorf("%w: the server refuses region %q for bucket %s: correct region= in the URL of the object store", ErrRegion, s.region, s.place.bucket)
	case "XMinioStorageFull", "InsufficientStorage", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded", "StorageFull":
		return fmt.Errorf("%w: the object store is full (%s)", ErrNoSpace, code)
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "RequestTimeTooSkewed", "XAdminUserNotFound":
		return fmt.Errorf("%w: it does not accept the credentials (%s): correct the access key, its secret, or the machine's clock", ErrAccess, code)
	}
	switch status {
	case http.StatusForbidden, http.StatusUnauthorized:
		return fmt.Errorf("%w: the credentials may not do this in bucket %s (%s)", ErrAccess, s.place.bucket, brief(err))
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect:
		return fmt.Errorf("%w: the server refuses region %q for bucket %s: correct region= in the URL of the object store", ErrRegion, s.region, s.place.bucket)
	case http.StatusInsufficientStorage:
		return fmt.Errorf("%w: the object store is full", ErrNoSpace)
	case http.StatusNotFound:
		return fmt.Errorf("%w (%s)", fs.ErrNotExist, brief(err))
	}
	if status == 0 && code == "" {
		return s.connectionError(err)
	}
	return &statusError{brief(err), code, status}
}

// statusError is an error of the server that has no other name here.
type statusError struct {
	text, code string
	status     int
}

func (e *statusError) Error() string { return "the object store answers " + e.text }

func (s *S3) connectionError(err error) error {
	var resolve *net.DNSError
	var dial *net.OpError
	var late *attemptError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var record tls.RecordHeaderError
	at := s.place.endpoint
	if at == "" {
		at = "S3 in " + s.region
	}
	switch text := err.Error(); {
	case strings.Contains(text, "get credentials") || strings.Contains(text, "get identity") || strings.Contains(text, "failed to refresh cached credentials"):
		return fmt.Errorf("%w: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or give a file or the machine a role (%s)", ErrCredentials, brief(err))
	case errors.As(err, &late):
		return fmt.Errorf("%w: %s gives %v", ErrUnreachable, at, late)
	case errors.As(err, &resolve):
		return fmt.Errorf("%w: the name %s is not known: correct endpoint= in the URL of the object store", ErrUnreachable, resolve.Name)
	case errors.As(err, &authority):
		return fmt.Errorf("%w: the certificate of %s is of an unknown authority: set AWS_CA_BUNDLE to the file of its authority", ErrUnreachable, at)
	case errors.As(err, &host):
		return fmt.Errorf("%w: the certificate of %s is for other names: correct endpoint= in the URL of the object store", ErrUnreachable, at)
	case errors.As(err, &record), strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("%w: %s does not speak TLS: correct endpoint= in the URL of the object store", ErrUnreachable, at)
	case errors.As(err, &dial):
		return fmt.Errorf("%w: %s: %s", ErrUnreachable, at, brief(dial))
	}
	return fmt.Errorf("%w: %s: %s", ErrUnreachable, at, brief(err))
}

// classOf names the class of an error of a call, for metrics.
func classOf(err error) string {
	var late *attemptError
	switch status := statusOf(err); {
	case err == nil:
		return ""
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "cancelled"
	case errors.As(err, &late):
		return "timeout"
	case status == http.StatusPreconditionFailed:
		return "exists"
	case status == http.StatusNotFound:
		return "missing"
	case status == http.StatusForbidden, status == http.StatusUnauthorized:
		return "refused"
	case status == http.StatusInsufficientStorage:
		return "full"
	case status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests:
		return "throttled"
	case status >= 500:
		return "server"
	case status >= 400:
		return "client"
	}
	return "connection"
}

const briefLength = 200

// brief is the innermost text of an error, on one line.
func brief(err error) string {
	text := err.Error()
	var api smithy.APIError
	if errors.As(err, &api) {
		text = api.ErrorCode() + ": " + api.ErrorMessage()
	} else {
		for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(inner) {
			text = inner.Error()
		}
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > briefLength {
		text = text[:briefLength] + "…"
	}
	return text
}
