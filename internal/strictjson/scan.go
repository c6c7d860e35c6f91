package strictjson

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// scanner reads one text from front to back.
type scanner struct {
	data     []byte
	pos      int
	maxDepth int
	open     []frame
	names    names
}

// frame is an array or object that is not closed yet.
type frame struct {
	object bool
	mark   mark // where its names begin
}

func (s *scanner) fail(offset int, reason string) *Error {
	return &Error{Offset: offset, Reason: reason}
}

// unexpected blames the byte at pos for not being what should stand there.
func (s *scanner) unexpected(wanted string) *Error {
	if s.pos >= len(s.data) {
		return s.fail(s.pos, "text ends where "+wanted+" should be")
	}
	return s.fail(s.pos, "expected "+wanted)
}

// document reads the whole text and returns where its value begins and ends. The error is a nil interface or an *Error.
func (s *scanner) document() (start, end int, err error) {
	s.space()
	start = s.pos
	if failure := s.value(); failure != nil {
		return 0, 0, failure
	}
	end = s.pos
	s.space()
	if s.pos < len(s.data) {
		return 0, 0, s.fail(s.pos, "text goes on after its value")
	}
	return start, end, nil
}

// value reads one value with all that is in it.
func (s *scanner) value() *Error {
	for {
		done, err := s.begin()
		if err != nil {
			return err
		}
		if done {
			done, err = s.proceed()
			if err != nil || done {
				return err
			}
		}
	}
}

// begin reads a scalar or an empty container, or opens a container up to its first value. It reports whether a value is
// complete.
func (s *scanner) begin() (complete bool, err *Error) {
	if s.pos >= len(s.data) {
		return false, s.unexpected("a value")
	}
	switch c := s.data[s.pos]; c {
	case '{', '[':
		return s.enter(c == '{')
	case '"':
		_, err := s.text()
		return true, err
	case 't':
		return true, s.literal("true")
	case 'f':
		return true, s.literal("false")
	case 'n':
		return true, s.literal("null")
	}
	return true, s.number()
}

func (s *scanner) enter(object bool) (complete bool, err *Error) {
	if len(s.open) >= s.maxDepth {
		return false, s.fail(s.pos, "values are nested too deeply")
	}
	s.pos++
	s.space()
	if s.pos < len(s.data) && s.data[s.pos] == closing(object) {
		s.pos++
		return true, nil
	}
	s.open = append(s.open, frame{object: object, mark: s.names.mark()})
	if object {
		return false, s.name()
	}
	return false, nil
}

func closing(object bool) byte {
	if object {
		return '}'
	}
	return ']'
}

// proceed goes on after a complete value: over the ends of containers to where the next value begins. It reports whether
// none follows.
func (s *scanner) proceed() (done bool, err *Error) {
	for len(s.open) > 0 {
		top := s.open[len(s.open)-1]
		s.space()
		if s.pos >= len(s.data) {
			return false, s.unexpected("a comma or the end of the container")
		}
		switch s.data[s.pos] {
		case ',':
			s.pos++
			s.space()
			if top.object {
				return false, s.name()
			}
			return false, nil
		case closing(top.object):
			s.pos++
			if top.object {
				if at, twice := s.names.close(s.data, top.mark); twice {
					return false, s.fail(at, "object has two members of the same name")
				}
			}
			s.open = s.open[:len(s.open)-1]
		default:
			return false, s.unexpected("a comma or the end of the container")
		}
	}
	return true, nil
}

// name reads the name of a member and its colon.
func (s *scanner) name() *Error {
	if s.pos >= len(s.data) || s.data[s.pos] != '"' {
		return s.unexpected("a member's name")
	}
	start := s.pos
	escaped, err := s.text()
	if err != nil {
		return err
	}
	if s.names.add(s.data, start, s.pos, escaped, s.open[len(s.open)-1].mark) {
		return s.fail(start, "object has two members of the same name")
	}
	s.space()
	if s.pos >= len(s.data) || s.data[s.pos] != ':' {
		return s.unexpected("a colon")
	}
	s.pos++
	s.space()
	return nil
}

func (s *scanner) space() {
	for s.pos < len(s.data) && isSpace(s.data[s.pos]) {
		s.pos++
	}
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r'
}

func (s *scanner) literal(text string) *Error {
	if len(s.data)-s.pos < len(text) || string(s.data[s.pos:s.pos+len(text)]) != text {
		return s.unexpected("a value")
	}
	s.pos += len(text)
	return nil
}

// number reads a number by the grammar of RFC 8259 section 6.
func (s *scanner) number() *Error {
	start := s.pos
	if s.peek() == '-' {
		s.pos++
	}
	switch c := s.peek(); {
	case c == '0':
		s.pos++
	case c >= '1' && c <= '9':
		s.digits()
	case s.pos == start:
		return s.unexpected("a value")
	default:
		return s.unexpected("a digit")
	}
	if s.peek() == '.' {
		s.pos++
		if s.digits() == 0 {
			return s.unexpected("a digit")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if s.digits() == 0 {
			return s.unexpected("a digit")
		}
	}
	return nil
}

// peek returns the byte at pos, and 0, which no JSON text has outside of an error, at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *scanner) digits() (n int) {
	for s.pos < len(s.data) && s.data[s.pos] >= '0' && s.data[s.pos] <= '9' {
		s.pos++
		n++
	}
	return n
}

// text reads a string from its opening quote to behind its closing one.
func (s *scanner) text() (escaped bool, err *Error) {
	s.pos++
	for {
		s.plain()
		if s.pos >= len(s.data) {
			return false, s.fail(s.pos, "text ends within a string")
		}
		switch c := s.data[s.pos]; {
		case c == '"':
			s.pos++
			return escaped, nil
		case c == '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return false, err
			}
		case c < ' ':
			return false, s.fail(s.pos, "control character in a string")
		case c < utf8.RuneSelf:
			s.pos++
		default:
			r, size := utf8.DecodeRune(s.data[s.pos:])
			if r == utf8.RuneError && size == 1 {
				return false, s.fail(s.pos, "invalid UTF-8")
			}
			s.pos += size
		}
	}
}

const (
	lows  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plain moves on over characters of a string that mean themselves, eight bytes at a time: layers arrive as one string of
// many megabytes. It stops at the first byte that is not plain ASCII, or less than eight bytes before the end.
func (s *scanner) plain() {
	data, i := s.data, s.pos
	for i+8 <= len(data) {
		x := binary.LittleEndian.Uint64(data[i:])
		quotes, slashes := x^'"'*lows, x^'\\'*lows
		// Each term has the high bit set in a byte that is a quote, a backslash, below a space, or not ASCII. A borrow
		// can set it wrongly only behind a byte that is rightly marked.
		marks := (quotes-lows)&^quotes | (slashes-lows)&^slashes | (x-' '*lows)&^x | x
		if marks &= highs; marks != 0 {
			s.pos = i + bits.TrailingZeros64(marks)/8
			return
		}
		i += 8
	}
	s.pos = i
}

// escape reads one escape sequence, or the two of a surrogate pair.
func (s *scanner) escape() *Error {
	start := s.pos
	if s.pos+1 >= len(s.data) {
		return s.fail(len(s.data), "text ends within a string")
	}
	switch s.data[s.pos+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos += 2
		return nil
	case 'u':
		r, ok := hex4(s.data[s.pos:])
		if !ok {
			return s.fail(start, "invalid escape sequence")
		}
		s.pos += 6
		if isLow(r) {
			return s.fail(start, "half of a surrogate pair")
		}
		if !isHigh(r) {
			return nil
		}
		if low, ok := hex4(s.data[s.pos:]); !ok || !isLow(low) {
			return s.fail(start, "half of a surrogate pair")
		}
		s.pos += 6
		return nil
	}
	return s.fail(start, "invalid escape sequence")
}

func isHigh(r rune) bool { return r >= 0xD800 && r < 0xDC00 }
func isLow(r rune) bool  { return r >= 0xDC00 && r < 0xE000 }

// hex4 reads an escape sequence of the form \u0000 at the start of data.
func hex4(data []byte) (rune, bool) {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range data[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
