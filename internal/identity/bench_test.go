package identity

import (
	"testing"
	"time"
)

func BenchmarkAuthenticateLongTerm(b *testing.B) {
	h := newHouse(b)
	_, id, _ := h.user("ann")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Authenticate(b.Context(), id, noToken); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAuthenticateSession(b *testing.B) {
	h := newHouse(b)
	c := h.session(h.role("Builder"), Session{Kind: RoleSession, Name: "run1"}, time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Authenticate(b.Context(), c.AccessKeyID, c.SessionToken); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAuthenticateNewSession is the first request of each session, whose token is opened.
func BenchmarkAuthenticateNewSession(b *testing.B) {
	h := newHouse(b)
	c := h.session(h.role("Builder"), Session{Kind: RoleSession, Name: "run1", Tags: map[string]string{"team": "a"},
		Policies: []string{`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ecr:*","Resource":"*"}}`}}, time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		clear(h.callers)
		if _, err := h.Authenticate(b.Context(), c.AccessKeyID, c.SessionToken); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIssueSession(b *testing.B) {
	h := newHouse(b)
	role := h.role("Builder")
	b.ReportAllocs()
	for b.Loop() {
		h.session(role, Session{Kind: RoleSession, Name: "run1", Tags: map[string]string{"team": "a"}}, time.Hour)
	}
}

func BenchmarkCheckRegistryToken(b *testing.B) {
	h := newHouse(b)
	_, id, _ := h.user("ann")
	token, _ := h.issue(h.mustAuthenticate(id, noToken).Caller, "us-east-1")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.check(token); err != nil {
			b.Fatal(err)
		}
	}
}
