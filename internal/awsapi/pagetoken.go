package awsapi

import (
	"encoding/base64"
	"encoding/json"
)

// MaxPageToken bounds the length of a token with which a list goes on.
const MaxPageToken = 2 << 10

// PageToken makes the token with which a list goes on, of a small structure of texts that says which list it is and where.
func PageToken(at any) string {
	// Texts always encode.
	text, _ := json.Marshal(at)
	return base64.RawURLEncoding.EncodeToString(text)
}

// ReadPageToken reads what PageToken made of a structure of the same type, and reports whether it could. Whether it is of
// the list at hand is for the caller to compare.
func ReadPageToken(token string, at any) bool {
	text, err := base64.RawURLEncoding.DecodeString(token)
	return len(token) <= MaxPageToken && err == nil && json.Unmarshal(text, at) == nil
}
