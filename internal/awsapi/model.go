// Package awsapi speaks the wire protocols of AWS services: awsJson and awsQuery. It decodes and validates requests by a
// model of the service, in AWS's own sentences, encodes answers and errors, and dispatches requests to operations, which
// are values of type Op.
//
// Every request that reaches an operation fits the model: members have their types, required ones are there, and lengths,
// ranges, patterns and enumerations hold. Names are matched exactly and an object with two members of the same name is
// refused, so what was validated is what the operation sees. Members that the model lacks are ignored, as AWS does.
//
// What a service does is the business of the packages under service. The models and the types of their shapes are in the
// packages below this one; they are generated from the folder api.
package awsapi

import (
	"regexp"
	"strings"
	"sync"
)

// Protocol is how calls of a service are written.
type Protocol uint8

// The protocols.
const (
	JSON11 Protocol = iota // awsJson 1.1
	Query                  // awsQuery
)

// Model describes an AWS service. Models are generated and never change.
type Model struct {
	// Name is how SDKs call the service, such as "ecr".
	Name string
	// SigningName is the service in the scope of a signature.
	SigningName string
	// EndpointPrefix begins the host names of the service at AWS.
	EndpointPrefix string
	// TargetPrefix stands before the operation in X-Amz-Target; empty for the query protocol.
	TargetPrefix string
	// Version is the date of the API, such as "2015-09-21".
	Version string
	// Protocol is how calls are written.
	Protocol Protocol
	// XMLNamespace is that of answers in the query protocol.
	XMLNamespace string
	// Style is how the service words what is wrong with a request.
	Style *Style
	// Operations are those that the service has at AWS, by name; not all of them need be served.
	Operations map[string]*Operation
	// Errors are those that the operations declare, by the names of their shapes.
	Errors map[string]ErrorShape
}

// Operation is one operation of a service.
type Operation struct {
	Name string
	// Input and Output are structures; nil if the operation has none.
	Input, Output *Shape
	// ResultWrapper is the element around the output in the query protocol.
	ResultWrapper string
	// Unsigned says that the operation takes no signature.
	Unsigned bool
	// Errors are the names of the shapes of the declared errors.
	Errors []string
}

// ErrorShape is an error that operations declare.
type ErrorShape struct {
	// Code is what the client is told: in the query protocol it can differ from the name of the shape.
	Code string
	// Status is the HTTP status.
	Status int
}

// Kind is the type of a shape.
type Kind uint8

// The kinds of shapes.
const (
	Structure Kind = iota + 1
	List
	Map
	String
	Blob
	Boolean
	Integer // of up to 64 bits
	Double
	Timestamp
)

// Shape is the type of a value, with its constraints. It must not be copied.
type Shape struct {
	Name string
	Kind Kind
	// Min and Max bound the value of a number, the characters of a string, the bytes of a blob, and the elements of a list
	// or map; nil for no bound.
	Min, Max *int64
	// Pattern is a regular expression in Java's syntax that the whole of a string must match; empty for none.
	Pattern string
	// Enum are the values that a string may have; empty for any.
	Enum []string
	// Sensitive says that the value must not appear in messages.
	Sensitive bool
	// Members are those of a structure, in the order of the model.
	Members []Member
	// Element is the shape of a list's elements, ElementName the name of their XML elements, and Flattened says that the
	// list has no XML element of its own.
	Element     *Shape
	ElementName string
	Flattened   bool
	// Key and Value are the shapes of a map's entries.
	Key, Value *Shape

	compile sync.Once
	pattern *regexp.Regexp
}

// Member is a member of a structure.
type Member struct {
	// Name is what it is called on the wire.
	Name     string
	Shape    *Shape
	Required bool
}

// Bound returns a bound of a shape.
func Bound(n int64) *int64 { return &n }

// Matches reports whether the whole of text matches the pattern. A pattern that can't be understood matches nothing.
func (s *Shape) Matches(text []byte) bool {
	s.compile.Do(func() {
		// An invalid pattern leaves nil behind.
		s.pattern, _ = compilePattern(s.Pattern)
	})
	return s.pattern != nil && s.pattern.Match(text)
}

// javaEscape is what Java writes as \u0000; patterns in models mean \u10000-\u10FFFF as the code points beyond 16 bits,
// which Java's syntax doesn't.
var javaEscape = regexp.MustCompile(`\\u([0-9A-Fa-f]{4})`)

// compilePattern translates a pattern from Java's syntax, anchored at both ends. It works in linear time whatever the
// pattern and the text are.
func compilePattern(pattern string) (*regexp.Regexp, error) {
	pattern = strings.ReplaceAll(pattern, `\u10000-\u10FFFF`, `\x{10000}-\x{10FFFF}`)
	pattern = javaEscape.ReplaceAllString(pattern, `\x{$1}`)
	// Expressions in linear time have no look-ahead. The only one in the models is that no hyphen follows a hyphen, which
	// this says too, but for the length, which has bounds of its own.
	pattern = strings.ReplaceAll(pattern, `([a-z0-9]|-(?!-)){1,61}[a-z0-9]`, `(-?[a-z0-9])+`)
	return regexp.Compile(`\A(?:` + pattern + `)\z`)
}

// member returns the position of the member with that name, and -1 if there is none.
func (s *Shape) member(name string) int {
	for i := range s.Members {
		if s.Members[i].Name == name {
			return i
		}
	}
	return -1
}
