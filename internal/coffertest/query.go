package coffertest

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// versions are those of the services that speak the query protocol.
var versions = map[string]string{"iam": "2010-05-08", "sts": "2011-06-15"}

// Query calls an operation of IAM or STS. in is a map or structure that JSON can hold, nested as the API has it.
func (s *Server) Query(service, operation string, in any) Response {
	s.t.Helper()
	form := Form(operation, versions[service], in)
	body := []byte(form.Encode())
	r := s.Request(http.MethodPost, "/", bytes.NewReader(body), "Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if s.Credentials.AccessKeyID != "" {
		s.Sign(r, body, service)
	}
	return s.Do(r)
}

// MustQuery calls an operation of IAM or STS that must succeed.
func (s *Server) MustQuery(service, operation string, in any) Response {
	s.t.Helper()
	r := s.Query(service, operation, in)
	if r.Status != http.StatusOK {
		s.t.Fatalf("%s: status %d: %s", operation, r.Status, r.Body)
	}
	return r
}

// Form writes an input as the query protocol has it: Tags.member.1.Key and the like.
func Form(operation, version string, in any) url.Values {
	form := url.Values{"Action": {operation}, "Version": {version}}
	text, err := json.Marshal(in)
	if err != nil {
		panic(err) // Only a test that passes what can't be encoded brings it about.
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		panic(err)
	}
	putForm(form, "", value)
	return form
}

func putForm(form url.Values, name string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			putForm(form, strings.TrimPrefix(name+"."+key, "."), v[key])
		}
	case []any:
		for i, element := range v {
			putForm(form, fmt.Sprintf("%s.member.%d", name, i+1), element)
		}
	case nil:
	case float64:
		form.Set(name, fmt.Sprintf("%.0f", v))
	default:
		form.Set(name, fmt.Sprint(v))
	}
}

// Text is the text of the first XML element of that name in an answer; empty if there is none.
func (r Response) Text(element string) string {
	if all := r.Texts(element); len(all) > 0 {
		return all[0]
	}
	return ""
}

// Texts are the texts of all XML elements of that name in an answer.
func (r Response) Texts(element string) (all []string) {
	for d := xml.NewDecoder(bytes.NewReader(r.Body)); ; {
		token, err := d.Token()
		if err != nil {
			return all
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == element {
			var text string
			if d.DecodeElement(&text, &start) == nil {
				all = append(all, text)
			}
		}
	}
}

// KeyOf are the credentials in the answer to CreateAccessKey, AssumeRole and the like.
func (r Response) KeyOf() Credentials {
	return Credentials{AccessKeyID: r.Text("AccessKeyId"), SecretAccessKey: r.Text("SecretAccessKey"), SessionToken: r.Text("SessionToken")}
}
