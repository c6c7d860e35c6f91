package tlsconfig

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// ACMEConfig says which ACME server certificates come from (RFC 8555).
type ACMEConfig struct {
	// Directory is the URL of the server's directory.
	Directory string
	// Domains are the host names, at least one.
	Domains []string
	// Email is for the account; it may be empty.
	Email string
	// CA is a file with the authorities that vouch for the ACME server itself; empty is the system's.
	CA string
	// Folder keeps the key of the account and the certificates.
	Folder string
	// Now is the clock by which attempts are made again; nil is time.Now.
	Now func() time.Time
}

// ACME has a certificate for each of its names from an ACME server, and renews them. A certificate that was kept is good
// without the server.
//
// Only Refresh asks the server for first certificates, and ever more rarely when it fails: clients can't make it ask.
type ACME struct {
	manager *autocert.Manager
	domains []string
	orders  map[string]*order
	now     func() time.Time
	closed  chan struct{}
	idle    func()
	// said is what the ACME server found wrong last.
	said atomic.Pointer[string]
}

// order is how it stands with the certificate of a name.
type order struct {
	// tried is closed after the first attempt.
	tried chan struct{}

	mu       sync.Mutex
	leaf     *x509.Certificate
	failures int
	next     time.Time
}

// Attempts to get a first certificate come after each other by these times, doubled from the one to the other.
const (
	firstPause = 2 * time.Minute
	lastPause  = time.Hour
)

// requestTimeout bounds a request to an ACME server.
const requestTimeout = 30 * time.Second

// OpenACME makes the source of certificates of c. It asks for none yet.
func OpenACME(c ACMEConfig) (*ACME, error) {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second,
		DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	if c.CA != "" {
		text, err := readFile(c.CA)
		if err != nil {
			return nil, err
		}
		certificates, err := parseCertificates(c.CA, text)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		for _, certificate := range certificates {
			transport.TLSClientConfig.RootCAs.AddCert(certificate)
		}
	}
	a := &ACME{orders: map[string]*order{}, now: c.Now, closed: make(chan struct{}), idle: transport.CloseIdleConnections}
	if a.now == nil {
		a.now = time.Now
	}
	for _, name := range c.Domains {
		name = strings.ToLower(name)
		a.domains = append(a.domains, name)
		a.orders[name] = &order{tried: make(chan struct{})}
	}
	a.manager = &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(c.Folder), HostPolicy: autocert.HostWhitelist(a.domains...), Email: c.Email,
		Client: &acme.Client{DirectoryURL: c.Directory, UserAgent: "coffer", RetryBackoff: a.backoff,
			HTTPClient: &http.Client{Timeout: requestTimeout, Transport: listening{transport, a.closed, &a.said}}},
	}
	return a, nil
}

// Close ends what is asked of the ACME server.
func (a *ACME) Close() {
	close(a.closed)
	a.idle()
}

// listening is the transport to the ACME server. It refuses requests once it is closed, and keeps what the server found wrong
// with a name, which the client loses.
type listening struct {
	http.RoundTripper
	closed <-chan struct{}
	said   *atomic.Pointer[string]
}

func (l listening) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	default:
	}
	response, err := l.RoundTripper.RoundTrip(r)
	if err != nil || !strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		return response, err
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxFile))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(text))
	// An authorization, or a challenge alone.
	type challenge struct {
		Error struct{ Detail string }
	}
	var answer struct {
		challenge
		Challenges []challenge
	}
	if json.Unmarshal(text, &answer) == nil {
		for _, c := range append(answer.Challenges, answer.challenge) {
			if c.Error.Detail != "" {
				l.said.Store(&c.Error.Detail)
			}
		}
	}
	return response, nil
}

// backoff says how long to wait before a request that failed in the server is made again, a few times.
func (a *ACME) backoff(n int, _ *http.Request, _ *http.Response) time.Duration {
	select {
	case <-a.closed:
		return -1
	default:
	}
	if n > 4 {
		return -1
	}
	return time.Duration(n) * time.Second
}

// Challenges answers the requests by which the ACME server checks names over HTTP (http-01), and calls other for all others.
// From then on that is tried too, after handshakes (tls-alpn-01).
func (a *ACME) Challenges(other http.Handler) http.Handler {
	handler := a.manager.HTTPHandler(other)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A port in the name, where it isn't 80 that is listened on, would make it another name.
		if host, _, err := net.SplitHostPort(r.Host); err == nil {
			r = r.Clone(r.Context())
			r.Host = host
		}
		handler.ServeHTTP(w, r)
	})
}

// Certificate is the certificate for the name that a handshake is for; for one without a name, such as to an address, that of
// the first domain. While the first attempt is under way it waits, as long as a handshake may take.
func (a *ACME) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.TrimSuffix(strings.ToLower(hello.ServerName), ".")
	if isChallenge(hello) {
		return a.manager.GetCertificate(&tls.ClientHelloInfo{ServerName: name, SupportedProtos: hello.SupportedProtos})
	}
	if name == "" {
		name = a.domains[0]
	}
	o := a.orders[name]
	if o == nil {
		return nil, errors.New("there is no certificate for the name that the client asks for")
	}
	select {
	case <-o.tried:
	case <-hello.Context().Done():
		return nil, hello.Context().Err()
	}
	if o.certificate() == nil {
		return nil, fmt.Errorf("there is no certificate for %s yet", name)
	}
	return a.get(name)
}

// get is the certificate of a name, from memory, the folder or the ACME server. All clients of TLS 1.2 and later know ECDSA.
func (a *ACME) get(name string) (*tls.Certificate, error) {
	return a.manager.GetCertificate(&tls.ClientHelloInfo{ServerName: name, CipherSuites: suites})
}

func (o *order) certificate() *x509.Certificate {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.leaf
}

// Leaves are the certificates in use.
func (a *ACME) Leaves() []*x509.Certificate {
	var out []*x509.Certificate
	for _, name := range a.domains {
		if leaf := a.orders[name].certificate(); leaf != nil && !slices.ContainsFunc(out, leaf.Equal) {
			out = append(out, leaf)
		}
	}
	return out
}

// Stale reports whether there is a name without a certificate that is good.
func (a *ACME) Stale() bool {
	for _, o := range a.orders {
		if leaf := o.certificate(); leaf == nil || a.now().After(leaf.NotAfter) {
			return true
		}
	}
	return false
}

// Refresh asks for the first certificates of names, as far as it is time to try again. changed says whether there are new
// certificates, renewed ones among them.
func (a *ACME) Refresh(ctx context.Context) (changed bool, err error) {
	for _, name := range a.domains {
		o := a.orders[name]
		if o.certificate() == nil && a.now().Before(o.next) {
			continue
		}
		leaf, failed := a.attempt(ctx, name)
		o.mu.Lock()
		switch {
		case failed == nil:
			changed = changed || o.leaf == nil || !o.leaf.Equal(leaf)
			o.leaf, o.failures = leaf, 0
		default:
			pause := min(firstPause<<min(o.failures, 10), lastPause)
			o.failures, o.next = o.failures+1, a.now().Add(pause)
			failed = fmt.Errorf("certificate for %s; trying again in %v: %w", name, pause, failed)
			if err = failed; ctx.Err() != nil {
				err = ctx.Err()
			}
		}
		o.mu.Unlock()
		select {
		case <-o.tried:
		default:
			close(o.tried)
		}
		if err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// attempt gets the certificate of a name, and doesn't wait any more once ctx ends.
func (a *ACME) attempt(ctx context.Context, name string) (*x509.Certificate, error) {
	type result struct {
		certificate *tls.Certificate
		err         error
	}
	done := make(chan result, 1)
	go func() {
		a.said.Store(nil)
		certificate, err := a.get(name)
		if said := a.said.Load(); err != nil && said != nil {
			err = fmt.Errorf("%w: it says %q", err, *said)
		}
		done <- result{certificate, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		if r.err != nil {
			return nil, r.err
		}
		return r.certificate.Leaf, nil
	}
}
