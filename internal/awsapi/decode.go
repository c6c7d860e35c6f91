package awsapi

import (
	"encoding/base64"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/coffer-registry/coffer/internal/strictjson"
)

// decode stores a JSON value in *into, which is a generated struct: every field has a name on the wire. Names must match
// exactly, null is absence, and what the struct lacks is ignored. The error is about the first value of a wrong type.
//
// encoding/json would match names in any letter case, so that it could take another member than the one that is validated.
func decode(v strictjson.Value, into any) *typeError {
	d := decoder{names: map[reflect.Type][]string{}}
	return d.value(v, reflect.ValueOf(into).Elem())
}

// typeError says that a value has the wrong type.
type typeError struct {
	path   string // empty for the input itself
	wanted string
}

func (e *typeError) message() string {
	return "'" + shorten(e.path) + "' must be " + e.wanted
}

// within adds an outer part of the path.
func (e *typeError) within(name string) *typeError {
	if e == nil {
		return nil
	}
	if e.path != "" {
		name += "." + e.path
	}
	return &typeError{path: name, wanted: e.wanted}
}

// decoder knows the names of the fields of the structs that it has met.
type decoder struct {
	names map[reflect.Type][]string
}

var (
	timeType = reflect.TypeFor[Time]()
	blobType = reflect.TypeFor[[]byte]()
)

func (d *decoder) value(v strictjson.Value, to reflect.Value) *typeError {
	if v.Kind() == strictjson.Null {
		return nil
	}
	switch to.Type() {
	case timeType:
		return decodeTime(v, to)
	case blobType:
		return decodeBlob(v, to)
	}
	switch to.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(to.Type().Elem()))
		return d.value(v, to.Elem())
	case reflect.Struct:
		return d.structure(v, to)
	case reflect.Slice:
		return d.list(v, to)
	case reflect.Map:
		return d.entries(v, to)
	}
	return decodeScalar(v, to)
}

func (d *decoder) structure(v strictjson.Value, to reflect.Value) *typeError {
	if v.Kind() != strictjson.Object {
		return &typeError{wanted: "a structure"}
	}
	names := d.fields(to.Type())
	for name, member := range v.Members() {
		for i := range names {
			if names[i] != name {
				continue
			}
			if err := d.value(member, to.Field(i)); err != nil {
				return err.within(name)
			}
		}
	}
	return nil
}

func (d *decoder) fields(t reflect.Type) []string {
	names, known := d.names[t]
	if !known {
		names = fieldNames(t)
		d.names[t] = names
	}
	return names
}

// fieldNames returns the names on the wire of a struct's fields, by position.
func fieldNames(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	return names
}

func (d *decoder) list(v strictjson.Value, to reflect.Value) *typeError {
	if v.Kind() != strictjson.Array {
		return &typeError{wanted: "a list"}
	}
	n := v.Len()
	to.Set(reflect.MakeSlice(to.Type(), n, n))
	for i, e := range v.Items() {
		if err := d.value(e, to.Index(i)); err != nil {
			return err.within(strconv.Itoa(i+1) + ".member")
		}
	}
	return nil
}

func (d *decoder) entries(v strictjson.Value, to reflect.Value) *typeError {
	if v.Kind() != strictjson.Object {
		return &typeError{wanted: "a map"}
	}
	to.Set(reflect.MakeMap(to.Type()))
	for name, e := range v.Members() {
		entry := reflect.New(to.Type().Elem()).Elem()
		if err := d.value(e, entry); err != nil {
			return err.within(name)
		}
		to.SetMapIndex(reflect.ValueOf(name), entry)
	}
	return nil
}

func decodeScalar(v strictjson.Value, to reflect.Value) *typeError {
	switch to.Kind() {
	case reflect.String:
		if v.Kind() != strictjson.String {
			return &typeError{wanted: "a string"}
		}
		to.SetString(v.String())
	case reflect.Bool:
		if v.Kind() != strictjson.Bool {
			return &typeError{wanted: "a boolean"}
		}
		to.SetBool(v.Bool())
	case reflect.Int64:
		n, err := strconv.ParseInt(v.Number(), 10, 64)
		if err != nil {
			return &typeError{wanted: "an integer"}
		}
		to.SetInt(n)
	case reflect.Float64:
		f, ok := decodeFloat(v)
		if !ok {
			return &typeError{wanted: "a number"}
		}
		to.SetFloat(f)
	default:
		return &typeError{wanted: "of a type that is supported"}
	}
	return nil
}

// decodeFloat reads a number, or one of the strings that stand for what JSON has no number for.
func decodeFloat(v strictjson.Value) (float64, bool) {
	if v.Kind() == strictjson.String {
		switch v.String() {
		case "NaN":
			return math.NaN(), true
		case "Infinity":
			return math.Inf(1), true
		case "-Infinity":
			return math.Inf(-1), true
		}
		return 0, false
	}
	f, err := strconv.ParseFloat(v.Number(), 64)
	return f, err == nil
}

func decodeTime(v strictjson.Value, to reflect.Value) *typeError {
	var t Time
	var err error
	switch v.Kind() {
	case strictjson.Number:
		err = t.parseSeconds(v.Number())
	case strictjson.String:
		err = t.parseISO(v.String())
	default:
		err = errTime
	}
	if err != nil {
		return &typeError{wanted: "a timestamp"}
	}
	to.Set(reflect.ValueOf(t))
	return nil
}

func decodeBlob(v strictjson.Value, to reflect.Value) *typeError {
	text := v.Bytes()
	blob := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(blob, text)
	if v.Kind() != strictjson.String || err != nil {
		return &typeError{wanted: "a blob in base64"}
	}
	to.SetBytes(blob[:n])
	return nil
}
