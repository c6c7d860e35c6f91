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
	"strings"
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
	roots    *x509.CertPool // nil for the system's
	timeout  time.Duration
	loopback bool
}

func newFetcher(c Config) *fetcher {
	f := &fetcher{roots: c.Roots, timeout: fetchTimeout, loopback: c.AllowLoopback}
	f.client = f.trusting(c.Roots)
	return f
}

// trusting is a client that trusts certificates.
func (f *fetcher) trusting(roots *x509.CertPool) *http.Client {
	return &http.Client{
		CheckRedirect: f.checkRedirect,
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			MaxResponseHeaderBytes: maxHeader,
			// Keys are fetched so seldom that no connection is worth keeping.
			DisableKeepAlives: true,
		},
	}
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

// get fetches a document of at most limit bytes. A server whose certificates are not trusted is, if the topmost has one of
// the thumbprints; as at AWS they say nothing of one that is trusted anyway, since those of old setups are seldom right. The
// error is an *Error.
func (f *fetcher) get(ctx context.Context, at string, limit int64, thumbprints []string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err == nil {
		err = f.checkAddress(request.URL)
	}
	if err != nil {
		return nil, noKey(fmt.Errorf("%s: %w", at, err))
	}
	request.Header.Set("Accept", "application/json")
	response, err := f.client.Do(request)
	if top := f.named(err, thumbprints); top != nil {
		response, err = f.trusting(top).Do(request.Clone(ctx))
	}
	if err != nil {
		return nil, fetchError(err)
	}
	defer response.Body.Close()
	switch status := response.StatusCode; {
	case status >= 500 || status == http.StatusTooManyRequests:
		return nil, unreachable(fmt.Errorf("%s: status %d", at, status))
	case status != http.StatusOK:
		return nil, noKey(fmt.Errorf("%s: status %d", at, status))
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return nil, unreachable(fmt.Errorf("%s: %w", at, err))
	}
	if int64(len(body)) > limit {
		return nil, noKey(fmt.Errorf("%s: the document is larger than %d bytes", at, limit))
	}
	return body, nil
}

// named are the roots that are trusted beside the authority that a thumbprint names, if that is what was missing; else nil.
// The certificates of the server are verified from there like all others, by name and time.
func (f *fetcher) named(err error, thumbprints []string) *x509.CertPool {
	failed, ok := errors.AsType[*tls.CertificateVerificationError](err)
	if !ok || len(failed.UnverifiedCertificates) == 0 {
		return nil
	}
	top := failed.UnverifiedCertificates[len(failed.UnverifiedCertificates)-1]
	if !hasThumbprint(top, thumbprints) {
		return nil
	}
	roots := f.roots
	if roots == nil {
		if roots, err = x509.SystemCertPool(); err != nil {
			return nil
		}
	}
	roots = roots.Clone()
	roots.AddCert(top)
	return roots
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

func hasThumbprint(c *x509.Certificate, thumbprints []string) bool {
	own := Thumbprint(c)
	return slices.ContainsFunc(thumbprints, func(t string) bool { return strings.EqualFold(t, own) })
}

// Thumbprint is the SHA-1 hash of a certificate in lower-case hexadecimal, by which IAM names it. FIPS 140-3 does not
// approve of SHA-1 for signatures; what it does here is to name a certificate that an administrator chose.
func Thumbprint(c *x509.Certificate) string {
	var sum [sha1.Size]byte
	fips140.WithoutEnforcement(func() { sum = sha1.Sum(c.Raw) })
	return hex.EncodeToString(sum[:])
}
