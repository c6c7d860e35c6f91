package sigv4

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// target is the path and the query that the client asked for, exactly as it sent them; net/http keeps that only in
// RequestURI, which requests that are yet to be sent don't have.
func target(r *http.Request) (path, query string) {
	if r.RequestURI == "" {
		return r.URL.EscapedPath(), r.URL.RawQuery
	}
	path, query, _ = strings.Cut(r.RequestURI, "?")
	if strings.HasPrefix(path, "/") {
		return path, query
	}
	// The absolute form of RFC 9112, section 3.2.2.
	if _, rest, ok := strings.Cut(path, "://"); ok {
		_, path, ok = strings.Cut(rest, "/")
		if !ok {
			return "", query
		}
		return "/" + path, query
	}
	return path, query
}

// isS3 reports whether a service signs paths as S3 does: as they are, encoded once.
func isS3(service string) bool {
	switch service {
	case "s3", "s3-object-lambda", "s3-outposts", "s3express":
		return true
	}
	return false
}

// ambiguousPath reports whether a path has empty, "." or ".." segments. Some signers resolve them and others don't, and a
// router might see another path than the one that was signed, so no signature over one is good. S3 keys may be of any form
// and are signed as they are.
func ambiguousPath(path string) bool {
	for rest := path; rest != ""; {
		var segment string
		segment, rest, _ = strings.Cut(strings.TrimPrefix(rest, "/"), "/")
		if segment == "." || segment == ".." {
			return true
		}
		if rest != "" {
			rest = "/" + rest
		}
	}
	return strings.Contains(path, "//") || strings.HasSuffix(path, "/.") || strings.HasSuffix(path, "/..")
}

const upperHex = "0123456789ABCDEF"

// isUnreserved is the set of RFC 3986, section 2.3.
func isUnreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

func appendByte(b []byte, c byte) []byte {
	if isUnreserved(c) {
		return append(b, c)
	}
	return append(b, '%', upperHex[c>>4], upperHex[c&15])
}

// appendPath appends the canonical form of a path that is percent-encoded already. All services but S3 encode it once
// more.
func appendPath(b []byte, path string, s3 bool) []byte {
	if path == "" {
		return append(b, '/')
	}
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '/' {
			b = append(b, c)
			continue
		}
		if s3 && c == '%' {
			if v, ok := unescape(path[i:]); ok {
				c, i = v, i+2
			}
		}
		b = appendByte(b, c)
	}
	return b
}

// unescape reads the %XX at the start of s.
func unescape(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	v, err := strconv.ParseUint(s[1:3], 16, 8)
	return byte(v), err == nil && s[1] != '+' && s[1] != '-'
}

// parameter is one of the query string, in canonical encoding.
type parameter struct{ name, value string }

var errQuery = incomplete("The query string is not percent-encoded as RFC 3986 demands.")

// parseQuery splits a query and encodes its parts in the canonical way. Empty parts mean nothing and are dropped.
func parseQuery(raw string) ([]parameter, error) {
	if raw == "" {
		return nil, nil
	}
	if len(raw) > maxQuery {
		return nil, incomplete("The query string must not be longer than %d bytes.", maxQuery)
	}
	parameters := make([]parameter, 0, min(maxParameters, 1+strings.Count(raw, "&")))
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		if len(parameters) == maxParameters {
			return nil, incomplete("The query string must not have more than %d parameters.", maxParameters)
		}
		name, value, _ := strings.Cut(part, "=")
		var p parameter
		var ok, okValue bool
		p.name, ok = reencode(name)
		p.value, okValue = reencode(value)
		if !ok || !okValue {
			return nil, errQuery
		}
		parameters = append(parameters, p)
	}
	return parameters, nil
}

// reencode gives a part of a query the strict encoding of RFC 3986. A plus sign is a space, as it is to whoever reads the
// query later. A bare semicolon is refused: it separates parameters to some readers, and net/url drops what holds one.
func reencode(s string) (string, bool) {
	clean := true
	for i := range len(s) {
		clean = clean && isUnreserved(s[i])
	}
	if clean {
		return s, true
	}
	b := make([]byte, 0, len(s)+16)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch c {
		case ';':
			return "", false
		case '+':
			c = ' '
		case '%':
			v, ok := unescape(s[i:])
			if !ok {
				return "", false
			}
			c, i = v, i+2
		}
		b = appendByte(b, c)
	}
	return string(b), true
}

func appendQuery(b []byte, parameters []parameter) []byte {
	slices.SortFunc(parameters, func(x, y parameter) int {
		return cmp.Or(cmp.Compare(x.name, y.name), cmp.Compare(x.value, y.value))
	})
	first := true
	for _, p := range parameters {
		if p.name == "X-Amz-Signature" {
			continue
		}
		if !first {
			b = append(b, '&')
		}
		first = false
		b = append(b, p.name...)
		b = append(b, '=')
		b = append(b, p.value...)
	}
	return b
}

// headerValues are the values of a header that was signed. net/http keeps some of them outside of Header.
func headerValues(r *http.Request, name string) []string {
	switch name {
	case "host":
		if r.Host == "" {
			return []string{r.URL.Host}
		}
		return []string{r.Host}
	case "content-length":
		if values := r.Header["Content-Length"]; len(values) > 0 {
			return values
		}
		if r.ContentLength >= 0 {
			return []string{strconv.FormatInt(r.ContentLength, 10)}
		}
		return nil
	case "transfer-encoding":
		return r.TransferEncoding
	}
	return r.Header[http.CanonicalHeaderKey(name)]
}

// appendHeaders appends the canonical form of the signed headers. It fails if one of them is missing from the request, or
// if they are too long.
func appendHeaders(b []byte, r *http.Request, names []string) ([]byte, bool) {
	start := len(b)
	for _, name := range names {
		values := headerValues(r, name)
		if len(values) == 0 {
			return b, false
		}
		b = append(b, name...)
		b = append(b, ':')
		for i, value := range values {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendTrimmed(b, value)
		}
		b = append(b, '\n')
		if len(b)-start > maxHeaders {
			return b, false
		}
	}
	return b, true
}

// appendTrimmed appends a header's value without the white space around it, and with one space for each run of it inside.
func appendTrimmed(b []byte, value string) []byte {
	space := false
	start := len(b)
	for i := range len(value) {
		if c := value[i]; c == ' ' || c == '\t' {
			space = true
			continue
		}
		if space && len(b) > start {
			b = append(b, ' ')
		}
		space = false
		b = append(b, value[i])
	}
	return b
}

// appendCanonical appends the canonical request that the signature is over.
func appendCanonical(b []byte, r *http.Request, service string, names []string, payload string) ([]byte, error) {
	path, rawQuery := target(r)
	s3 := isS3(service)
	if !s3 && ambiguousPath(path) {
		return b, mismatch()
	}
	query, err := parseQuery(rawQuery)
	if err != nil {
		return b, err
	}
	b = append(b, strings.ToUpper(cmp.Or(r.Method, http.MethodGet))...)
	b = append(b, '\n')
	b = appendPath(b, path, s3)
	b = append(b, '\n')
	b = appendQuery(b, query)
	b = append(b, '\n')
	b, ok := appendHeaders(b, r, names)
	if !ok {
		return b, mismatch()
	}
	b = append(b, '\n')
	for i, name := range names {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, name...)
	}
	b = append(b, '\n')
	return append(b, payload...), nil
}
