package policy

import (
	"math"
	"strings"

	"github.com/coffer-registry/coffer/internal/arn"
)

// glob is a pattern of "*", "?" and literal text. The forms that nearly all policies use match without looking for stars.
type glob struct {
	form globForm
	// head and tail are how many bytes of a globPattern are literal before its first wildcard and behind its last.
	head, tail uint16
	text       string
}

type globForm uint8

const (
	globLiteral globForm = iota // text itself
	globPrefix                  // whatever begins with text
	globAll                     // whatever
	globPattern                 // what arn.Match says of text
)

func newGlob(pattern string) glob {
	i := strings.IndexAny(pattern, "*?")
	switch {
	case i < 0:
		return glob{form: globLiteral, text: pattern}
	case strings.Trim(pattern[i:], "*") != "":
		tail := len(pattern) - 1 - strings.LastIndexAny(pattern, "*?")
		return glob{globPattern, uint16(min(i, math.MaxUint16)), uint16(min(tail, math.MaxUint16)), pattern}
	case i == 0:
		return glob{form: globAll}
	}
	return glob{form: globPrefix, text: pattern[:i]}
}

func (g *glob) match(s string) bool {
	switch g.form {
	case globLiteral:
		return g.text == s
	case globPrefix:
		return strings.HasPrefix(s, g.text)
	case globAll:
		return true
	}
	head, tail := g.text[:g.head], g.text[len(g.text)-int(g.tail):]
	return len(s) >= len(head)+len(tail) && strings.HasPrefix(s, head) && strings.HasSuffix(s, tail) && arn.Match(g.text, s)
}
