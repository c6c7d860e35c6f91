package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/coffer-registry/coffer/internal/tlsconfig"
)

// certificates is where the certificates of the server come from.
type certificates interface {
	// Certificate finds the one for a handshake.
	Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Leaves are those in use, without their issuers.
	Leaves() []*x509.Certificate
	// Refresh looks whether there are newer ones. What is broken it tells once, and goes on with what it has.
	Refresh(context.Context) (changed bool, err error)
	// Stale reports whether what is in use isn't what it should be.
	Stale() bool
}

// tlsSide is what a server that speaks TLS has beside one that doesn't.
type tlsSide struct {
	certificates certificates
	// clients vouch for certificates of clients; nil if none are asked for.
	clients *tlsconfig.Authorities
	// dev is set under --tls-dev, and acme with an ACME server; they are the certificates then.
	dev  *tlsconfig.Dev
	acme *tlsconfig.ACME
	// challenges answers an ACME server's requests over HTTP; nil if it needn't.
	challenges *http.Server
}

// tlsInterval is how often it is looked whether certificates have changed.
const tlsInterval = time.Second

// speaksTLS reports whether a configuration asks for TLS.
func (c *Config) speaksTLS() bool { return c.TLSCert != "" || c.TLSDev || c.ACMEDirectory != "" }

// checkTLS finds what is wrong with the flags for TLS.
func (c *Config) checkTLS() error {
	acme := c.ACMEDirectory != "" || len(c.ACMEDomain) > 0 || c.ACMEEmail != "" || c.ACMECA != "" || c.ACMEHTTPListen != ""
	switch {
	case c.TLSCert != "" && c.TLSKey == "":
		return errors.New("--tls-cert needs --tls-key: the file with the key of the certificate")
	case c.TLSCert == "" && c.TLSKey != "":
		return errors.New("--tls-key needs --tls-cert: the file with the certificate of the key")
	case c.TLSCert != "" && c.TLSDev, c.TLSCert != "" && acme, c.TLSDev && acme:
		return errors.New("--tls-cert, --tls-dev and --acme-directory exclude each other: the certificate comes from one of them")
	case acme && c.ACMEDirectory == "":
		return errors.New("--acme-directory is missing: the URL of the ACME server's directory, such as https://acme-v02.api.letsencrypt.org/directory")
	case acme && !strings.HasPrefix(c.ACMEDirectory, "https://"):
		return fmt.Errorf("--acme-directory %q must begin with https://", c.ACMEDirectory)
	case acme && len(c.ACMEDomain) == 0:
		return errors.New("--acme-directory needs --acme-domain: a host name to get a certificate for")
	case c.TLSClientCA != "" && !c.speaksTLS():
		return errors.New("--tls-client-ca needs TLS: --tls-cert and --tls-key, --tls-dev or --acme-directory")
	case c.TLSClientAuth != "" && c.TLSClientCA == "":
		return errors.New("--tls-client-auth needs --tls-client-ca: the file with the authorities of clients")
	case c.TLSClientAuth != "" && c.TLSClientAuth != "optional" && c.TLSClientAuth != "required":
		return fmt.Errorf("--tls-client-auth %q is neither optional nor required", c.TLSClientAuth)
	}
	for _, name := range c.ACMEDomain {
		if !domainPattern.MatchString(name) || strings.Contains(name, ":") || !strings.Contains(name, ".") || net.ParseIP(name) != nil {
			return fmt.Errorf("--acme-domain %q is not a whole host name such as registry.example.com; one with * can't be had this way", name)
		}
	}
	if c.ACMEHTTPListen != "" {
		if _, _, err := net.SplitHostPort(c.ACMEHTTPListen); err != nil {
			return fmt.Errorf("--acme-http-listen %q is not an address such as 0.0.0.0:80", c.ACMEHTTPListen)
		}
	}
	return nil
}

// openTLS reads or makes the certificates, if the server is to speak TLS.
func (s *Server) openTLS(o Options) error {
	c := s.config
	if !c.speaksTLS() {
		return nil
	}
	t := &tlsSide{}
	options := tlsconfig.Options{RequireClient: c.TLSClientAuth == "required"}
	switch {
	case c.TLSCert != "":
		files, err := tlsconfig.OpenFiles(c.TLSCert, c.TLSKey, o.Now)
		if err != nil {
			return fmt.Errorf("--tls-cert and --tls-key: %w", err)
		}
		t.certificates = files
	case c.TLSDev:
		dev, err := tlsconfig.OpenDev(tlsconfig.DevConfig{Folder: filepath.Join(c.Data, "tls-dev"), Names: devNames(c), Write: writeFile, Now: o.Now})
		if err != nil {
			return fmt.Errorf("--tls-dev: %w", err)
		}
		t.certificates, t.dev = dev, dev
	default:
		acme, err := tlsconfig.OpenACME(tlsconfig.ACMEConfig{Directory: c.ACMEDirectory, Domains: c.ACMEDomain, Email: c.ACMEEmail, CA: c.ACMECA,
			Folder: filepath.Join(c.Data, "acme"), Now: o.Now})
		if err != nil {
			return fmt.Errorf("--acme-ca: %w", err)
		}
		t.certificates, t.acme, options.Challenges = acme, acme, true
	}
	s.tls = t
	if c.TLSClientCA != "" {
		clients, err := tlsconfig.OpenAuthorities(c.TLSClientCA)
		if err != nil {
			return fmt.Errorf("--tls-client-ca: %w", err)
		}
		t.clients, options.Clients = clients, clients
	}
	options.Certificate = t.certificates.Certificate
	s.public.TLSConfig = tlsconfig.New(options)
	s.public.HTTP2 = &http.HTTP2Config{
		// A connection over which nothing comes any more is found out, and one that takes nothing is given up.
		SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second, WriteByteTimeout: bodyStall,
		// What is taken in before it is read: with the quarter that Go has, a push takes twice as long.
		MaxReceiveBufferPerStream: 4 << 20, MaxReceiveBufferPerConnection: 8 << 20,
	}
	return nil
}

// devNames are the names that a certificate for development is good for: this machine's, and those of the registries.
func devNames(c Config) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	add := func(name string) {
		for _, n := range names {
			if n == name {
				return
			}
		}
		names = append(names, name)
	}
	if host, err := os.Hostname(); err == nil && domainPattern.MatchString(host) {
		add(strings.ToLower(host))
	}
	if host, _, err := net.SplitHostPort(c.Listen); err == nil && host != "" {
		if ip := net.ParseIP(host); ip == nil {
			add(strings.ToLower(host))
		} else if !ip.IsUnspecified() {
			add(ip.String())
		}
	}
	domain := "localhost"
	if c.Domain != "" {
		domain, _, _ = strings.Cut(strings.ToLower(c.Domain), ":")
		add(domain)
		if strings.Contains(domain, ".") {
			add("*." + domain)
		}
	}
	for _, region := range c.Region {
		add("*.dkr.ecr." + region + "." + domain)
		add("*.ecr." + region + "." + domain)
	}
	return names
}

// serveChallenges answers an ACME server over HTTP, and nobody else: who asks for anything is told to use TLS.
func (s *Server) serveChallenges() error {
	if s.config.ACMEHTTPListen == "" {
		return nil
	}
	l, err := listen("--acme-http-listen", s.config.ACMEHTTPListen)
	if err != nil {
		return err
	}
	handler := s.tls.acme.Challenges(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "This port answers ACME challenges only. Use HTTPS.", http.StatusBadRequest)
	}))
	s.tls.challenges = &http.Server{Handler: sniffless(handler), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: s.public.ErrorLog}
	s.running.Go(func() {
		if err := s.tls.challenges.Serve(l); err != http.ErrServerClosed {
			s.failed <- fmt.Errorf("serve --acme-http-listen: %w", err)
		}
	})
	return nil
}

// refreshTLS keeps the certificates up to date until the server stops.
func (s *Server) refreshTLS(ctx context.Context) {
	s.logCertificates()
	s.running.Go(func() {
		s.attempt(ctx, "certificate", s.refreshCertificates)
		s.every(ctx, tlsInterval, "certificate", s.refreshCertificates)
	})
	if s.tls.clients != nil {
		s.running.Go(func() { s.every(ctx, tlsInterval, "authorities of clients", s.refreshClients) })
	}
}

func (s *Server) refreshCertificates(ctx context.Context) error {
	changed, err := s.tls.certificates.Refresh(ctx)
	if changed {
		s.logCertificates()
	}
	if err != nil && s.tls.acme == nil {
		return fmt.Errorf("the new one is not used, and the one before goes on: %w", err)
	}
	return err
}

// logCertificates tells which certificates are in use from now on.
func (s *Server) logCertificates() {
	for _, leaf := range s.tls.certificates.Leaves() {
		s.log.Info("certificate", "names", certificateNames(leaf), "expires", leaf.NotAfter.UTC(), "serial", leaf.SerialNumber.Text(16))
	}
	if s.tls.dev != nil && s.tls.dev.MadeAuthority() {
		s.log.Info("made a certificate authority, which clients are to trust", "file", s.CAPath())
	}
}

func (s *Server) refreshClients(ctx context.Context) error {
	changed, err := s.tls.clients.Refresh(ctx)
	if changed {
		s.log.Info("authorities of clients were read again", "file", s.config.TLSClientCA)
	}
	if err != nil {
		return fmt.Errorf("the new ones are not used, and those before go on: %w", err)
	}
	return nil
}

// certificateNames are the names that a certificate is good for.
func certificateNames(leaf *x509.Certificate) []string {
	names := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// close gives up what runs beside the public port.
func (t *tlsSide) close() error {
	if t.acme != nil {
		t.acme.Close()
	}
	if t.challenges != nil {
		return t.challenges.Close()
	}
	return nil
}

// reachableHost is the host of this server's URL: one that the certificate is good for if it is good for any that is known,
// or else the address.
func (s *Server) reachableHost(address string) string {
	if s.tls == nil {
		return address
	}
	leaves := s.tls.certificates.Leaves()
	if len(leaves) == 0 { // there is none yet from the ACME server
		return s.config.ACMEDomain[0]
	}
	candidates := []string{address, "localhost"}
	if ip := net.ParseIP(address); ip != nil && !ip.IsLoopback() {
		candidates = candidates[:1]
	}
	for _, leaf := range leaves {
		candidates = append(candidates, leaf.DNSNames...)
	}
	if domain, _, _ := strings.Cut(s.config.Domain, ":"); domain != "" {
		candidates = append(candidates, s.config.Account+".dkr.ecr."+s.config.Region[0]+"."+domain)
	}
	for _, host := range candidates {
		for _, leaf := range leaves {
			if !strings.HasPrefix(host, "*") && leaf.VerifyHostname(host) == nil {
				return host
			}
		}
	}
	return address
}

// CAPath is the file with the authority that clients are to trust, under --tls-dev; otherwise it is empty.
func (s *Server) CAPath() string {
	if s.tls == nil || s.tls.dev == nil {
		return ""
	}
	path, err := filepath.Abs(s.tls.dev.CAPath())
	if err != nil {
		return s.tls.dev.CAPath()
	}
	return path
}

// Describe and Collect make metrics of the certificates.
func (t *tlsSide) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(t, out) }

// Collect is described beside Describe.
func (t *tlsSide) Collect(out chan<- prometheus.Metric) {
	expiry := prometheus.NewDesc("coffer_tls_certificate_expiry_timestamp_seconds", "When a certificate in use expires, in seconds since 1970.",
		[]string{"name", "serial"}, nil)
	for _, leaf := range t.certificates.Leaves() {
		name := leaf.Subject.CommonName
		if names := certificateNames(leaf); len(names) > 0 {
			name = names[0]
		}
		out <- prometheus.MustNewConstMetric(expiry, prometheus.GaugeValue, float64(leaf.NotAfter.Unix()), name, leaf.SerialNumber.Text(16))
	}
	stale := prometheus.NewDesc("coffer_tls_stale", "1 while a file of certificates is broken, or the ACME server gives none, and what was there before is used.",
		[]string{"what"}, nil)
	out <- prometheus.MustNewConstMetric(stale, prometheus.GaugeValue, number(t.certificates.Stale()), "certificate")
	if t.clients != nil {
		out <- prometheus.MustNewConstMetric(stale, prometheus.GaugeValue, number(t.clients.Stale()), "client-ca")
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
