package federation

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"github.com/beevik/etree"
)

// xmlLimits bound a document.
type xmlLimits struct{ depth, elements, attributes int }

var errXML = errors.New("invalid XML")

// checkXML accepts a document that every reader understands alike: well formed, in UTF-8, within limits, without a document
// type, and so without entities of its own, without processing instructions, and with no attribute twice. Readers that
// disagree about a document are how a signature comes to cover something else than what is believed, and Go's own lets
// some of these pass.
func checkXML(data []byte, limits xmlLimits) error {
	d := xml.NewDecoder(bytes.NewReader(data))
	c := xmlCheck{limits: limits}
	for {
		start := d.InputOffset()
		t, err := d.RawToken()
		if err == io.EOF {
			break
		}
		if err != nil {
			return errXML // without the decoder's reason, which quotes
		}
		if err := c.token(t, start); err != nil {
			return err
		}
	}
	if len(c.open) > 0 || c.elements == 0 {
		return errXML
	}
	return nil
}

// xmlCheck is how far a document was checked.
type xmlCheck struct {
	limits   xmlLimits
	open     []xml.Name
	elements int
}

func (c *xmlCheck) token(t xml.Token, start int64) error {
	switch t := t.(type) {
	case xml.StartElement:
		return c.element(t)
	case xml.EndElement:
		if len(c.open) == 0 || c.open[len(c.open)-1] != t.Name {
			return errXML
		}
		c.open = c.open[:len(c.open)-1]
	case xml.CharData:
		if len(c.open) == 0 && len(bytes.TrimSpace(t)) > 0 {
			return errXML
		}
	case xml.ProcInst:
		if t.Target != "xml" || start != 0 {
			return errors.New("the XML has processing instructions")
		}
	case xml.Directive:
		return errors.New("the XML has a document type")
	}
	return nil
}

func (c *xmlCheck) element(t xml.StartElement) error {
	if len(c.open) == 0 && c.elements > 0 {
		return errXML
	}
	c.elements++
	if c.elements > c.limits.elements || len(c.open) >= c.limits.depth || len(t.Attr) > c.limits.attributes {
		return errors.New("the XML is too large")
	}
	c.open = append(c.open, t.Name)
	if !plainName(t.Name) {
		return errXML
	}
	for i, a := range t.Attr {
		if !plainName(a.Name) {
			return errXML
		}
		for _, other := range t.Attr[:i] {
			if other.Name == a.Name {
				return errXML
			}
		}
	}
	return nil
}

// plainName reports whether a name has at most one prefix.
func plainName(n xml.Name) bool { return n.Local != "" && !strings.Contains(n.Local, ":") }

// parseXML checks a document and returns its root.
func parseXML(data []byte, limits xmlLimits) (*etree.Element, error) {
	if err := checkXML(data, limits); err != nil {
		return nil, err
	}
	document := etree.NewDocument()
	if err := document.ReadFromBytes(data); err != nil || document.Root() == nil {
		return nil, errXML
	}
	return document.Root(), nil
}

// The name spaces of SAML and of signatures.
const (
	nsProtocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	nsAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
	nsMetadata  = "urn:oasis:names:tc:SAML:2.0:metadata"
	nsSignature = "http://www.w3.org/2000/09/xmldsig#"
)

// is reports whether an element has a name.
func is(e *etree.Element, space, name string) bool {
	return e != nil && e.Tag == name && e.NamespaceURI() == space
}

// children are the elements of a name in an element.
func children(e *etree.Element, space, name string) (out []*etree.Element) {
	for _, child := range e.ChildElements() {
		if is(child, space, name) {
			out = append(out, child)
		}
	}
	return out
}

// only is the element of a name in an element; nil unless there is exactly one.
func only(e *etree.Element, space, name string) *etree.Element {
	if found := children(e, space, name); len(found) == 1 {
		return found[0]
	}
	return nil
}

// textIn is the whole text of an element, without white space around it. Comments in it change nothing; what has elements
// in it has no text.
func textIn(e *etree.Element) string {
	var text strings.Builder
	for _, t := range e.Child {
		switch t := t.(type) {
		case *etree.CharData:
			text.WriteString(t.Data)
		case *etree.Comment:
		default:
			return ""
		}
	}
	return strings.TrimSpace(text.String())
}

// attribute is the value of an attribute without a prefix, and whether it is there.
func attribute(e *etree.Element, name string) (string, bool) {
	for _, a := range e.Attr {
		if a.Space == "" && a.Key == name {
			return a.Value, true
		}
	}
	return "", false
}
