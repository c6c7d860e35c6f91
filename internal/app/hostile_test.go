package app_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
)

// dial opens a connection of its own to the server, which ends with the test.
func dial(t *testing.T, s *coffertest.Server) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// write sends text, of which the server may have had enough before its end.
func write(t *testing.T, c io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
}

// answer reads an answer, whole.
func answer(t *testing.T, c io.Reader) (status int, header http.Header, body string) {
	t.Helper()
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("half an answer: %v", err)
	}
	return r.StatusCode, r.Header, string(text)
}

// Requests that no client sends get an answer of the protocol, and the server goes on.
func TestHostileRequests(t *testing.T) {
	s := coffertest.Start(t)
	s.CreateRepository("team/app")
	token := s.Token()
	get := func(path string) string {
		return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic " + token + "\r\nConnection: close\r\n\r\n"
	}
	for _, c := range []struct {
		name, text string
		status     int
	}{
		{"dots in a path", get("/v2/team/../team/app/manifests/1"), 400},
		{"encoded dots", get("/v2/team/%2e%2e/app/manifests/1"), 400},
		{"dots that leave the registry", get("/v2/../../etc/passwd"), 404},
		{"an encoded slash in a name", get("/v2/team%2fapp/manifests/1"), 400},
		{"an encoded slash in a tag", get("/v2/team/app/manifests/a%2fb"), 404},
		{"a slash encoded twice", get("/v2/team%252fapp/manifests/1"), 400},
		{"two slashes", get("/v2//team/app/manifests/1"), 400},
		{"two slashes at the beginning", get("//v2/team/app/manifests/1"), 404},
		{"a null byte", get("/v2/team/app/manifests/%00"), 404},
		{"a byte that is no UTF-8", get("/v2/team/app/manifests/%ff"), 404},
		{"a percent sign alone", get("/v2/team/app/manifests/%"), 400},
		{"another version", get("/v1/search"), 404},
		{"a whole URL", get("http://example.com/v2/team/app/manifests/1"), 404},
		{"a star", strings.Replace(get("*"), "GET", "OPTIONS", 1), 200}, // in the words of net/http
		{"an upload beyond its folder", strings.Replace(get("/v2/team/app/blobs/uploads/..%2f..%2froot-key"), "GET", "PATCH", 1), 404},
		{"a header of 1 MiB", "GET /v2/ HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", 431},
		{"20,000 headers", "GET /v2/ HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat("X: a\r\n", 20_000) + "\r\n", 431},
		{"10,000 headers", "GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + strings.Repeat("X:a\r\n", 10_000) + "\r\n", 401},
		{"two lengths", "PUT /v2/team/app/manifests/1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400},
		{"a length and chunks", "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, identity\r\nContent-Length: 5\r\n\r\nxxxxx", 501},
		{"a negative length", "PUT /v2/team/app/manifests/1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400},
		{"a quote in the host", "GET /v2/ HTTP/1.1\r\nHost: a\"b\r\n\r\n", 400},
		{"no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := dial(t, s)
			written := make(chan struct{})
			go func() { // the server may answer before it has read all
				defer close(written)
				write(t, conn, c.text)
			}()
			if status, _, body := answer(t, conn); status != c.status {
				t.Errorf("status %d, want %d: %.200s", status, c.status, body)
			}
			conn.Close()
			<-written
		})
	}
	if r := s.V2(token, http.MethodGet, "/v2/", nil); r.Status != http.StatusOK {
		t.Errorf("afterwards: status %d", r.Status)
	}
}

// heads are the beginnings of requests with a body, without its length.
func heads(s *coffertest.Server, token string) map[string]string {
	call := func(target, mediaType string, body []byte, service string) string {
		r := s.Request(http.MethodPost, "/", nil, "Content-Type", mediaType)
		if target != "" {
			r.Header.Set("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921."+target)
		}
		s.Sign(r, body, service)
		var head bytes.Buffer
		fmt.Fprintf(&head, "POST / HTTP/1.1\r\nHost: %s\r\n", r.URL.Host)
		r.Header.Write(&head)
		return head.String()
	}
	return map[string]string{
		"a call": call("DescribeRepositories", "application/x-amz-json-1.1", nil, "ecr"),
		"a part": call("UploadLayerPart", "application/x-amz-json-1.1", nil, "ecr"),
		"a form": call("", "application/x-www-form-urlencoded", nil, "sts"),
		"a manifest": "PUT /v2/team/app/manifests/1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic " + token +
			"\r\nContent-Type: " + coffertest.ManifestType + "\r\n",
	}
}

// A body that says how long it is, and is too long, is refused before a byte of it has come.
func TestHugeBodiesAreNotRead(t *testing.T) {
	s := coffertest.Start(t)
	s.CreateRepository("team/app")
	for name, head := range heads(s, s.Token()) {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, s)
			write(t, conn, head+"Content-Length: 1073741824\r\n\r\n")
			if status, _, body := answer(t, conn); status != http.StatusRequestEntityTooLarge {
				t.Errorf("status %d: %s", status, body)
			}
			if n, err := conn.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("the connection is not over: %d bytes, %v", n, err)
			}
		})
	}
}

// A body that never ends is refused once it is too long.
func TestEndlessBodies(t *testing.T) {
	s := coffertest.Start(t)
	s.CreateRepository("team/app")
	chunk := fmt.Sprintf("%x\r\n%s\r\n", 64<<10, strings.Repeat("[", 64<<10))
	for name, head := range heads(s, s.Token()) {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, s)
			var sent atomic.Int64
			written := make(chan struct{})
			go func() {
				defer close(written)
				io.WriteString(conn, head+"Transfer-Encoding: chunked\r\n\r\n")
				for sent.Load() < 1<<30 {
					if _, err := io.WriteString(conn, chunk); err != nil {
						return
					}
					sent.Add(64 << 10)
				}
			}()
			status, _, body := answer(t, conn)
			conn.Close()
			<-written
			// Beyond the largest body there is what lies in the buffers of the connection.
			if status != http.StatusRequestEntityTooLarge || sent.Load() > 64<<20 {
				t.Errorf("status %d after %d bytes: %s", status, sent.Load(), body)
			}
		})
	}
}

// Manifests that no client should send leave nothing behind.
func TestHostileManifests(t *testing.T) {
	s := coffertest.Start(t)
	s.CreateRepository("team/app")
	token := s.Token()
	const begin = `{"schemaVersion":2,"mediaType":"` + coffertest.ManifestType + `",`
	for name, c := range map[string]struct {
		text   string
		status int
	}{
		"5 MiB":                {begin + `"x":"` + strings.Repeat("a", 5<<20) + `"}`, 413},
		"10,000 levels":        {begin + `"x":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`, 405},
		"a name twice":         {begin + `"schemaVersion":2}`, 405},
		"a name twice, hidden": {begin + `"schema\u0056ersion":2}`, 405},
		"another media type":   {`{"schemaVersion":2,"mediaType":"text/plain"}`, 405},
		"layers that are none": {string(coffertest.Manifest([]byte("missing"), nil)), 400},
		"100,000 layers":       {begin + `"config":{"mediaType":"a/b","digest":"` + zeroDigest + `","size":1},"layers":[` + strings.Repeat("{},", 100_000) + `{}]}`, 405},
	} {
		if r := s.V2(token, http.MethodPut, "/v2/team/app/manifests/1", c.text, "Content-Type", coffertest.ManifestType); r.Status != c.status || r.Code() == "" {
			t.Errorf("%s: status %d, want %d: %.200s", name, r.Status, c.status, r.Body)
		}
	}
	for name, body := range map[string]string{
		"10,000 levels": `{"repositoryNames":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`, "a name twice": `{"maxResults":1,"maxResults":1}`,
		"half a text": `{"nextToken":"`, "no UTF-8": "{\"nextToken\":\"\xff\"}",
	} {
		if r := s.ECR("DescribeRepositories", body); r.Status != http.StatusBadRequest || r.Code() != "SerializationException" {
			t.Errorf("a call with %s: status %d: %.200s", name, r.Status, r.Body)
		}
	}
	var images struct{ ImageIDs []any }
	if s.MustECR("ListImages", map[string]any{"repositoryName": "team/app"}, &images); len(images.ImageIDs) > 0 {
		t.Errorf("images were left: %v", images.ImageIDs)
	}
}

const zeroDigest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

// A client that sends its headers byte by byte is given up, and holds nobody up.
func TestSlowHeaders(t *testing.T) {
	s := coffertest.Start(t, func(_ *app.Config, o *app.Options) { o.HeaderTimeout = 200 * time.Millisecond })
	conn := dial(t, s)
	write(t, conn, "GET /v2/ HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
	if r := s.V2("", http.MethodGet, "/v2/", nil); r.Status != http.StatusUnauthorized {
		t.Errorf("another client: status %d", r.Status)
	}
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection is still open: %d bytes, %v", n, err)
	}
}

// A clock that is off by an hour is told so, in either direction and both protocols.
func TestWrongClock(t *testing.T) {
	clock := coffertest.NewClock()
	s := coffertest.Start(t, coffertest.Clock(clock.Now))
	const form = "Action=GetCallerIdentity&Version=2011-06-15"
	stamp := func(off time.Duration) string { return clock.Now().Add(off).UTC().Format("20060102T150405Z") }
	for _, c := range []struct {
		off, allowed time.Duration
		text         string
		service      string
	}{
		{-time.Hour, -5 * time.Minute, "Signature expired: %s is now earlier than %s (%s - 5 min.)", "ecr"},
		{time.Hour, 5 * time.Minute, "Signature not yet current: %s is still later than %s (%s + 5 min.)", "ecr"},
		{-time.Hour, -15 * time.Minute, "Signature expired: %s is now earlier than %s (%s - 15 min.)", "sts"},
		{time.Hour, 15 * time.Minute, "Signature not yet current: %s is still later than %s (%s + 15 min.)", "sts"},
	} {
		send := func(off time.Duration) coffertest.Response {
			body, headers := form, []string{"Content-Type", "application/x-www-form-urlencoded"}
			if c.service == "ecr" {
				body, headers = "{}", []string{"Content-Type", "application/x-amz-json-1.1", "X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories"}
			}
			r := s.Request(http.MethodPost, "/", strings.NewReader(body), headers...)
			s.SignAt(r, []byte(body), c.service, clock.Now().Add(off))
			return s.Do(r)
		}
		status, code := http.StatusBadRequest, "InvalidSignatureException"
		if c.service == "sts" {
			status, code = http.StatusForbidden, "SignatureDoesNotMatch"
		}
		want := fmt.Sprintf(c.text, stamp(c.off), stamp(c.allowed), stamp(0))
		if r := send(c.off); r.Status != status || !strings.Contains(string(r.Body), want) || !strings.Contains(string(r.Body), code) {
			t.Errorf("%s, off by %v: status %d: %s\nwant %s", c.service, c.off, r.Status, r.Body, want)
		}
		if r := send(c.allowed); r.Status != http.StatusOK {
			t.Errorf("%s, off by %v: status %d: %s", c.service, c.allowed, r.Status, r.Body)
		}
		// Programs set their clock by the header.
		if r := send(0); r.Header.Get("Date") == "" {
			t.Errorf("%s: no Date", c.service)
		}
	}
}
