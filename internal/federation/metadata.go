package federation

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
)

const (
	// maxMetadata is the largest document that AWS takes, in bytes.
	maxMetadata = 10_000_000
	// maxCertificates is how many certificates of a provider may sign. More would only make a wrong signature cost more.
	maxCertificates = 10
)

var metadataLimits = xmlLimits{depth: 64, elements: 200_000, attributes: 64}

// Metadata is what the document of a SAML provider says. It never changes.
type Metadata struct {
	// EntityID is the issuer of its assertions.
	EntityID string
	// ValidUntil is when the document ends; zero if it does not.
	ValidUntil time.Time
	// Certificates are those of the keys that sign its assertions. As at AWS, it does not matter when they end: they are
	// what the account's administrator said they are.
	Certificates []*x509.Certificate
}

// ParseMetadata reads the document of a SAML provider. The error is an *Error of code InvalidInput. The document's own
// signature, if it has one, is not looked at: it is trusted because an administrator brought it.
func ParseMetadata(document string) (*Metadata, error) {
	data := bytes.TrimPrefix([]byte(document), []byte("\ufeff"))
	if len(data) > maxMetadata {
		return nil, badMetadata(errors.New("the document is too large"))
	}
	if err := checkXML(data, metadataLimits); err != nil {
		return nil, badMetadata(err)
	}
	r := metadataReader{metadata: &Metadata{}}
	for d := xml.NewDecoder(bytes.NewReader(data)); ; {
		t, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, badMetadata(errXML)
		}
		if err := r.token(t); err != nil {
			return nil, badMetadata(err)
		}
	}
	switch m := r.metadata; {
	case m.EntityID == "":
		return nil, badMetadata(errors.New("there is no entityID"))
	case len(m.Certificates) == 0:
		if r.refused != nil {
			// An administrator who brings a document that others take is told at once.
			return nil, &Error{InvalidInput, "Could not parse metadata: the certificate of the identity provider can't be used: " + r.refused.Error(), nil}
		}
		return nil, badMetadata(errors.New("there is no certificate of an identity provider to sign with"))
	}
	return r.metadata, nil
}

func badMetadata(reason error) *Error {
	return &Error{InvalidInput, "Could not parse metadata", reason}
}

// metadataReader reads a document from front to back, since it may be large.
type metadataReader struct {
	metadata    *Metadata
	open        []xml.Name
	signs       bool // the key that is being read is one to sign with
	certificate strings.Builder
	refused     error // why a certificate was left out
}

// The elements of the document that matter.
var (
	nameEntity      = xml.Name{Space: nsMetadata, Local: "EntityDescriptor"}
	nameProvider    = xml.Name{Space: nsMetadata, Local: "IDPSSODescriptor"}
	nameKey         = xml.Name{Space: nsMetadata, Local: "KeyDescriptor"}
	certificatePath = []xml.Name{nameEntity, nameProvider, nameKey, {Space: nsSignature, Local: "KeyInfo"},
		{Space: nsSignature, Local: "X509Data"}, {Space: nsSignature, Local: "X509Certificate"}}
)

func (r *metadataReader) token(t xml.Token) error {
	switch t := t.(type) {
	case xml.StartElement:
		r.open = append(r.open, t.Name)
		return r.start(t)
	case xml.CharData:
		if slices.Equal(r.open, certificatePath) {
			r.certificate.Write(t)
		}
	case xml.EndElement:
		inCertificate := slices.Equal(r.open, certificatePath)
		r.open = r.open[:len(r.open)-1]
		if inCertificate {
			return r.add()
		}
	}
	return nil
}

func (r *metadataReader) start(t xml.StartElement) error {
	depth := len(r.open)
	if depth > len(certificatePath) || !slices.Equal(r.open, certificatePath[:depth]) {
		if depth == 1 {
			return errors.New("the document is not an EntityDescriptor")
		}
		return nil
	}
	switch t.Name {
	case nameEntity:
		r.metadata.EntityID = attributeOf(t, "entityID")
		return r.limit(t)
	case nameProvider:
		return r.limit(t)
	case nameKey:
		use := attributeOf(t, "use")
		r.signs = use == "" || use == "signing"
	case certificatePath[len(certificatePath)-1]:
		r.certificate.Reset()
	}
	return nil
}

// limit takes in when an element ends: the earliest of them counts.
func (r *metadataReader) limit(t xml.StartElement) error {
	text := attributeOf(t, "validUntil")
	if text == "" {
		return nil
	}
	until, err := parseTime(text)
	if err != nil {
		return errors.New("validUntil is not a time")
	}
	if m := r.metadata; m.ValidUntil.IsZero() || until.Before(m.ValidUntil) {
		m.ValidUntil = until
	}
	return nil
}

// add takes in a certificate that was read. One with a key that is too weak, or can't sign assertions, is left out.
func (r *metadataReader) add() error {
	if !r.signs {
		return nil
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(r.certificate.String()), ""))
	if err != nil {
		return errors.New("a certificate is not base64")
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return errors.New("a certificate can't be read")
	}
	m := r.metadata
	if r.refused = checkCertificate(certificate); r.refused != nil || slices.ContainsFunc(m.Certificates, certificate.Equal) {
		return nil
	}
	if len(m.Certificates) == maxCertificates {
		return errors.New("there are too many certificates")
	}
	m.Certificates = append(m.Certificates, certificate)
	return nil
}

// checkCertificate says why signatures of a certificate's key are not accepted; nil if they are.
func checkCertificate(c *x509.Certificate) error {
	key, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok {
		return errors.New("a key that is not of RSA is not accepted")
	}
	return checkRSA(key)
}

func attributeOf(t xml.StartElement, name string) string {
	for _, a := range t.Attr {
		if a.Name.Space == "" && a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// parseTime reads a time of SAML, which is in UTC; some write it without saying so.
func parseTime(text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Parse("2006-01-02T15:04:05.999999999", text)
	}
	return at, nil
}
