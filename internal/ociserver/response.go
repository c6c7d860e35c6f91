package ociserver

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/coffer-registry/coffer/internal/registry"
)

// response is an answer that was decided on but not yet written: the trail comes first.
type response struct {
	status      int
	contentType string
	digest      string
	location    string
	uploadID    string
	byteRange   string // of an upload
	link        string
	subject     string
	filters     string
	challenge   string
	retryAfter  string
	allow       string
	body        []byte
	// length is the Content-Length of a HEAD response; 0 is that of the body.
	length int64
	// content is a layer, of which the request may want a range.
	content *registry.LayerReader
	// code and message are those of an error.
	code, message string
}

func (p *response) close() error {
	if p.content == nil {
		return nil
	}
	return p.content.Close()
}

func (p *response) write(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for _, f := range [...]struct{ name, value string }{
		{"Content-Type", p.contentType}, {"Docker-Content-Digest", p.digest}, {"Location", p.location},
		{"Docker-Upload-Uuid", p.uploadID}, {"Range", p.byteRange}, {"Link", p.link}, {"Oci-Subject", p.subject},
		{"Oci-Filters-Applied", p.filters}, {"Www-Authenticate", p.challenge}, {"Retry-After", p.retryAfter}, {"Allow", p.allow},
	} {
		if f.value != "" {
			h[f.name] = []string{f.value}
		}
	}
	if p.digest != "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		h["Etag"] = []string{`"` + p.digest + `"`}
	}
	if p.content != nil {
		defer p.content.Close()
		serveContent(w, r, p.content)
		return
	}
	if p.status == http.StatusOK && noneMatch(r, p.digest) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if p.status != http.StatusNoContent {
		h["Content-Length"] = []string{strconv.FormatInt(max(p.length, int64(len(p.body))), 10)}
	}
	w.WriteHeader(p.status)
	if r.Method != http.MethodHead {
		w.Write(p.body)
	}
}

// noneMatch reports whether the client has what it asks for already.
func noneMatch(r *http.Request, digest string) bool {
	known := r.Header.Get("If-None-Match")
	if known == "" || digest == "" {
		return false
	}
	for known != "" {
		var one string
		one, known = nextTag(known)
		if one == "*" || one == `"`+digest+`"` {
			return true
		}
	}
	return false
}

// nextTag takes the first entity tag off a list, weak or strong.
func nextTag(list string) (tag, rest string) {
	for i := 0; i < len(list); i++ {
		if list[i] == ',' {
			return trimTag(list[:i]), list[i+1:]
		}
	}
	return trimTag(list), ""
}

func trimTag(s string) string {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for len(s) > 0 && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	if len(s) > 2 && s[0] == 'W' && s[1] == '/' {
		s = s[2:]
	}
	return s
}

// stallTimeout is how long a client may neither take nor send a byte of a layer.
const stallTimeout = 60 * time.Second

// serveContent writes a layer or the range that the client wants.
func serveContent(w http.ResponseWriter, r *http.Request, c *registry.LayerReader) {
	w.Header()["Content-Type"] = octetStream
	http.ServeContent(&bulkWriter{ResponseWriter: w, control: http.NewResponseController(w)}, r, "", time.Time{}, c.NewReadSeeker())
}

var octetStream = []string{"application/octet-stream"}

// bulkWriter passes large pieces on as they come, and gives a client that stalls up.
type bulkWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (b *bulkWriter) Write(p []byte) (int, error) {
	// Where the connection knows no deadlines, as in tests, there is none to set.
	_ = b.control.SetWriteDeadline(time.Now().Add(stallTimeout))
	return b.ResponseWriter.Write(p)
}

// ReadFrom lets the reader write its own large pieces, where io.Copy would ask for small ones.
func (b *bulkWriter) ReadFrom(r io.Reader) (int64, error) {
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		return io.Copy(struct{ io.Writer }{b}, r)
	}
	if bulk, ok := limited.R.(interface {
		WriteRangeTo(w io.Writer, n int64) (int64, error)
	}); ok {
		n, err := bulk.WriteRangeTo(b, limited.N)
		limited.N -= n
		return n, err
	}
	return io.Copy(struct{ io.Writer }{b}, r)
}

// body is the reader of a request's body, which gives a client that stalls up.
type body struct {
	r       io.Reader
	control *http.ResponseController
}

func newBody(w http.ResponseWriter, r *http.Request) *body {
	return &body{r: r.Body, control: http.NewResponseController(w)}
}

func (b *body) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(stallTimeout))
	return b.r.Read(p)
}

// done takes the deadline off, for the next request on the connection.
func (b *body) done() { _ = b.control.SetReadDeadline(time.Time{}) }
