package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// table writes the variable Model. The style of its messages is the variable style, which the package defines by hand.
func (w *writer) table(name string) {
	meta := w.model.Metadata
	protocol := map[string]string{"json": "awsapi.JSON11", "query": "awsapi.Query"}[meta.Protocol]
	if protocol == "" {
		w.fail("protocol %q", meta.Protocol)
	}
	w.printf("\n// Model describes the service.\nvar Model = &awsapi.Model{\n")
	w.printf("Name: %q,\nSigningName: %q,\nEndpointPrefix: %q,\n", name, meta.SigningName, meta.EndpointPrefix)
	w.optional("TargetPrefix", meta.TargetPrefix)
	w.printf("Version: %q,\nProtocol: %s,\n", meta.APIVersion, protocol)
	w.optional("XMLNamespace", meta.XMLNamespace)
	w.printf("Style: style,\nOperations: map[string]*awsapi.Operation{\n")
	for _, name := range slices.Sorted(maps.Keys(w.model.Operations)) {
		w.operation(name, w.model.Operations[name])
	}
	w.printf("},\nErrors: map[string]awsapi.ErrorShape{\n")
	for _, name := range w.model.errors() {
		w.printf("%q: {Code: %s, Status: %d},\n", name, codeName(name), w.model.status(name))
	}
	w.printf("},\n}\n")
}

func (w *writer) optional(field, value string) {
	if value != "" {
		w.printf("%s: %q,\n", field, value)
	}
}

func (w *writer) operation(name string, op operation) {
	w.printf("%q: {\nName: %q,\n", name, name)
	if op.Input != "" {
		w.printf("Input: %s,\n", tableName(op.Input))
	}
	if op.Output != "" {
		w.printf("Output: %s,\n", tableName(op.Output))
	}
	w.optional("ResultWrapper", op.ResultWrapper)
	if op.AuthType == "none" {
		w.printf("Unsigned: true,\n")
	}
	w.printf("Errors: %s,\n},\n", texts(op.Errors))
}

// texts writes a slice of strings.
func texts(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = fmt.Sprintf("%q", s)
	}
	return "[]string{" + strings.Join(quoted, ", ") + "}"
}

func (w *writer) shapes(names []string) {
	w.printf("\nvar (\n")
	for _, name := range names {
		w.declare(tableName(name))
		w.shape(name, w.model.Shapes[name])
	}
	w.printf(")\n")
}

var kinds = map[string]string{
	"structure": "Structure", "list": "List", "map": "Map", "string": "String", "blob": "Blob", "boolean": "Boolean",
	"integer": "Integer", "long": "Integer", "double": "Double", "float": "Double", "timestamp": "Timestamp",
}

func (w *writer) shape(name string, s *shape) {
	w.printf("%s = &awsapi.Shape{\nName: %q, Kind: awsapi.%s,", tableName(name), name, kinds[s.Type])
	if s.Min != nil {
		w.printf(" Min: awsapi.Bound(%d),", *s.Min)
	}
	if s.Max != nil {
		w.printf(" Max: awsapi.Bound(%d),", *s.Max)
	}
	if s.Pattern != "" {
		w.printf(" Pattern: %s,", patternText(s.Pattern))
	}
	if len(s.Enum) > 0 {
		w.printf(" Enum: %s,", texts(s.Enum))
	}
	if s.Sensitive {
		w.printf(" Sensitive: true,")
	}
	w.parts(s)
	w.printf("\n}\n")
}

// patternText quotes a pattern so that it can be read.
func patternText(pattern string) string {
	if strings.Contains(pattern, "`") {
		return fmt.Sprintf("%q", pattern)
	}
	return "`" + pattern + "`"
}

func (w *writer) parts(s *shape) {
	switch s.Type {
	case "list":
		element := s.Member.LocationName
		if element == "" {
			element = "member"
		}
		w.printf(" Element: %s, ElementName: %q,", tableName(s.Member.Shape), element)
		if s.Flattened {
			w.printf(" Flattened: true,")
		}
	case "map":
		w.printf(" Key: %s, Value: %s,", tableName(s.Key.Shape), tableName(s.Value.Shape))
	case "structure":
		w.structure(s)
	}
}

func (w *writer) structure(s *shape) {
	if len(s.Members) == 0 {
		return
	}
	w.printf("\nMembers: []awsapi.Member{\n")
	for _, m := range s.Members {
		if m.Ref.LocationName != "" || m.Ref.Flattened {
			w.fail("member %s has a name or form of its own on the wire, which is not supported", m.Name)
		}
		required := ""
		if slices.Contains(s.Required, m.Name) {
			required = ", Required: true"
		}
		w.printf("{Name: %q, Shape: %s%s},\n", m.Name, tableName(m.Ref.Shape), required)
	}
	w.printf("},")
}
