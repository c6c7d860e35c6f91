package awsapi

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/coffer-registry/coffer/internal/strictjson"
)

// DecodeQuery decodes the parameters of an awsQuery request into the struct of the operation's input, and validates it.
// Parameters that the input lacks, such as Action and Version, are ignored. The error is an *Error: MalformedInput for
// values of wrong types or parameters that are given twice, and that of the model's style for what breaks the model.
//
// Lists may have gaps in their numbers and begin anywhere; an empty list is written as its bare name without a value.
func DecodeQuery(m *Model, op *Operation, form url.Values, into any) error {
	if op.Input == nil {
		return nil
	}
	text, failure := formToJSON(op.Input, form)
	if failure != nil {
		return failure
	}
	in, err := strictjson.Parse(text, maxDepth)
	if err != nil {
		return malformedInput("the parameters are ambiguous or nested too deeply")
	}
	return decodeInput(m, op, in, into, malformedInput)
}

// formToJSON writes the input that a form means as the JSON text that means the same, so that one decoder and one
// validator serve both protocols.
func formToJSON(s *Shape, form url.Values) ([]byte, *Error) {
	f := formReader{form: form, names: make([]string, 0, len(form))}
	for name := range form {
		f.names = append(f.names, name)
	}
	slices.Sort(f.names)
	if f.structure(s, ""); f.failure != nil {
		return nil, f.failure
	}
	return f.out, nil
}

// formReader finds values in a form by the shapes of an input, and writes them to out. The first failure stays.
type formReader struct {
	form    url.Values
	names   []string // of the parameters, sorted
	out     []byte
	failure *Error
}

// below returns the names of the parameters that begin with a prefix.
func (f *formReader) below(prefix string) []string {
	from, _ := slices.BinarySearch(f.names, prefix)
	n, _ := slices.BinarySearchFunc(f.names[from:], prefix, func(name, prefix string) int {
		if strings.HasPrefix(name, prefix) {
			return -1
		}
		return 1
	})
	return f.names[from : from+n]
}

func (f *formReader) fail(name, problem string) {
	if f.failure == nil {
		f.failure = malformedInput("'" + shorten(name) + "' " + problem)
	}
}

// structure writes the members that the form has below a prefix, which is empty or ends in a dot.
func (f *formReader) structure(s *Shape, prefix string) {
	f.out = append(f.out, '{')
	empty := len(f.out)
	for _, member := range s.Members {
		name := prefix + member.Name
		if !f.has(name) {
			continue
		}
		if len(f.out) > empty {
			f.out = append(f.out, ',')
		}
		f.text(member.Name)
		f.out = append(f.out, ':')
		f.value(member.Shape, name)
	}
	f.out = append(f.out, '}')
}

// has reports whether the form has a parameter of that name or below it.
func (f *formReader) has(name string) bool {
	if _, itself := f.form[name]; itself {
		return true
	}
	return len(f.below(name+".")) > 0
}

func (f *formReader) value(s *Shape, name string) {
	switch s.Kind {
	case Structure:
		f.structure(s, name+".")
	case List:
		f.list(s, name)
	case Map:
		f.entries(s, name)
	default:
		f.scalar(s, name)
	}
}

func (f *formReader) list(s *Shape, name string) {
	prefix := name + "."
	if !s.Flattened {
		prefix += s.ElementName + "."
	}
	if f.single(name) != "" {
		f.fail(name, "must be a list")
	}
	f.out = append(f.out, '[')
	for i, element := range f.numbers(prefix) {
		if i > 0 {
			f.out = append(f.out, ',')
		}
		f.value(s.Element, element)
	}
	f.out = append(f.out, ']')
}

// entries writes a map, whose entries have the names 1.key and 1.value. Maps with keys of their own in the model are not
// supported, as no service has any.
func (f *formReader) entries(s *Shape, name string) {
	prefix := name + "."
	if !s.Flattened {
		prefix += "entry."
	}
	f.out = append(f.out, '{')
	for i, entry := range f.numbers(prefix) {
		if i > 0 {
			f.out = append(f.out, ',')
		}
		f.text(f.single(entry + ".key"))
		f.out = append(f.out, ':')
		f.value(s.Value, entry+".value")
	}
	f.out = append(f.out, '}')
}

// numbers returns the names of the numbered parameters directly below a prefix, in the order of their numbers.
func (f *formReader) numbers(prefix string) []string {
	var found []int
	for _, name := range f.below(prefix) {
		digits, _, _ := strings.Cut(name[len(prefix):], ".")
		n, err := strconv.Atoi(digits)
		if err != nil || n < 0 || strconv.Itoa(n) != digits {
			f.fail(name, "has no number where one should be")
			return nil
		}
		if len(found) == 0 || found[len(found)-1] != n {
			found = append(found, n)
		}
	}
	slices.Sort(found)
	names := make([]string, 0, len(found))
	for _, n := range slices.Compact(found) {
		names = append(names, prefix+strconv.Itoa(n))
	}
	return names
}

// single returns the value of a parameter, which must be there at most once.
func (f *formReader) single(name string) string {
	values := f.form[name]
	if len(values) > 1 {
		f.fail(name, "is given more than once")
	}
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func (f *formReader) scalar(s *Shape, name string) {
	text := f.single(name)
	switch s.Kind {
	case Boolean:
		if text != "true" && text != "false" {
			f.fail(name, "must be a boolean")
		}
		f.out = append(f.out, text...)
	case Integer:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			f.fail(name, "must be an integer")
		}
		f.out = strconv.AppendInt(f.out, n, 10)
	case Double:
		f.double(name, text)
	default:
		f.text(text)
	}
}

func (f *formReader) double(name, text string) {
	switch text {
	case "NaN", "Infinity", "-Infinity":
		f.text(text)
		return
	}
	n, err := strconv.ParseFloat(text, 64)
	number, failed := json.Marshal(n)
	if err != nil || failed != nil {
		f.fail(name, "must be a number")
	}
	f.out = append(f.out, number...)
}

// text writes a string.
func (f *formReader) text(text string) {
	if !utf8.ValidString(text) && f.failure == nil {
		f.failure = malformedInput("a parameter is not valid UTF-8")
	}
	// A string always has a form in JSON.
	quoted, _ := json.Marshal(text)
	f.out = append(f.out, quoted...)
}
