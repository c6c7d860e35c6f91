package policy

import (
	"strings"

	"github.com/coffer-registry/coffer/internal/arn"
)

// glob is a pattern of "*", "?" and literal text. The forms that nearly all policies use match without looking for stars.
type glob struct {
	form globForm
	text string
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
		return glob{globLiteral, pattern}
	case strings.Trim(pattern[i:], "*") != "":
		return glob{globPattern, pattern}
	case i == 0:
		return glob{form: globAll}
	}
	return glob{globPrefix, pattern[:i]}
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
	return arn.Match(g.text, s)
}
