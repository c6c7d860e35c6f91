package app_test

import (
	"bufio"
	"bytes"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// Nothing of what clients send and nothing secret can be read on the disk, while the server runs and afterwards.
func TestNothingReadableOnDisk(t *testing.T) {
	s := coffertest.Start(t)
	s.CreateRepository("team/app")
	token := s.Token()
	layer := []byte(strings.Repeat("plain text of a layer, ", 10_000))
	manifest := coffertest.Manifest([]byte(`{"os":"linux","secret":"plain text of a config"}`), map[string]any{
		"annotations": map[string]string{"org.example.note": "plain text of an annotation"}}, layer)
	s.PushBlob(token, "team/app", layer)
	s.PushBlob(token, "team/app", []byte(`{"os":"linux","secret":"plain text of a config"}`))
	s.PushManifest(token, "team/app", "1", manifest)
	// A part that stays in the row of its upload, and one that reaches a file.
	for _, part := range [][]byte{[]byte("plain text of a short part"), bytes.Repeat([]byte("plain text of a long part "), 20_000)} {
		r := s.V2(token, http.MethodPost, "/v2/team/app/blobs/uploads/", nil)
		if r = s.V2(token, http.MethodPatch, r.Header.Get("Location"), part); r.Status != http.StatusAccepted {
			t.Fatalf("PATCH: status %d: %s", r.Status, r.Body)
		}
	}
	secrets := [][]byte{[]byte("plain text"), []byte(coffertest.SecretAccessKey), []byte(token), []byte("linux"), []byte("schemaVersion")}
	grep := func(when string) {
		t.Helper()
		files := 0
		err := filepath.WalkDir(s.Config.Data, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			files++
			for _, secret := range secrets {
				if bytes.Contains(text, secret) {
					t.Errorf("%s: %s holds %q", when, filepath.Base(path), secret[:min(12, len(secret))])
				}
			}
			return nil
		})
		if err != nil || files < 5 {
			t.Fatalf("%d files: %v", files, err)
		}
	}
	grep("while the server runs")
	s.Stop()
	grep("afterwards")
}

// raw sends bytes on a connection of its own and returns the status of the answer.
func raw(t *testing.T, s *coffertest.Server, text string) int {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go io.WriteString(c, text) // The server may answer before it has read all.
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("no answer to %.60q: %v", text, err)
	}
	defer r.Body.Close()
	return r.StatusCode
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
		{"an encoded slash in a name", get("/v2/team%2fapp/manifests/1"), 400},
		{"an encoded slash in a tag", get("/v2/team/app/manifests/a%2fb"), 404},
		{"two slashes", get("/v2//team/app/manifests/1"), 400},
		{"a null byte", get("/v2/team/app/manifests/%00"), 404},
		{"another version", get("/v1/search"), 404},
		{"a header of 1 MiB", "GET /v2/ HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", 431},
		{"20,000 headers", "GET /v2/ HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat("X: a\r\n", 20_000) + "\r\n", 431},
		{"no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
		{"a manifest that says it has 1 GiB", "PUT /v2/team/app/manifests/1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic " + token +
			"\r\nContent-Length: 1073741824\r\n\r\n{", 413},
	} {
		if status := raw(t, s, c.text); status != c.status {
			t.Errorf("%s: status %d, want %d", c.name, status, c.status)
		}
	}
	if r := s.V2(token, http.MethodGet, "/v2/", nil); r.Status != http.StatusOK {
		t.Errorf("afterwards: status %d", r.Status)
	}
}

// counter counts what is read of an endless body.
type counter struct{ n int64 }

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '['
	}
	c.n += int64(len(p))
	return len(p), nil
}

// A body that is too large is refused without reading it, whether it says its length or not.
func TestHugeBodies(t *testing.T) {
	s := coffertest.Start(t)
	s.CreateRepository("team/app")
	token := s.Token()
	for name, length := range map[string]int64{"1 GiB of JSON": 1 << 30, "endless JSON": -1} {
		body := &counter{}
		r := s.Request(http.MethodPost, "/", io.LimitReader(body, 1<<30), "Content-Type", "application/x-amz-json-1.1",
			"X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories")
		s.Sign(r, []byte("{}"), "ecr")
		r.ContentLength = length
		resp, err := s.Client.Do(r)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("%s: status %d", name, resp.StatusCode)
			}
		}
		if body.n > 64<<20 {
			t.Errorf("%s: %d bytes were taken", name, body.n)
		}
	}
	for name, manifest := range map[string]string{
		"a manifest of 5 MiB":  `{"schemaVersion":2,"mediaType":"` + coffertest.ManifestType + `","x":"` + strings.Repeat("a", 5<<20) + `"}`,
		"deep nesting":         `{"schemaVersion":2,"x":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`,
		"a name twice":         `{"schemaVersion":2,"schemaVersion":2}`,
		"another media type":   `{"schemaVersion":2,"mediaType":"text/plain"}`,
		"layers that are none": string(coffertest.Manifest([]byte("missing"), nil)),
	} {
		r := s.V2(token, http.MethodPut, "/v2/team/app/manifests/1", manifest, "Content-Type", coffertest.ManifestType)
		if r.Status < 400 || r.Status >= 500 || r.Code() == "" {
			t.Errorf("%s: status %d: %.200s", name, r.Status, r.Body)
		}
	}
	var images struct{ ImageIDs []any }
	if s.MustECR("ListImages", map[string]any{"repositoryName": "team/app"}, &images); len(images.ImageIDs) > 0 {
		t.Errorf("images were left: %v", images.ImageIDs)
	}
}

// A clock that is off by an hour is told so, in either direction and both protocols.
func TestWrongClock(t *testing.T) {
	for name, off := range map[string]time.Duration{"Signature expired": time.Hour, "Signature not yet current": -time.Hour} {
		s := coffertest.Start(t, coffertest.Clock(func() time.Time { return time.Now().Add(off) }))
		body := []byte("{}")
		calls := map[string]*http.Request{"ecr": s.Request(http.MethodPost, "/", bytes.NewReader(body), "Content-Type", "application/x-amz-json-1.1",
			"X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories")}
		form := []byte("Action=GetCallerIdentity&Version=2011-06-15")
		calls["sts"] = s.Request(http.MethodPost, "/", bytes.NewReader(form), "Content-Type", "application/x-www-form-urlencoded")
		for service, r := range calls {
			signed := body
			if service == "sts" {
				signed = form
			}
			s.SignAt(r, signed, service, time.Now())
			if got := s.Do(r); got.Status < 400 || !bytes.Contains(got.Body, []byte(name)) {
				t.Errorf("%s, clock off by %v: status %d: %s", service, off, got.Status, got.Body)
			}
		}
		s.Stop()
	}
}
