package policy

import (
	"strings"
	"unicode/utf8"
)

// contexts are where keys of a question are looked up: first among those of its resource, last among those of its caller.
type contexts struct{ resource, request, caller Context }

func (c contexts) get(key string) []string {
	if values, ok := c.resource[key]; ok {
		return values
	}
	if values, ok := c.request[key]; ok {
		return values
	}
	return c.caller[key]
}

// single returns the value of a key that has exactly one; variables can stand for no others.
func (c contexts) single(key string) (string, bool) {
	values := c.get(key)
	if len(values) != 1 || values[0] == ambiguous {
		return "", false
	}
	return values[0], true
}

// template is a text of a policy that may hold variables, such as "repository/${aws:PrincipalTag/team}/*".
type template struct {
	// text is all there is without variables.
	text string
	// parts are the pieces in their order; nil without variables.
	parts []part
}

// part is a piece of a template.
type part struct {
	// key is the lower-case context key whose value stands here; empty for text of the policy itself.
	key string
	// text is the policy's own, or the default of key.
	text       string
	hasDefault bool
	// literal is set for text whose "*" and "?" mean themselves, as in "${*}".
	literal bool
}

// newTemplate finds the variables of a text. It reports false if one is malformed; that is then text like any other.
func newTemplate(text string) (template, bool) {
	if !strings.Contains(text, "${") {
		return template{text: text}, true
	}
	t, sound, rest := template{text: text}, true, text
	for rest != "" {
		before, after, found := strings.Cut(rest, "${")
		if before != "" {
			t.parts = append(t.parts, part{text: before})
		}
		if !found {
			break
		}
		variable, behind, ok := newVariable(after)
		if !ok {
			variable, behind, sound = part{text: "${"}, after, false
		}
		t.parts = append(t.parts, variable)
		rest = behind
	}
	return t, sound
}

// newVariable reads a variable behind its "${" and returns what follows its "}".
func newVariable(text string) (p part, rest string, ok bool) {
	end := strings.IndexAny(text, "},")
	if end < 0 {
		return part{}, "", false
	}
	name := strings.TrimSpace(text[:end])
	if text[end] == '}' {
		return plainVariable(name), text[end+1:], validVariable(name)
	}
	quoted, ok := strings.CutPrefix(strings.TrimLeft(text[end+1:], " "), "'")
	if !ok {
		return part{}, "", false
	}
	value, rest, ok := strings.Cut(quoted, "'")
	if !ok {
		return part{}, "", false
	}
	rest, ok = strings.CutPrefix(strings.TrimLeft(rest, " "), "}")
	return part{key: strings.ToLower(name), text: value, hasDefault: true}, rest, ok && validKey(name)
}

func plainVariable(name string) part {
	if len(name) == 1 && strings.Contains("*?$", name) {
		return part{text: name, literal: true}
	}
	return part{key: strings.ToLower(name)}
}

func validVariable(name string) bool {
	return len(name) == 1 && strings.Contains("*?$", name) || validKey(name)
}

func validKey(name string) bool {
	return name != "" && !strings.ContainsAny(name, "*?${}'\" ")
}

// quoteMarks stand for "*" and "?" that mean themselves within a pattern. They are no characters of Unicode, so that no
// honest text holds them.
const (
	quotedStar = "\ufdd0"
	quotedMark = "\ufdd1"
)

var quoter = strings.NewReplacer("*", quotedStar, "?", quotedMark)

// quote makes text match literally within a pattern whose counterpart is quoted too. It reports false for what no pattern
// can stand for.
func quote(text string) (string, bool) {
	if strings.Contains(text, quotedStar) || strings.Contains(text, quotedMark) || !utf8.ValidString(text) {
		return "", false
	}
	return quoter.Replace(text), true
}

// plain puts in the values of the variables. It reports false if one has none: then the text is null and matches nothing.
func (t *template) plain(c contexts) (string, bool) {
	if t.parts == nil {
		return t.text, true
	}
	var b strings.Builder
	for i := range t.parts {
		text, _, ok := t.parts[i].value(c)
		if !ok {
			return "", false
		}
		b.WriteString(text)
	}
	return b.String(), true
}

// pattern puts in the values of the variables, whose wildcards mean themselves. quoted says that the text then has quoted
// characters, and matches only what is quoted too. A template without variables is its own pattern.
func (t *template) pattern(c contexts) (pattern string, quoted, ok bool) {
	var b strings.Builder
	for i := range t.parts {
		text, literal, ok := t.parts[i].value(c)
		if !ok {
			return "", false, false
		}
		if literal && (strings.ContainsAny(text, "*?") || !isASCII(text)) {
			if text, ok = quote(text); !ok {
				return "", false, false
			}
			quoted = true
		}
		b.WriteString(text)
	}
	return b.String(), quoted, true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func (p *part) value(c contexts) (text string, literal, ok bool) {
	if p.key == "" {
		return p.text, p.literal, true
	}
	if text, ok := c.single(p.key); ok {
		return text, true, true
	}
	// A key that has several values is present, and yet has none to put in: its default is not for that.
	if p.hasDefault && len(c.get(p.key)) == 0 {
		return p.text, true, true
	}
	return "", false, false
}
