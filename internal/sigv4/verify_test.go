package sigv4

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/secret"
)

var (
	ecr = Scope{Region: "us-east-1", Service: "ecr"}
	s3  = Scope{Region: "us-east-1", Service: "s3"}
)

func TestScope(t *testing.T) {
	r, body := mustRead(t, signed(t, "POST", "http://localhost:5000/", []byte("{}"), ecr))
	for name, tt := range map[string]struct {
		change  func(*Check)
		message string // empty if the request is good
	}{
		"service":            {func(c *Check) { c.Service = "ecr" }, ""},
		"another service":    {func(c *Check) { c.Service = "sts" }, "Credential should be scoped to correct service: 'sts'. "},
		"region":             {func(c *Check) { c.Regions = []string{"eu-central-1", "us-east-1"} }, ""},
		"another region":     {func(c *Check) { c.Regions = []string{"eu-central-1"} }, "Credential should be scoped to a valid region, not 'us-east-1'. "},
		"any region":         {func(c *Check) { c.Regions = nil }, ""},
		"a prefix of region": {func(c *Check) { c.Regions = []string{"us-east-11"} }, "Credential should be scoped to a valid region, not 'us-east-1'. "},
	} {
		err := verify(r, body, tt.change)
		switch {
		case tt.message == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case strings.Contains(tt.message, "service"):
			wantError(t, err, ScopeService, tt.message)
		case tt.message != "":
			wantError(t, err, ScopeRegion, tt.message)
		}
	}
	for name, tt := range map[string]struct {
		old, new string
		kind     Kind
		message  string
	}{
		"terminator": {"aws4_request", "aws5_request", ScopeTerminator,
			"Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'. "},
		"date": {"/20260115/", "/20260116/", ScopeDate,
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20260116' != '20260115', from '20260115T123045Z'."},
		"a date that is none": {"/20260115/", "/2026/", ScopeDate,
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '2026' != '20260115', from '20260115T123045Z'."},
		"region": {"/us-east-1/", "/us-east-2/", Mismatch, mismatchMessage},
	} {
		t.Run(name, func(t *testing.T) {
			r, body := mustRead(t, strings.Replace(signed(t, "POST", "http://h/", []byte("{}"), ecr), tt.old, tt.new, 1))
			wantError(t, verify(r, body, nil), tt.kind, tt.message)
		})
	}
}

func TestClockSkew(t *testing.T) {
	r, body := mustRead(t, signed(t, "POST", "http://h/", nil, ecr))
	for _, tt := range []struct {
		skew, at time.Duration // 0 is the default skew; at is after the signing
		kind     Kind
		message  string
	}{
		{0, 5 * time.Minute, 0, ""},
		{0, 5*time.Minute + time.Second - 1, 0, ""}, // now counts to the second
		{0, 5*time.Minute + time.Second, Expired,
			"Signature expired: 20260115T123045Z is now earlier than 20260115T123046Z (20260115T123546Z - 5 min.)"},
		{0, -5 * time.Minute, 0, ""},
		{0, -5*time.Minute - time.Second, NotYetCurrent,
			"Signature not yet current: 20260115T123045Z is still later than 20260115T123044Z (20260115T122544Z + 5 min.)"},
		{15 * time.Minute, 15 * time.Minute, 0, ""},
		{15 * time.Minute, 15*time.Minute + time.Second, Expired,
			"Signature expired: 20260115T123045Z is now earlier than 20260115T123046Z (20260115T124546Z - 15 min.)"},
		{15 * time.Minute, -15 * time.Minute, 0, ""},
		{15 * time.Minute, -15*time.Minute - time.Second, NotYetCurrent,
			"Signature not yet current: 20260115T123045Z is still later than 20260115T123044Z (20260115T121544Z + 15 min.)"},
	} {
		err := verify(r, body, func(c *Check) {
			c.Skew, c.Now = tt.skew, signedAt.Add(tt.at).In(time.FixedZone("", -7*3600))
		})
		if tt.message != "" {
			wantError(t, err, tt.kind, tt.message)
		} else if err != nil {
			t.Errorf("skew %v at %v: %v", tt.skew, tt.at, err)
		}
	}
}

// presign is the text of a request that Presign signed with the example key.
func presign(t testing.TB, url string, scope Scope, expires time.Duration, token string) string {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := Presign(r, Credentials{exampleID, exampleSecret, secret.New(token)}, scope, signedAt, expires); err != nil {
		t.Fatal(err)
	}
	return "GET " + r.URL.RequestURI() + " HTTP/1.1\nHost: " + r.URL.Host + "\n\n"
}

func TestPresignedLife(t *testing.T) {
	hour := presign(t, "http://h/?Action=GetCallerIdentity&Version=2011-06-15", ecr, time.Hour, "")
	for _, tt := range []struct {
		at      time.Duration
		kind    Kind
		message string
	}{
		{0, 0, ""},
		{time.Hour, 0, ""},
		{time.Hour + time.Second, Expired, "Signature expired: 20260115T123045Z is now earlier than 20260115T123046Z (20260115T133046Z - 60 min.)"},
		{-5 * time.Minute, 0, ""},
		{-5*time.Minute - time.Second, NotYetCurrent,
			"Signature not yet current: 20260115T123045Z is still later than 20260115T123044Z (20260115T122544Z + 5 min.)"},
	} {
		r, body := mustRead(t, hour)
		err := verify(r, body, func(c *Check) { c.Now = signedAt.Add(tt.at) })
		if tt.message != "" {
			wantError(t, err, tt.kind, tt.message)
		} else if err != nil {
			t.Errorf("at %v: %v", tt.at, err)
		}
	}
	r, body := mustRead(t, presign(t, "http://h/", ecr, 90*time.Second, ""))
	wantError(t, verify(r, body, func(c *Check) { c.Now = signedAt.Add(91 * time.Second) }), Expired,
		"Signature expired: 20260115T123045Z is now earlier than 20260115T123046Z (20260115T123216Z - 90 sec.)")
	r, body = mustRead(t, presign(t, "http://h/", ecr, MaxExpires, ""))
	if err := verify(r, body, func(c *Check) { c.Now = signedAt.Add(MaxExpires) }); err != nil {
		t.Error(err)
	}
	// Who holds the URL can't make it live longer.
	r, body = mustRead(t, strings.Replace(hour, "X-Amz-Expires=3600", "X-Amz-Expires=3601", 1))
	wantError(t, verify(r, body, nil), Mismatch, mismatchMessage)
}

func TestPresign(t *testing.T) {
	for name, tt := range map[string]struct {
		url   string
		scope Scope
		token string
	}{
		"query":         {"http://localhost:5000/?Action=GetCallerIdentity&Version=2011-06-15", Scope{Region: "us-east-1", Service: "sts"}, ""},
		"token":         {"http://localhost:5000/?a=b", ecr, vectorToken.Reveal()},
		"odd parts":     {"http://h/?a=x+y&b=%2B&c=~%20*&d&e=%C3%A9&a=1", ecr, ""},
		"signed before": {"http://h/?X-Amz-Signature=00&X-Amz-Date=20200101T000000Z", ecr, ""},
		"path":          {"http://h/tags/arn%3Aaws%2Fp1/", ecr, ""},
		"no path":       {"http://h", ecr, ""},
		"S3":            {"http://h/bucket//a/../b%20c+d%2Fe", s3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := presign(t, tt.url, tt.scope, time.Minute, tt.token)
			r, body := mustRead(t, text)
			if err := verify(r, body, nil); err != nil {
				t.Errorf("%v, of %q", err, text)
			}
			if s, err := Parse(r); err != nil || s.SessionToken.Reveal() != tt.token || !s.Presigned {
				t.Errorf("%v, error %v", s, err)
			}
		})
	}
}

func TestHeadersThatMustBeSigned(t *testing.T) {
	text := signed(t, "POST", "http://h/", []byte("{}"), ecr, "Content-Type", "application/x-amz-json-1.1", "X-Amz-Target", "T.Op",
		"X-Amz-Content-Sha256", "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", "X-Amz-Security-Token", "t")
	if r, body := mustRead(t, text); verify(r, body, nil) != nil {
		t.Fatal(verify(r, body, nil))
	}
	for _, name := range []string{"content-type", "host", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "x-amz-target"} {
		t.Run(name, func(t *testing.T) {
			without := strings.Replace(strings.Replace(text, ";"+name, "", 1), name+";", "", 1)
			r, body := mustRead(t, without)
			wantError(t, verify(r, body, nil), Unsigned, mismatchMessage+" The header '"+name+"' must be signed.")
		})
	}
	t.Run("date", func(t *testing.T) {
		dated := strings.Replace(signed(t, "POST", "http://h/", nil, ecr), "X-Amz-Date: 20260115T123045Z", "Date: Thu, 15 Jan 2026 12:30:45 GMT", 1)
		r, body := mustRead(t, strings.Replace(dated, ";x-amz-date", "", 1))
		wantError(t, verify(r, body, nil), Unsigned, mismatchMessage+" The header 'date' must be signed.")
	})
	// What came after the signing was not there to be signed.
	for _, line := range []string{"X-Amz-Target: T.Other", "Content-Type: a/b", "X-Amz-Security-Token: t", "X-Amz-Content-Sha256: " + emptySHA256} {
		for kind, text := range map[string]string{"header": signed(t, "GET", "http://h/", nil, ecr), "presigned": presign(t, "http://h/", ecr, time.Minute, "")} {
			r, body := mustRead(t, strings.Replace(text, "\n\n", "\n"+line+"\n\n", 1))
			name, _, _ := strings.Cut(strings.ToLower(line), ":")
			err := verify(r, body, nil)
			if e, ok := err.(*Error); !ok || e.Kind != Unsigned || !strings.Contains(e.Message, "'"+name+"'") {
				t.Errorf("%s with %s: %v", kind, line, err)
			}
		}
	}
}

func TestSignedHeaderIsMissing(t *testing.T) {
	text := signed(t, "GET", "http://h/", nil, ecr, "X-Amz-Meta", "a")
	r, body := mustRead(t, strings.Replace(text, "X-Amz-Meta: a\n", "", 1))
	wantError(t, verify(r, body, nil), Mismatch, mismatchMessage)
}

func TestDateHeader(t *testing.T) {
	r, err := http.NewRequest("GET", "http://h/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Date", "Thu, 15 Jan 2026 12:30:45 GMT")
	s := Credentials{AccessKeyID: exampleID}.claim(&Scope{Region: "us-east-1", Service: "ecr"}, signedAt)
	s.headers = []string{"date", "host"}
	r.Header.Set("Authorization", sign(t, r, s, emptySHA256))
	if err := verify(r, nil, nil); err != nil {
		t.Error(err)
	}
}

func TestPayload(t *testing.T) {
	const other = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" // of {}
	for name, tt := range map[string]struct {
		scope   Scope
		header  string
		body    string
		tls     bool
		kind    Kind // 0 if it is good
		message string
	}{
		"none":                          {ecr, "", "{}", false, 0, ""},
		"right":                         {ecr, other, "{}", false, 0, ""},
		"wrong":                         {ecr, other, "{ }", false, Mismatch, mismatchMessage},
		"in upper case":                 {ecr, strings.ToUpper(other), "{}", false, Mismatch, mismatchMessage},
		"unsigned":                      {ecr, "UNSIGNED-PAYLOAD", "{}", true, Mismatch, mismatchMessage},
		"in chunks":                     {ecr, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "{}", true, Mismatch, mismatchMessage},
		"S3, right":                     {s3, other, "{}", false, 0, ""},
		"S3, wrong":                     {s3, other, "{ }", false, Payload, "The provided 'x-amz-content-sha256' header does not match what was computed."},
		"S3, unsigned over TLS":         {s3, "UNSIGNED-PAYLOAD", "{}", true, 0, ""},
		"S3, unsigned in the clear":     {s3, "UNSIGNED-PAYLOAD", "{}", false, Payload, "The payload must be signed on a connection without TLS."},
		"S3, in chunks":                 {s3, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "{}", true, Payload, ""},
		"S3, in chunks with a trailer":  {s3, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "{}", true, Payload, ""},
		"S3, unsigned with its trailer": {s3, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "{}", true, Payload, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var headers []string
			if tt.header != "" {
				headers = []string{"X-Amz-Content-Sha256", tt.header}
			}
			r, body := mustRead(t, signed(t, "PUT", "http://h/", []byte(tt.body), tt.scope, headers...))
			if tt.tls {
				r.TLS = &tls.ConnectionState{}
			}
			err := verify(r, body, nil)
			if tt.kind != 0 {
				wantError(t, err, tt.kind, tt.message)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// A presigned request of S3 says nothing of its body; of another service, it has none.
func TestPresignedPayload(t *testing.T) {
	for service, want := range map[string]bool{"s3": true, "s3-outposts": true, "ecr": false} {
		r, _ := mustRead(t, presign(t, "http://h/", Scope{Region: "us-east-1", Service: service}, time.Minute, ""))
		if err := verify(r, []byte("body"), nil); (err == nil) != want {
			t.Errorf("%s: %v", service, err)
		}
	}
	r, _ := mustRead(t, presign(t, "http://h/?X-Amz-Content-Sha256="+emptySHA256, s3, time.Minute, ""))
	wantError(t, verify(r, []byte("body"), nil), Payload, "")
}

func TestKeyCache(t *testing.T) {
	keys := NewKeyCache()
	r, body := mustRead(t, signed(t, "POST", "http://h/", []byte("{}"), ecr))
	wrong := verify(r, body, func(c *Check) { c.Keys, c.Secret = keys, secret.New("a wrong secret") })
	wantError(t, wrong, Mismatch, mismatchMessage)
	if len(keys.keys) != 0 {
		t.Error("the key of a bad signature was kept")
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			r, body, err := read(signed(t, "POST", "http://h/", []byte("{}"), ecr))
			for range 50 {
				if err == nil {
					err = verify(r, body, func(c *Check) { c.Keys = keys })
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(keys.keys) != 1 {
		t.Errorf("%d keys are kept", len(keys.keys))
	}
	// The cache is used, and doesn't mix secrets.
	for k := range keys.keys {
		keys.keys[k] = deriveKey(secret.New("a wrong secret"), k.Scope)
	}
	wantError(t, verify(r, body, func(c *Check) { c.Keys = keys }), Mismatch, mismatchMessage)
	wantError(t, verify(r, body, func(c *Check) { c.Keys, c.Secret = keys, secret.New("a wrong secret") }), Mismatch, mismatchMessage)
	for i := range maxCachedKeys + 10 {
		keys.put(&Signed{Scope: Scope{Date: fmt.Sprint(i)}}, secret.New("s"), [32]byte{})
	}
	if n := len(keys.keys); n == 0 || n > maxCachedKeys {
		t.Errorf("%d keys are kept", n)
	}
}

func TestSecretsNeverPrint(t *testing.T) {
	r, _ := mustRead(t, presign(t, "http://h/", ecr, time.Minute, exampleSecret.Reveal()))
	s, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{
		"secret": exampleSecret, "credentials": Credentials{exampleID, exampleSecret, exampleSecret}, "check": Check{Secret: exampleSecret},
		"signed": *s, "pointer": s, "in a map": map[string]any{"a": []secret.Text{exampleSecret}},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%20s"} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, "bPxRfiCY") || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", "bPxRfiCY")) {
				t.Errorf("%s by %s: %s", name, verb, text)
			}
		}
		if text, err := json.Marshal(v); err == nil && strings.Contains(string(text), "bPxRfiCY") {
			t.Errorf("%s by JSON: %s", name, text)
		}
		if text := logged(v); strings.Contains(text, "bPxRfiCY") {
			t.Errorf("%s by slog: %s", name, text)
		}
	}
	if text := fmt.Sprint(s); text != exampleID+" for 20260115/us-east-1/ecr at 20260115T123045Z" {
		t.Error(text)
	}
}
