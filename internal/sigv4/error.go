package sigv4

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Kind says why a request was refused. Each protocol has its own code and status for a kind.
type Kind int

// The kinds of refusal.
const (
	// Missing: there are no AWS credentials in the request.
	Missing Kind = iota + 1
	// Incomplete: there are, but something is missing or malformed.
	Incomplete
	// Unsupported: the algorithm is not AWS4-HMAC-SHA256.
	Unsupported
	// Ambiguous: there are several, so that it would be open which one counts.
	Ambiguous
	// Expired: the request was signed too long ago, or its presigned life is over.
	Expired
	// NotYetCurrent: the request was signed in the future.
	NotYetCurrent
	// ScopeRegion: the scope names a region that is not served.
	ScopeRegion
	// ScopeService: the scope names another service.
	ScopeService
	// ScopeTerminator: the scope does not end in aws4_request.
	ScopeTerminator
	// ScopeDate: the date of the scope is not that of the request.
	ScopeDate
	// Unsigned: a header that must be signed is not.
	Unsigned
	// Payload: the body is not the one that X-Amz-Content-SHA256 names, at S3; elsewhere that is a Mismatch.
	Payload
	// Mismatch: the signature is not that of the request under the secret.
	Mismatch
)

var kindNames = [...]string{"", "missing", "incomplete", "unsupported", "ambiguous", "expired", "not yet current", "scope region",
	"scope service", "scope terminator", "scope date", "unsigned", "payload", "mismatch"}

// String names the kind, for logs.
func (k Kind) String() string {
	if k < Missing || int(k) >= len(kindNames) {
		return "kind " + strconv.Itoa(int(k))
	}
	return kindNames[k]
}

// Error is the refusal of a request.
type Error struct {
	Kind Kind
	// Message is the sentence in which the JSON services of AWS say it. The query services have another for Missing, and S3
	// has its own for most.
	Message string
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

const mismatchMessage = "The request signature we calculated does not match the signature you provided. " +
	"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."

func mismatch() *Error { return &Error{Mismatch, mismatchMessage} }

func incomplete(format string, args ...any) *Error {
	return &Error{Incomplete, fmt.Sprintf(format, args...)}
}

// hashed stands for a part of the request in messages, as AWS has it, where showing the part could put a credential into a
// log.
func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// shown makes a part of the request fit for a message: short, and without characters that could forge a line.
func shown(s string) string {
	const limit = 64
	cut := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s[:min(len(s), limit)])
	if len(s) > limit {
		cut += "..."
	}
	return cut
}

// length puts a duration into a message.
func length(d time.Duration) string {
	if d%time.Minute == 0 {
		return strconv.FormatInt(int64(d/time.Minute), 10) + " min."
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + " sec."
}
