package sigv4

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	anySig      = "c7ca24d26790c6c72fcb9034f60b04e767a2f3370faaf48e3da3b3901bfb1742"
	scopeText   = exampleID + "/20260115/us-east-1/ecr/aws4_request"
)

// withAuthorization is a request with this header, and others that come as lines.
func withAuthorization(authorization string, lines ...string) string {
	text := "POST / HTTP/1.1\nHost: localhost:5000\nX-Amz-Date: 20260115T123045Z\n"
	if authorization != "" {
		text += "Authorization: " + authorization + "\n"
	}
	for _, line := range lines {
		text += line + "\n"
	}
	return text + "\n"
}

func authorization(credential, headers, signature string) string {
	return "AWS4-HMAC-SHA256 Credential=" + credential + ", SignedHeaders=" + headers + ", Signature=" + signature
}

func TestParseHeader(t *testing.T) {
	good := authorization(scopeText, "content-type;host;x-amz-date", anySig)
	for name, text := range map[string]string{
		"as SDKs send it": withAuthorization(good, "Content-Type: a/b"),
		"without spaces":  withAuthorization(strings.ReplaceAll(good, ", ", ","), "Content-Type: a/b"),
		"with more":       withAuthorization(strings.ReplaceAll(good, ", ", " ,  ")+",", "Content-Type: a/b"),
		"in another order": withAuthorization("AWS4-HMAC-SHA256 Signature="+anySig+",SignedHeaders=content-type;host;x-amz-date,Credential="+
			scopeText, "Content-Type: a/b"),
		"dated by Date":          strings.Replace(withAuthorization(good), "X-Amz-Date: 20260115T123045Z", "Date: Thu, 15 Jan 2026 12:30:45 GMT", 1),
		"dated by Date in basic": strings.Replace(withAuthorization(good), "X-Amz-Date", "Date", 1),
		"X-Amz-Date counts":      withAuthorization(good, "Date: Thu, 15 Jan 2026 11:11:11 GMT"),
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := mustRead(t, text)
			s, err := Parse(r)
			if err != nil {
				t.Fatal(err)
			}
			want := Signed{AccessKeyID: exampleID, Scope: Scope{"20260115", "us-east-1", "ecr"}, Time: signedAt}
			got := *s
			got.stamp, got.terminator, got.headers, got.signature = "", "", nil, nil
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(Signed{})); diff != "" {
				t.Error(diff)
			}
			if s.stamp != "20260115T123045Z" || s.terminator != "aws4_request" || len(s.headers) != 3 || len(s.signature) != 32 || !s.SessionToken.Empty() {
				t.Errorf("%q %q %q %x", s.stamp, s.terminator, s.headers, s.signature)
			}
		})
	}
}

func TestParseToken(t *testing.T) {
	r, _ := mustRead(t, withAuthorization(authorization(scopeText, "host;x-amz-date;x-amz-security-token", anySig), "X-Amz-Security-Token: a+/="))
	if s, err := Parse(r); err != nil || s.SessionToken.Reveal() != "a+/=" {
		t.Errorf("%q, error %v", s.SessionToken.Reveal(), err)
	}
}

func TestParseRefusesHeader(t *testing.T) {
	const (
		credential = "Authorization header requires 'Credential' parameter. "
		signature  = "Authorization header requires 'Signature' parameter. "
		headers    = "Authorization header requires 'SignedHeaders' parameter. "
		date       = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
		hashNote   = "(Hashed with SHA-256 and encoded with Base64) Authorization="
	)
	pair := func(authorization string) string {
		return "The signature contains an in-valid key=value pair (missing equal-sign) in Authorization header " +
			"(hashed with SHA-256 and encoded with Base64): '" + hashed(authorization) + "'."
	}
	elements := func(credential string) string {
		return "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, " +
			"got (hashed with SHA-256 and encoded with Base64): '" + hashed(credential) + "'"
	}
	undated := func(text string) string { return strings.Replace(text, "X-Amz-Date: 20260115T123045Z\n", "", 1) }
	dated := func(date string) string {
		return strings.Replace(withAuthorization(authorization(scopeText, "host;x-amz-date", anySig)), "20260115T123045Z", date, 1)
	}
	badDate := func(date string) string {
		return "Date must be in ISO-8601 'basic format'. Got '" + date + "'. See http://en.wikipedia.org/wiki/ISO_8601"
	}
	badNames := func(names string) string {
		return "SignedHeaders must be at most 128 header names, lower case, ascending and separated by semicolons, got '" + names + "'."
	}
	good := authorization(scopeText, "host;x-amz-date", anySig)
	tests := []struct {
		name, text string
		kind       Kind
		message    string
	}{
		{"nothing", withAuthorization(""), Missing, "Missing Authentication Token"},
		{"an empty header", "POST / HTTP/1.1\nHost: h\nAuthorization: \n\n", Missing, "Missing Authentication Token"},
		{"a token of another scheme", withAuthorization("Bearer abc"), Incomplete, pair("Bearer abc")},
		{"a password", withAuthorization("Basic QVdTOng="), Incomplete, credential + signature + headers + hashNote + hashed("Basic QVdTOng=")},
		{"the algorithm alone", undated(withAuthorization("AWS4-HMAC-SHA256")), Incomplete,
			credential + signature + headers + date + hashNote + hashed("AWS4-HMAC-SHA256")},
		{"no credential", withAuthorization("AWS4-HMAC-SHA256 SignedHeaders=host;x-amz-date, Signature=" + anySig), Incomplete,
			credential + hashNote + hashed("AWS4-HMAC-SHA256 SignedHeaders=host;x-amz-date, Signature="+anySig)},
		{"no signature", withAuthorization("AWS4-HMAC-SHA256 Credential=" + scopeText + ", SignedHeaders=host"), Incomplete,
			signature + hashNote + hashed("AWS4-HMAC-SHA256 Credential="+scopeText+", SignedHeaders=host")},
		{"an empty signature", withAuthorization(authorization(scopeText, "host", "")), Incomplete,
			signature + hashNote + hashed(authorization(scopeText, "host", ""))},
		{"no signed headers", withAuthorization("AWS4-HMAC-SHA256 Credential=" + scopeText + ", Signature=" + anySig), Incomplete,
			headers + hashNote + hashed("AWS4-HMAC-SHA256 Credential="+scopeText+", Signature="+anySig)},
		{"no date", undated(withAuthorization(good)), Incomplete, strings.TrimSuffix(date, " ")},
		{"a part without an equals sign", withAuthorization(good + ", x"), Incomplete, pair(good + ", x")},
		{"an unknown part", withAuthorization(good + ", Region=us-east-1"), Incomplete, "Authorization header contains an unknown parameter 'Region'."},
		{"a part twice", withAuthorization(good + ", Signature=" + anySig), Incomplete,
			"Authorization header contains 'Signature' parameter more than once."},
		{"the header name in the value", withAuthorization("Authorization: " + good), Incomplete,
			credential + signature + headers + hashNote + hashed("Authorization: "+good)},
		{"too long", withAuthorization(good + strings.Repeat(" ", maxAuthorization) + ","), Incomplete,
			"Authorization header must not be longer than 16384 bytes."},
		{"the asymmetric algorithm", withAuthorization("AWS4-ECDSA-P256-SHA256 Credential=" + exampleID + "/20260115/ecr/aws4_request, SignedHeaders=host, Signature=30"),
			Unsupported, "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256' (only AWS4-HMAC-SHA256 for now). "},
		{"a longer algorithm", withAuthorization(strings.Replace(good, "SHA256", "SHA256-PAYLOAD", 1)),
			Unsupported, "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA256-PAYLOAD' (only AWS4-HMAC-SHA256 for now). "},
		{"a scope of four parts", withAuthorization(authorization(exampleID+"/20260115/us-east-1/ecr", "host", anySig)), Incomplete,
			elements(exampleID + "/20260115/us-east-1/ecr")},
		{"a scope of six", withAuthorization(authorization(scopeText+"/x", "host", anySig)), Incomplete, elements(scopeText + "/x")},
		{"a scope with an empty part", withAuthorization(authorization(exampleID+"/20260115//ecr/aws4_request", "host", anySig)), Incomplete,
			elements(exampleID + "/20260115//ecr/aws4_request")},
		{"a secret for an id", withAuthorization(authorization("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY/20260115/us-east-1/ecr/aws4_request", "host", anySig)), Incomplete,
			elements("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY/20260115/us-east-1/ecr/aws4_request")},
		{"an overlong part", withAuthorization(authorization(strings.Repeat("A", 129)+"/20260115/us-east-1/ecr/aws4_request", "host", anySig)), Incomplete, ""},
		{"a part with a tab", withAuthorization(authorization(exampleID+"/20260115/us-east-1/e\tcr/aws4_request", "host", anySig)), Incomplete, ""},
		{"headers in upper case", withAuthorization(authorization(scopeText, "Host;x-amz-date", anySig)), Incomplete, badNames("Host;x-amz-date")},
		{"headers out of order", withAuthorization(authorization(scopeText, "x-amz-date;host", anySig)), Incomplete, badNames("x-amz-date;host")},
		{"a header twice", withAuthorization(authorization(scopeText, "host;host", anySig)), Incomplete, badNames("host;host")},
		{"an empty header name", withAuthorization(authorization(scopeText, "host;", anySig)), Incomplete, badNames("host;")},
		{"a header name that is none", withAuthorization(authorization(scopeText, "ho st", anySig)), Incomplete, badNames("ho st")},
		{"too many headers", withAuthorization(authorization(scopeText, manyNames(129), anySig)), Incomplete, ""},
		{"a signature in upper case", withAuthorization(authorization(scopeText, "host", strings.ToUpper(anySig))), Mismatch, mismatchMessage},
		{"a short signature", withAuthorization(authorization(scopeText, "host", anySig[2:])), Mismatch, mismatchMessage},
		{"a long signature", withAuthorization(authorization(scopeText, "host", anySig+"00")), Mismatch, mismatchMessage},
		{"a signature that is none", withAuthorization(authorization(scopeText, "host", "x"+anySig[1:])), Mismatch, mismatchMessage},
		{"a date of no form", dated("2026-01-15T12:30:45Z"), Incomplete, badDate("2026-01-15T12:30:45Z")},
		{"a fraction of a second", dated("20260115T123045.5Z"), Incomplete, badDate("20260115T123045.5Z")},
		{"a day that isn't", dated("20260230T123045Z"), Incomplete, badDate("20260230T123045Z")},
		{"a zone", dated("Thu, 15 Jan 2026 12:30:45 CET"), Incomplete, badDate("Thu, 15 Jan 2026 12:30:45 CET")},
		{"a date that is long and not for logs", dated("2026\t" + strings.Repeat("0", 100)), Incomplete, badDate("2026?" + strings.Repeat("0", 59) + "...")},
		{"two Authorization headers", withAuthorization(good, "Authorization: "+good), Ambiguous, "Found more than one 'Authorization' as HTTP header."},
		{"a password beside it", withAuthorization(good, "Authorization: Basic QVdTOng="), Ambiguous, ""},
		{"two dates", withAuthorization(good, "X-Amz-Date: 20260115T123045Z"), Incomplete, "Found more than one 'X-Amz-Date' as HTTP header."},
		{"two tokens", withAuthorization(good, "X-Amz-Security-Token: a", "X-Amz-Security-Token: a"), Incomplete, ""},
		{"an overlong token", withAuthorization(good, "X-Amz-Security-Token: "+strings.Repeat("a", maxToken+1)), Incomplete,
			"The 'X-Amz-Security-Token' header must not be longer than 16384 bytes."},
		{"two payload hashes", withAuthorization(good, "X-Amz-Content-Sha256: "+emptySHA256, "X-Amz-Content-Sha256: "+emptySHA256), Incomplete, ""},
		{"a query that isn't encoded", strings.Replace(withAuthorization(good), "POST /", "POST /?a=%2", 1), Incomplete, errQuery.Message},
		{"a query with a bare semicolon", strings.Replace(withAuthorization(good), "POST /", "POST /?a=1;b=2", 1), Incomplete, errQuery.Message},
		{"a query of too many parameters", strings.Replace(withAuthorization(good), "POST /", "POST /?"+strings.Repeat("a&", 2001), 1), Incomplete,
			"The query string must not have more than 2000 parameters."},
		{"a query that is too long", strings.Replace(withAuthorization(good), "POST /", "POST /?"+strings.Repeat("a", maxQuery+1), 1), Incomplete,
			"The query string must not be longer than 131072 bytes."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, _ := mustRead(t, tt.text)
			_, err := Parse(r)
			wantError(t, err, tt.kind, tt.message)
			if err != nil && strings.Contains(err.Error(), "bPxRfiCY") {
				t.Error("the message shows a secret")
			}
		})
	}
}

func manyNames(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("h%04d", i)
	}
	return strings.Join(names, ";")
}

// presigned is a request with these parameters, by name; an empty value leaves one out.
func presigned(changes ...string) string {
	parameters := [][2]string{{"Action", "GetCallerIdentity"}, {"X-Amz-Algorithm", Algorithm},
		{"X-Amz-Credential", strings.ReplaceAll(scopeText, "/", "%2F")}, {"X-Amz-Date", "20260115T123045Z"}, {"X-Amz-Expires", "60"},
		{"X-Amz-SignedHeaders", "host"}, {"X-Amz-Signature", anySig}}
	query := ""
	for _, p := range parameters {
		for i := 0; i+1 < len(changes); i += 2 {
			if changes[i] == p[0] {
				p[1] = changes[i+1]
			}
		}
		if p[1] != "" {
			query += "&" + p[0] + "=" + p[1]
		}
	}
	return "GET /?" + query[1:] + " HTTP/1.1\nHost: localhost:5000\n\n"
}

func TestParsePresigned(t *testing.T) {
	r, _ := mustRead(t, strings.Replace(presigned(), "X-Amz-Expires", "X-Amz-Security-Token=a%2Bb&X%2DAmz%2DExpires", 1))
	s, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Presigned || s.Expires != time.Minute || s.AccessKeyID != exampleID || s.SessionToken.Reveal() != "a+b" || !s.Time.Equal(signedAt) ||
		s.Scope != (Scope{"20260115", "us-east-1", "ecr"}) {
		t.Errorf("%+v", s)
	}
}

func TestParseRefusesPresigned(t *testing.T) {
	const again = "Re-examine the query-string parameters."
	lacks := func(names ...string) string {
		text := ""
		for _, name := range names {
			text += "AWS query-string parameters must include 'X-Amz-" + name + "'. "
		}
		return text + again
	}
	tests := []struct {
		name, text string
		kind       Kind
		message    string
	}{
		{"no algorithm", presigned("X-Amz-Algorithm", ""), Incomplete, lacks("Algorithm")},
		{"no credential", presigned("X-Amz-Credential", ""), Incomplete, lacks("Credential")},
		{"no signature", presigned("X-Amz-Signature", ""), Incomplete, lacks("Signature")},
		{"no headers", presigned("X-Amz-SignedHeaders", ""), Incomplete, lacks("SignedHeaders")},
		{"no date", presigned("X-Amz-Date", ""), Incomplete, lacks("Date")},
		{"the algorithm alone", "GET /?X-Amz-Algorithm=AWS4-HMAC-SHA256 HTTP/1.1\nHost: h\n\n", Incomplete,
			lacks("Credential", "Signature", "SignedHeaders", "Date")},
		{"nothing that claims", "GET /?X-Amz-Date=20260115T123045Z&X-Amz-Expires=60 HTTP/1.1\nHost: h\n\n", Missing, "Missing Authentication Token"},
		{"another algorithm", presigned("X-Amz-Algorithm", "AWS4-ECDSA-P256-SHA256"), Unsupported,
			"Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256' (only AWS4-HMAC-SHA256 for now). "},
		{"a date as in Date", presigned("X-Amz-Date", "Thu,%2015%20Jan%202026%2012:30:45%20GMT"), Incomplete,
			"Date must be in ISO-8601 'basic format'. Got 'Thu, 15 Jan 2026 12:30:45 GMT'. See http://en.wikipedia.org/wiki/ISO_8601"},
		{"expiry 0", presigned("X-Amz-Expires", "0"), Incomplete, "X-Amz-Expires must be greater than 0"},
		{"expiry -1", presigned("X-Amz-Expires", "-1"), Incomplete, "X-Amz-Expires must be non-negative"},
		{"expiry x", presigned("X-Amz-Expires", "1x"), Incomplete, "X-Amz-Expires should be a number"},
		{"expiry +1", presigned("X-Amz-Expires", "%2B1"), Incomplete, "X-Amz-Expires should be a number"},
		{"expiry of a week and a second", presigned("X-Amz-Expires", "604801"), Incomplete,
			"X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds"},
		{"expiry beyond 32 bits", presigned("X-Amz-Expires", "4294967297"), Incomplete,
			"X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds"},
		{"no expiry at S3", presigned("X-Amz-Expires", "", "X-Amz-Credential", exampleID+"%2F20260115%2Fus-east-1%2Fs3%2Faws4_request"), Incomplete,
			lacks("Expires")},
		{"a parameter twice", strings.Replace(presigned(), "Action=", "X-Amz-Signature="+anySig+"&Action=", 1), Incomplete,
			"AWS query-string parameters must include 'X-Amz-Signature' only once. " + again},
		{"a parameter twice, first empty", strings.Replace(presigned(), "Action=", "X-Amz-Expires=&Action=", 1), Incomplete,
			"AWS query-string parameters must include 'X-Amz-Expires' only once. " + again},
		{"a parameter twice, one encoded", strings.Replace(presigned(), "Action=", "X%2DAmz-Date=20260115T123045Z&Action=", 1), Incomplete,
			"AWS query-string parameters must include 'X-Amz-Date' only once. " + again},
		{"both places", strings.Replace(presigned(), "\n\n", "\nAuthorization: "+authorization(scopeText, "host", anySig)+"\n\n", 1), Ambiguous,
			"Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."},
		{"both places, the header of another scheme", strings.Replace(presigned(), "\n\n", "\nAuthorization: Basic QVdTOng=\n\n", 1), Ambiguous, ""},
		{"both places, the query without algorithm", strings.Replace(presigned("X-Amz-Algorithm", ""), "\n\n",
			"\nAuthorization: "+authorization(scopeText, "host", anySig)+"\n\n", 1), Ambiguous, ""},
		{"a scope of four parts", presigned("X-Amz-Credential", exampleID+"%2F20260115%2Fecr%2Faws4_request"), Incomplete, ""},
		{"a scope with a line break", presigned("X-Amz-Credential", exampleID+"%2F20260115%2Fus-east-1%0A%2Fecr%2Faws4_request"), Incomplete, ""},
		{"headers out of order", presigned("X-Amz-SignedHeaders", "x%3Bhost"), Incomplete, ""},
		{"a signature that is none", presigned("X-Amz-Signature", "zz"), Mismatch, mismatchMessage},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, _ := mustRead(t, tt.text)
			_, err := Parse(r)
			wantError(t, err, tt.kind, tt.message)
		})
	}
}

// A Date header is not signed in a presigned request, so that it has no say in it.
func TestPresignedTakesNoDateHeader(t *testing.T) {
	r, _ := mustRead(t, strings.Replace(presigned("X-Amz-Date", ""), "\n\n", "\nDate: Thu, 15 Jan 2026 12:30:45 GMT\nX-Amz-Date: 20260115T123045Z\n\n", 1))
	_, err := Parse(r)
	wantError(t, err, Incomplete, "AWS query-string parameters must include 'X-Amz-Date'. Re-examine the query-string parameters.")
}

func TestKindNames(t *testing.T) {
	for k := Missing; k <= Mismatch; k++ {
		if name := k.String(); name == "" || strings.HasPrefix(name, "kind ") {
			t.Errorf("kind %d has no name", int(k))
		}
	}
	if Kind(0).String() != "kind 0" || (Mismatch+1).String() != "kind 14" {
		t.Errorf("%q %q", Kind(0), Mismatch+1)
	}
}
