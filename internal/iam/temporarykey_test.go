package iam

import (
	"regexp"
	"testing"
)

func TestTemporaryKeysTellTheirAccount(t *testing.T) {
	form := regexp.MustCompile(`^ASIA[A-Z2-7]{16}$`)
	for _, account := range []string{"000000000000", "000000000001", "123456789012", "999999999999"} {
		id, text := NewTemporaryKey(account)
		again, other := NewTemporaryKey(account)
		if !form.MatchString(id) || id == again || text.Equal(other) || len(text.Reveal()) != 40 {
			t.Errorf("the key %s, and again %s", id, again)
		}
		if got, ok := AccountOfTemporaryKey(id); !ok || got != account {
			t.Errorf("%s is of account %s, want %s", id, got, account)
		}
	}
	// The example of those who found the form out.
	if got, ok := AccountOfTemporaryKey("ASIAQNZGKIQY56JQ7WML"); !ok || got != "029608264753" {
		t.Errorf("account %s", got)
	}
	for _, id := range []string{"", "ASIA", "AKIAQNZGKIQY56JQ7WML", "ASIAIOSFODNN7EXAMPLE", "ASIAQNZGKIQY56JQ7WM", "ASIAQNZGKIQY56JQ7WM1", "ASIA7777777777777777", "asiaqnzgkiqy56jq7wml"} {
		if got, ok := AccountOfTemporaryKey(id); ok {
			t.Errorf("%s is of account %s", id, got)
		}
	}
}
