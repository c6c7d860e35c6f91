// Package secret holds the texts that must never be seen: secret access keys, tokens, passwords and seeds. A Text prints
// as "[secret]" under every verb, in logs, in JSON and in errors; Reveal is the one way to what it holds, and the one word
// to search for in a review.
package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// Text is a secret. The zero value is empty. fmt calls no methods on what an unexported field holds, so the text lies
// behind a pointer.
type Text struct{ text *string }

// New wraps a text.
func New(text string) Text { return Text{&text} }

// Reveal returns what the secret holds; empty for the zero value.
func (t Text) Reveal() string {
	if t.text == nil {
		return ""
	}
	return *t.text
}

// Empty reports whether the secret holds nothing.
func (t Text) Empty() bool { return t.text == nil || *t.text == "" }

// Equal compares two secrets in a time that depends on their lengths only.
func (t Text) Equal(other Text) bool {
	return subtle.ConstantTimeCompare([]byte(t.Reveal()), []byte(other.Reveal())) == 1
}

const redacted = "[secret]"

// String hides the secret.
func (Text) String() string { return redacted }

// GoString hides the secret.
func (Text) GoString() string { return redacted }

// Format hides the secret from every verb.
func (Text) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue hides the secret.
func (Text) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the secret.
func (Text) MarshalText() ([]byte, error) { return []byte(redacted), nil }
