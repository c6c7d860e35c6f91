package awsapi

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
)

// WriteQuery answers an awsQuery call: out is a pointer to the struct of the operation's output, or nil for an empty one.
// Lists that the model requires are written even when they are nil, because clients look into them without asking.
func WriteQuery(w http.ResponseWriter, m *Model, op *Operation, requestID string, out any) {
	x := xmlWriter{}
	x.open(op.Name+"Response", m.XMLNamespace)
	if op.Output != nil {
		wrapper := op.ResultWrapper
		if wrapper == "" {
			wrapper = op.Name + "Result"
		}
		x.open(wrapper, "")
		if v := reflect.ValueOf(out); v.IsValid() && !(v.Kind() == reflect.Pointer && v.IsNil()) {
			x.members(op.Output, reflect.Indirect(v))
		}
		x.close(wrapper)
	}
	x.open("ResponseMetadata", "")
	x.element("RequestId", requestID)
	x.close("ResponseMetadata")
	x.close(op.Name + "Response")
	writeXML(w, requestID, http.StatusOK, x.Bytes())
}

// WriteQueryError answers an awsQuery call that failed. The model may be one without a namespace, for a call whose service
// is unknown.
func WriteQueryError(w http.ResponseWriter, m *Model, requestID string, err *Error) {
	who := "Sender"
	if err.status() >= http.StatusInternalServerError {
		who = "Receiver"
	}
	x := xmlWriter{}
	x.open("ErrorResponse", m.XMLNamespace)
	x.open("Error", "")
	x.element("Type", who)
	x.element("Code", err.Code)
	if err.Message != "" {
		x.element("Message", err.Message)
	}
	x.close("Error")
	x.element("RequestId", requestID)
	x.close("ErrorResponse")
	writeXML(w, requestID, err.status(), x.Bytes())
}

// writeXML sends an answer. The services of this protocol give out credentials, which no cache may keep.
func writeXML(w http.ResponseWriter, requestID string, status int, body []byte) {
	w.Header().Set("Cache-Control", "no-store")
	writeBody(w, requestID, "text/xml", status, body)
}

// xmlWriter writes values as XML by their shapes.
type xmlWriter struct{ bytes.Buffer }

func (x *xmlWriter) open(name, namespace string) {
	x.WriteByte('<')
	x.WriteString(name)
	if namespace != "" {
		x.WriteString(` xmlns="`)
		x.text(namespace)
		x.WriteByte('"')
	}
	x.WriteByte('>')
}

func (x *xmlWriter) close(name string) {
	x.WriteString("</")
	x.WriteString(name)
	x.WriteByte('>')
}

func (x *xmlWriter) element(name, text string) {
	x.open(name, "")
	x.text(text)
	x.close(name)
}

// text writes characters; those that XML can't hold become U+FFFD.
func (x *xmlWriter) text(text string) {
	// Writing to a buffer doesn't fail.
	_ = xml.EscapeText(x, []byte(text))
}

// members writes the members of a structure that are there, in the order of the model.
func (x *xmlWriter) members(s *Shape, v reflect.Value) {
	names := fieldNames(v.Type())
	for _, member := range s.Members {
		i := slices.Index(names, member.Name)
		if i < 0 || x.absent(member, v.Field(i)) {
			continue
		}
		x.value(member.Name, member.Shape, v.Field(i))
	}
}

func (x *xmlWriter) absent(member Member, v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return v.IsNil()
	case reflect.Slice, reflect.Map:
		return v.IsNil() && !member.Required
	case reflect.String:
		return v.Len() == 0 && !member.Required
	}
	return false
}

func (x *xmlWriter) value(name string, s *Shape, v reflect.Value) {
	v = reflect.Indirect(v)
	switch s.Kind {
	case Structure:
		x.open(name, "")
		x.members(s, v)
		x.close(name)
	case List:
		x.list(name, s, v)
	case Map:
		x.entries(name, s, v)
	default:
		x.element(name, scalarText(v))
	}
}

func (x *xmlWriter) list(name string, s *Shape, v reflect.Value) {
	if s.Flattened {
		for i := range v.Len() {
			x.value(name, s.Element, v.Index(i))
		}
		return
	}
	if v.Len() == 0 {
		x.WriteString("<" + name + "/>")
		return
	}
	x.open(name, "")
	for i := range v.Len() {
		x.value(s.ElementName, s.Element, v.Index(i))
	}
	x.close(name)
}

func (x *xmlWriter) entries(name string, s *Shape, v reflect.Value) {
	entry := name
	if !s.Flattened {
		x.open(name, "")
		defer x.close(name)
		entry = "entry"
	}
	values := map[string]reflect.Value{}
	for k, e := range v.Seq2() {
		values[k.String()] = e
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		x.open(entry, "")
		x.element("key", key)
		x.value("value", s.Value, values[key])
		x.close(entry)
	}
}

// scalarText writes a scalar as XML has it.
func scalarText(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case Time:
		return value.String()
	case []byte:
		return base64.StdEncoding.EncodeToString(value)
	case string:
		return value
	case bool:
		return strconv.FormatBool(value)
	case int64:
		return strconv.FormatInt(value, 10)
	}
	return fmt.Sprint(v)
}
