// Package tlstest makes certificates for the tests of what speaks TLS, and writes them to files.
package tlstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority issues certificates.
type Authority struct {
	Certificate *x509.Certificate
	key         crypto.Signer
}

// NewAuthority makes an authority.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Test authority " + rand.Text()[:8]}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().AddDate(1, 0, 0), KeyUsage: x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	return &Authority{certify(t, template, template, key, key), key}
}

// Write writes the certificate of the authority to a file of the test, and returns its path.
func (a *Authority) Write(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	Replace(t, path, a.PEM())
	return path
}

// PEM is the certificate of the authority.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate.Raw})
}

// Wanted is what a certificate is to be.
type Wanted struct {
	// Subject is the name of a client; the certificate is a server's, for localhost and 127.0.0.1, if it is empty.
	Subject pkix.Name
	// Names are other host names for a server.
	Names []string
	// NotBefore and NotAfter are around now if they are zero.
	NotBefore, NotAfter time.Time
	// RSA is how many bits a key of RSA has; 0 is a key on the curve P-256.
	RSA int
}

// Pair is a certificate with its key.
type Pair struct {
	tls.Certificate
	// CertificatePEM and KeyPEM are what files hold.
	CertificatePEM, KeyPEM []byte
}

// Issue makes a certificate.
func (a *Authority) Issue(t testing.TB, w Wanted) Pair {
	t.Helper()
	key := newKey(t)
	if w.RSA > 0 {
		// Weak keys are made to be refused.
		fips140.WithoutEnforcement(func() {
			var err error
			if key, err = rsa.GenerateKey(rand.Reader, w.RSA); err != nil {
				t.Fatal(err)
			}
		})
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: w.Subject, NotBefore: w.NotBefore, NotAfter: w.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if w.Subject.String() == "" {
		template.DNSNames, template.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	if len(w.Names) > 0 {
		template.DNSNames, template.IPAddresses = w.Names, nil
	}
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().AddDate(0, 1, 0)
	}
	leaf := certify(t, template, a.Certificate, key, a.key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return Pair{
		Certificate:    tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf},
		CertificatePEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}),
		KeyPEM:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}
}

// Write writes a pair to cert.pem and key.pem of a folder, and returns their paths.
func (p Pair) Write(t testing.TB, dir string) (certificate, key string) {
	t.Helper()
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	Replace(t, certificate, p.CertificatePEM)
	Replace(t, key, p.KeyPEM)
	return certificate, key
}

// Replace puts a file in place of another at once.
func Replace(t testing.TB, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func certify(t testing.TB, template, parent *x509.Certificate, key, signer crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func serial() *big.Int {
	var b [12]byte
	rand.Read(b[:])
	b[0] |= 1
	return new(big.Int).SetBytes(b[:])
}
