package sigv4

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestCanonicalPath(t *testing.T) {
	for _, tt := range []struct{ path, want, s3 string }{
		{"", "/", "/"},
		{"/", "/", "/"},
		{"/a/b/", "/a/b/", "/a/b/"},
		{"/a%2Fb", "/a%252Fb", "/a%2Fb"},
		{"/a%2fb", "/a%252fb", "/a%2Fb"},
		{"/a:b@c", "/a%3Ab%40c", "/a%3Ab%40c"},
		{"/a%20b+c", "/a%2520b%2Bc", "/a%20b%2Bc"},
		{"/%7Ea~", "/%257Ea~", "/~a~"},
		{"/\xc3\xa9", "/%C3%A9", "/%C3%A9"},
		{"/%C3%A9", "/%25C3%25A9", "/%C3%A9"},
		{"/a%", "/a%25", "/a%25"},
		{"/a%+1", "/a%25%2B1", "/a%25%2B1"},
		{"*", "%2A", "%2A"},
	} {
		if got := string(appendPath(nil, tt.path, false)); got != tt.want {
			t.Errorf("%q is %q, want %q", tt.path, got, tt.want)
		}
		if got := string(appendPath(nil, tt.path, true)); got != tt.s3 {
			t.Errorf("%q is %q at S3, want %q", tt.path, got, tt.s3)
		}
	}
}

// Some signers resolve these, others don't: none of them is good, but at S3.
func TestAmbiguousPaths(t *testing.T) {
	for path, ambiguous := range map[string]bool{
		"": false, "/": false, "/a": false, "/a/": false, "/a.": false, "/.a": false, "/..a/b..": false, "/a/...": false, "/%2e%2e/a": false,
		"//": true, "//a": true, "/a//b": true, "/a//": true, "/.": true, "/..": true, "/./": true, "/a/./b": true, "/a/../b": true, "/a/..": true, "/a/.": true,
	} {
		if got := ambiguousPath(path); got != ambiguous {
			t.Errorf("%q: %v", path, got)
		}
		r := &http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: "h"}, Header: http.Header{}, RequestURI: path + "?a=b"}
		if path == "" {
			r.RequestURI = "http://h?a=b"
		}
		if err := Sign(r, nil, Credentials{AccessKeyID: exampleID, Secret: exampleSecret}, ecr, signedAt); (err != nil) != ambiguous {
			t.Errorf("sign %q: %v", path, err)
		}
		if err := Sign(r, nil, Credentials{AccessKeyID: exampleID, Secret: exampleSecret}, s3, signedAt); err != nil {
			t.Errorf("sign %q for S3: %v", path, err)
		}
		if err := verify(r, nil, nil); err != nil {
			t.Errorf("verify %q of S3: %v", path, err)
		}
	}
	// A signature of S3 is none of another service.
	text := strings.Replace(signed(t, "GET", "http://h/a//b", nil, s3), "/s3/", "/ecr/", 1)
	r, body := mustRead(t, text)
	wantError(t, verify(r, body, nil), Mismatch, mismatchMessage)
}

// The path counts as it was sent: not cleaned, not decoded, and in each form that a request line has.
func TestPathIsTheOneSent(t *testing.T) {
	text := signed(t, "GET", "http://h/tags/arn%3Aaws%2Fp1", nil, ecr)
	for line, good := range map[string]bool{
		"GET /tags/arn%3Aaws%2Fp1 ":         true,
		"GET http://h/tags/arn%3Aaws%2Fp1 ": true,
		"GET /tags/arn%3aaws%2Fp1 ":         false,
		"GET /tags/arn:aws%2Fp1 ":           false,
		"GET /tags/arn%3Aaws/p1 ":           false,
		"GET //tags/arn%3Aaws%2Fp1 ":        false,
		"GET /tags/../tags/arn%3Aaws%2Fp1 ": false,
		"GET /tags/arn%3Aaws%2Fp1/ ":        false,
		"GET http://i/tags/arn%3Aaws%2Fp1 ": false, // net/http takes the host from here
	} {
		r, body := mustRead(t, strings.Replace(text, "GET /tags/arn%3Aaws%2Fp1 ", line, 1))
		if err := verify(r, body, nil); (err == nil) != good {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestCanonicalQuery(t *testing.T) {
	for raw, want := range map[string]string{
		"":                                "",
		"a":                               "a=",
		"a=":                              "a=",
		"=a":                              "=a",
		"&&a=1&":                          "a=1",
		"b=1&a=2":                         "a=2&b=1",
		"a=2&a=1":                         "a=1&a=2",
		"a=1=2":                           "a=1%3D2",
		"a=%2f%2F/":                       "a=%2F%2F%2F",
		"a=x+y&b=%2B":                     "a=x%20y&b=%2B",
		"a=~-._":                          "a=~-._",
		"%61=%7e":                         "a=~",
		"A=1&a=1&%5F=1":                   "A=1&_=1&a=1",
		"a%20=1&a=1":                      "a=1&a%20=1", // sorted by name, not by the whole
		"a=\xc3\xa9":                      "a=%C3%A9",
		"a=1&X-Amz-Signature=0&X-Amz-A=1": "X-Amz-A=1&a=1",
		"X-Amz-Signature2=1":              "X-Amz-Signature2=1",
	} {
		query, err := parseQuery(raw)
		if err != nil {
			t.Errorf("%q: %v", raw, err)
		}
		if got := string(appendQuery(nil, query)); got != want {
			t.Errorf("%q is %q, want %q", raw, got, want)
		}
	}
	for _, raw := range []string{"a=%", "a=%2", "a=%zz", "%2x=1", "a=%+1", "a;b", "a=1;b=2", "a=%-1"} {
		if query, err := parseQuery(raw); err == nil {
			t.Errorf("%q is %v", raw, query)
		}
	}
}

// TestQueryIsReadAlike holds the query against net/url: both read the same out of it.
func TestQueryIsReadAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.StringMatching(`[ab%23fF+=&;/~ \xe9]{0,30}`).Draw(t, "query")
		query, err := parseQuery(raw)
		standard, errStandard := url.ParseQuery(raw)
		if (err == nil) != (errStandard == nil) {
			t.Fatalf("%q: %v here, %v there", raw, err, errStandard)
		}
		if err != nil {
			return
		}
		again, err := url.ParseQuery(string(appendQuery(nil, query)))
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range standard {
			got := map[string]int{}
			for _, v := range again[name] {
				got[v]++
			}
			for _, v := range values {
				got[v]--
			}
			for v, n := range got {
				if n != 0 {
					t.Fatalf("%q: %q=%q came through %+d times", raw, name, v, n)
				}
			}
		}
		if len(again) != len(standard) {
			t.Fatalf("%q: %v, want %v", raw, again, standard)
		}
	})
}

func TestCanonicalHeaders(t *testing.T) {
	r, _ := mustRead(t, "POST / HTTP/1.1\nHost: H:80\nX-A:  a \t b  c  \nX-A: d\nX-Empty:\nContent-Length: 3\n\nabc")
	for name, want := range map[string]string{
		"x-a": "x-a:a b c,d\n", "x-empty": "x-empty:\n", "host": "host:H:80\n", "content-length": "content-length:3\n",
	} {
		if got, ok := appendHeaders(nil, r, []string{name}); !ok || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
	}
	if _, ok := appendHeaders(nil, r, []string{"x-none"}); ok {
		t.Error("a header that is missing was found")
	}
	if got, ok := appendHeaders(nil, r, []string{"transfer-encoding"}); ok {
		t.Errorf("found %q", got)
	}
	r.Header.Set("X-A", strings.Repeat("a", maxHeaders))
	if _, ok := appendHeaders(nil, r, []string{"x-a"}); ok {
		t.Error("endless headers were taken")
	}
	r, _ = mustRead(t, "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n0\r\n\r\n")
	if got, ok := appendHeaders(nil, r, []string{"transfer-encoding"}); !ok || string(got) != "transfer-encoding:chunked\n" {
		t.Errorf("%q, %v", got, ok)
	}
	if got, ok := appendHeaders(nil, r, []string{"content-length"}); ok {
		t.Errorf("a body of unknown length has %q", got)
	}
}

// The Go SDK signs Content-Length, which net/http keeps in its own place.
func TestSignedContentLength(t *testing.T) {
	r, err := http.NewRequest("POST", "http://h/", strings.NewReader("abc"))
	if err != nil {
		t.Fatal(err)
	}
	s := Credentials{AccessKeyID: exampleID}.claim(&Scope{Region: "us-east-1", Service: "ecr"}, signedAt)
	s.headers = []string{"content-length", "host", "x-amz-date"}
	r.Header.Set("X-Amz-Date", s.stamp)
	r.Header.Set("Authorization", sign(t, r, s, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"))
	text := written(t, r, []byte("abc"))
	served, body := mustRead(t, text)
	if err := verify(served, body, nil); err != nil {
		t.Error(err)
	}
	delete(served.Header, "Content-Length")
	if err := verify(served, body, nil); err != nil {
		t.Error(err)
	}
}

// TestRoundTrip signs random requests in both ways, and reads them as a server does.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		segment := rapid.StringMatching(`[a-zA-Z0-9%:@ ~é_-]{1,8}`)
		u := url.URL{Scheme: "http", Host: rapid.SampledFrom([]string{"h", "localhost:5000", "[::1]:80"}).Draw(rt, "host"), Path: "/"}
		for range rapid.IntRange(0, 3).Draw(rt, "segments") {
			u.Path += segment.Draw(rt, "segment") + "/"
		}
		query := url.Values{}
		for range rapid.IntRange(0, 4).Draw(rt, "parameters") {
			query.Add(rapid.String().Draw(rt, "name"), rapid.String().Draw(rt, "value"))
		}
		u.RawQuery = query.Encode()
		scope := Scope{Region: "eu-central-1", Service: rapid.SampledFrom([]string{"ecr", "s3"}).Draw(rt, "service")}
		token := rapid.SampledFrom([]string{"", "a+/=%"}).Draw(rt, "token")
		if rapid.Bool().Draw(rt, "presigned") {
			r, body := mustRead(t, presign(t, u.String(), scope, time.Minute, token))
			if err := verify(r, body, nil); err != nil {
				rt.Fatal(err)
			}
			return
		}
		body := []byte(rapid.String().Draw(rt, "body"))
		headers := []string{"Content-Type", "a/b;  c = d", "X-Amz-Meta", rapid.StringMatching(`[!-~]([ -~]{0,5}[!-~])?`).Draw(rt, "header")}
		if token != "" {
			headers = append(headers, "X-Amz-Security-Token", token)
		}
		r, body := mustRead(t, signed(t, "PUT", u.String(), body, scope, headers...))
		if err := verify(r, body, nil); err != nil {
			rt.Fatal(err)
		}
	})
}
