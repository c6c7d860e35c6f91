package federation

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/coffer-registry/coffer/internal/federation/federationtest"
	"github.com/coffer-registry/coffer/internal/secret"
)

// refusesFor expects the sentence of bad signatures, and a reason that tells which check it was.
func (h *samlHouse) refusesFor(what, reason string, response secret.Text) {
	h.Helper()
	h.refuses(what, response, InvalidIdentityToken, sentenceSig)
	if _, err := h.verifier.VerifySAML(h.provider, response); err == nil || !strings.Contains(err.Error(), reason) {
		h.Errorf("%s: %v, want the reason %q", what, err, reason)
	}
}

const (
	reasonWrong     = "the signature is of none of the provider's certificates"
	reasonSignature = "the signature is not as it must be"
	reasonReference = "the signature does not have exactly one reference"
	reasonElement   = "the signature is of another element"
	reasonAlgorithm = "the signature is of an algorithm that is not accepted"
	reasonSHA1      = "the signature is made with SHA-1, which is not accepted"
	reasonTransform = "the signature has transforms that are not accepted"
	reasonPlace     = "the response has elements where they don't belong"
	reasonStray     = "the response has a signature where it doesn't belong"
	reasonID        = "the response has an id twice"
	reasonOne       = "the response does not have exactly one assertion"
)

func signature(r *etree.Element) *etree.Element { return federationtest.Find(r, "Signature") }

func take(e *etree.Element) *etree.Element {
	e.Parent().RemoveChild(e)
	return e
}

func TestSignatures(t *testing.T) {
	h := newSAMLHouse(t)
	for what, c := range map[string]struct {
		tamper func(*etree.Element)
		reason string
	}{
		"unsigned":             {func(r *etree.Element) { take(signature(r)) }, errUnsigned.Error()},
		"another subject":      {setText("NameID", "mallory"), reasonWrong},
		"another role":         {setText("AttributeValue", "arn:aws:iam::123456789012:role/Admin,"+providerARN), reasonWrong},
		"another time":         {set("Conditions", "NotOnOrAfter", "2099-01-01T00:00:00Z"), reasonWrong},
		"an attribute more":    {set("Assertion", "Consent", "yes"), reasonWrong},
		"an element more":      {func(r *etree.Element) { federationtest.Find(r, "AttributeStatement").CreateElement("saml:Attribute") }, reasonWrong},
		"an element less":      {remove("Conditions"), reasonWrong},
		"a space more":         {func(r *etree.Element) { federationtest.Find(r, "Subject").CreateText(" ") }, reasonWrong},
		"another digest":       {setText("DigestValue", base64.StdEncoding.EncodeToString(make([]byte, 32))), reasonWrong},
		"no digest":            {setText("DigestValue", ""), reasonWrong},
		"another signature":    {setText("SignatureValue", base64.StdEncoding.EncodeToString(make([]byte, 256))), reasonWrong},
		"no signature":         {setText("SignatureValue", ""), reasonWrong},
		"another id":           {set("Assertion", "ID", "_other"), reasonElement},
		"no id":                {unset("Assertion", "ID"), reasonElement},
		"no id, no reference":  {func(r *etree.Element) { unset("Assertion", "ID")(r); set("Reference", "URI", "#")(r) }, reasonElement},
		"reference to all":     {set("Reference", "URI", ""), reasonElement},
		"reference to another": {set("Reference", "URI", "#_other"), reasonElement},
		"reference to nothing": {unset("Reference", "URI"), reasonElement},
		"no value":             {remove("SignatureValue"), reasonSignature},
		"value twice":          {twice("SignatureValue"), reasonSignature},
		"no signed info":       {remove("SignedInfo"), reasonSignature},
		"signed info twice":    {twice("SignedInfo"), reasonSignature},
		"reference twice":      {twice("Reference"), reasonSignature},
		"another method":       {twice("SignatureMethod"), reasonSignature},
		"something signed too": {func(r *etree.Element) { federationtest.Find(r, "SignedInfo").CreateElement("ds:More") }, reasonSignature},
		"another name space":   {func(r *etree.Element) { signature(r).CreateAttr("xmlns:ds", "urn:example") }, reasonSignature},
		"no reference":         {func(r *etree.Element) { federationtest.Find(r, "Reference").Tag = "Manifest" }, reasonReference},
		"digest twice":         {twice("DigestValue"), reasonReference},
		"no transforms":        {remove("Transforms"), reasonReference},
		"transforms twice":     {twice("Transforms"), reasonReference},
		"other transforms":     {func(r *etree.Element) { federationtest.Find(r, "Transforms").Tag = "Other" }, "the signature has no transforms"},
		"no first transform":   {remove("Transform"), reasonTransform},
		"one transform more":   {twice("Transform"), reasonTransform},
		"comments that count":  {set("Transforms/Transform[2]", "Algorithm", canonical+"WithComments"), reasonTransform},
		"XPath":                {set("Transform", "Algorithm", "http://www.w3.org/TR/1999/REC-xpath-19991116"), reasonTransform},
		"XSLT":                 {set("Transform", "Algorithm", "http://www.w3.org/TR/1999/REC-xslt-19991116"), reasonTransform},
		"inclusive form":       {set("CanonicalizationMethod", "Algorithm", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"), reasonAlgorithm},
		"SHA-1":                {set("DigestMethod", "Algorithm", "http://www.w3.org/2000/09/xmldsig#sha1"), reasonSHA1},
		"RSA with SHA-1":       {set("SignatureMethod", "Algorithm", dsig.RSASHA1SignatureMethod), reasonSHA1},
		"HMAC":                 {set("SignatureMethod", "Algorithm", "http://www.w3.org/2000/09/xmldsig#hmac-sha1"), reasonSHA1},
		"two signatures": {func(r *etree.Element) {
			signature(r).Parent().AddChild(signature(r).Copy())
		}, "an element has more than one signature"},
		"the assertion's signature in the response": {func(r *etree.Element) { r.AddChild(take(signature(r))) }, reasonElement},
		"an object in the signature":                {func(r *etree.Element) { signature(r).CreateElement("ds:Object") }, reasonPlace},
		"not a response":                            {func(r *etree.Element) { r.Tag = "ArtifactResponse" }, "it is not a SAML response"},
	} {
		h.refusesFor(what, c.reason, h.response(federationtest.SAMLResponse{Tamper: c.tamper}))
	}
	for what, tamper := range map[string]func(*etree.Element){
		"another status":          set("StatusCode", "Reason", "none"),
		"another subject":         setText("NameID", "mallory"),
		"another assertion's id":  set("Assertion", "ID", "_other"),
		"an element of ours more": func(r *etree.Element) { r.CreateElement("samlp:Extensions") },
	} {
		h.refusesFor(what+" in a signed response", reasonWrong, h.response(federationtest.SAMLResponse{SignResponse: true, Tamper: tamper}))
	}
}

// What a provider signs itself is refused too if it could be read in two ways.
func TestAmbiguousResponses(t *testing.T) {
	h := newSAMLHouse(t)
	for what, c := range map[string]struct {
		edit   func(*etree.Element)
		reason string
	}{
		"a signature elsewhere": {func(r *etree.Element) {
			federationtest.Find(r, "Subject").CreateElement("ds:Signature").CreateAttr("xmlns:ds", nsSignature)
		}, reasonStray},
		"a signature of no space": {func(r *etree.Element) { federationtest.Find(r, "AttributeValue").CreateElement("Signature") }, reasonStray},
		"an id twice": {func(r *etree.Element) {
			federationtest.Find(r, "Subject").CreateAttr("ID", r.SelectAttrValue("ID", ""))
		}, reasonID},
		"an id in two attributes": {set("Assertion", "Id", "_other"), reasonID},
		"an id of XML":            {set("Subject", "xml:id", "_other"), reasonID},
		"an object":               {func(r *etree.Element) { federationtest.Find(r, "AttributeValue").CreateElement("Object") }, reasonPlace},
		"another response in it":  {func(r *etree.Element) { federationtest.Find(r, "Status").CreateElement("samlp:Response") }, reasonPlace},
		"another assertion in it": {func(r *etree.Element) { federationtest.Find(r, "Status").CreateElement("saml:Assertion") }, reasonPlace},
		"an assertion in advice": {func(r *etree.Element) {
			federationtest.Find(r, "Assertion").CreateElement("saml:Advice").CreateElement("saml:Assertion")
		}, reasonPlace},
		"one of another space":   {func(r *etree.Element) { r.CreateElement("Assertion") }, reasonPlace},
		"two assertions":         {func(r *etree.Element) { r.CreateElement("saml:Assertion") }, reasonOne},
		"an encrypted assertion": {func(r *etree.Element) { r.CreateElement("saml:EncryptedAssertion") }, "encrypted assertions are not supported"},
		"a response of another id": {func(r *etree.Element) {
			r.CreateAttr("ID", federationtest.Find(r, "Assertion").SelectAttrValue("ID", ""))
		}, reasonID},
	} {
		h.refusesFor(what, c.reason, h.response(federationtest.SAMLResponse{Edit: c.edit}))
		h.refusesFor(what+", all signed", c.reason, h.response(federationtest.SAMLResponse{Edit: c.edit, SignResponse: true}))
	}
}

func TestWhoSigned(t *testing.T) {
	h := newSAMLHouse(t)
	// One signature that holds does not make up for another.
	h.refuses("a bad signature in a good one", h.response(federationtest.SAMLResponse{SignResponse: true, Edit: func(r *etree.Element) {
		h.idp.Sign(federationtest.Find(r, "Assertion"), dsig.RSASHA256SignatureMethod)
		setText("NameID", "mallory")(r)
	}}), InvalidIdentityToken, sentenceSig)
	h.refuses("a good signature in a bad one", h.response(federationtest.SAMLResponse{SignResponse: true, SignAssertion: true, Tamper: set("StatusCode", "a", "b")}),
		InvalidIdentityToken, sentenceSig)

	other := federationtest.NewSAMLProvider(t)
	other.Now = h.clock.now
	o := federationtest.SAMLResponse{Roles: []string{roleARN + "," + providerARN}}
	h.refuses("another provider's key", other.Response(o), InvalidIdentityToken, sentenceSig)
	// The certificate that a signature brings along proves nothing, and need not be there.
	o.Tamper = setText("X509Certificate", base64.StdEncoding.EncodeToString(h.idp.Certificate.Raw))
	h.refuses("another provider's key with our certificate", other.Response(o), InvalidIdentityToken, sentenceSig)
	h.accepts("our key with another certificate", h.response(federationtest.SAMLResponse{Tamper: setText("X509Certificate", base64.StdEncoding.EncodeToString(other.Certificate.Raw))}))
	h.accepts("no certificate", h.response(federationtest.SAMLResponse{Tamper: remove("KeyInfo")}))
	// A provider that changes its key publishes both.
	h.provider.Metadata.Certificates = append(h.metadata(other.Metadata()).Certificates, h.provider.Metadata.Certificates...)
	h.accepts("the second certificate", h.response(federationtest.SAMLResponse{}))
	for _, method := range []string{dsig.RSASHA384SignatureMethod, dsig.RSASHA512SignatureMethod} {
		h.accepts(method, h.response(federationtest.SAMLResponse{SignResponse: true, Tamper: func(r *etree.Element) {
			s := signature(r)
			r.RemoveChild(s)
			h.idp.Sign(r, method)
		}}))
	}
}

// An attacker moves what was signed aside, and puts an assertion of his own where it was.
func TestSignatureWrapping(t *testing.T) {
	h := newSAMLHouse(t)
	// evil is an assertion like the one that was signed, about somebody else and without its signature.
	evil := func(r *etree.Element, id string) *etree.Element {
		e := federationtest.Find(r, "Assertion").Copy()
		for _, s := range e.SelectElements("Signature") {
			e.RemoveChild(s)
		}
		e.CreateAttr("ID", id)
		federationtest.Find(e, "NameID").SetText("mallory")
		return e
	}
	find := federationtest.Find
	own := func(r *etree.Element) string { return find(r, "Assertion").SelectAttrValue("ID", "") }
	for what, c := range map[string]struct {
		signResponse bool
		tamper       func(r *etree.Element)
	}{
		"XSW1: the response in the signature of a new one": {true, func(r *etree.Element) {
			s := take(r.SelectElement("Signature"))
			original := r.Copy()
			r.CreateAttr("ID", "_evil")
			find(r, "NameID").SetText("mallory")
			s.AddChild(original)
			r.AddChild(s)
		}},
		"XSW2: the response beside the signature of a new one": {true, func(r *etree.Element) {
			s := take(r.SelectElement("Signature"))
			original := r.Copy()
			r.CreateAttr("ID", "_evil")
			find(r, "NameID").SetText("mallory")
			r.InsertChildAt(0, s)
			r.InsertChildAt(0, original)
		}},
		"XSW3: an assertion before": {false, func(r *etree.Element) { r.InsertChildAt(2, evil(r, "_evil")) }},
		"XSW3 after":                {false, func(r *etree.Element) { r.AddChild(evil(r, "_evil")) }},
		"XSW4: the assertion in a new one": {false, func(r *etree.Element) {
			e := evil(r, "_evil")
			e.AddChild(take(find(r, "Assertion")))
			r.AddChild(e)
		}},
		"XSW5: the signature in a new one, the assertion after it": {false, func(r *etree.Element) {
			e := evil(r, "_evil")
			original := take(find(r, "Assertion"))
			e.InsertChildAt(1, take(original.SelectElement("Signature")))
			r.AddChild(e)
			r.AddChild(original)
		}},
		"XSW6: the assertion in the signature of a new one": {false, func(r *etree.Element) {
			e := evil(r, "_evil")
			original := take(find(r, "Assertion"))
			s := take(original.SelectElement("Signature"))
			s.AddChild(original)
			e.InsertChildAt(1, s)
			r.AddChild(e)
		}},
		"XSW7: a new one in an extension": {false, func(r *etree.Element) {
			e := etree.NewElement("samlp:Extensions")
			e.AddChild(evil(r, own(r)))
			r.InsertChildAt(1, e)
		}},
		"XSW8: the assertion in an object of the signature of a new one": {false, func(r *etree.Element) {
			e := evil(r, own(r))
			original := take(find(r, "Assertion"))
			s := take(original.SelectElement("Signature"))
			s.CreateElement("ds:Object").AddChild(original)
			e.InsertChildAt(1, s)
			r.AddChild(e)
		}},
		"the same id twice":       {false, func(r *etree.Element) { r.InsertChildAt(2, evil(r, own(r))) }},
		"a new one by its own id": {false, func(r *etree.Element) { r.AddChild(evil(r, own(r))) }},
		"the assertion aside, under another name": {false, func(r *etree.Element) {
			e := evil(r, "_evil")
			original := take(find(r, "Assertion"))
			e.InsertChildAt(1, take(original.SelectElement("Signature")))
			original.Tag = "Advice"
			e.AddChild(original)
			r.AddChild(e)
		}},
		"the signed one in the response's status": {false, func(r *etree.Element) {
			e := evil(r, "_evil")
			find(r, "Status").AddChild(take(find(r, "Assertion")))
			r.AddChild(e)
		}},
		"the response in a new one": {true, func(r *etree.Element) {
			original := r.Copy()
			take(r.SelectElement("Signature"))
			r.CreateAttr("ID", "_evil")
			find(r, "NameID").SetText("mallory")
			r.AddChild(original)
		}},
		"an assertion of another name space": {false, func(r *etree.Element) {
			e := evil(r, "_evil")
			e.CreateAttr("xmlns:saml", "urn:example")
			r.InsertChildAt(2, e)
		}},
	} {
		h.refuses(what, h.response(federationtest.SAMLResponse{SignResponse: c.signResponse, Tamper: c.tamper}), InvalidIdentityToken, sentenceSig)
	}
}
