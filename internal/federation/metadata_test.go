package federation

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/coffer-registry/coffer/internal/federation/federationtest"
	"github.com/coffer-registry/coffer/internal/secret"
)

func TestMetadata(t *testing.T) {
	h := newSAMLHouse(t)
	later := h.clock.now().Add(48 * time.Hour).UTC()
	m := h.metadata("\ufeff" + h.idp.Metadata(func(r *etree.Element) {
		r.CreateAttr("validUntil", later.Format(time.RFC3339))
		federationtest.Find(r, "IDPSSODescriptor").CreateAttr("validUntil", later.Add(-24*time.Hour).Format(time.RFC3339))
		twice("KeyDescriptor")(r)
		other := federationtest.NewSAMLProvider(t)
		k := federationtest.Find(r, "KeyDescriptor").Copy()
		k.CreateAttr("use", "encryption")
		federationtest.Find(k, "X509Certificate").SetText(base64.StdEncoding.EncodeToString(other.Certificate.Raw))
		federationtest.Find(r, "IDPSSODescriptor").AddChild(k)
		// Keys of another role of the same provider are not those that sign assertions.
		service := r.CreateElement("md:SPSSODescriptor")
		k = k.Copy()
		k.RemoveAttr("use")
		service.AddChild(k)
	}))
	if m.EntityID != h.idp.EntityID || !m.ValidUntil.Equal(later.Add(-24*time.Hour)) || len(m.Certificates) != 1 || !m.Certificates[0].Equal(h.idp.Certificate) {
		t.Errorf("%+v", m)
	}
	h.provider.Metadata = m
	h.accepts("metadata that counts", h.response(federationtest.SAMLResponse{}))
	h.clock.advance(24*time.Hour - time.Second)
	h.accepts("about to end", h.response(federationtest.SAMLResponse{}))
	h.clock.advance(time.Second)
	h.refuses("metadata that ended", h.response(federationtest.SAMLResponse{}), InvalidIdentityToken, "SAML provider metadata has expired")
}

// The earliest end counts, wherever it is.
func TestMetadataEnd(t *testing.T) {
	h := newSAMLHouse(t)
	end := h.clock.now().UTC()
	m := h.metadata(h.idp.Metadata(func(r *etree.Element) {
		r.CreateAttr("validUntil", end.Format(time.RFC3339))
		federationtest.Find(r, "IDPSSODescriptor").CreateAttr("validUntil", end.Add(time.Hour).Format(time.RFC3339))
	}))
	if !m.ValidUntil.Equal(end) {
		t.Error(m.ValidUntil)
	}
}

// As at AWS, when a certificate in the metadata ends does not matter.
func TestEndedCertificate(t *testing.T) {
	h := newSAMLHouse(t)
	h.idp.Certify(time.Now().AddDate(-2, 0, 0), time.Now().AddDate(-1, 0, 0))
	h.provider.Metadata = h.metadata(h.idp.Metadata())
	h.accepts("after the certificate's end", h.response(federationtest.SAMLResponse{}))
}

func TestRefusedMetadata(t *testing.T) {
	idp := federationtest.NewSAMLProvider(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	good := idp.Metadata()
	for what, document := range map[string]string{
		"nothing":             "",
		"no XML":              "a",
		"another document":    "<a/>",
		"no name space":       strings.ReplaceAll(good, "urn:oasis:names:tc:SAML:2.0:metadata", "urn:example"),
		"list of providers":   `<md:EntitiesDescriptor xmlns:md="` + nsMetadata + `">` + strings.TrimPrefix(good, `<?xml version="1.0" encoding="UTF-8"?>`) + `</md:EntitiesDescriptor>`,
		"document type":       strings.Replace(good, "<md:EntityDescriptor", "<!DOCTYPE a><md:EntityDescriptor", 1),
		"no name":             idp.Metadata(func(r *etree.Element) { r.RemoveAttr("entityID") }),
		"no key":              idp.Metadata(remove("KeyDescriptor")),
		"no provider":         idp.Metadata(func(r *etree.Element) { federationtest.Find(r, "IDPSSODescriptor").Tag = "SPSSODescriptor" }),
		"keys to encrypt":     idp.Metadata(set("KeyDescriptor", "use", "encryption")),
		"no base64":           idp.Metadata(setText("X509Certificate", "?")),
		"no certificate":      idp.Metadata(setText("X509Certificate", "AAAA")),
		"a certificate of EC": idp.Metadata(setText("X509Certificate", base64.StdEncoding.EncodeToString(der))),
		"valid until never":   idp.Metadata(func(r *etree.Element) { r.CreateAttr("validUntil", "never") }),
		"too large":           good + strings.Repeat(" ", maxMetadata),
		"UTF-16":              strings.Replace(good, "UTF-8", "UTF-16", 1),
	} {
		m, err := ParseMetadata(document)
		wantRefusal(t, what, err, InvalidInput, "Could not parse metadata")
		if m != nil {
			t.Errorf("%s: %+v", what, m)
		}
	}
	_, err = ParseMetadata(idp.Metadata(setText("X509Certificate", base64.StdEncoding.EncodeToString(der))))
	wantRefusal(t, "a certificate of EC", err, InvalidInput,
		"Could not parse metadata: the certificate of the identity provider can't be used: a key that is not of RSA is not accepted")
	many := idp.Metadata(func(r *etree.Element) {
		k := federationtest.Find(r, "KeyDescriptor")
		for range maxCertificates {
			another := k.Copy()
			idp.Certify(time.Now(), time.Now().Add(time.Hour))
			federationtest.Find(another, "X509Certificate").SetText(base64.StdEncoding.EncodeToString(idp.Certificate.Raw))
			k.Parent().AddChild(another)
		}
	})
	_, err = ParseMetadata(many)
	wantRefusal(t, "too many certificates", err, InvalidInput, "Could not parse metadata")
}

func FuzzMetadata(f *testing.F) {
	f.Add(federationtest.NewSAMLProvider(f).Metadata())
	f.Fuzz(func(t *testing.T, document string) {
		m, err := ParseMetadata(document)
		if err != nil {
			wantRefusal(t, document, err, InvalidInput, "Could not parse metadata")
		} else if m.EntityID == "" || len(m.Certificates) == 0 {
			t.Errorf("%+v", m)
		}
	})
}

// However a response is changed, it says what was signed or it is refused. Each process of the fuzzer has a provider of its
// own, so that it is the change that is made up, not the response.
func FuzzResponse(f *testing.F) {
	idp := federationtest.NewSAMLProvider(f)
	m, err := ParseMetadata(idp.Metadata())
	if err != nil {
		f.Fatal(err)
	}
	var good [][]byte
	for _, o := range []federationtest.SAMLResponse{{}, {SignResponse: true}} {
		o.Roles = []string{roleARN + "," + providerARN}
		data, err := base64.StdEncoding.DecodeString(idp.Response(o).Reveal())
		if err != nil {
			f.Fatal(err)
		}
		good = append(good, data)
	}
	subject := bytes.Index(good[0], []byte("alice"))
	f.Add(0, 0, 0, []byte(nil))
	f.Add(0, subject, 0, []byte("<!---->mallory"))
	f.Add(1, subject, 5, []byte("mallory"))
	f.Add(1, 0, 0, []byte("<!DOCTYPE a>"))
	f.Fuzz(func(t *testing.T, which, at, cut int, insert []byte) {
		data := good[uint(which)%2]
		at = int(uint(at) % uint(len(data)+1))
		cut = int(uint(cut) % uint(len(data)-at+1))
		changed := slices.Concat(data[:at], insert, data[at+cut:])
		v := NewVerifier(Config{})
		defer v.Close()
		a, err := v.VerifySAML(SAMLProvider{Account: "123456789012", Name: "Example", Metadata: m}, secret.New(base64.StdEncoding.EncodeToString(changed)))
		if err == nil && (a.Subject != "alice" || a.RoleSessionName != "alice" || a.Roles[0] != SAMLRole{roleARN, providerARN}) {
			t.Errorf("%+v", a)
		}
	})
}
