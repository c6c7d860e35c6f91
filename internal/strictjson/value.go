package strictjson

import (
	"bytes"
	"fmt"
	"iter"
	"unicode/utf16"
	"unicode/utf8"
)

// Kind says what a value is.
type Kind uint8

// The kinds of values. Absent is that of the zero Value, which stands for a member that is not there.
const (
	Absent Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

var kindNames = [...]string{Absent: "absent", Null: "null", Bool: "boolean", Number: "number", String: "string", Array: "array", Object: "object"}

// String returns the kind's name as JSON has it, such as "boolean".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Value is a value of a text that Parse accepted. It is a view of the text: to look at a member again reads the text
// again, so walk a large object once by Members instead of asking for one Member after the other.
type Value struct {
	raw  []byte
	kind Kind
}

// valueAt returns the value that is all of raw, which is valid.
func valueAt(raw []byte) Value {
	kind := Number
	switch raw[0] {
	case 'n':
		kind = Null
	case 't', 'f':
		kind = Bool
	case '"':
		kind = String
	case '[':
		kind = Array
	case '{':
		kind = Object
	}
	return Value{raw: raw[:len(raw):len(raw)], kind: kind}
}

// Kind says what the value is; Absent for the zero Value.
func (v Value) Kind() Kind { return v.kind }

// Raw returns the part of the text that is the value, without white space around it. It must not be changed.
func (v Value) Raw() []byte { return v.raw }

// Bool returns the value of a boolean, and false for every other kind.
func (v Value) Bool() bool { return v.kind == Bool && v.raw[0] == 't' }

// Number returns a number as it is written, such as "-1.50e3", and "" for every other kind.
func (v Value) Number() string {
	if v.kind != Number {
		return ""
	}
	return string(v.raw)
}

// String returns the text of a string, without quotes and escape sequences. Of every other kind it returns the value as it
// is written.
func (v Value) String() string {
	if v.kind != String {
		return string(v.raw)
	}
	return string(v.Bytes())
}

// Bytes returns the text of a string like String, and nil for every other kind. It shares memory with the document if
// the string has no escape sequences, and must not be changed.
func (v Value) Bytes() []byte {
	if v.kind != String {
		return nil
	}
	text := v.raw[1 : len(v.raw)-1]
	if bytes.IndexByte(text, '\\') < 0 {
		return text[:len(text):len(text)]
	}
	return unescape(make([]byte, 0, len(text)), text)
}

// Items iterates over the values of an array in their order; of every other kind there are none.
func (v Value) Items() iter.Seq2[int, Value] {
	return func(yield func(int, Value) bool) {
		if v.kind != Array {
			return
		}
		c := cursor{data: v.raw, pos: 1}
		for i := 0; c.next(); i++ {
			if !yield(i, c.value()) {
				return
			}
		}
	}
}

// Members iterates over the names and values of an object in the order of the text; of every other kind there are none.
func (v Value) Members() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		if v.kind != Object {
			return
		}
		for c := (cursor{data: v.raw, pos: 1}); c.next(); {
			name := c.value()
			c.next()
			if !yield(name.String(), c.value()) {
				return
			}
		}
	}
}

// Member returns the value of the member with exactly that name; the zero Value if there is none, or the value is no
// object.
func (v Value) Member(name string) Value {
	if v.kind != Object {
		return Value{}
	}
	for c := (cursor{data: v.raw, pos: 1}); c.next(); {
		found := c.value()
		c.next()
		if member := c.value(); string(found.Bytes()) == name {
			return member
		}
	}
	return Value{}
}

// Len returns how many items an array or members an object has, in time with the length of its text; 0 for every other
// kind.
func (v Value) Len() (n int) {
	if v.kind != Array && v.kind != Object {
		return 0
	}
	for c := (cursor{data: v.raw, pos: 1}); c.next(); n++ {
		c.skip()
	}
	if v.kind == Object {
		n /= 2
	}
	return n
}

// cursor walks over the values within one container of a valid text.
type cursor struct {
	data []byte
	pos  int
}

// next moves to where a value begins, and reports whether there is one before the container ends.
func (c *cursor) next() bool {
	for isSpace(c.data[c.pos]) || c.data[c.pos] == ',' || c.data[c.pos] == ':' {
		c.pos++
	}
	return c.data[c.pos] != ']' && c.data[c.pos] != '}'
}

// value returns the value at pos and moves behind it.
func (c *cursor) value() Value {
	start := c.pos
	c.skip()
	return valueAt(c.data[start:c.pos])
}

// skip moves behind the value at pos.
func (c *cursor) skip() {
	switch c.data[c.pos] {
	case '"':
		c.skipString()
	case '[', '{':
		c.skipContainer()
	default:
		for c.pos < len(c.data) && !endsScalar(c.data[c.pos]) {
			c.pos++
		}
	}
}

func endsScalar(b byte) bool {
	return b == ',' || b == ']' || b == '}' || isSpace(b)
}

func (c *cursor) skipString() {
	c.pos++
	for {
		c.pos += bytes.IndexByte(c.data[c.pos:], '"') + 1
		slashes := 0
		for c.data[c.pos-2-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return
		}
	}
}

func (c *cursor) skipContainer() {
	for depth := 0; ; {
		switch c.data[c.pos] {
		case '"':
			c.skipString()
			continue
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		}
		c.pos++
		if depth == 0 {
			return
		}
	}
}

// unescape appends the text of a valid string to dst.
func unescape(dst, text []byte) []byte {
	for {
		i := bytes.IndexByte(text, '\\')
		if i < 0 {
			return append(dst, text...)
		}
		dst = append(dst, text[:i]...)
		text = text[i:]
		switch text[1] {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, _ := hex4(text)
			text = text[6:]
			if isHigh(r) {
				low, _ := hex4(text)
				r = utf16.DecodeRune(r, low)
				text = text[6:]
			}
			dst = utf8.AppendRune(dst, r)
			continue
		default:
			dst = append(dst, text[1])
		}
		text = text[2:]
	}
}
