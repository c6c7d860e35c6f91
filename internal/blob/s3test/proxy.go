package s3test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Fault is what happens to a request on its way to the server.
type Fault string

const (
	// None lets it through.
	None Fault = ""
	// Busy answers 503 SlowDown in the server's place.
	Busy Fault = "busy"
	// Broken answers 500 InternalError in the server's place.
	Broken Fault = "broken"
	// Full answers 507 XMinioStorageFull in the server's place.
	Full Fault = "full"
	// Denied answers 403 AccessDenied in the server's place.
	Denied Fault = "denied"
	// CutRequest reads half of the request's body and closes the connection.
	CutRequest Fault = "cut request"
	// Changed changes a byte of the request's body.
	Changed Fault = "changed"
	// Ignored answers 200 in the server's place, which never sees the request.
	Ignored Fault = "ignored"
	// Lost lets the request have its whole effect, and closes the connection without an answer.
	Lost Fault = "lost answer"
	// CutAnswer lets the request have its whole effect, and gives half of the body of the answer.
	CutAnswer Fault = "cut answer"
	// Stall keeps the request waiting until Release, and then lets it through.
	Stall Fault = "stall"
)

// Retryable are the faults that a client should bear.
var Retryable = []Fault{Busy, Broken, CutRequest, Changed, Lost, CutAnswer}

// Plan decides about the n-th request since Use, counted from 1.
type Plan func(n int, r *http.Request) Fault

// Nth is a plan of one fault.
func Nth(n int, fault Fault) Plan {
	return func(i int, _ *http.Request) Fault {
		if i == n {
			return fault
		}
		return None
	}
}

// Proxy stands before a server and does to requests what its plan says.
type Proxy struct {
	// Endpoint is its URL.
	Endpoint string

	server    *Server
	transport *http.Transport

	mu       sync.Mutex
	plan     Plan
	n        int
	hit      bool
	requests []string
	release  chan struct{}
}

// Proxy starts a proxy before the server, which ends with the test.
func (s *Server) Proxy(t testing.TB) *Proxy {
	p := &Proxy{server: s, transport: &http.Transport{}, release: make(chan struct{})}
	front := httptest.NewServer(p)
	t.Cleanup(func() {
		front.Close()
		p.transport.CloseIdleConnections()
	})
	p.Endpoint = front.URL
	return p
}

// Use sets the plan, and begins to count requests anew. A nil plan does nothing.
func (p *Proxy) Use(plan Plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan, p.n, p.hit, p.requests = plan, 0, false, nil
}

// Hit reports whether anything was done to a request since Use.
func (p *Proxy) Hit() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hit
}

// Requests are those since Use: methods, and the parameters that say which operation it is.
func (p *Proxy) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.requests...)
}

// Release lets the requests through that are stalled.
func (p *Proxy) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.release)
	p.release = make(chan struct{})
}

func (p *Proxy) next(r *http.Request) (Fault, chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	p.requests = append(p.requests, operation(r))
	if p.plan == nil {
		return None, nil
	}
	fault := p.plan(p.n, r)
	p.hit = p.hit || fault != None
	return fault, p.release
}

func operation(r *http.Request) string {
	q := r.URL.Query()
	for _, name := range []string{"uploads", "partNumber", "uploadId", "list-type"} {
		if q.Has(name) {
			return r.Method + " " + name
		}
	}
	return r.Method
}

// ServeHTTP does to a request what the plan says.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault, release := p.next(r)
	switch fault {
	case Busy:
		refuse(w, http.StatusServiceUnavailable, "SlowDown")
	case Broken:
		refuse(w, http.StatusInternalServerError, "InternalError")
	case Full:
		refuse(w, http.StatusInsufficientStorage, "XMinioStorageFull")
	case Denied:
		refuse(w, http.StatusForbidden, "AccessDenied")
	case CutRequest:
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2) // it may end before
		panic(http.ErrAbortHandler)
	case Changed:
		if held := hold(r); len(held) > 0 {
			held[len(held)/2] ^= 1
		}
		p.pass(w, r, None)
	case Ignored:
		hold(r)
		w.Header().Set("ETag", `"00000000000000000000000000000000"`)
	case Stall:
		// The server notices that the client is gone only after it has read all.
		hold(r)
		select {
		case <-release:
			p.pass(w, r, None)
		case <-r.Context().Done():
		}
	default:
		p.pass(w, r, fault)
	}
}

// hold reads the body of a request, and leaves it there to be read again.
func hold(r *http.Request) []byte {
	held, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(held))
	return held
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>injected by a test</Message></Error>", code)
}

// pass passes a request on. The host stays as it is, since it is signed.
func (p *Proxy) pass(w http.ResponseWriter, r *http.Request, fault Fault) {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.RequestURI = "http", strings.TrimPrefix(p.server.Endpoint, "http://"), ""
	if out.ContentLength == 0 {
		out.Body = http.NoBody
	}
	response, err := p.transport.RoundTrip(out)
	if err != nil || fault == Lost {
		if err == nil {
			response.Body.Close()
		}
		panic(http.ErrAbortHandler)
	}
	defer response.Body.Close()
	for name, values := range response.Header {
		w.Header()[name] = values
	}
	if response.ContentLength >= 0 {
		w.Header().Set("Content-Length", fmt.Sprint(response.ContentLength))
	}
	w.WriteHeader(response.StatusCode)
	if fault == CutAnswer {
		_, _ = io.CopyN(w, response.Body, response.ContentLength/2)
		panic(http.ErrAbortHandler)
	}
	if _, err := io.Copy(w, response.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
}
