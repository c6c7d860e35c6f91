package federation

import (
	"context"
	"crypto/fips140"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"
)

const (
	// fetchTimeout is how long a provider may take to tell its keys, all in all; AWS waits as long.
	fetchTimeout = 5 * time.Second
	// maxDiscovery and maxKeySet are the largest documents that are read, in bytes.
	maxDiscovery = 256 << 10
	maxKeySet    = 1 << 20
	// maxRedirects is how often one document may be elsewhere.
	maxRedirects = 3
	maxHeader    = 64 << 10
)

// fetcher gets documents of providers.
type fetcher struct {
	client   *http.Client
	timeout  time.Duration
	loopback bool
}

func newFetcher(c Config) *fetcher {
	f := &fetcher{timeout: fetchTimeout, loopback: c.AllowLoopback}
	f.client = &http.Client{
		CheckRedirect: f.checkRedirect,
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
			MaxResponseHeaderBytes: maxHeader,
			// Keys are fetched so seldom that no connection is worth keeping.
			DisableKeepAlives: true,
		},
	}
	return f
}

// errAddress refuses an address that is not spoken to, and errRedirects a server that sends on and on.
var (
	errAddress   = errors.New("the address is not one of HTTPS")
	errRedirects = errors.New("there are too many redirects")
)

func (f *fetcher) checkRedirect(next *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errRedirects
	}
	return f.checkAddress(next.URL)
}

// checkAddress refuses addresses other than those of HTTPS, and of this machine where that is allowed.
func (f *fetcher) checkAddress(u *url.URL) error {
	switch {
	case u.Host == "" || u.User != nil:
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && f.loopback && isLoopback(u.Hostname()):
		return nil
	}
	return errAddress
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// get fetches a document of at most limit bytes, and the thumbprints of the certificates by which its server was trusted.
// The error is an *Error.
func (f *fetcher) get(ctx context.Context, at string, limit int64) (body []byte, thumbprints []string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err == nil {
		err = f.checkAddress(request.URL)
	}
	if err != nil {
		return nil, nil, noKey(fmt.Errorf("%s: %w", at, err))
	}
	request.Header.Set("Accept", "application/json")
	response, err := f.client.Do(request)
	if err != nil {
		return nil, nil, fetchError(err)
	}
	defer response.Body.Close()
	switch status := response.StatusCode; {
	case status >= 500 || status == http.StatusTooManyRequests:
		return nil, nil, unreachable(fmt.Errorf("%s: status %d", at, status))
	case status != http.StatusOK:
		return nil, nil, noKey(fmt.Errorf("%s: status %d", at, status))
	}
	body, err = io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return nil, nil, unreachable(fmt.Errorf("%s: %w", at, err))
	}
	if int64(len(body)) > limit {
		return nil, nil, noKey(fmt.Errorf("%s: the document is larger than %d bytes", at, limit))
	}
	if response.TLS != nil {
		thumbprints = thumbprintsOf(response.TLS.VerifiedChains)
	}
	return body, thumbprints, nil
}

// fetchError tells a provider that can't be reached from one that must not be.
func fetchError(err error) *Error {
	if errors.Is(err, errAddress) || errors.Is(err, errRedirects) {
		return noKey(err)
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return badThumbprint(err)
	}
	return unreachable(err)
}

// thumbprintsOf are the thumbprints of all certificates by which a server was trusted. AWS looks at the last one that the
// server sends; but what a server sends without need proves nothing, and the chain may end elsewhere.
func thumbprintsOf(chains [][]*x509.Certificate) (out []string) {
	for _, chain := range chains {
		for _, certificate := range chain {
			if t := Thumbprint(certificate); !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
	}
	return out
}

// Thumbprint is the SHA-1 hash of a certificate in lower-case hexadecimal, by which IAM names it. It only narrows down what
// a server is trusted by already, so that the weakness of SHA-1 does not matter, nor that FIPS 140-3 does not approve it.
func Thumbprint(c *x509.Certificate) string {
	var sum [sha1.Size]byte
	fips140.WithoutEnforcement(func() { sum = sha1.Sum(c.Raw) })
	return hex.EncodeToString(sum[:])
}
