package awsapi

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/coffer-registry/coffer/internal/strictjson"
)

// maxViolations is how many violations of one request are told; the search ends there.
const maxViolations = 10

// validate checks an input against its shape, and returns an *Error in the style of the model. The values must have the
// kinds that the shape says, which decoding has made sure of.
func validate(m *Model, op *Operation, in strictjson.Value) error {
	style := m.Style
	if style == nil {
		style = &Style{}
	}
	w := walker{style: style, operation: op.Name}
	w.structure(op.Input, in)
	if len(w.found) == 0 {
		return nil
	}
	return style.error(op.Name, w.found)
}

// walker walks over an input and its shape at once.
type walker struct {
	style     *Style
	operation string
	path      []step
	found     []*Violation
}

// step is a part of the path to a value: the name of a member, or the position in a list if the name is empty.
type step struct {
	name  string
	index int
}

// structure walks over the members in the order of the model, whatever the order of the request.
func (w *walker) structure(s *Shape, v strictjson.Value) {
	given := make([]strictjson.Value, len(s.Members))
	for name, member := range v.Members() {
		if i := s.member(name); i >= 0 && member.Kind() != strictjson.Null {
			given[i] = member
		}
	}
	for i, member := range s.Members {
		w.enter(step{name: member.Name}, func() {
			if given[i].Kind() != strictjson.Absent {
				w.value(member.Shape, given[i])
			} else if member.Required {
				w.broken(NotNull, member.Shape, given[i])
			}
		})
	}
}

func (w *walker) enter(s step, walk func()) {
	if w.full() {
		return
	}
	w.path = append(w.path, s)
	walk()
	w.path = w.path[:len(w.path)-1]
}

func (w *walker) full() bool { return len(w.found) >= maxViolations }

func (w *walker) value(s *Shape, v strictjson.Value) {
	switch s.Kind {
	case Structure:
		w.structure(s, v)
	case List:
		w.length(s, v, v.Len)
		w.elements(s, v)
	case Map:
		w.length(s, v, v.Len)
		w.entries(s, v)
	default:
		for _, rule := range brokenRules(s, v) {
			w.broken(rule, s, v)
			if w.style.OnePerMember || w.full() {
				return
			}
		}
	}
}

func (w *walker) length(s *Shape, v strictjson.Value, count func() int) {
	if s.Min == nil && s.Max == nil {
		return
	}
	n := int64(count())
	if s.Min != nil && n < *s.Min {
		w.broken(MinLength, s, v)
	}
	if s.Max != nil && n > *s.Max {
		w.broken(MaxLength, s, v)
	}
}

func (w *walker) elements(s *Shape, v strictjson.Value) {
	if scalar(s.Element) {
		for _, e := range v.Items() {
			if len(brokenRules(s.Element, e)) > 0 {
				w.broken(Elements, s, v)
				return
			}
		}
		return
	}
	for i, e := range v.Items() {
		w.enter(step{index: i + 1}, func() {
			if e.Kind() == strictjson.Null {
				w.broken(NotNull, s.Element, e)
				return
			}
			w.value(s.Element, e)
		})
		if w.full() {
			return
		}
	}
}

func (w *walker) entries(s *Shape, v strictjson.Value) {
	for name, e := range v.Members() {
		if len(brokenText(s.Key, []byte(name))) > 0 {
			w.broken(Keys, s, v)
			return
		}
		if !scalar(s.Value) {
			w.enter(step{name: name}, func() { w.value(s.Value, e) })
		} else if len(brokenRules(s.Value, e)) > 0 {
			w.broken(Values, s, v)
			return
		}
		if w.full() {
			return
		}
	}
}

func scalar(s *Shape) bool {
	return s.Kind != Structure && s.Kind != List && s.Kind != Map
}

// brokenRules returns what a scalar breaks of its shape.
func brokenRules(s *Shape, v strictjson.Value) []Rule {
	if v.Kind() == strictjson.Null {
		return []Rule{NotNull}
	}
	switch s.Kind {
	case String:
		return brokenText(s, v.Bytes())
	case Blob:
		return outside(s, int64(blobLength(v.Bytes())), MinLength, MaxLength)
	case Integer, Double:
		return brokenNumber(s, v.Number())
	}
	return nil
}

func brokenText(s *Shape, text []byte) (broken []Rule) {
	if s.Min != nil || s.Max != nil {
		broken = outside(s, int64(utf8.RuneCount(text)), MinLength, MaxLength)
	}
	if s.Pattern != "" && !s.Matches(text) {
		broken = append(broken, Pattern)
	}
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, string(text)) {
		broken = append(broken, Enum)
	}
	return broken
}

func brokenNumber(s *Shape, text string) []Rule {
	if s.Min == nil && s.Max == nil {
		return nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return outside(s, n, MinValue, MaxValue)
	}
	f, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil:
		return nil
	case s.Min != nil && f < float64(*s.Min):
		return []Rule{MinValue}
	case s.Max != nil && f > float64(*s.Max):
		return []Rule{MaxValue}
	}
	return nil
}

// outside compares n with the bounds of s.
func outside(s *Shape, n int64, low, high Rule) []Rule {
	switch {
	case s.Min != nil && n < *s.Min:
		return []Rule{low}
	case s.Max != nil && n > *s.Max:
		return []Rule{high}
	}
	return nil
}

// blobLength returns how many bytes a text in base64 stands for.
func blobLength(text []byte) int {
	n := len(text) - bytes.Count(text, []byte{'\n'}) - bytes.Count(text, []byte{'\r'})
	padding := bytes.Count(text[max(0, len(text)-8):], []byte{'='})
	return max(0, base64.StdEncoding.DecodedLen(n)-padding)
}

// broken notes that the value at the current path breaks a rule of its shape.
func (w *walker) broken(rule Rule, s *Shape, v strictjson.Value) {
	found := &Violation{Operation: w.operation, Path: w.where(), Rule: rule, Shape: s, Reason: w.style.reason(rule, s)}
	if rule == Pattern {
		found.Shown = w.style.pattern(s)
	}
	if found.Hidden = hidden(s); !found.Hidden {
		found.Value = show(s, v)
	}
	w.found = append(w.found, found)
}

// where writes the path in AWS's notation, in which names begin with a lower-case letter.
func (w *walker) where() string {
	var b strings.Builder
	for i, s := range w.path {
		if i > 0 {
			b.WriteByte('.')
		}
		if s.name == "" {
			b.WriteString(strconv.Itoa(s.index) + ".member")
			continue
		}
		first, size := utf8.DecodeRuneInString(s.name)
		b.WriteRune(unicode.ToLower(first))
		b.WriteString(s.name[size:])
	}
	return shorten(b.String())
}

// hidden reports whether messages leave out values of a shape: those that are secret, and those that have no short text.
func hidden(s *Shape) bool {
	switch {
	case s.Sensitive, s.Kind == Blob, s.Kind == Map, s.Kind == Structure:
		return true
	case s.Kind == List:
		return s.Element.Kind == List || hidden(s.Element)
	}
	return false
}

// show writes a value as messages do: of a list, what its elements are.
func show(s *Shape, v strictjson.Value) string {
	if s.Kind != List {
		text := v.Bytes()
		if v.Kind() != strictjson.String {
			text = v.Raw()
		}
		return shorten(string(text[:min(len(text), maxShown+utf8.UTFMax)]))
	}
	var b strings.Builder
	for i, e := range v.Items() {
		if i > 0 {
			b.WriteString(", ")
		}
		if b.WriteString(show(s.Element, e)); b.Len() > maxShown {
			break
		}
	}
	return "[" + shorten(b.String()) + "]"
}
