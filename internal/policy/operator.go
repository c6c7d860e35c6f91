package policy

import (
	"encoding/base64"
	"net/netip"
	"strings"
	"time"
)

// operator is a condition operator without its prefix and suffix, such as StringNotLike.
type operator struct {
	family family
	// negated operators hold if no value matches, also if the key is absent.
	negated bool
	// compare is what numbers and dates must be to the policy's.
	compare comparison
}

type family uint8

const (
	familyNone family = iota
	familyString
	familyFold
	familyLike
	familyNumeric
	familyDate
	familyBool
	familyBinary
	familyIP
	familyARN
	familyNull
)

type comparison uint8

const (
	equal comparison = iota
	less
	lessOrEqual
	greater
	greaterOrEqual
)

// of reports whether cmp, which is the sign of a comparison, is what c asks for.
func (c comparison) of(cmp int) bool {
	switch c {
	case less:
		return cmp < 0
	case lessOrEqual:
		return cmp <= 0
	case greater:
		return cmp > 0
	case greaterOrEqual:
		return cmp >= 0
	}
	return cmp == 0
}

var operators = map[string]operator{
	"StringEquals":              {family: familyString},
	"StringNotEquals":           {family: familyString, negated: true},
	"StringEqualsIgnoreCase":    {family: familyFold},
	"StringNotEqualsIgnoreCase": {family: familyFold, negated: true},
	"StringLike":                {family: familyLike},
	"StringNotLike":             {family: familyLike, negated: true},
	"NumericEquals":             {family: familyNumeric},
	"NumericNotEquals":          {family: familyNumeric, negated: true},
	"NumericLessThan":           {family: familyNumeric, compare: less},
	"NumericLessThanEquals":     {family: familyNumeric, compare: lessOrEqual},
	"NumericGreaterThan":        {family: familyNumeric, compare: greater},
	"NumericGreaterThanEquals":  {family: familyNumeric, compare: greaterOrEqual},
	"DateEquals":                {family: familyDate},
	"DateNotEquals":             {family: familyDate, negated: true},
	"DateLessThan":              {family: familyDate, compare: less},
	"DateLessThanEquals":        {family: familyDate, compare: lessOrEqual},
	"DateGreaterThan":           {family: familyDate, compare: greater},
	"DateGreaterThanEquals":     {family: familyDate, compare: greaterOrEqual},
	"Bool":                      {family: familyBool},
	"BinaryEquals":              {family: familyBinary},
	"IpAddress":                 {family: familyIP},
	"NotIpAddress":              {family: familyIP, negated: true},
	"ArnEquals":                 {family: familyARN},
	"ArnNotEquals":              {family: familyARN, negated: true},
	"ArnLike":                   {family: familyARN},
	"ArnNotLike":                {family: familyARN, negated: true},
	"Null":                      {family: familyNull},
}

// takesVariables reports whether variables stand for values in the operator's values. IAM documents them for texts, ARNs
// and booleans.
func (o operator) takesVariables() bool {
	switch o.family {
	case familyString, familyFold, familyLike, familyARN, familyBool:
		return true
	}
	return false
}

// readable reports whether a value of the context is of the operator's type. A condition on one that isn't does not hold,
// negated or not. An address or ARN that is none just matches nothing.
func (o operator) readable(value string) bool {
	var ok bool
	switch o.family {
	case familyNumeric:
		_, ok = parseDecimal(value)
	case familyDate:
		_, ok = parseInstant(value)
	default:
		return true
	}
	return ok
}

// matcher is a value of a condition, against which those of the context are held.
type matcher interface {
	match(value string, c contexts) bool
}

// newMatcher compiles a value. It reports false if no value of a context can ever match it.
func newMatcher(o operator, text string, variables bool) (matcher, bool) {
	t := template{text: text}
	if variables && o.takesVariables() {
		t, _ = newTemplate(text)
	}
	switch o.family {
	case familyString:
		return &equalText{t}, true
	case familyFold:
		return &foldedText{t}, true
	case familyLike:
		return &likeText{t, newGlob(text)}, true
	case familyBool:
		return &boolean{foldedText{t}}, t.parts != nil || isBoolean(text)
	case familyARN:
		p, ok := newARNPattern(text, false)
		return &likeARN{t, p}, ok || t.parts != nil
	case familyNumeric:
		n, ok := parseDecimal(text)
		return &number{o.compare, n}, ok
	case familyDate:
		at, ok := parseInstant(text)
		return &date{o.compare, at}, ok
	case familyBinary:
		b, err := base64.StdEncoding.DecodeString(text)
		return binary(b), err == nil
	case familyIP:
		p, ok := parseNetwork(text)
		return network(p), ok
	}
	return nil, false
}

type equalText struct{ template }

func (m *equalText) match(value string, c contexts) bool {
	text, ok := m.plain(c)
	return ok && text == value
}

type foldedText struct{ template }

func (m *foldedText) match(value string, c contexts) bool {
	text, ok := m.plain(c)
	return ok && strings.EqualFold(text, value)
}

type boolean struct{ foldedText }

func (m *boolean) match(value string, c contexts) bool {
	return isBoolean(value) && m.foldedText.match(value, c)
}

func isBoolean(text string) bool {
	return strings.EqualFold(text, "true") || strings.EqualFold(text, "false")
}

type likeText struct {
	template
	glob glob // without variables
}

func (m *likeText) match(value string, c contexts) bool {
	if m.parts == nil {
		return m.glob.match(value)
	}
	pattern, value, ok := m.expand(value, c)
	if !ok {
		return false
	}
	g := newGlob(pattern)
	return g.match(value)
}

// expand returns the pattern with its variables, and the value in the form in which it is to be compared with that.
func (t *template) expand(value string, c contexts) (pattern, comparable string, ok bool) {
	pattern, quoted, ok := t.pattern(c)
	if ok && quoted {
		value, ok = quote(value)
	}
	return pattern, value, ok
}

type likeARN struct {
	template
	arn arnPattern // without variables
}

func (m *likeARN) match(value string, c contexts) bool {
	p := &m.arn
	if m.parts != nil {
		pattern, quoted, ok := m.expand(value, c)
		if !ok {
			return false
		}
		expanded, ok := newARNPattern(pattern, false)
		if !ok {
			return false
		}
		p, value = &expanded, quoted
	}
	parts, n := splitARN(value)
	return n == len(parts) && (p.all || p.match(&parts))
}

type number struct {
	compare comparison
	decimal decimal
}

func (m *number) match(value string, _ contexts) bool {
	n, ok := parseDecimal(value)
	return ok && m.compare.of(n.cmp(m.decimal))
}

type date struct {
	compare comparison
	at      time.Time
}

func (m *date) match(value string, _ contexts) bool {
	at, ok := parseInstant(value)
	return ok && m.compare.of(at.Compare(m.at))
}

type binary string

// match takes the context's value in base64 too, in which all of a context's values are text.
func (m binary) match(value string, _ contexts) bool {
	b, err := base64.StdEncoding.DecodeString(value)
	return err == nil && string(b) == string(m)
}

type network netip.Prefix

func (m network) match(value string, _ contexts) bool {
	address, err := netip.ParseAddr(value)
	return err == nil && netip.Prefix(m).Contains(address.Unmap())
}

// parseNetwork reads an address or a range of addresses; a single address is a range of one.
func parseNetwork(text string) (netip.Prefix, bool) {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		return p, err == nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" {
		return netip.Prefix{}, false
	}
	address = address.Unmap()
	return netip.PrefixFrom(address, address.BitLen()), true
}
