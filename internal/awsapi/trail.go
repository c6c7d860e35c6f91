package awsapi

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// trailWriter returns how the trail shows inputs and outputs of an operation: with names that begin with small letters, as
// those of some services' models do and those of others don't. Keys of maps are the client's and stay as they are. An empty
// input or output is nil.
func trailWriter(op *Operation) func(v any) (json.RawMessage, error) {
	small := op.Input.hasSmallNames() && op.Output.hasSmallNames()
	return func(v any) (json.RawMessage, error) {
		if !small {
			v = trailValue(reflect.ValueOf(v))
		}
		text, err := json.Marshal(v)
		if s := string(text); s == "{}" || s == "null" {
			return nil, err
		}
		return text, err
	}
}

// hasSmallNames reports whether the names of a structure's members begin with small letters.
func (s *Shape) hasSmallNames() bool {
	return s == nil || !slices.ContainsFunc(s.Members, func(m Member) bool { return m.Name != lowerFirst(m.Name) })
}

func trailValue(v reflect.Value) any {
	if !v.IsValid() {
		return nil
	}
	switch v.Interface().(type) {
	case json.Marshaler, encoding.TextMarshaler, []byte:
		return v.Interface()
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return trailValue(v.Elem())
	case reflect.Struct:
		return trailStruct(v)
	case reflect.Slice:
		all := make([]any, v.Len())
		for i := range all {
			all[i] = trailValue(v.Index(i))
		}
		return all
	case reflect.Map:
		all := make(map[string]any, v.Len())
		for key, value := range v.Seq2() {
			all[key.String()] = trailValue(value)
		}
		return all
	}
	return v.Interface()
}

func trailStruct(v reflect.Value) map[string]any {
	all := map[string]any{}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "-" || strings.Contains(options, "omit") && v.Field(i).IsZero() {
			continue
		}
		if name == "" {
			name = field.Name
		}
		all[lowerFirst(name)] = trailValue(v.Field(i))
	}
	return all
}

func lowerFirst(name string) string {
	first, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToLower(first)) + name[size:]
}
