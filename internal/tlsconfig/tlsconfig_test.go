package tlsconfig

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/coffer-registry/coffer/internal/tlsconfig/tlstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is one that is set.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func write(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }

func openDev(t *testing.T, dir string, c *clock, names ...string) *Dev {
	t.Helper()
	d, err := OpenDev(DevConfig{Folder: dir, Names: names, Write: write, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var devNames = []string{"localhost", "127.0.0.1", "::1", "registry.example.com", "*.registry.example.com", "*.dkr.ecr.us-east-1.registry.example.com"}

// verify checks a certificate for a host as clients do.
func verify(d *Dev, host string) error {
	pool := x509.NewCertPool()
	pool.AddCert(d.authority.Load().Leaf)
	_, err := d.leaf.Load().Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: host, CurrentTime: d.c.Now()})
	return err
}

func TestDevIsGoodForItsNames(t *testing.T) {
	d := openDev(t, filepath.Join(t.TempDir(), "tls-dev"), &clock{time.Now()}, devNames...)
	for _, host := range []string{"localhost", "127.0.0.1", "::1", "registry.example.com", "api.registry.example.com", "123456789012.dkr.ecr.us-east-1.registry.example.com"} {
		if err := verify(d, host); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, host := range []string{"127.0.0.2", "example.com", "amazonaws.com", "123456789012.dkr.ecr.eu-west-1.registry.example.com"} {
		if err := verify(d, host); err == nil {
			t.Errorf("it is good for %s", host)
		}
	}
	entries, err := os.ReadDir(d.c.Folder)
	if err != nil || len(entries) != 3 {
		t.Fatalf("%v, %v", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode() != fs.FileMode(0o600) {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

// Whoever gets hold of the authority's key can play nobody but this server.
func TestDevAuthorityIsBound(t *testing.T) {
	dir := t.TempDir()
	narrow := openDev(t, dir, &clock{time.Now()}, devNames...)
	wide := &Dev{c: DevConfig{Folder: t.TempDir(), Names: []string{"localhost", "bank.example.org", "10.0.0.1"}, Write: write, Now: time.Now}}
	wide.authority.Store(narrow.authority.Load())
	if err := wide.makeLeaf(); err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"bank.example.org", "10.0.0.1"} {
		var invalid x509.CertificateInvalidError
		if err := verify(wide, host); !errors.As(err, &invalid) || invalid.Reason != x509.CANotAuthorizedForThisName {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// What is there stays as long as it can, and is made anew in time.
func TestDevIsRenewed(t *testing.T) {
	dir, c := t.TempDir(), &clock{time.Now()}
	d := openDev(t, dir, c, devNames...)
	ca, leaf := d.authority.Load().Leaf, d.leaf.Load().Leaf
	refresh := func(want, authority bool) {
		t.Helper()
		if changed, err := d.Refresh(t.Context()); err != nil || changed != want {
			t.Fatalf("changed %v, %v", changed, err)
		}
		if made := d.MadeAuthority(); made != authority {
			t.Fatalf("made an authority: %v", made)
		}
	}
	if !d.MadeAuthority() {
		t.Error("it made no authority")
	}
	c.at = c.at.Add(leafLife - leafRenew - time.Hour)
	refresh(false, false)
	if !d.leaf.Load().Leaf.Equal(leaf) {
		t.Error("renewed too early")
	}
	c.at = c.at.Add(2 * time.Hour)
	refresh(true, false)
	if d.leaf.Load().Leaf.Equal(leaf) || !d.authority.Load().Leaf.Equal(ca) {
		t.Error("the certificate was not renewed, or the authority was")
	}
	if err := verify(d, "localhost"); err != nil {
		t.Error(err)
	}
	again := openDev(t, dir, c, devNames...)
	if again.MadeAuthority() || !again.authority.Load().Leaf.Equal(ca) || !again.leaf.Load().Leaf.Equal(d.leaf.Load().Leaf) {
		t.Error("another start makes others")
	}
	c.at = c.at.Add(authorityLife - leafLife)
	refresh(true, true)
	if err := verify(d, "localhost"); err != nil || d.authority.Load().Leaf.Equal(ca) {
		t.Errorf("the authority was not renewed: %v", err)
	}
}

func TestDevIsMadeAnewForOtherNames(t *testing.T) {
	dir, c := t.TempDir(), &clock{time.Now()}
	ca := openDev(t, dir, c, devNames...).authority.Load().Leaf
	// A name that the authority may vouch for takes another certificate alone.
	d := openDev(t, dir, c, append(slices.Clone(devNames), "*.dkr.ecr.eu-west-1.registry.example.com")...)
	if err := verify(d, "123456789012.dkr.ecr.eu-west-1.registry.example.com"); err != nil || !d.authority.Load().Leaf.Equal(ca) {
		t.Errorf("another region: %v", err)
	}
	d = openDev(t, dir, c, "localhost", "registry.example.net")
	if err := verify(d, "registry.example.net"); err != nil || d.authority.Load().Leaf.Equal(ca) {
		t.Errorf("another domain: %v", err)
	}
}

func TestDevReplacesWhatIsBroken(t *testing.T) {
	for _, file := range []string{"ca.pem", "ca-key.pem", "server.pem"} {
		for name, spoil := range map[string]func(string) error{
			"missing": os.Remove,
			"broken":  func(path string) error { return os.WriteFile(path, []byte("x"), 0o600) },
		} {
			dir, c := t.TempDir(), &clock{time.Now()}
			openDev(t, dir, c, devNames...)
			if err := spoil(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
			d := openDev(t, dir, c, devNames...)
			if err := verify(d, "localhost"); err != nil {
				t.Errorf("%s is %s: %v", file, name, err)
			}
		}
	}
}

// Two files are replaced one after the other, which is no error to tell of.
func TestFilesOfTwoMomentsAreNotTold(t *testing.T) {
	authority, dir := tlstest.NewAuthority(t), t.TempDir()
	certificate, key := authority.Issue(t, tlstest.Wanted{}).Write(t, dir)
	f, err := OpenFiles(certificate, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	before := f.Leaves()[0]
	look := func(changed bool, problem string) {
		t.Helper()
		got, err := f.Refresh(t.Context())
		if got != changed || (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
			t.Fatalf("changed %v, %v", got, err)
		}
	}
	next := authority.Issue(t, tlstest.Wanted{})
	tlstest.Replace(t, certificate, next.CertificatePEM)
	look(false, "")
	if f.Stale() || !f.Leaves()[0].Equal(before) {
		t.Error("half of the files counts")
	}
	tlstest.Replace(t, key, next.KeyPEM)
	look(true, "")
	look(false, "")
	if !f.Leaves()[0].Equal(next.Leaf) {
		t.Error("another certificate is used")
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	look(false, "")
	look(false, "no such file or directory")
	look(false, "")
	if !f.Stale() {
		t.Error("it is not stale")
	}
	tlstest.Replace(t, key, next.KeyPEM)
	look(true, "")
	if f.Stale() {
		t.Error("it is stale")
	}
}

// A certificate that isn't good yet is taken once it is.
func TestFilesAreTakenInTheirTime(t *testing.T) {
	authority, dir, c := tlstest.NewAuthority(t), t.TempDir(), &clock{time.Now()}
	certificate, key := authority.Issue(t, tlstest.Wanted{}).Write(t, dir)
	f, err := OpenFiles(certificate, key, c.now)
	if err != nil {
		t.Fatal(err)
	}
	early := authority.Issue(t, tlstest.Wanted{NotBefore: time.Now().Add(time.Hour), NotAfter: time.Now().Add(48 * time.Hour)})
	early.Write(t, dir)
	for range 3 {
		if changed, _ := f.Refresh(t.Context()); changed {
			t.Fatal("it is taken too early")
		}
	}
	c.at = c.at.Add(2 * time.Hour)
	if changed, err := f.Refresh(t.Context()); !changed || err != nil {
		t.Errorf("it is not taken: %v", err)
	}
}

// An ACME server that fails is asked ever more rarely, whatever clients do.
func TestACMEIsNotAskedTooOften(t *testing.T) {
	asked := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		http.Error(w, `{"type":"urn:ietf:params:acme:error:unauthorized","detail":"not you"}`, http.StatusForbidden)
	}))
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	tlstest.Replace(t, ca, []byte(encodeCertificate(server.Certificate())))
	c := &clock{time.Now()}
	a, err := OpenACME(ACMEConfig{Directory: server.URL, Domains: []string{"registry.example.com"}, CA: ca, Folder: t.TempDir(), Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	var attempts []time.Duration
	for start := c.at; c.at.Before(start.Add(4 * time.Hour)); c.at = c.at.Add(10 * time.Second) {
		if _, err := a.Refresh(t.Context()); err != nil {
			attempts = append(attempts, c.at.Sub(start))
		}
		before := asked
		if err := tryHandshake(a, "registry.example.com"); err == nil {
			t.Fatal("there is a certificate")
		}
		if asked > before {
			t.Fatal("a client made it ask")
		}
	}
	if asked == 0 {
		t.Error("it never asked")
	}
	m := time.Minute
	if want := []time.Duration{0, 2 * m, 6 * m, 14 * m, 30 * m, 62 * m, 122 * m, 182 * m}; !slices.Equal(attempts, want) {
		t.Errorf("attempts are after %v, expected %v", attempts, want)
	}
	if !a.Stale() || len(a.Leaves()) != 0 {
		t.Error("it has something")
	}
}

// tryHandshake shakes hands over a pipe.
func tryHandshake(a *ACME, name string) error {
	client, server := net.Pipe()
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer server.Close()
		done <- tls.Server(server, New(Options{Certificate: a.Certificate, Challenges: true})).HandshakeContext(ctx)
	}()
	clientErr := tls.Client(client, &tls.Config{ServerName: name, InsecureSkipVerify: true}).HandshakeContext(ctx)
	return errors.Join(<-done, clientErr)
}

// A client waits for the first attempt, and no longer than its handshake may take.
func TestACMEHandshakeWaits(t *testing.T) {
	a, err := OpenACME(ACMEConfig{Directory: "https://127.0.0.1:1/", Domains: []string{"registry.example.com"}, Folder: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	client, server := net.Pipe()
	defer client.Close()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		defer server.Close()
		done <- tls.Server(server, New(Options{Certificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			cancel()
			return a.Certificate(hello)
		}})).HandshakeContext(ctx)
	}()
	_ = tls.Client(client, &tls.Config{ServerName: "registry.example.com", InsecureSkipVerify: true}).HandshakeContext(context.Background())
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for _, name := range []string{"other.example.com", "example.com"} {
		if err := tryHandshake(a, name); err == nil || !strings.Contains(err.Error(), "no certificate for the name") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
