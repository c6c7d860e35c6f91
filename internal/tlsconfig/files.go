package tlsconfig

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Files are a certificate and its key in files.
type Files struct{ watched[*tls.Certificate] }

// OpenFiles reads a certificate, which those of its issuers may follow, and its key, both in PEM form. now is the clock; nil
// is time.Now. The error says in one line what is wrong: missing, no such thing, expired, or not of each other.
func OpenFiles(certificate, key string, now func() time.Time) (*Files, error) {
	if now == nil {
		now = time.Now
	}
	f := &Files{}
	f.paths = []string{certificate, key}
	f.parse = func(contents [][]byte) (*tls.Certificate, error) {
		return parsePair(certificate, key, contents[0], contents[1], now())
	}
	return f, f.open()
}

// Certificate is the certificate for any handshake.
func (f *Files) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.value(), nil }

// Leaves are the certificates in use.
func (f *Files) Leaves() []*x509.Certificate { return []*x509.Certificate{f.value().Leaf} }

// parsePair makes a certificate of the contents of two files.
func parsePair(path, keyPath string, text, keyText []byte, now time.Time) (*tls.Certificate, error) {
	chain, err := parseCertificates(path, text)
	if err != nil {
		return nil, err
	}
	leaf := chain[0]
	if err := strong(path, leaf); err != nil {
		return nil, err
	}
	if err := valid(path, leaf, now); err != nil {
		return nil, err
	}
	key, err := parseKey(keyPath, keyText)
	if err != nil {
		return nil, err
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(leaf.PublicKey) {
		return nil, fmt.Errorf("the key in %s is not that of the certificate in %s", keyPath, path)
	}
	out := &tls.Certificate{PrivateKey: key, Leaf: leaf}
	for _, c := range chain {
		out.Certificate = append(out.Certificate, c.Raw)
	}
	return out, nil
}

// minRSA is how many bits a key of RSA has at least.
const minRSA = 2048

// strong refuses keys that are too weak, or of a kind that TLS does not have.
func strong(path string, leaf *x509.Certificate) error {
	switch key := leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSA {
			return fmt.Errorf("the certificate in %s has an RSA key of %d bits; at least %d are needed", path, bits, minRSA)
		}
		return nil
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P224() {
			return nil
		}
	case ed25519.PublicKey:
		return nil
	}
	return fmt.Errorf("the certificate in %s has a key of a kind that TLS does not have; RSA, P-256, P-384, P-521 and Ed25519 are good", path)
}

func valid(path string, leaf *x509.Certificate, now time.Time) error {
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the certificate in %s expired at %s", path, leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate in %s is not valid before %s", path, leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

// parseCertificates parses all certificates of a file, of which there is at least one.
func parseCertificates(path string, text []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d: %w", path, len(chain)+1, err)
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("there is no certificate in PEM form in %s", path)
	}
	return chain, nil
}

// parseKey parses the private key of a file.
func parseKey(path string, text []byte) (crypto.Signer, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return nil, fmt.Errorf("the key in %s is encrypted with a passphrase, which nobody could type in; keep it unencrypted and protect the file", path)
		case block.Type == "PRIVATE KEY" || strings.HasSuffix(block.Type, " PRIVATE KEY"):
			key, err := decodeKey(block.Bytes)
			if err != nil {
				// What the parsers say could show parts of the key.
				return nil, fmt.Errorf("the key in %s can't be parsed", path)
			}
			return key, nil
		}
	}
	if bytes.Contains(text, []byte("BEGIN CERTIFICATE")) {
		return nil, fmt.Errorf("there is a certificate in %s, and no private key", path)
	}
	return nil, fmt.Errorf("there is no private key in PEM form in %s", path)
}

// decodeKey decodes a key in any of the three forms that programs write.
func decodeKey(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("it can't sign")
	}
	return signer, nil
}
