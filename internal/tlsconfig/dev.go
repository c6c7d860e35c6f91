package tlsconfig

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// How long what is made for development is good for, and how long before its end it is made anew. Clients have to be told of
// a new authority, and of a new certificate they take no notice.
const (
	authorityLife  = 10 * 365 * 24 * time.Hour
	authorityRenew = 180 * 24 * time.Hour
	leafLife       = 90 * 24 * time.Hour
	leafRenew      = 30 * 24 * time.Hour
)

// DevConfig is what an authority for development is made of.
type DevConfig struct {
	// Folder holds ca.pem, ca-key.pem and server.pem, which is the certificate with its key. It is made at first.
	Folder string
	// Names are host names, of which the first label may be "*", and addresses.
	Names []string
	// Write replaces a file durably with one that only its owner may read.
	Write func(path, text string) error
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Dev is an authority that this server made for itself, with its certificate. The authority is good for the names of the
// server and no others, so that little comes of trusting it.
type Dev struct {
	c         DevConfig
	authority atomic.Pointer[tls.Certificate]
	leaf      atomic.Pointer[tls.Certificate]
	made      atomic.Bool
}

// OpenDev reads the authority and the certificate of a folder. It makes those anew that are missing, broken, about to expire,
// or not good for the names.
func OpenDev(c DevConfig) (*Dev, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if err := os.MkdirAll(c.Folder, 0o700); err != nil {
		return nil, fileError(c.Folder, err)
	}
	d := &Dev{c: c}
	for _, part := range []struct {
		file, keyFile string
		into          *atomic.Pointer[tls.Certificate]
	}{{"ca.pem", "ca-key.pem", &d.authority}, {"server.pem", "server.pem", &d.leaf}} {
		pair, err := d.read(part.file, part.keyFile)
		if err != nil {
			return nil, err
		}
		if pair != nil {
			part.into.Store(pair)
		}
	}
	_, err := d.Refresh(context.Background())
	return d, err
}

// CAPath is the file with the certificate of the authority, which clients are to trust.
func (d *Dev) CAPath() string { return filepath.Join(d.c.Folder, "ca.pem") }

// MadeAuthority reports whether an authority was made since it was asked last, which clients have to be told to trust.
func (d *Dev) MadeAuthority() bool { return d.made.Swap(false) }

// Certificate is the certificate for any handshake.
func (d *Dev) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return d.leaf.Load(), nil }

// Leaves are the certificates in use.
func (d *Dev) Leaves() []*x509.Certificate { return []*x509.Certificate{d.leaf.Load().Leaf} }

// Stale reports whether a certificate could not be made anew in time.
func (d *Dev) Stale() bool { return d.c.Now().After(d.leaf.Load().Leaf.NotAfter.Add(-leafRenew / 2)) }

// Refresh makes anew what is about to expire.
func (d *Dev) Refresh(context.Context) (changed bool, err error) {
	if a := d.authority.Load(); a == nil || !d.authorityGood(a.Leaf) {
		if err := d.makeAuthority(); err != nil {
			return false, err
		}
		changed = true
	}
	if l := d.leaf.Load(); l == nil || !d.leafGood(l.Leaf) {
		if err := d.makeLeaf(); err != nil {
			return changed, err
		}
		changed = true
	}
	return changed, nil
}

// read reads a certificate and its key. What is missing or broken is nil, and will be made; the error is that a file can't be
// read at all.
func (d *Dev) read(file, keyFile string) (*tls.Certificate, error) {
	path, keyPath := filepath.Join(d.c.Folder, file), filepath.Join(d.c.Folder, keyFile)
	text, err := readFile(path)
	keyText, keyErr := readFile(keyPath)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(keyErr, fs.ErrNotExist):
		return nil, nil
	case err != nil || keyErr != nil:
		return nil, errors.Join(err, keyErr)
	}
	pair, err := parsePair(path, keyPath, text, keyText, d.c.Now())
	if err != nil { // it is broken, and will be made anew
		return nil, nil
	}
	return pair, nil
}

// authorityGood reports whether an authority lasts, and may vouch for all names.
func (d *Dev) authorityGood(ca *x509.Certificate) bool {
	if !ca.IsCA || d.c.Now().After(ca.NotAfter.Add(-authorityRenew)) {
		return false
	}
	for _, name := range d.c.Names {
		if !permits(ca, name) {
			return false
		}
	}
	return true
}

// permits reports whether an authority may vouch for a name.
func permits(ca *x509.Certificate, name string) bool {
	if ip := net.ParseIP(name); ip != nil {
		for _, n := range ca.PermittedIPRanges {
			if n.Contains(ip) {
				return true
			}
		}
		return false
	}
	name = strings.TrimPrefix(name, "*.")
	for _, domain := range ca.PermittedDNSDomains {
		if name == domain || strings.HasSuffix(name, "."+domain) {
			return true
		}
	}
	return false
}

// leafGood reports whether a certificate lasts, comes from the authority and has all names.
func (d *Dev) leafGood(leaf *x509.Certificate) bool {
	if d.c.Now().After(leaf.NotAfter.Add(-leafRenew)) || leaf.CheckSignatureFrom(d.authority.Load().Leaf) != nil {
		return false
	}
	for _, name := range d.c.Names {
		// The host that "*" stands for may have any name.
		if leaf.VerifyHostname(strings.Replace(name, "*", "x", 1)) != nil {
			return false
		}
	}
	return true
}

func (d *Dev) makeAuthority() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	now := d.c.Now()
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Coffer development authority " + strings.ToLower(rand.Text()[:8])},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(authorityLife), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, PermittedDNSDomainsCritical: true,
	}
	for _, name := range d.c.Names {
		if permits(template, name) {
			continue
		}
		ip := net.ParseIP(name)
		if ip == nil {
			template.PermittedDNSDomains = append(template.PermittedDNSDomains, strings.TrimPrefix(name, "*."))
			continue
		}
		if short := ip.To4(); short != nil {
			ip = short
		}
		template.PermittedIPRanges = append(template.PermittedIPRanges, &net.IPNet{IP: ip, Mask: net.CIDRMask(8*len(ip), 8*len(ip))})
	}
	ca, err := certify(template, template, key, key)
	if err != nil {
		return err
	}
	keyText, err := encodeKey(key)
	if err != nil {
		return err
	}
	// The key comes first: an authority whose key is lost is made anew, one that was trusted by then would be trusted in vain.
	if err := d.c.Write(filepath.Join(d.c.Folder, "ca-key.pem"), keyText); err != nil {
		return fmt.Errorf("keep the key of the authority: %w", err)
	}
	if err := d.c.Write(d.CAPath(), encodeCertificate(ca.Leaf)); err != nil {
		return fmt.Errorf("keep the certificate of the authority: %w", err)
	}
	d.authority.Store(ca)
	d.made.Store(true)
	return nil
}

func (d *Dev) makeLeaf() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	now, ca := d.c.Now(), d.authority.Load()
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Coffer"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, name := range d.c.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	leaf, err := certify(template, ca.Leaf, key, ca.PrivateKey.(crypto.Signer))
	if err != nil {
		return err
	}
	keyText, err := encodeKey(key)
	if err != nil {
		return err
	}
	// One file, which is replaced as one.
	if err := d.c.Write(filepath.Join(d.c.Folder, "server.pem"), encodeCertificate(leaf.Leaf)+keyText); err != nil {
		return fmt.Errorf("keep the certificate: %w", err)
	}
	d.leaf.Store(leaf)
	return nil
}

// certify makes a certificate for key.
func certify(template, parent *x509.Certificate, key, signer crypto.Signer) (*tls.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// serial is a random serial number of 16 bytes, positive.
func serial() *big.Int {
	var b [16]byte
	rand.Read(b[:])
	b[0] = b[0]&0x3f | 0x40
	return new(big.Int).SetBytes(b[:])
}

func encodeCertificate(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func encodeKey(key crypto.Signer) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("encode a key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}
