package policy

import (
	"bytes"
	"encoding/json"
	"slices"
)

// RewritePrincipals replaces the "AWS" entries of Principal and NotPrincipal for which rewrite has another text, and leaves
// every other byte of the document as it is. It is for storing users and roles by their unique ids and showing them by
// their ARNs: what rewrite does not know stays, so that the id of one who is gone shows.
//
// Elements of a shape that no document may have are left alone. The result shares no memory with the document. The error
// is a *MalformedError for a text that is no JSON, or larger than MaxDocument.
func RewritePrincipals(document []byte, rewrite func(principal string) (string, bool)) ([]byte, error) {
	if _, err := parse(document); err != nil {
		return nil, err
	}
	var out []byte
	done := 0
	for _, entry := range principalSpans(document) {
		old := unquote(entry.in(document))
		text, ok := rewrite(old)
		if !ok || text == old {
			continue
		}
		out = append(append(out, document[done:entry.start]...), plainJSON(text)...)
		done = entry.end
	}
	return append(out, document[done:]...), nil
}

// principalSpans returns the strings of the "AWS" entries of all statements.
func principalSpans(document []byte) (out []span) {
	for _, statement := range statementSpans(document) {
		for name, principal := range members(document, statement) {
			if name != "Principal" && name != "NotPrincipal" {
				continue
			}
			for key, value := range members(document, principal) {
				if key == "AWS" {
					out = append(append(out, value), slices.Collect(items(document, value))...)
				}
			}
		}
	}
	return slices.DeleteFunc(out, func(s span) bool { return document[s.start] != '"' })
}

// plainJSON encodes a value without the escapes that only HTML needs. The value has to have an encoding.
func plainJSON(value any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(value)
	return bytes.TrimRight(b.Bytes(), "\n")
}
