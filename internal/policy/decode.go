package policy

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/coffer-registry/coffer/internal/strictjson"
)

// MaxDocument is the greatest size in bytes of a document that is read at all; KMS's model has the largest bound of all
// kinds. What may be saved is bounded more narrowly, by the quotas of whoever saves it.
const MaxDocument = 131_072

// maxDepth is that of a value in an array in a condition: document, statements, statement, condition, operator, values.
const maxDepth = 6

const (
	version2008 = "2008-10-17"
	version2012 = "2012-10-17"

	effectAllow = "Allow"
	effectDeny  = "Deny"
)

// document is what a text says, whose shape is right.
type document struct {
	version    string // empty if absent
	statements []rawStatement
}

type rawStatement struct {
	sid                     string
	effect                  string
	principal, notPrincipal *rawPrincipal // nil if absent
	actions, notActions     elements
	resources, notResources elements
	conditions              []rawCondition
}

// rawPrincipal is "*" or a map of lists.
type rawPrincipal struct {
	everyone bool
	entries  []rawEntry
}

type rawEntry struct{ key, value string }

// elements is a list that may also be a single text.
type elements struct {
	present bool
	values  []string
}

type rawCondition struct {
	operator, key string // the key in lower case
	spelled       string // the key as it is written
	values        []string
}

// syntaxError says that a document does not have the shape of a policy.
func syntaxError(format string, args ...any) *MalformedError {
	return &MalformedError{Message: textSyntax, Detail: fmt.Sprintf(format, args...)}
}

// parse reads a text that must be JSON, and no larger or deeper than a document may be. The error is a *MalformedError.
func parse(text []byte) (strictjson.Value, error) {
	if len(text) > MaxDocument {
		return strictjson.Value{}, syntaxError("the document has %d bytes", len(text))
	}
	v, err := strictjson.Parse(text, maxDepth)
	if err != nil {
		// What is too deep, or has a name twice, is JSON all the same.
		return v, &MalformedError{Message: textSyntax, Detail: err.Error(), notJSON: !json.Valid(text)}
	}
	return v, nil
}

// decode reads a document. The error is a *MalformedError.
func decode(text []byte) (*document, error) {
	v, err := parse(text)
	if err != nil {
		return nil, err
	}
	if i := strings.IndexFunc(string(text), func(r rune) bool { return r > 0xff }); i >= 0 {
		return nil, syntaxError("the character at byte %d is not allowed", i)
	}
	d, err := decodeDocument(v)
	if err != nil {
		return nil, err
	}
	return d, nil
}

func decodeDocument(v strictjson.Value) (*document, error) {
	if v.Kind() != strictjson.Object {
		return nil, syntaxError("the document is no object")
	}
	d := &document{}
	var statements strictjson.Value
	for name, member := range v.Members() {
		switch name {
		case "Version":
			d.version = member.String()
			if member.Kind() != strictjson.String || d.version == "" {
				return nil, syntaxError("Version is no text")
			}
		case "Id": // without a meaning; documentation has it for resource policies only, IAM takes it everywhere
			if member.Kind() != strictjson.String {
				return nil, syntaxError("Id is no text")
			}
		case "Statement":
			statements = member
		default:
			return nil, syntaxError("unknown element %q", name)
		}
	}
	if err := d.decodeStatements(statements); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *document) decodeStatements(v strictjson.Value) error {
	add := func(v strictjson.Value) error {
		s, err := decodeStatement(v)
		if err != nil {
			err.Detail = fmt.Sprintf("statement %d: %s", len(d.statements)+1, err.Detail)
			return err
		}
		d.statements = append(d.statements, s)
		return nil
	}
	switch v.Kind() {
	case strictjson.Object:
		return add(v)
	case strictjson.Array:
		for _, item := range v.Items() {
			if err := add(item); err != nil {
				return err
			}
		}
	}
	if len(d.statements) == 0 {
		return syntaxError("there is no statement")
	}
	return nil
}

func decodeStatement(v strictjson.Value) (s rawStatement, err *MalformedError) {
	if v.Kind() != strictjson.Object {
		return s, syntaxError("it is no object")
	}
	for name, member := range v.Members() {
		if err := s.decodeElement(name, member); err != nil {
			return s, err
		}
	}
	switch {
	case s.effect != effectAllow && s.effect != effectDeny:
		return s, syntaxError("Effect is neither Allow nor Deny")
	case s.principal != nil && s.notPrincipal != nil:
		return s, syntaxError("both Principal and NotPrincipal")
	case s.actions.present && s.notActions.present:
		return s, syntaxError("both Action and NotAction")
	case s.resources.present && s.notResources.present:
		return s, syntaxError("both Resource and NotResource")
	}
	return s, nil
}

func (s *rawStatement) decodeElement(name string, v strictjson.Value) (err *MalformedError) {
	switch name {
	case "Sid":
		s.sid, err = decodeText(name, v)
	case "Effect":
		s.effect, err = decodeText(name, v)
	case "Principal":
		s.principal, err = decodePrincipal(name, v)
	case "NotPrincipal":
		s.notPrincipal, err = decodePrincipal(name, v)
	case "Action":
		s.actions, err = decodeElements(name, v)
	case "NotAction":
		s.notActions, err = decodeElements(name, v)
	case "Resource":
		s.resources, err = decodeElements(name, v)
	case "NotResource":
		s.notResources, err = decodeElements(name, v)
	case "Condition":
		s.conditions, err = decodeConditions(v)
	default:
		err = syntaxError("unknown element %q", name)
	}
	return err
}

func decodeText(name string, v strictjson.Value) (string, *MalformedError) {
	if v.Kind() != strictjson.String {
		return "", syntaxError("%s is no text", name)
	}
	return v.String(), nil
}

func decodeElements(name string, v strictjson.Value) (e elements, err *MalformedError) {
	e.present = true
	switch v.Kind() {
	case strictjson.String:
		e.values = []string{v.String()}
		return e, nil
	case strictjson.Array:
		for _, item := range v.Items() {
			if item.Kind() != strictjson.String {
				return e, syntaxError("%s has an element that is no text", name)
			}
			e.values = append(e.values, item.String())
		}
		return e, nil
	}
	return e, syntaxError("%s is neither a text nor a list", name)
}

func decodePrincipal(name string, v strictjson.Value) (*rawPrincipal, *MalformedError) {
	if v.Kind() == strictjson.String && v.String() == "*" {
		return &rawPrincipal{everyone: true}, nil
	}
	if v.Kind() != strictjson.Object {
		return nil, syntaxError("%s is neither * nor an object", name)
	}
	p := &rawPrincipal{}
	for key, member := range v.Members() {
		switch key {
		case "AWS", "Service", "Federated", "CanonicalUser":
		default:
			return nil, syntaxError("%s has the unknown key %q", name, key)
		}
		list, err := decodeElements(name, member)
		if err != nil {
			return nil, err
		}
		for _, value := range list.values {
			p.entries = append(p.entries, rawEntry{key, value})
		}
	}
	if len(p.entries) == 0 {
		return nil, syntaxError("%s is empty", name)
	}
	return p, nil
}

func decodeConditions(v strictjson.Value) (out []rawCondition, err *MalformedError) {
	if v.Kind() != strictjson.Object {
		return nil, syntaxError("Condition is no object")
	}
	for operator, keys := range v.Members() {
		if keys.Kind() != strictjson.Object {
			return nil, syntaxError("condition %s is no object", operator)
		}
		for key, values := range keys.Members() {
			c := rawCondition{operator: operator, key: strings.ToLower(key), spelled: key}
			if c.values, err = decodeValues(operator, values); err != nil {
				return nil, err
			}
			out = append(out, c)
		}
	}
	return out, nil
}

// decodeValues reads the values of a condition, which may be numbers and booleans without quotes.
func decodeValues(operator string, v strictjson.Value) (out []string, err *MalformedError) {
	add := func(v strictjson.Value) bool {
		switch v.Kind() {
		case strictjson.String, strictjson.Number, strictjson.Bool:
			out = append(out, v.String())
			return true
		}
		return false
	}
	if v.Kind() != strictjson.Array {
		if !add(v) {
			return nil, syntaxError("condition %s has a value that is no text", operator)
		}
		return out, nil
	}
	for _, item := range v.Items() {
		if !add(item) {
			return nil, syntaxError("condition %s has a value that is no text", operator)
		}
	}
	return out, nil
}
