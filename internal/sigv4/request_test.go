package sigv4

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/secret"
)

// The example of the AWS documentation.
const exampleID = "AKIAIOSFODNN7EXAMPLE"

var (
	exampleSecret = secret.New("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
)

// signedAt is when the requests of tests are signed.
var signedAt = time.Date(2026, 1, 15, 12, 30, 45, 0, time.UTC)

// read reads a request as a server gets it, and its body. Its lines end in "\n".
func read(text string) (*http.Request, []byte, error) {
	head, body, _ := strings.Cut(text, "\n\n")
	wire := strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + body
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(wire)))
	if err != nil {
		return nil, nil, err
	}
	b, err := io.ReadAll(r.Body)
	return r, b, err
}

func mustRead(t testing.TB, text string) (*http.Request, []byte) {
	t.Helper()
	r, body, err := read(text)
	if err != nil {
		t.Fatalf("%v, in %q", err, text)
	}
	return r, body
}

// written is the text of a request as a client sends it.
func written(t testing.TB, r *http.Request, body []byte) string {
	t.Helper()
	r.Body, r.ContentLength = http.NoBody, int64(len(body))
	if len(body) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(b.String(), "\r\n", "\n")
}

// signed is the text of a request that Sign signed with the example key.
func signed(t testing.TB, method, url string, body []byte, scope Scope, headers ...string) string {
	t.Helper()
	r, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	if err := Sign(r, body, Credentials{AccessKeyID: exampleID, Secret: exampleSecret}, scope, signedAt); err != nil {
		t.Fatal(err)
	}
	return written(t, r, body)
}

// sign is the Authorization header of a request whose headers to sign are chosen by hand.
func sign(t testing.TB, r *http.Request, s *Signed, payload string) string {
	t.Helper()
	canonical, err := appendCanonical(nil, r, s.Service, s.headers, payload)
	if err != nil {
		t.Fatal(err)
	}
	key := deriveKey(exampleSecret, s.Scope)
	return authorization(s.credential(), strings.Join(s.headers, ";"), hex.EncodeToString(mac(key[:], s.stringToSign(canonical))))
}

// verify parses a request and verifies it, for the service that it names, a moment after it was signed.
func verify(r *http.Request, body []byte, change func(*Check)) error {
	s, err := Parse(r)
	if err != nil {
		return err
	}
	c := Check{Secret: exampleSecret, Now: signedAt.Add(time.Second), Service: s.Service, BodySHA256: sha256.Sum256(body)}
	if change != nil {
		change(&c)
	}
	return s.Verify(r, c)
}

// meaning is all of a request that whoever answers it may go by.
func meaning(t testing.TB, r *http.Request, body []byte) string {
	t.Helper()
	s, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	path, rawQuery := target(r)
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		t.Errorf("query %q was verified, and net/url can't read it: %v", rawQuery, err)
	}
	query.Del("X-Amz-Signature")
	if r.URL.RawQuery != rawQuery {
		t.Errorf("query %q was verified, and the server sees %q", rawQuery, r.URL.RawQuery)
	}
	decoded, err := url.PathUnescape(path)
	if err != nil || path != "" && decoded != r.URL.Path {
		t.Errorf("path %q was verified, and the server sees %q (%v)", path, r.URL.Path, err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s?", strings.ToUpper(r.Method), r.URL.EscapedPath())
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values := slices.Sorted(slices.Values(query[name]))
		fmt.Fprintf(&b, "%q=%q&", name, values)
	}
	fmt.Fprintf(&b, "\n%s %s %s %s\n", s.AccessKeyID, s.Scope, s.Time, s.SessionToken.Reveal())
	for _, name := range []string{"Content-Type", "X-Amz-Target", "X-Amz-Date", "X-K8s-Aws-Id", "X-Amz-Content-Sha256"} {
		fmt.Fprintf(&b, "%s=%q\n", name, strings.Join(strings.Fields(strings.Join(r.Header[name], ",")), " "))
	}
	fmt.Fprintf(&b, "%s\n%q", r.Host, body)
	return b.String()
}

// mutants yields a text with each of its bytes changed in several ways, left out and doubled.
func mutants(text string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for i := range len(text) {
			b := []byte(text)
			for bit := range 8 {
				b[i] = text[i] ^ 1<<bit
				if !yield(string(b)) {
					return
				}
			}
			if !yield(text[:i]+text[i+1:]) || !yield(text[:i+1]+text[i:]) || !yield(text[:i]+" "+text[i:]) || !yield(text[:i]+"/"+text[i:]) {
				return
			}
		}
	}
}

func wantError(t testing.TB, err error, kind Kind, message string) {
	t.Helper()
	e, ok := err.(*Error)
	if !ok {
		t.Errorf("error is %v, want kind %q", err, kind)
		return
	}
	if e.Kind != kind || message != "" && e.Message != message {
		t.Errorf("error is %q: %q\nwant %q: %q", e.Kind, e.Message, kind, message)
	}
}

// logged is what both handlers of slog make of a value.
func logged(v any) string {
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("a", "v", v)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("a", "v", v)
	return b.String()
}
