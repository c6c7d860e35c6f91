package federation

import (
	"strings"
	"testing"
)

// A document is read once while it stays the same, and only so many are remembered.
func TestMetadataIsRemembered(t *testing.T) {
	h := newSAMLHouse(t)
	document := h.idp.Metadata()
	read := func(document string) *Metadata {
		t.Helper()
		m, err := h.verifier.Metadata(document)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	first := read(document)
	if read(document) != first {
		t.Error("the same document was read twice")
	}
	other := read(strings.ReplaceAll(document, h.idp.EntityID, "https://other.example.com"))
	if other == first || other.EntityID != "https://other.example.com" || first.EntityID != h.idp.EntityID {
		t.Errorf("%q and %q", first.EntityID, other.EntityID)
	}
	for i := range 2 * maxRemembered {
		read(document + strings.Repeat("\n", i))
		if n := len(h.verifier.metadata); n > maxRemembered {
			t.Fatalf("%d documents are remembered", n)
		}
	}
	if _, err := h.verifier.Metadata("<x/>"); err == nil {
		t.Error("what is no description is taken")
	}
}
