// Package tlsconfig makes the TLS side of a server: which versions, suites and groups it offers, and certificates that come
// from files, from an authority of its own for development, or from an ACME server.
//
// Certificates and authorities change while the server runs. Whoever owns one calls its Refresh again and again; a handshake
// takes what is there and waits for nothing but the first certificate of an ACME server. It is a package of its own since it
// knows nothing of registries, and keeps the ACME client out of all else.
package tlsconfig

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"

	"golang.org/x/crypto/acme"
)

// suites are those of TLS 1.2: the keys of a connection are gone with it, and what is sent is authenticated. Those of TLS 1.3
// are so all, and can't be chosen. In FIPS mode the standard library leaves out ChaCha20-Poly1305.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// groups are those for the exchange of keys; the hybrid ones resist quantum computers too. In FIPS mode the standard library
// leaves out X25519 alone. P-521 is not among them: no client needs it, and it takes ten times the processor time.
var groups = []tls.CurveID{
	tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024, tls.X25519, tls.CurveP256, tls.CurveP384,
}

// Options are what a configuration is made of.
type Options struct {
	// Certificate finds the certificate for a handshake.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Challenges lets an ACME server check through a handshake that this server has the name (tls-alpn-01, RFC 8737). Such a
	// connection carries nothing else, and needs no certificate of the client.
	Challenges bool
	// Clients vouch for certificates of clients; nil asks for none.
	Clients *Authorities
	// RequireClient refuses clients without a certificate.
	RequireClient bool
}

// New returns the configuration of a server.
func New(o Options) *tls.Config {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13, CipherSuites: slices.Clone(suites), CurvePreferences: slices.Clone(groups),
		NextProtos: []string{"h2", "http/1.1"}, GetCertificate: o.Certificate,
	}
	if !o.Challenges && o.Clients == nil {
		return config
	}
	base := config.Clone()
	challenge := config.Clone()
	challenge.NextProtos = []string{acme.ALPNProto}
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		switch {
		case o.Challenges && isChallenge(hello):
			return challenge, nil
		case o.Clients == nil:
			return nil, nil
		}
		return o.Clients.configure(base, o.RequireClient), nil
	}
	return config
}

// isChallenge reports whether a handshake is one by which an ACME server checks a name.
func isChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acme.ALPNProto
}

// Authorities vouch for certificates of clients. They come from a file.
type Authorities struct{ watched[*x509.CertPool] }

// OpenAuthorities reads certificates in PEM form.
func OpenAuthorities(path string) (*Authorities, error) {
	a := &Authorities{}
	a.paths = []string{path}
	a.parse = func(contents [][]byte) (*x509.CertPool, error) {
		certificates, err := parseCertificates(path, contents[0])
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		for _, c := range certificates {
			if !c.IsCA {
				return nil, fmt.Errorf("%s: the certificate of %q is not an authority's", path, c.Subject)
			}
			pool.AddCert(c)
		}
		return pool, nil
	}
	return a, a.open()
}

// configure returns base with the authorities as they are now. A session is not resumed if they don't vouch for its
// certificate any more; the standard library sees to that.
func (a *Authorities) configure(base *tls.Config, require bool) *tls.Config {
	c := base.Clone()
	c.ClientCAs, c.ClientAuth = a.value(), tls.VerifyClientCertIfGiven
	if require {
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return c
}
