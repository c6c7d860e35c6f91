package sigv4

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/secret"
)

// Parse finds the signature of a request. It reads neither the body nor the clock. The error is an *Error of kind Missing,
// Incomplete, Unsupported, Ambiguous or Mismatch (a signature that has not the form of one).
func Parse(r *http.Request) (*Signed, error) {
	_, rawQuery := target(r)
	query, err := parseQuery(rawQuery)
	if err != nil {
		return nil, err
	}
	authorization := r.Header["Authorization"]
	presigned := slices.ContainsFunc(query, func(p parameter) bool {
		return p.name == "X-Amz-Algorithm" || p.name == "X-Amz-Credential" || p.name == "X-Amz-Signature"
	})
	switch {
	case presigned && len(authorization) > 0:
		return nil, &Error{Ambiguous, "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."}
	case presigned:
		return parsePresigned(r, query)
	case len(authorization) > 1:
		// AWS's own words for this are not known.
		return nil, &Error{Ambiguous, "Found more than one 'Authorization' as HTTP header."}
	case len(authorization) == 0 || authorization[0] == "":
		return nil, &Error{Missing, "Missing Authentication Token"}
	}
	return parseHeader(r, authorization[0])
}

// credential is the textual form of a signature's claims, from either place.
type credential struct {
	algorithm, credential, signedHeaders, signature string
	stamp                                           string
	time                                            time.Time
}

func parseHeader(r *http.Request, authorization string) (*Signed, error) {
	if len(authorization) > maxAuthorization {
		return nil, incomplete("Authorization header must not be longer than %d bytes.", maxAuthorization)
	}
	c, err := splitAuthorization(authorization)
	if err != nil {
		return nil, err
	}
	date, err := requestDate(r)
	if err != nil {
		return nil, err
	}
	if err := c.missing(authorization, date); err != nil {
		return nil, err
	}
	if c.time, err = parseDate(date); err != nil {
		return nil, err
	}
	c.stamp = c.time.Format(stampForm)
	s := &Signed{}
	if err := c.fill(s); err != nil {
		return nil, err
	}
	token, err := single(r, "X-Amz-Security-Token")
	if err != nil {
		return nil, err
	}
	s.SessionToken = secret.New(token)
	return s, s.readPayload(r)
}

// splitAuthorization takes the header apart: the algorithm, a space, and pairs between commas. Another scheme, such as
// Basic, is to AWS a malformed signature, not a missing one.
func splitAuthorization(authorization string) (credential, error) {
	algorithm, rest, _ := strings.Cut(authorization, " ")
	c := credential{algorithm: algorithm}
	foreign := !strings.HasPrefix(algorithm, "AWS4-")
	if algorithm != Algorithm && !foreign {
		return c, unsupported(algorithm)
	}
	for pair := range strings.SplitSeq(rest, ",") {
		pair = strings.Trim(pair, " ")
		if pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return c, incomplete("The signature contains an in-valid key=value pair (missing equal-sign) in Authorization header "+
				"(hashed with SHA-256 and encoded with Base64): '%s'.", hashed(authorization))
		}
		if foreign {
			continue
		}
		var field *string
		switch name {
		case "Credential":
			field = &c.credential
		case "SignedHeaders":
			field = &c.signedHeaders
		case "Signature":
			field = &c.signature
		default:
			return c, incomplete("Authorization header contains an unknown parameter '%s'.", shown(name))
		}
		if *field != "" {
			return c, incomplete("Authorization header contains '%s' parameter more than once.", name)
		}
		*field = value
	}
	return c, nil
}

func unsupported(algorithm string) *Error {
	return &Error{Unsupported, "Unsupported AWS 'algorithm': '" + shown(algorithm) + "' (only AWS4-HMAC-SHA256 for now). "}
}

// missing names all that is missing from the header at once.
func (c credential) missing(authorization, date string) error {
	var b strings.Builder
	for _, p := range []struct{ name, value string }{
		{"Credential", c.credential}, {"Signature", c.signature}, {"SignedHeaders", c.signedHeaders},
	} {
		if p.value == "" {
			b.WriteString("Authorization header requires '" + p.name + "' parameter. ")
		}
	}
	if date == "" {
		b.WriteString("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
	}
	switch {
	case b.Len() == 0:
		return nil
	case c.credential != "" && c.signature != "" && c.signedHeaders != "":
		return incomplete("%s", strings.TrimSuffix(b.String(), " "))
	}
	return incomplete("%s(Hashed with SHA-256 and encoded with Base64) Authorization=%s", b.String(), hashed(authorization))
}

// requestDate is the text of X-Amz-Date, or of Date in its absence.
func requestDate(r *http.Request) (string, error) {
	date, err := single(r, "X-Amz-Date")
	if date != "" || err != nil {
		return date, err
	}
	return single(r, "Date")
}

// single is the value of a header that may be sent once, or empty.
func single(r *http.Request, name string) (string, error) {
	switch values := r.Header[name]; len(values) {
	case 0:
		return "", nil
	case 1:
		if len(values[0]) > maxToken {
			return "", incomplete("The '%s' header must not be longer than %d bytes.", name, maxToken)
		}
		return strings.Trim(values[0], " \t"), nil
	}
	return "", incomplete("Found more than one '%s' as HTTP header.", name)
}

// parseDate takes the basic form of ISO 8601, which X-Amz-Date has, and the form of RFC 9110, which Date has.
func parseDate(s string) (time.Time, error) {
	// time.Parse would take a fraction after the seconds.
	if len(s) == len(stampForm) {
		if t, err := time.Parse(stampForm, s); err == nil {
			return t, nil
		}
	}
	if t, err := time.Parse(http.TimeFormat, s); err == nil && len(s) == len(http.TimeFormat) {
		return t, nil
	}
	return time.Time{}, incomplete("Date must be in ISO-8601 'basic format'. Got '%s'. See http://en.wikipedia.org/wiki/ISO_8601", shown(s))
}

func parsePresigned(r *http.Request, query []parameter) (*Signed, error) {
	var c credential
	var date, expires, token, payload string
	fields := map[string]*string{
		"X-Amz-Algorithm": &c.algorithm, "X-Amz-Credential": &c.credential, "X-Amz-Signature": &c.signature,
		"X-Amz-SignedHeaders": &c.signedHeaders, "X-Amz-Date": &date, "X-Amz-Expires": &expires,
		"X-Amz-Security-Token": &token, "X-Amz-Content-Sha256": &payload,
	}
	seen := map[string]bool{}
	for _, p := range query {
		field := fields[p.name]
		if field == nil {
			continue
		}
		if seen[p.name] {
			return nil, incomplete("AWS query-string parameters must include '%s' only once. Re-examine the query-string parameters.", p.name)
		}
		seen[p.name] = true
		value, err := url.PathUnescape(p.value)
		if err != nil {
			return nil, errQuery
		}
		*field = value
	}
	if err := c.missingParameters(date); err != nil {
		return nil, err
	}
	var err error
	// Only the form of X-Amz-Date: a Date header may be changed by whoever holds the URL.
	if c.time, err = parseDate(date); err != nil || len(date) != len(stampForm) {
		return nil, incomplete("Date must be in ISO-8601 'basic format'. Got '%s'. See http://en.wikipedia.org/wiki/ISO_8601", shown(date))
	}
	c.stamp = date
	if c.algorithm != Algorithm {
		return nil, unsupported(c.algorithm)
	}
	s := &Signed{Presigned: true, SessionToken: secret.New(token)}
	if err := c.fill(s); err != nil {
		return nil, err
	}
	if s.Expires, err = parseExpires(expires, isS3(s.Service)); err != nil {
		return nil, err
	}
	if err := s.readPayload(r); err != nil {
		return nil, err
	}
	if s.Payload == "" && isS3(s.Service) {
		s.Payload = payload
	}
	return s, nil
}

func (c credential) missingParameters(date string) error {
	var b strings.Builder
	for _, p := range []struct{ name, value string }{
		{"Algorithm", c.algorithm}, {"Credential", c.credential}, {"Signature", c.signature}, {"SignedHeaders", c.signedHeaders}, {"Date", date},
	} {
		if p.value == "" {
			b.WriteString("AWS query-string parameters must include 'X-Amz-" + p.name + "'. ")
		}
	}
	if b.Len() == 0 {
		return nil
	}
	return incomplete("%sRe-examine the query-string parameters.", b.String())
}

// parseExpires reads X-Amz-Expires, in seconds. S3 insists on it; some clients of other services leave it out.
func parseExpires(s string, required bool) (time.Duration, error) {
	if s == "" && !required {
		return 0, nil
	}
	seconds, err := strconv.ParseUint(s, 10, 64)
	switch {
	case s == "":
		return 0, incomplete("AWS query-string parameters must include 'X-Amz-Expires'. Re-examine the query-string parameters.")
	case strings.HasPrefix(s, "-"):
		return 0, incomplete("X-Amz-Expires must be non-negative")
	case err != nil:
		return 0, incomplete("X-Amz-Expires should be a number")
	case seconds == 0:
		return 0, incomplete("X-Amz-Expires must be greater than 0")
	case seconds > uint64(MaxExpires/time.Second):
		return 0, incomplete("X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
	}
	return time.Duration(seconds) * time.Second, nil
}

// fill checks the form of the claims and moves them to s.
func (c credential) fill(s *Signed) error {
	s.Time, s.stamp = c.time, c.stamp
	elements := strings.Split(c.credential, "/")
	if len(elements) != 5 || slices.ContainsFunc(elements, badElement) {
		// AWS shows the credential. Who mistook the secret for its id would find it in the log, so it is hashed here.
		return incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "+
			"got (hashed with SHA-256 and encoded with Base64): '%s'", hashed(c.credential))
	}
	s.AccessKeyID, s.Scope, s.terminator = elements[0], Scope{elements[1], elements[2], elements[3]}, elements[4]
	if s.headers = strings.Split(c.signedHeaders, ";"); !validNames(s.headers) {
		return incomplete("SignedHeaders must be at most %d header names, lower case, ascending and separated by semicolons, got '%s'.",
			maxSigned, shown(c.signedHeaders))
	}
	signature, err := hex.DecodeString(c.signature)
	if err != nil || len(c.signature) != 64 || strings.ContainsAny(c.signature, "ABCDEF") {
		return mismatch()
	}
	s.signature = signature
	return nil
}

func badElement(s string) bool {
	return s == "" || len(s) > maxElement || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// validNames reports whether the names are tokens of RFC 9110 in lower case, in ascending order, none twice.
func validNames(names []string) bool {
	if len(names) > maxSigned {
		return false
	}
	for i, name := range names {
		if name == "" || i > 0 && name <= names[i-1] {
			return false
		}
		for j := range len(name) {
			if c := name[j]; !isUnreserved(c) && strings.IndexByte("!#$%&'*+^`|", c) < 0 || c >= 'A' && c <= 'Z' {
				return false
			}
		}
	}
	return true
}

func (s *Signed) readPayload(r *http.Request) (err error) {
	s.Payload, err = single(r, "X-Amz-Content-Sha256")
	return err
}
