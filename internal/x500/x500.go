// Package x500 writes the distinguished names of certificates as text (RFC 2253).
//
// What stands in a name was chosen by whoever asked for the certificate. Everything that could be taken for another name is
// escaped, so that different names have different texts.
package x500

import (
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"
)

// attribute is a type with its value, still encoded.
type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// relativeSET are the attributes of one step of a name. The decoder takes it for a set by the end of its name.
type relativeSET []attribute

// names are those of the types of RFC 2253, and two that certificates of people and machines often have; other types are
// written as numbers.
var names = map[string]string{
	"2.5.4.3": "CN", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.6": "C", "2.5.4.9": "street",
	"0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID", "2.5.4.5": "serialNumber", "1.2.840.113549.1.9.1": "emailAddress",
}

// Text writes a name, in the encoding that certificates have, from its most special part to its most general one, such as
// "CN=builder,OU=CI,O=Example Bank,C=CH". It is what "openssl x509 -subject -nameopt RFC2253,-esc_msb" prints. An error means
// that it is no name.
func Text(der []byte) (string, error) {
	var steps []relativeSET
	rest, err := asn1.Unmarshal(der, &steps)
	if err != nil {
		return "", fmt.Errorf("parse a distinguished name: %w", err)
	}
	if len(rest) > 0 {
		return "", fmt.Errorf("parse a distinguished name: %d bytes follow it", len(rest))
	}
	var b strings.Builder
	for i := len(steps) - 1; i >= 0; i-- {
		if i < len(steps)-1 {
			b.WriteByte(',')
		}
		for j, a := range steps[i] {
			if j > 0 {
				b.WriteByte('+')
			}
			a.write(&b)
		}
	}
	return b.String(), nil
}

func (a attribute) write(b *strings.Builder) {
	number := a.Type.String()
	name, known := names[number]
	if !known {
		b.WriteString(number)
	} else {
		b.WriteString(name)
	}
	b.WriteByte('=')
	var value string
	_, err := asn1.Unmarshal(a.Value.FullBytes, &value)
	if !known || err != nil || !utf8.ValidString(value) {
		b.WriteString("#" + strings.ToUpper(hex.EncodeToString(a.Value.FullBytes)))
		return
	}
	escape(b, value)
}

// escape writes a value so that nothing in it counts for more than a character.
func escape(b *strings.Builder, value string) {
	for i := range len(value) {
		c := value[i]
		switch {
		case c < 0x20 || c == 0x7f:
			fmt.Fprintf(b, `\%02X`, c)
			continue
		case strings.IndexByte(`,+"\<>;`, c) >= 0, c == '#' && i == 0, c == ' ' && (i == 0 || i == len(value)-1):
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
}
