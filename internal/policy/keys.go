package policy

import (
	"iter"
	"slices"
	"strings"
)

// ContextKeys returns the condition keys that policies mention: those of their conditions, and those that variables in
// resources and in the values of conditions stand for. They are sorted; each is there once, as the first policy that
// mentions it spells it, since keys compare without case. A policy that could not be read mentions none.
func ContextKeys(policies ...*Policy) []string {
	keys := spellings{}
	for _, p := range policies {
		d, err := decode([]byte(p.text))
		if err != nil {
			continue
		}
		for i := range d.statements {
			for key := range d.keys(i) {
				keys.add(key)
			}
		}
	}
	return keys.sorted()
}

// spellings holds condition keys, by the key in lower case.
type spellings map[string]string

func (s spellings) add(key string) {
	lower := strings.ToLower(key)
	if _, ok := s[lower]; !ok {
		s[lower] = key
	}
}

func (s spellings) sorted() []string {
	out := make([]string, 0, len(s))
	for _, key := range s {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

// keys iterates over the condition keys that a statement mentions, as they are written.
func (d *document) keys(statement int) iter.Seq[string] {
	s, variables := &d.statements[statement], d.version == version2012
	return func(yield func(string) bool) {
		var texts []string
		for _, c := range s.conditions {
			if !yield(c.spelled) {
				return
			}
			if op, ok := newOperator(c.operator); ok && op.takesVariables() {
				texts = append(texts, c.values...)
			}
		}
		texts = append(append(texts, s.resources.values...), s.notResources.values...)
		for _, text := range texts {
			for key := range variableKeys(text) {
				if variables && !yield(key) {
					return
				}
			}
		}
	}
}

// variableKeys iterates over the keys of the variables in a text.
func variableKeys(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			_, after, found := strings.Cut(text, "${")
			if !found {
				return
			}
			text = after
			p, rest, ok := newVariable(after)
			if !ok {
				continue
			}
			text = rest
			name := strings.TrimSpace(after[:strings.IndexAny(after, "},")])
			if p.key != "" && !yield(name) {
				return
			}
		}
	}
}
