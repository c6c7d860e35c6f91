package awsapi

import (
	"fmt"
	"net/http"
	"strings"
)

// Style is how a service words that a request breaks its model. The zero Style is AWS's generic one, with the code
// ValidationException.
type Style struct {
	// Code is the error's code; empty for ValidationException.
	Code string
	// Codes are those of the operations that answer another code.
	Codes map[string]string
	// Sentence makes the whole message about one violation, where the service has its own; nil, or an empty sentence, is
	// the generic one.
	Sentence func(*Violation) string
	// OnePerMember says that only the first constraint that a value breaks is told.
	OnePerMember bool
	// Patterns are shown instead of those that are enforced, by shape.
	Patterns map[string]string
	// Enums are the orders in which the values of enumerations are shown, by shape; that of the model is the default.
	Enums map[string][]string
}

// Rule is a kind of constraint.
type Rule uint8

// The rules that a value can break.
const (
	NotNull Rule = iota + 1
	MinLength
	MaxLength
	MinValue
	MaxValue
	Pattern
	Enum
	Elements // of a list of scalars, one of which breaks a rule
	Keys     // of a map, likewise
	Values   // of a map, likewise
)

// Violation is one breach of a model by a request.
type Violation struct {
	// Operation is the name of the operation that was called.
	Operation string
	// Path names the member, in AWS's notation: "maxResults", or "tags.1.member.key".
	Path string
	// Rule is what is broken, and Shape where it is stated.
	Rule  Rule
	Shape *Shape
	// Shown is the pattern as the service shows it, for the rule Pattern.
	Shown string
	// Reason is AWS's generic phrase, such as "Member must not be null".
	Reason string
	// Value is what the client sent, shortened; Hidden says that it isn't shown.
	Value  string
	Hidden bool
}

// Generic returns what AWS says of a violation, without the count that stands before it.
func (v *Violation) Generic() string {
	value := "Value '" + v.Value + "'"
	switch {
	case v.Rule == NotNull:
		value = "Value null"
	case v.Hidden:
		value = "Value"
	}
	return value + " at '" + v.Path + "' failed to satisfy constraint: " + v.Reason
}

// error makes the error of one or more violations.
func (s *Style) error(operation string, found []*Violation) *Error {
	return &Error{Code: s.code(operation), Message: s.message(found), Status: http.StatusBadRequest}
}

func (s *Style) code(operation string) string {
	if code, other := s.Codes[operation]; other {
		return code
	}
	if s.Code == "" {
		return "ValidationException"
	}
	return s.Code
}

func (s *Style) message(found []*Violation) string {
	sentences := make([]string, len(found))
	for i, v := range found {
		own := ""
		if s.Sentence != nil {
			own = s.Sentence(v)
		}
		if own != "" && len(found) == 1 {
			return own
		}
		sentences[i] = own
		if own == "" {
			sentences[i] = v.Generic()
		}
	}
	plural := "s"
	if len(found) == 1 {
		plural = ""
	}
	return fmt.Sprintf("%d validation error%s detected: %s", len(found), plural, strings.Join(sentences, "; "))
}

// reason makes AWS's phrase for a broken rule of a scalar or of the length of a list.
func (s *Style) reason(rule Rule, shape *Shape) string {
	switch rule {
	case NotNull:
		return "Member must not be null"
	case MinLength:
		return fmt.Sprintf("Member must have length greater than or equal to %d", *shape.Min)
	case MaxLength:
		return fmt.Sprintf("Member must have length less than or equal to %d", *shape.Max)
	case MinValue:
		return fmt.Sprintf("Member must have value greater than or equal to %d", *shape.Min)
	case MaxValue:
		return fmt.Sprintf("Member must have value less than or equal to %d", *shape.Max)
	case Pattern:
		return "Member must satisfy regular expression pattern: " + s.pattern(shape)
	case Enum:
		return "Member must satisfy enum value set: [" + strings.Join(s.enum(shape), ", ") + "]"
	case Elements:
		return "Member must satisfy constraint: " + s.constraints(shape.Element)
	case Keys:
		return "Map keys must satisfy constraint: " + s.constraints(shape.Key)
	case Values:
		return "Map value must satisfy constraint: " + s.constraints(shape.Value)
	}
	return ""
}

// constraints lists all that a scalar within a list or map must satisfy: AWS doesn't say which part it breaks.
func (s *Style) constraints(shape *Shape) string {
	var rules []string
	add := func(stated bool, rule Rule) {
		if stated {
			rules = append(rules, s.reason(rule, shape))
		}
	}
	number := shape.Kind == Integer || shape.Kind == Double
	add(shape.Max != nil && !number, MaxLength)
	add(shape.Min != nil && !number, MinLength)
	add(shape.Max != nil && number, MaxValue)
	add(shape.Min != nil && number, MinValue)
	add(shape.Pattern != "", Pattern)
	add(len(shape.Enum) > 0, Enum)
	add(len(rules) == 0, NotNull) // nothing else can be wrong with it
	return "[" + strings.Join(rules, ", ") + "]"
}

func (s *Style) pattern(shape *Shape) string {
	if shown, other := s.Patterns[shape.Name]; other {
		return shown
	}
	return shape.Pattern
}

func (s *Style) enum(shape *Shape) []string {
	if shown, other := s.Enums[shape.Name]; other {
		return shown
	}
	return shape.Enum
}
