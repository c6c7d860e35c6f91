package policy

import (
	"iter"
	"slices"
	"unicode/utf8"

	"github.com/coffer-registry/coffer/internal/strictjson"
)

// Documents are decoded by strictjson, which does not say where in the text a value is written. What has to do with the
// text itself, its places and its white space, goes by spans.

// span is a part of a text, in bytes.
type span struct{ start, end int }

func (s span) in(text []byte) []byte { return text[s.start:s.end] }

// lexer reads the tokens of a JSON text: strings, other scalars, and each of {}[]:, by itself. It never fails; of what is
// no JSON it makes some tokens.
type lexer struct {
	text []byte
	pos  int
}

// next returns the token behind white space. It reports false at the end of the text.
func (l *lexer) next() (span, bool) {
	for l.pos < len(l.text) && isSpace(l.text[l.pos]) {
		l.pos++
	}
	start := l.pos
	if start == len(l.text) {
		return span{start, start}, false
	}
	l.pos++
	switch c := l.text[start]; {
	case c == '"':
		l.skipString()
	case !isPunctuation(c):
		for l.pos < len(l.text) && !endsScalar(l.text[l.pos]) {
			l.pos++
		}
	}
	return span{start, l.pos}, true
}

// skipString moves behind the quote that ends a string.
func (l *lexer) skipString() {
	for l.pos < len(l.text) {
		c := l.text[l.pos]
		l.pos++
		switch {
		case c == '"':
			return
		case c == '\\' && l.pos < len(l.text):
			l.pos++
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func isPunctuation(c byte) bool {
	switch c {
	case '{', '}', '[', ']', ':', ',':
		return true
	}
	return false
}

func endsScalar(c byte) bool { return isSpace(c) || isPunctuation(c) || c == '"' }

// value reads a value with all that is in it.
func (l *lexer) value() span {
	s, _ := l.next()
	for depth := depthOf(l.text, s); depth > 0; {
		token, ok := l.next()
		if !ok {
			break
		}
		depth += depthOf(l.text, token)
		s.end = token.end
	}
	return s
}

// depthOf is by how many levels a token nests what follows it.
func depthOf(text []byte, token span) int {
	if token.start == token.end {
		return 0
	}
	switch text[token.start] {
	case '{', '[':
		return 1
	case '}', ']':
		return -1
	}
	return 0
}

// members iterates over the names and values of an object of a valid text; every other value has none.
func members(text []byte, object span) iter.Seq2[string, span] {
	return func(yield func(string, span) bool) {
		for name := range children(text, object, '{') {
			colon := lexer{text[:object.end], name.end}
			colon.next()
			if !yield(unquote(name.in(text)), colon.value()) {
				return
			}
		}
	}
}

// items iterates over the values of an array of a valid text; every other value has none.
func items(text []byte, array span) iter.Seq[span] { return children(text, array, '[') }

// children iterates over what the commas of a container part: values of an array, and names of an object.
func children(text []byte, container span, opening byte) iter.Seq[span] {
	return func(yield func(span) bool) {
		if container.start == container.end || text[container.start] != opening {
			return
		}
		l := lexer{text[:container.end-1], container.start + 1}
		for {
			child := l.value()
			if child.start == child.end || !yield(child) {
				return
			}
			for { // over the colon and the value, if any, to the comma
				token, ok := l.next()
				if !ok {
					return
				}
				if text[token.start] == ',' {
					break
				}
				if depthOf(text, token) > 0 {
					l.pos = token.start
					l.value()
				}
			}
		}
	}
}

// statementSpans returns the statements of a valid text in their order, which is that in which decode finds them.
func statementSpans(text []byte) (out []span) {
	l := lexer{text: text}
	for name, value := range members(text, l.value()) {
		switch {
		case name != "Statement":
		case text[value.start] == '{':
			out = append(out, value)
		default:
			out = slices.AppendSeq(out, items(text, value))
		}
	}
	return out
}

// unquote returns the text of a string as it is written, and "" for anything else.
func unquote(token []byte) string {
	v, err := strictjson.Parse(token, 0)
	if err != nil || v.Kind() != strictjson.String {
		return ""
	}
	return v.String()
}

// runes counts the characters of a part of a text.
func (s span) runes(text []byte) int { return utf8.RuneCount(s.in(text)) }
