package app_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/tlsconfig/tlstest"
)

// builderName is the name of a client.
var builderName = pkix.Name{Country: []string{"CH"}, Organization: []string{"Example Bank"}, OrganizationalUnit: []string{"CI"}, CommonName: "builder, the first"}

const builderText = `CN=builder\\, the first,OU=CI,O=Example Bank,C=CH`

// A policy may ask for the certificate of the client.
func TestTLSClientCertificates(t *testing.T) {
	authority, clients := tlstest.NewAuthority(t), tlstest.NewAuthority(t)
	ca := clients.Write(t)
	s, _, _ := certified(t, authority, coffertest.Configure(func(c *app.Config) { c.TLSClientCA = ca }))
	s.CreateRepository("team/app")
	named := limited(s, "named", `{"StringEquals":{"coffer:ClientCertSubject":"`+builderText+`"}}`)
	unnamed := limited(s, "unnamed", `{"Null":{"coffer:ClientCertSubject":"true"}}`)
	roots := authority.Write(t)
	trust := func(s *coffertest.Server, pairs ...tlstest.Pair) *coffertest.Server {
		own := *s
		var certificates []tls.Certificate
		for _, p := range pairs {
			certificates = append(certificates, p.Certificate)
		}
		own.Trust(roots, certificates...)
		return &own
	}
	right, wrong := clients.Issue(t, tlstest.Wanted{Subject: builderName}), clients.Issue(t, tlstest.Wanted{Subject: pkix.Name{CommonName: "another"}})
	for _, tt := range []struct {
		name    string
		s       *coffertest.Server
		allowed bool
	}{
		{"the certificate that is asked for", trust(named, right), true},
		{"another certificate", trust(named, wrong), false},
		{"no certificate", trust(named), false},
		{"no certificate where none is wanted", trust(unnamed), true},
		{"a certificate where none is wanted", trust(unnamed, right), false},
	} {
		if got := tt.s.ECR("DescribeRepositories", map[string]any{}); got.Status == http.StatusOK != tt.allowed {
			t.Errorf("%s: %d %s", tt.name, got.Status, got.Body)
		}
	}
	with := 0
	for _, r := range s.Trail() {
		if strings.Contains(r.Text, `"clientCertSubject":"`+builderText+`"`) {
			with++
		}
	}
	if with != 2 {
		t.Errorf("%d records show the subject", with)
	}
	// Somebody else's authority vouches for nobody, however it calls them.
	forged := tlstest.NewAuthority(t).Issue(t, tlstest.Wanted{Subject: builderName})
	if err := handshake(s, roots, forged); err == nil {
		t.Error("a certificate of another authority was taken")
	}
}

// handshake asks for /v2/ with a certificate that is sent whether or not the server wants one of its authority.
func handshake(s *coffertest.Server, roots string, pairs ...tlstest.Pair) error {
	text, err := os.ReadFile(roots)
	if err != nil {
		return err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(text)
	if len(pairs) > 0 {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pairs[0].Certificate, nil }
	}
	_, err = ask(s, config)
	return err
}

// ask asks for /v2/ on a connection of its own, and says whether that resumed a session.
func ask(s *coffertest.Server, config *tls.Config) (resumed bool, err error) {
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	r, err := (&http.Client{Transport: transport}).Get(s.URL + "/v2/")
	if err != nil {
		return false, err
	}
	return r.TLS.DidResume, r.Body.Close()
}

// Clients may be required to have a certificate, and the authorities that vouch for them may change: sessions that are resumed
// don't bring the old ones back.
func TestTLSClientsAreRequired(t *testing.T) {
	authority, before, after := tlstest.NewAuthority(t), tlstest.NewAuthority(t), tlstest.NewAuthority(t)
	ca := before.Write(t)
	s, _, _ := certified(t, authority, coffertest.Configure(func(c *app.Config) { c.TLSClientCA, c.TLSClientAuth = ca, "required" }))
	roots := authority.Write(t)
	if err := handshake(s, roots); err == nil {
		t.Error("a client without a certificate was let in")
	}
	if err := handshake(s, roots, after.Issue(t, tlstest.Wanted{Subject: builderName})); err == nil {
		t.Error("a client of another authority was let in")
	}
	old, next := before.Issue(t, tlstest.Wanted{Subject: builderName}), after.Issue(t, tlstest.Wanted{Subject: builderName})
	expired := before.Issue(t, tlstest.Wanted{Subject: builderName, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	if err := handshake(s, roots, expired); err == nil {
		t.Error("a client with an expired certificate was let in")
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		tlstest.Replace(t, ca, before.PEM())
		pool := x509.NewCertPool()
		pool.AddCert(authority.Certificate)
		resuming := &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{old.Certificate}, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
		retry(t, func() error {
			_, err := ask(s, resuming)
			return err
		})
		if resumed, err := ask(s, resuming); err != nil || !resumed {
			t.Fatalf("%s: the session was not resumed: %v", tls.VersionName(version), err)
		}
		tlstest.Replace(t, ca, after.PEM())
		retry(t, func() error { return handshake(s, roots, next) })
		if _, err := ask(s, resuming); err == nil {
			t.Errorf("%s: a session was resumed that nobody vouches for any more", tls.VersionName(version))
		}
		if err := handshake(s, roots, old); err == nil {
			t.Error("a client of the authority before was let in")
		}
	}
}
