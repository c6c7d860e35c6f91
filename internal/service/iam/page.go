package iam

import (
	"encoding/base64"
	"encoding/json"

	"github.com/coffer-registry/coffer/internal/iam"
)

// defaultItems is how many entries a list answers at once unless the client says otherwise; the model allows 1,000.
const defaultItems = 100

// maxMarker bounds the length of a marker.
const maxMarker = 2 << 10

// marker is what a Marker holds: the list that it belongs to, and the entry after which the list goes on.
type marker struct {
	List  string   `json:"l"`
	After []string `json:"a"`
}

// paging reads the Marker and the MaxItems of a list: the keys of the entry after which it goes on, nil for the beginning,
// and how many entries to answer. A list that is filtered has the filter in its name, so that no marker goes on elsewhere.
func paging(list, mark string, maxItems *int64) (after []string, n int, err error) {
	n = defaultItems
	if maxItems != nil {
		n = int(*maxItems)
	}
	if mark == "" {
		return nil, n, nil
	}
	var m marker
	text, err := base64.RawURLEncoding.DecodeString(mark)
	if len(mark) > maxMarker || err != nil || json.Unmarshal(text, &m) != nil || m.List != list || len(m.After) == 0 {
		return nil, 0, iam.Errorf(iam.ValidationError, "Invalid Marker.")
	}
	return m.After, n, nil
}

// nextMarker is the Marker with which a list goes on after the entry with these keys.
func nextMarker(list string, after ...string) string {
	// Texts always encode.
	text, _ := json.Marshal(marker{list, after})
	return base64.RawURLEncoding.EncodeToString(text)
}
