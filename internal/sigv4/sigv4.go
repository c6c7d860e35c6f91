// Package sigv4 verifies and makes AWS Signature Version 4, in the Authorization header and in the query string.
//
// Verification has two steps, between which the caller looks up the secret of the access key: Parse finds the signature
// of a request and the claims that come with it, and Signed.Verify checks them. A request of which both succeed was made
// by a holder of the secret, for this host, service and region, within the allowed time, with exactly this method, path,
// query, body and these signed headers. No part of a request that a signer has to protect may be left out of the signed
// part.
//
// It is not its job to know access keys, to match session tokens with them, to read bodies (the caller hashes them), to
// decide what an unsigned request may do, or to put errors into the codes of a protocol.
package sigv4

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/coffer-registry/coffer/internal/secret"
)

const (
	// Algorithm is the only signing algorithm that is accepted. Its asymmetric sibling, SigV4A, is recognised and refused.
	Algorithm = "AWS4-HMAC-SHA256"

	// MaxExpires is the longest life that a presigned URL may ask for.
	MaxExpires = 7 * 24 * time.Hour

	// DefaultSkew is how far clocks may differ unless Check says otherwise.
	DefaultSkew = 5 * time.Minute

	terminator = "aws4_request"
	dateForm   = "20060102"
	stampForm  = "20060102T150405Z"
)

// Bounds of what is looked at before a signature is known to be good. They are beyond what AWS clients send.
const (
	maxAuthorization = 16 << 10 // bytes of the Authorization header
	maxToken         = 16 << 10 // bytes of a session token
	maxElement       = 128      // bytes of an access key id, date, region or service
	maxSigned        = 128      // signed headers
	maxHeaders       = 128 << 10
	maxQuery         = 128 << 10 // bytes of the query string
	maxParameters    = 2000
)

// Scope is what a signature is good for.
type Scope struct {
	Date    string // yyyymmdd, in UTC
	Region  string
	Service string // the name that the service has for signing, such as "ecr"
}

// Signed is what a request claims about its signature. Nothing of it is true before Verify.
type Signed struct {
	AccessKeyID string
	Scope
	// SessionToken belongs to temporary credentials; it is empty for long-term ones. Whether it fits the access key is for
	// the caller to check.
	SessionToken secret.Text
	// Time is when the request says it was signed, to the second.
	Time time.Time
	// Presigned is set if the signature is in the query string.
	Presigned bool
	// Expires is how long after Time a presigned request is good for. It is zero for others, and for presigned ones that
	// don't say, which live no longer than a request with a header would.
	Expires time.Duration
	// Payload is the X-Amz-Content-SHA256 that was sent, if any. Values other than a hash, which only S3 knows, mean that
	// the signature does not cover the body.
	Payload string

	stamp      string   // Time as it is signed
	terminator string   // must be aws4_request
	headers    []string // the names of the signed headers: lower case, ascending
	signature  []byte
}

// Format prints who signed for what, and no part of the credential that could be used.
func (s Signed) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "%s for %s/%s/%s at %s", s.AccessKeyID, s.Date, s.Region, s.Service, s.stamp)
}

// LogValue is what Format prints.
func (s Signed) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }
