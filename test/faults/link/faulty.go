package link

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Fault is what happens to an HTTP request.
type Fault struct {
	// Stall is for how long the request is held back first.
	Stall time.Duration
	// Status is what it is answered with; 0 lets it pass.
	Status int
	// After lets the request have its effect before it is answered with Status.
	After bool
}

// Faulty passes HTTP requests on to a server, unless its plan makes them fail. Requests arrive as they were signed.
type Faulty struct {
	proxy  *httputil.ReverseProxy
	server *httptest.Server

	mu       sync.Mutex
	plan     func(*http.Request) Fault
	injected int
}

// NewFaulty listens on a free port of loopback until the test ends.
func NewFaulty(t testing.TB, target string) *Faulty {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true, ExpectContinueTimeout: time.Second}
	f := &Faulty{proxy: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: target})
			r.Out.Host = r.In.Host // It is signed.
		},
		Transport: transport,
		ErrorLog:  log.New(io.Discard, "", 0),
		// A server that can't be reached answers nothing.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}}
	f.server = httptest.NewUnstartedServer(f)
	f.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.server.Start()
	t.Cleanup(func() {
		f.server.CloseClientConnections()
		f.server.Close()
		transport.CloseIdleConnections()
	})
	return f
}

// Address is where it listens.
func (f *Faulty) Address() string { return f.server.Listener.Addr().String() }

// Set makes a plan decide about each request from now on; nil lets all pass. The plan is asked for one at a time.
func (f *Faulty) Set(plan func(*http.Request) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan = plan
}

// Injected is how many requests a plan changed anything about.
func (f *Faulty) Injected() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.injected
}

func (f *Faulty) decide(r *http.Request) (fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.plan != nil {
		fault = f.plan(r)
	}
	if fault != (Fault{}) {
		f.injected++
	}
	return fault
}

// ServeHTTP answers a request or passes it on.
func (f *Faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := f.decide(r)
	if fault.Stall > 0 {
		select {
		case <-time.After(fault.Stall):
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}
	if fault.Status == 0 {
		f.proxy.ServeHTTP(w, r)
		return
	}
	if fault.After {
		f.proxy.ServeHTTP(&discard{header: http.Header{}}, r)
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(fault.Status)
	io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>`+code(fault.Status)+`</Code><Message>injected</Message></Error>`)
}

// code is what S3 calls a status.
func code(status int) string {
	if status == http.StatusServiceUnavailable {
		return "SlowDown"
	}
	return "InternalError"
}

// discard is where an answer goes that nobody gets.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
