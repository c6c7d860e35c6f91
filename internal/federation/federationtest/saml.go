package federationtest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/coffer-registry/coffer/internal/secret"
)

// SAMLProvider is a SAML identity provider. It has no server: whoever signs in at one gets a response, which is all that
// anybody else sees of it.
type SAMLProvider struct {
	EntityID string
	// Now is the provider's clock; time.Now unless it is set.
	Now         func() time.Time
	Certificate *x509.Certificate

	t   testing.TB
	key *rsa.PrivateKey
}

// NewSAMLProvider makes a provider with a key.
func NewSAMLProvider(t testing.TB) *SAMLProvider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &SAMLProvider{EntityID: "https://idp.example.com/saml", Now: time.Now, t: t, key: key}
	p.Certify(time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0))
	return p
}

// Certify makes a new certificate of the provider's key.
func (p *SAMLProvider) Certify(begins, ends time.Time) {
	p.t.Helper()
	template := &x509.Certificate{SerialNumber: serial(p.t), Subject: pkix.Name{CommonName: "Test identity provider"}, NotBefore: begins, NotAfter: ends}
	p.Certificate = certify(p.t, template, template, p.key.Public(), p.key)
}

// The name spaces of SAML, and the prefixes that the provider uses.
const (
	nsProtocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	nsAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
	nsMetadata  = "urn:oasis:names:tc:SAML:2.0:metadata"
	nsSignature = "http://www.w3.org/2000/09/xmldsig#"
)

// Metadata describes the provider. The edits are made to its root, md:EntityDescriptor.
func (p *SAMLProvider) Metadata(edits ...func(*etree.Element)) string {
	p.t.Helper()
	document := etree.NewDocument()
	document.CreateProcInst("xml", `version="1.0" encoding="UTF-8"`)
	root := document.CreateElement("md:EntityDescriptor")
	root.CreateAttr("xmlns:md", nsMetadata)
	root.CreateAttr("xmlns:ds", nsSignature)
	root.CreateAttr("entityID", p.EntityID)
	descriptor := root.CreateElement("md:IDPSSODescriptor")
	descriptor.CreateAttr("protocolSupportEnumeration", nsProtocol)
	key := descriptor.CreateElement("md:KeyDescriptor")
	key.CreateAttr("use", "signing")
	key.CreateElement("ds:KeyInfo").CreateElement("ds:X509Data").CreateElement("ds:X509Certificate").SetText(base64.StdEncoding.EncodeToString(p.Certificate.Raw))
	service := descriptor.CreateElement("md:SingleSignOnService")
	service.CreateAttr("Binding", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST")
	service.CreateAttr("Location", "https://idp.example.com/sso")
	for _, edit := range edits {
		edit(root)
	}
	text, err := document.WriteToString()
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

// SAMLResponse says what a response has in it. Its zero value is a response for nobody in particular with no roles.
type SAMLResponse struct {
	// Subject is "alice" if empty.
	Subject string
	// Recipient and Audience are AWS's endpoint if empty.
	Recipient, Audience string
	// Roles are pairs of ARNs with a comma between.
	Roles []string
	// SessionName is "alice" if empty.
	SessionName string
	// Attributes are all others, by their names.
	Attributes map[string][]string
	// SignResponse signs the response; then the assertion is signed only if SignAssertion is set too.
	SignResponse, SignAssertion bool
	// Edit changes the response before it is signed, and Tamper after that.
	Edit, Tamper func(response *etree.Element)
}

// AWSEndpoint is the recipient and audience of assertions for AWS.
const AWSEndpoint = "https://signin.aws.amazon.com/saml"

// Response makes a response in base64, whose assertion is signed unless o says otherwise.
func (p *SAMLProvider) Response(o SAMLResponse) secret.Text {
	p.t.Helper()
	response := p.response(o)
	if o.Edit != nil {
		o.Edit(response)
	}
	if o.SignAssertion || !o.SignResponse {
		p.Sign(Find(response, "Assertion"), dsig.RSASHA256SignatureMethod)
	}
	if o.SignResponse {
		p.Sign(response, dsig.RSASHA256SignatureMethod)
	}
	if o.Tamper != nil {
		o.Tamper(response)
	}
	return Encode(p.t, response)
}

// Encode writes a response as it is sent.
func Encode(t testing.TB, response *etree.Element) secret.Text {
	t.Helper()
	document := etree.NewDocument()
	document.SetRoot(response)
	data, err := document.WriteToBytes()
	if err != nil {
		t.Fatal(err)
	}
	return secret.New(base64.StdEncoding.EncodeToString(data))
}

// Find is the first element of a name in an element, at any depth.
func Find(e *etree.Element, name string) *etree.Element { return e.FindElement(".//" + name) }

// NewID makes an id for an element.
func NewID() string { return "_" + rand.Text() }

func (p *SAMLProvider) response(o SAMLResponse) *etree.Element {
	response := etree.NewElement("samlp:Response")
	response.CreateAttr("xmlns:samlp", nsProtocol)
	response.CreateAttr("xmlns:saml", nsAssertion)
	response.CreateAttr("ID", NewID())
	response.CreateAttr("Version", "2.0")
	response.CreateAttr("IssueInstant", stamp(p.Now()))
	response.CreateElement("saml:Issuer").SetText(p.EntityID)
	response.CreateElement("samlp:Status").CreateElement("samlp:StatusCode").CreateAttr("Value", "urn:oasis:names:tc:SAML:2.0:status:Success")
	response.AddChild(p.assertion(o))
	return response
}

func (p *SAMLProvider) assertion(o SAMLResponse) *etree.Element {
	now := p.Now()
	assertion := etree.NewElement("saml:Assertion")
	assertion.CreateAttr("xmlns:saml", nsAssertion)
	assertion.CreateAttr("ID", NewID())
	assertion.CreateAttr("Version", "2.0")
	assertion.CreateAttr("IssueInstant", stamp(now))
	assertion.CreateElement("saml:Issuer").SetText(p.EntityID)

	subject := assertion.CreateElement("saml:Subject")
	name := subject.CreateElement("saml:NameID")
	name.CreateAttr("Format", "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent")
	name.SetText(or(o.Subject, "alice"))
	confirmation := subject.CreateElement("saml:SubjectConfirmation")
	confirmation.CreateAttr("Method", "urn:oasis:names:tc:SAML:2.0:cm:bearer")
	data := confirmation.CreateElement("saml:SubjectConfirmationData")
	data.CreateAttr("NotOnOrAfter", stamp(now.Add(5*time.Minute)))
	data.CreateAttr("Recipient", or(o.Recipient, AWSEndpoint))

	conditions := assertion.CreateElement("saml:Conditions")
	conditions.CreateAttr("NotBefore", stamp(now))
	conditions.CreateAttr("NotOnOrAfter", stamp(now.Add(5*time.Minute)))
	conditions.CreateElement("saml:AudienceRestriction").CreateElement("saml:Audience").SetText(or(o.Audience, AWSEndpoint))

	authentication := assertion.CreateElement("saml:AuthnStatement")
	authentication.CreateAttr("AuthnInstant", stamp(now))
	authentication.CreateElement("saml:AuthnContext").CreateElement("saml:AuthnContextClassRef").SetText("urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport")

	all := map[string][]string{
		"https://aws.amazon.com/SAML/Attributes/Role":            o.Roles,
		"https://aws.amazon.com/SAML/Attributes/RoleSessionName": {or(o.SessionName, "alice")},
	}
	maps.Copy(all, o.Attributes)
	statement := assertion.CreateElement("saml:AttributeStatement")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if len(all[name]) == 0 {
			continue
		}
		attribute := statement.CreateElement("saml:Attribute")
		attribute.CreateAttr("Name", name)
		for _, value := range all[name] {
			attribute.CreateElement("saml:AttributeValue").SetText(value)
		}
	}
	return assertion
}

func or(text, instead string) string {
	if text == "" {
		return instead
	}
	return text
}

func stamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

// Sign signs an element with a method of XML signatures. The signature becomes its second child, after the issuer.
func (p *SAMLProvider) Sign(e *etree.Element, method string) {
	p.t.Helper()
	context, err := dsig.NewSigningContext(crypto.Signer(p.key), [][]byte{p.Certificate.Raw})
	if err != nil {
		p.t.Fatal(err)
	}
	context.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	if err := context.SetSignatureMethod(method); err != nil {
		p.t.Fatal(err)
	}
	signature, err := context.ConstructSignature(e, true)
	if err != nil {
		p.t.Fatal(err)
	}
	e.InsertChildAt(1, signature)
}
