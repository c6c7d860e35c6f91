package app_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/tlsconfig/tlstest"
)

// certified starts a server with a certificate in files, which the client trusts.
func certified(t *testing.T, authority *tlstest.Authority, options ...coffertest.Option) (s *coffertest.Server, certificate, key string) {
	t.Helper()
	certificate, key = authority.Issue(t, tlstest.Wanted{}).Write(t, t.TempDir())
	options = append(options, coffertest.Configure(func(c *app.Config) {
		if c.TLSCert == "" {
			c.TLSCert, c.TLSKey = certificate, key
		}
	}))
	s = coffertest.Start(t, options...)
	s.Trust(authority.Write(t))
	return s, certificate, key
}

// served is the certificate that a handshake gets.
func served(t *testing.T, s *coffertest.Server) *x509.Certificate {
	t.Helper()
	c, err := tls.Dial("tcp", strings.TrimPrefix(s.URL, "https://"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0]
}

// becomes waits until a handshake gets a certificate.
func becomes(t *testing.T, s *coffertest.Server, want tlstest.Pair) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); !served(t, s).Equal(want.Leaf); {
		if time.Now().After(until) {
			t.Fatal("the new certificate is not served")
		}
	}
}

// A certificate is replaced in each way that people and machines know, while requests go on: none fails.
func TestTLSCertificateIsReplacedUnderLoad(t *testing.T) {
	authority := tlstest.NewAuthority(t)
	// As Kubernetes has it: the files are links to links, of which one is replaced.
	dir := t.TempDir()
	folder := func(name string, p tlstest.Pair) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		p.Write(t, filepath.Join(dir, name))
	}
	link := func(target, name string) {
		t.Helper()
		if err := errors.Join(os.Symlink(target, filepath.Join(dir, name+".new")), os.Rename(filepath.Join(dir, name+".new"), filepath.Join(dir, name))); err != nil {
			t.Fatal(err)
		}
	}
	folder("1", authority.Issue(t, tlstest.Wanted{}))
	link("1", "data")
	link("data/cert.pem", "cert.pem")
	link("data/key.pem", "key.pem")
	certificate, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	s, _, _ := certified(t, authority, coffertest.Configure(func(c *app.Config) { c.TLSCert, c.TLSKey = certificate, key }))

	stop := make(chan struct{})
	var load sync.WaitGroup
	var requests atomic.Int64
	for range 4 {
		load.Go(func() {
			own := *s
			own.Trust(authority.Write(t))
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if i%3 == 0 {
					own.Client.CloseIdleConnections()
				}
				r, err := own.Client.Get(own.URL + "/v2/")
				if err != nil {
					t.Error(err)
					return
				}
				_, err = io.Copy(io.Discard, r.Body)
				if err = errors.Join(err, r.Body.Close()); err != nil || r.ProtoMajor != 2 {
					t.Errorf("%s: %v", r.Proto, err)
				}
				requests.Add(1)
			}
		})
	}

	linked := authority.Issue(t, tlstest.Wanted{})
	folder("2", linked)
	link("2", "data")
	becomes(t, s, linked)
	renamed := authority.Issue(t, tlstest.Wanted{RSA: 2048})
	tlstest.Replace(t, certificate, renamed.CertificatePEM)
	tlstest.Replace(t, key, renamed.KeyPEM)
	becomes(t, s, renamed)
	written := authority.Issue(t, tlstest.Wanted{})
	for path, text := range map[string][]byte{certificate: written.CertificatePEM, key: written.KeyPEM} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	becomes(t, s, written)
	close(stop)
	load.Wait()
	if requests.Load() < 10 {
		t.Errorf("only %d requests went through", requests.Load())
	}
}

// logLines is a log whose lines can be waited for.
type logLines struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{}
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	select {
	case l.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (l *logLines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

func (l *logLines) await(t *testing.T, text string) {
	t.Helper()
	for timeout := time.After(20 * time.Second); l.count(text) == 0; {
		select {
		case <-l.more:
		case <-timeout:
			t.Fatalf("the log never says %q:\n%s", text, l.text.String())
		}
	}
}

func metric(t *testing.T, s *coffertest.Server, name string) string {
	t.Helper()
	r, err := http.Get(s.AdminURL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer r.Body.Close()
	for in := bufio.NewScanner(r.Body); in.Scan(); {
		if value, ok := strings.CutPrefix(in.Text(), name); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("there is no metric %s", name)
	return ""
}

// A certificate that is broken changes nothing, and is told once.
func TestTLSBrokenCertificateIsNotTaken(t *testing.T) {
	log := &logLines{more: make(chan struct{}, 1)}
	authority := tlstest.NewAuthority(t)
	s, certificate, key := certified(t, authority, coffertest.Configure(func(c *app.Config) { c.AdminListen = "127.0.0.1:0" }),
		func(_ *app.Config, o *app.Options) { o.Log = slog.New(slog.NewTextHandler(log, nil)) })
	before := served(t, s)
	if got, want := metric(t, s, fmt.Sprintf(`coffer_tls_certificate_expiry_timestamp_seconds{name="localhost",serial="%x"}`, before.SerialNumber)),
		fmt.Sprint(float64(before.NotAfter.Unix())); got != want {
		t.Errorf("expiry is %s, expected %s", got, want)
	}
	const stale = `coffer_tls_stale{what="certificate"}`
	if got := metric(t, s, stale); got != "0" {
		t.Errorf("stale is %s", got)
	}
	other := authority.Issue(t, tlstest.Wanted{})
	tlstest.Replace(t, key, other.KeyPEM)
	log.await(t, "the key in "+key+" is not that of the certificate in "+certificate)
	if !served(t, s).Equal(before) {
		t.Error("another certificate is served")
	}
	if got := metric(t, s, stale); got != "1" {
		t.Errorf("stale is %s", got)
	}
	expired := authority.Issue(t, tlstest.Wanted{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	tlstest.Replace(t, certificate, expired.CertificatePEM)
	tlstest.Replace(t, key, expired.KeyPEM)
	log.await(t, "the certificate in "+certificate+" expired at")
	if n := log.count("is not that of"); n != 1 {
		t.Errorf("the log tells %d times of the same", n)
	}
	other.Write(t, filepath.Dir(certificate))
	becomes(t, s, other)
	if got := metric(t, s, stale); got != "0" {
		t.Errorf("stale is %s", got)
	}
}

func TestTLSStartIsRefused(t *testing.T) {
	authority := tlstest.NewAuthority(t)
	good, other := authority.Issue(t, tlstest.Wanted{}), authority.Issue(t, tlstest.Wanted{})
	expired := authority.Issue(t, tlstest.Wanted{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	early := authority.Issue(t, tlstest.Wanted{NotBefore: time.Now().Add(time.Hour)})
	weak := authority.Issue(t, tlstest.Wanted{RSA: 1024})
	locked := []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
	for _, tt := range []struct{ name, certificate, key, want string }{
		{"no certificate", "", string(good.KeyPEM), "cert.pem: no such file or directory"},
		{"no key", string(good.CertificatePEM), "", "key.pem: no such file or directory"},
		{"text for a certificate", "x", string(good.KeyPEM), "there is no certificate in PEM form in "},
		{"text for a key", string(good.CertificatePEM), "x", "there is no private key in PEM form in "},
		{"the certificate for the key", string(good.CertificatePEM), string(good.CertificatePEM), "there is a certificate in "},
		{"half a certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", string(good.KeyPEM), "cert.pem: certificate 1: "},
		{"half a key", string(good.CertificatePEM), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "key.pem can't be parsed"},
		{"an encrypted key", string(good.CertificatePEM), string(locked), "is encrypted with a passphrase"},
		{"another key", string(good.CertificatePEM), string(other.KeyPEM), "key.pem is not that of the certificate in "},
		{"expired", string(expired.CertificatePEM), string(expired.KeyPEM), "cert.pem expired at "},
		{"too early", string(early.CertificatePEM), string(early.KeyPEM), "cert.pem is not valid before "},
		{"a weak key", string(weak.CertificatePEM), string(weak.KeyPEM), "has an RSA key of 1024 bits; at least 2048 are needed"},
		{"too large", strings.Repeat("x", 2<<20), string(good.KeyPEM), "is larger than 1048576 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := coffertest.Config(t)
			dir := t.TempDir()
			c.TLSCert, c.TLSKey = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
			for path, text := range map[string]string{c.TLSCert: tt.certificate, c.TLSKey: tt.key} {
				if text != "" {
					tlstest.Replace(t, path, []byte(text))
				}
			}
			refused(t, c, tt.want)
		})
	}
	t.Run("a folder", func(t *testing.T) {
		c := coffertest.Config(t)
		c.TLSCert, c.TLSKey = t.TempDir(), t.TempDir()
		refused(t, c, c.TLSCert+": is a directory")
	})
	t.Run("clients without an authority", func(t *testing.T) {
		c := coffertest.Config(t)
		c.TLSCert, c.TLSKey = good.Write(t, t.TempDir())
		c.TLSClientCA = c.TLSCert
		refused(t, c, "--tls-client-ca: "+c.TLSCert+": the certificate of ")
	})
}

// Every URL that the server makes is one of TLS, and works.
func TestTLSAddresses(t *testing.T) {
	s := coffertest.Start(t, coffertest.TLS())
	if !strings.HasPrefix(s.URL, "https://127.0.0.1:") {
		t.Fatal(s.URL)
	}
	s.CreateRepository("team/app")
	s.PushImage(s.Token(), "team/app", "1", []byte("a layer"))
	var token struct {
		AuthorizationData []struct{ ProxyEndpoint string }
	}
	s.MustECR("GetAuthorizationToken", map[string]any{}, &token)
	if got, want := token.AuthorizationData[0].ProxyEndpoint, strings.Replace(s.URL, "127.0.0.1", "localhost", 1); got != want {
		t.Errorf("proxyEndpoint is %s, expected %s", got, want)
	}
	var download struct{ DownloadURL string }
	s.MustECR("GetDownloadUrlForLayer", map[string]any{"repositoryName": "team/app", "layerDigest": coffertest.Digest([]byte("a layer"))}, &download)
	r, err := http.NewRequest(http.MethodGet, download.DownloadURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Do(r); r.URL.Scheme != "https" || got.Status != http.StatusOK || string(got.Body) != "a layer" {
		t.Errorf("%s gives %d %q", download.DownloadURL, got.Status, got.Body)
	}
	challenge := s.Do(s.Request(http.MethodGet, "/v2/", nil))
	if got, want := challenge.Header.Get("Www-Authenticate"), `Basic realm="`+s.URL+`/",service="ecr.amazonaws.com"`; got != want {
		t.Errorf("challenge is %s, expected %s", got, want)
	}
}

// The address that clients are told is one that the certificate is good for.
func TestTLSAddressIsThatOfTheCertificate(t *testing.T) {
	authority := tlstest.NewAuthority(t)
	for _, tt := range []struct {
		names  []string
		domain string
		want   string
	}{
		{[]string{"localhost"}, "", "localhost"},
		{[]string{"*.example.com", "registry.example.com"}, "", "registry.example.com"},
		{[]string{"*.dkr.ecr.us-east-1.example.com"}, "example.com:443", "123456789012.dkr.ecr.us-east-1.example.com"},
		{[]string{"*.example.com"}, "", "127.0.0.1"},
	} {
		certificate, key := authority.Issue(t, tlstest.Wanted{Names: tt.names}).Write(t, t.TempDir())
		s := coffertest.Start(t, coffertest.Configure(func(c *app.Config) { c.TLSCert, c.TLSKey, c.Domain = certificate, key, tt.domain }))
		if !strings.HasPrefix(s.URL, "https://"+tt.want+":") {
			t.Errorf("%v, %q: the address is %s", tt.names, tt.domain, s.URL)
		}
	}
}

// aws:SecureTransport is true over TLS, and the record tells of the connection.
func TestTLSIsKnownToPoliciesAndTrail(t *testing.T) {
	s := coffertest.Start(t, coffertest.TLS())
	s.CreateRepository("team/app")
	for value, allowed := range map[string]bool{"true": true, "false": false} {
		user := limited(s, "u-"+value, `{"Bool":{"aws:SecureTransport":"`+value+`"}}`)
		if got := user.ECR("DescribeRepositories", map[string]any{}); got.Status == http.StatusOK != allowed {
			t.Errorf("where aws:SecureTransport must be %s: status %d %s", value, got.Status, got.Body)
		}
		if got := user.V2(user.Token(), http.MethodGet, "/v2/team/app/tags/list", nil); got.Status == http.StatusOK != allowed {
			t.Errorf("where aws:SecureTransport must be %s: /v2/ has status %d %s", value, got.Status, got.Body)
		}
	}
	_, host, _ := strings.Cut(s.URL, "://")
	for _, r := range s.Trail() {
		want := `"tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"` + host + `","keyExchange":"X25519MLKEM768"}`
		if !strings.Contains(r.Text, want) {
			t.Errorf("a record is\n%s\nwithout\n%s", r.Text, want)
		}
	}
	own := *s
	own.Trust(s.CAPath())
	own.Client.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS12
	own.MustECR("DescribeRegistry", map[string]any{}, nil)
	records := s.Trail()
	if want, last := `"tlsDetails":{"tlsVersion":"TLSv1.2","cipherSuite":"ECDHE-ECDSA-AES128-GCM-SHA256",`, records[len(records)-1].Text; !strings.Contains(last, want) {
		t.Errorf("a record is\n%s\nwithout\n%s", last, want)
	}
}

// limited is a client that may do everything of ECR under a condition.
func limited(s *coffertest.Server, user, condition string) *coffertest.Server {
	s.MustQuery("iam", "CreateUser", map[string]any{"UserName": user})
	s.MustQuery("iam", "PutUserPolicy", map[string]any{"UserName": user, "PolicyName": "p", "PolicyDocument": conditional(condition)})
	return s.As(s.MustQuery("iam", "CreateAccessKey", map[string]any{"UserName": user}).KeyOf())
}

// What every answer has.
func TestHeaders(t *testing.T) {
	secure, plain := coffertest.Start(t, coffertest.TLS()), coffertest.Start(t, coffertest.Configure(func(c *app.Config) { c.AdminListen = "127.0.0.1:0" }))
	const strict = "max-age=31536000"
	for _, tt := range []struct {
		name         string
		s            *coffertest.Server
		url          string
		hsts, caches string
	}{
		{"/v2/ over TLS", secure, secure.URL + "/v2/", strict, ""},
		{"an API over TLS", secure, secure.URL + "/?Action=GetCallerIdentity&Version=2011-06-15", strict, "no-store"},
		{"nothing over TLS", secure, secure.URL + "/nothing", strict, "no-store"},
		// Browsers would not find anything else at localhost any more.
		{"localhost over TLS", secure, strings.Replace(secure.URL, "127.0.0.1", "localhost", 1) + "/v2/", "", ""},
		{"/v2/ without TLS", plain, plain.URL + "/v2/", "", ""},
		{"an API without TLS", plain, plain.URL + "/?Action=GetCallerIdentity&Version=2011-06-15", "", "no-store"},
		{"health", plain, plain.AdminURL() + "/healthz", "", ""},
	} {
		r, err := http.NewRequest(http.MethodGet, tt.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		h := tt.s.Do(r).Header
		if got := h.Get("Strict-Transport-Security"); got != tt.hsts {
			t.Errorf("%s: Strict-Transport-Security is %q", tt.name, got)
		}
		if got := h.Get("Cache-Control"); got != tt.caches {
			t.Errorf("%s: Cache-Control is %q", tt.name, got)
		}
		if got := h.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%s: X-Content-Type-Options is %q", tt.name, got)
		}
	}
	if got := secure.ECR("GetAuthorizationToken", map[string]any{}).Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control of a token is %q", got)
	}
}

// raw opens a connection without TLS to a server that wants it.
func raw(t *testing.T, s *coffertest.Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// Plain HTTP is refused in words, and nothing in place of a handshake does any harm.
func TestTLSTakesNothingElse(t *testing.T) {
	s := coffertest.Start(t, coffertest.TLS())
	c := raw(t, s)
	write(t, c, "GET /v2/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic QVdTOng=\r\n\r\n")
	status, header, body := answer(t, c)
	if status != http.StatusBadRequest || header.Get("Location") != "" || body != "Client sent an HTTP request to an HTTPS server.\n" {
		t.Errorf("plain HTTP gets %d %v %q", status, header, body)
	}
	hello := "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
	for name, text := range map[string]string{
		"nothing": "", "zeros": strings.Repeat("\x00", 1<<10), "text": "SSH-2.0-OpenSSH_9.2\r\n", "half a hello": hello, "a hello of zeros": hello + strings.Repeat("\x00", 505),
		"a record that is too large": "\x16\x03\x01\xff\xff" + strings.Repeat("a", 1<<10), "an alert": "\x15\x03\x01\x00\x02\x02\x28",
		"data before a hello": "\x17\x03\x03\x00\x05hello", "a message that is too large": "\x16\x03\x01\x00\x04\x01\xff\xff\xff", "SSL 2": "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
		"SSL 3": "\x16\x03\x00\x00\x2f\x01\x00\x00\x2b\x03\x00" + strings.Repeat("r", 32) + "\x00\x00\x04\x00\x2f\x00\x35\x01\x00",
	} {
		c := raw(t, s).(*net.TCPConn)
		write(t, c, text)
		if err := c.CloseWrite(); err != nil && !errors.Is(err, syscall.ENOTCONN) {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := io.ReadAll(c)
		if err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v", name, err)
		}
		if len(got) > 0 && got[0] != 0x15 { // an alert
			t.Errorf("%s gets %q", name, got)
		}
	}
	if got := s.Do(s.Request(http.MethodGet, "/v2/", nil)); got.Status != http.StatusUnauthorized {
		t.Errorf("afterwards: %d", got.Status)
	}
}

// A handshake that doesn't go on is given up, whether it began or not.
func TestTLSHandshakesAreBounded(t *testing.T) {
	s := coffertest.Start(t, coffertest.TLS(), func(_ *app.Config, o *app.Options) { o.HeaderTimeout = 200 * time.Millisecond })
	var all []net.Conn
	for range 20 {
		all = append(all, raw(t, s), raw(t, s))
		write(t, all[len(all)-1], "\x16\x03\x01\x02\x00\x01")
	}
	for _, c := range all {
		if _, err := io.ReadAll(c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("the connection stays: %v", err)
		}
	}
}

// retry tries something until it works.
func retry(t *testing.T, try func() error) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); ; {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(until) {
			t.Fatal(err)
		}
	}
}
