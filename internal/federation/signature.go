package federation

import (
	"crypto/x509"
	"errors"
	"slices"
	"strings"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/russellhaering/goxmldsig/etreeutils"
)

// canonical is the one way in which signed elements are written out: without comments, and whatever is around them.
const canonical = "http://www.w3.org/2001/10/xml-exc-c14n#"

var (
	transforms = []string{string(dsig.EnvelopedSignatureAltorithmId), canonical}
	// AWS takes RSA alone, and the library expects other methods' signatures in an encoding that nobody uses.
	signatureMethods = []string{dsig.RSASHA256SignatureMethod, dsig.RSASHA384SignatureMethod, dsig.RSASHA512SignatureMethod}
	digestMethods    = []string{"http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2001/04/xmldsig-more#sha384",
		"http://www.w3.org/2001/04/xmlenc#sha512"}
)

var errUnsigned = errors.New("neither the response nor the assertion is signed")

// signedAssertion returns the assertion of a response, as it was signed. A signature of the response covers its assertion;
// every signature that is there must hold.
//
// What a signature covers is decided by its shape, not by looking for what it names: a response has one assertion and no
// other response in it, their ids are their own, signatures lie where they belong, and each covers the element that it
// lies in and nothing else. What comes back was read anew from the bytes that were signed.
func signedAssertion(response *etree.Element, certificates []*x509.Certificate) (*etree.Element, error) {
	assertion, err := checkShape(response)
	if err != nil {
		return nil, err
	}
	outer, err := verifySigned(response, certificates)
	if err != nil {
		return nil, err
	}
	inner, err := verifySigned(assertion, certificates)
	if err != nil {
		return nil, err
	}
	switch {
	case outer != nil:
		if inner = only(outer, nsAssertion, "Assertion"); inner == nil {
			return nil, errors.New("the signed response has no assertion")
		}
	case inner == nil:
		return nil, errUnsigned
	}
	return inner, nil
}

// checkShape refuses responses in which something could be taken for something else, and returns the assertion.
func checkShape(response *etree.Element) (*etree.Element, error) {
	if !is(response, nsProtocol, "Response") {
		return nil, errors.New("it is not a SAML response")
	}
	if len(children(response, nsAssertion, "EncryptedAssertion")) > 0 {
		return nil, errors.New("encrypted assertions are not supported")
	}
	assertion := only(response, nsAssertion, "Assertion")
	if assertion == nil {
		return nil, errors.New("the response does not have exactly one assertion")
	}
	ids := map[string]bool{}
	return assertion, checkElements(response, func(e *etree.Element) error {
		// Names count in any name space, so that no reader can see another assertion than this.
		switch {
		case e.Tag == "Response" && e != response, e.Tag == "Assertion" && e != assertion, e.Tag == "Object":
			return errors.New("the response has elements where they don't belong")
		case e.Tag == "Signature" && e.Parent() != response && e.Parent() != assertion:
			return errors.New("the response has a signature where it doesn't belong")
		}
		return checkID(e, ids)
	})
}

// checkID refuses an id that is there twice, or that another reader could find in another attribute.
func checkID(e *etree.Element, ids map[string]bool) error {
	found := 0
	for _, a := range e.Attr {
		if !strings.EqualFold(a.Key, "id") {
			continue
		}
		found++
		if found > 1 || a.Space != "" || ids[a.Value] {
			return errors.New("the response has an id twice")
		}
		ids[a.Value] = true
	}
	return nil
}

// checkElements calls check for an element and all that are in it.
func checkElements(e *etree.Element, check func(*etree.Element) error) error {
	if err := check(e); err != nil {
		return err
	}
	for _, child := range e.ChildElements() {
		if err := checkElements(child, check); err != nil {
			return err
		}
	}
	return nil
}

// verifySigned returns an element as it was signed; nil if it is not signed. A signature that does not hold is an error.
func verifySigned(e *etree.Element, certificates []*x509.Certificate) (*etree.Element, error) {
	var signatures []*etree.Element
	for _, child := range e.ChildElements() {
		if child.Tag == "Signature" {
			signatures = append(signatures, child)
		}
	}
	if len(signatures) == 0 {
		return nil, nil
	}
	if len(signatures) > 1 {
		return nil, errors.New("an element has more than one signature")
	}
	if err := checkSignature(e, signatures[0]); err != nil {
		return nil, err
	}
	for _, c := range certificates {
		signed, err := verifyWith(e, c)
		if err == nil {
			if signed.Tag != e.Tag || signed.NamespaceURI() != e.NamespaceURI() {
				return nil, errors.New("something else is signed")
			}
			return signed, nil
		}
	}
	return nil, errors.New("the signature is of none of the provider's certificates")
}

// checkSignature refuses a signature that covers another element than the one that it lies in, or in another way.
func checkSignature(signed, signature *etree.Element) error {
	info := only(signature, nsSignature, "SignedInfo")
	if !is(signature, nsSignature, "Signature") || info == nil || only(signature, nsSignature, "SignatureValue") == nil ||
		len(info.ChildElements()) != 3 {
		return errors.New("the signature is not as it must be")
	}
	reference := only(info, nsSignature, "Reference")
	if reference == nil || len(reference.ChildElements()) != 3 || only(reference, nsSignature, "DigestValue") == nil {
		return errors.New("the signature does not have exactly one reference")
	}
	id, _ := attribute(signed, "ID")
	if uri, _ := attribute(reference, "URI"); id == "" || uri != "#"+id {
		return errors.New("the signature is of another element")
	}
	if usesSHA1(info, "SignatureMethod") || usesSHA1(reference, "DigestMethod") {
		return errors.New("the signature is made with SHA-1, which is not accepted")
	}
	if !usesOne(info, "CanonicalizationMethod", canonical) || !usesOne(info, "SignatureMethod", signatureMethods...) ||
		!usesOne(reference, "DigestMethod", digestMethods...) {
		return errors.New("the signature is of an algorithm that is not accepted")
	}
	list := only(reference, nsSignature, "Transforms")
	if list == nil {
		return errors.New("the signature has no transforms")
	}
	var used []string
	for _, t := range list.ChildElements() {
		algorithm, _ := attribute(t, "Algorithm")
		if !is(t, nsSignature, "Transform") {
			algorithm = ""
		}
		used = append(used, algorithm)
	}
	if !slices.Equal(used, transforms) {
		return errors.New("the signature has transforms that are not accepted")
	}
	return nil
}

// usesOne reports whether an element has exactly one method of a name, and that is an accepted one.
func usesOne(e *etree.Element, name string, accepted ...string) bool {
	method := only(e, nsSignature, name)
	if method == nil {
		return false
	}
	algorithm, _ := attribute(method, "Algorithm")
	return slices.Contains(accepted, algorithm)
}

// usesSHA1 reports whether an element has a method of a name that is made of SHA-1, of which people want to be told.
func usesSHA1(e *etree.Element, name string) bool {
	return slices.ContainsFunc(children(e, nsSignature, name), func(method *etree.Element) bool {
		algorithm, _ := attribute(method, "Algorithm")
		return strings.HasSuffix(algorithm, "sha1")
	})
}

// verifyWith verifies the signature in an element with a certificate, whatever certificate the signature itself names.
func verifyWith(e *etree.Element, c *x509.Certificate) (*etree.Element, error) {
	around, err := etreeutils.NSBuildParentContext(e)
	if err != nil {
		return nil, err
	}
	// The copy has the name spaces that are declared around the element.
	alone, err := etreeutils.NSDetatch(around, e)
	if err != nil {
		return nil, err
	}
	for _, signature := range children(alone, nsSignature, "Signature") {
		for _, info := range children(signature, nsSignature, "KeyInfo") {
			signature.RemoveChild(info)
		}
	}
	validation := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{c}})
	validation.Clock = dsig.NewFakeClockAt(c.NotBefore) // when the certificate ends does not matter
	return validation.Validate(alone)
}
