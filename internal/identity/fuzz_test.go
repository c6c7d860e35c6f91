package identity

import (
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/secret"
)

// What comes as a token is either one that was issued, to the character, or refused; and nothing of it panics.
func FuzzOpenToken(f *testing.F) {
	h := newHouse(f)
	registry, _ := h.issue(h.root(), "us-east-1")
	session := h.session(account, Session{Kind: UserSession, Parent: exampleID, Tags: map[string]string{"k": "v"}}, time.Hour)
	message, err := h.EncodeMessage(account, []byte(`{"allowed":false}`))
	if err != nil {
		f.Fatal(err)
	}
	issued := map[string]bool{registry: true, session.SessionToken.Reveal(): true, message: true}
	for token := range issued {
		f.Add(token)
		f.Add(token[:len(token)-1])
	}
	f.Fuzz(func(t *testing.T, token string) {
		_, err1 := h.CheckRegistryToken(t.Context(), token)
		_, _, err2 := h.CheckDownload(t.Context(), token)
		_, err3 := h.Authenticate(t.Context(), session.AccessKeyID, secret.New(token))
		_, err4 := h.DecodeMessage(account, token)
		if !issued[token] && (err1 == nil || err2 == nil || err3 == nil && token != "" || err4 == nil) {
			t.Errorf("%q was taken: %v, %v, %v, %v", token, err1, err2, err3, err4)
		}
	})
}

// Of what was sealed everything opens to what it was, whatever it holds.
func FuzzGrants(f *testing.F) {
	d := NewDirectory(nil, seal.NewKey(), nil)
	f.Add([]byte(`{"o":"123456789012","k":"ASIA","s":"x","t":{"k":"role","n":"run1","o":["{}"],"g":{"a":"b"}},"i":1,"e":2}`), "")
	f.Add([]byte(`{}`), "\x01\xff")
	f.Fuzz(func(t *testing.T, text []byte, form string) {
		var g grant
		if json.Unmarshal(text, &g) == nil {
			token, err := d.seal(useSession, g)
			if err != nil {
				t.Fatal(err)
			}
			if len(token.Reveal()) > maxToken || len(text) > maxGrant/2 {
				return
			}
			got, err := d.open(useSession, token.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(g, got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(Session{})); diff != "" {
				t.Error(diff)
			}
		}
		// Even what was sealed in some other form is refused or read, and bounded.
		sealed, err := seal.SealBytes(d.key, []byte(useSession), []byte(form))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := d.openText(useSession, base64.RawURLEncoding.EncodeToString(sealed)); err == nil && len(text) > maxGrant {
			t.Errorf("a text of %d bytes", len(text))
		}
	})
}
