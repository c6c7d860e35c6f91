package identity

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/coffer-registry/coffer/internal/policy"
)

// SessionKind is how a session came to be.
type SessionKind string

// The kinds of sessions.
const (
	// RoleSession is that of a role which somebody assumed.
	RoleSession SessionKind = "role"
	// UserSession is made with GetSessionToken: its principal is the user, or the account's root, itself.
	UserSession SessionKind = "user"
	// FederationSession is made with GetFederationToken.
	FederationSession SessionKind = "federated"
)

// Session is what temporary credentials carry. It never changes.
type Session struct {
	Kind SessionKind `json:"k"`
	// Name is that of the role's session, or of the federated user.
	Name string `json:"n,omitempty"`
	// Parent is the long-term access key that a user's or a federated session was made with, without which it ends.
	Parent string `json:"p,omitempty"`
	// Policies are the session policies that were passed as documents, and PolicyARNs those that were named.
	Policies   []string `json:"o,omitempty"`
	PolicyARNs []string `json:"r,omitempty"`
	// Tags are the session's own; those in Transitive go on to the sessions that are made with this one.
	Tags       map[string]string `json:"g,omitempty"`
	Transitive []string          `json:"v,omitempty"`
	// SourceIdentity stays the same along a chain of sessions; empty for none.
	SourceIdentity string `json:"i,omitempty"`
	// MFA is when the holder proved a second factor, in microseconds; 0 for never.
	MFA int64 `json:"m,omitempty"`
	// Provider is the ARN of the identity provider that vouched for the holder; empty for none. ProviderKeys are the
	// condition keys that stay with the session, such as the subject.
	Provider     string              `json:"f,omitempty"`
	ProviderKeys map[string][]string `json:"c,omitempty"`
	// Issued and Expires are in microseconds since 1970.
	Issued  int64 `json:"a"`
	Expires int64 `json:"e"`

	compiled []*policy.Policy
}

// ExpiresAt is when the session ends.
func (s *Session) ExpiresAt() time.Time { return time.UnixMicro(s.Expires) }

// IssuedAt is when the session was made.
func (s *Session) IssuedAt() time.Time { return time.UnixMicro(s.Issued) }

// HasPolicies reports whether session policies limit the session.
func (s *Session) HasPolicies() bool { return len(s.Policies) > 0 || len(s.PolicyARNs) > 0 }

// Documents are the compiled session policies that were passed as documents.
func (s *Session) Documents() []*policy.Policy { return s.compiled }

// compile makes the policies of the documents. One that can't be read denies everything.
func (s *Session) compile() {
	for _, document := range s.Policies {
		p, _ := policy.Load(policy.KindSession, []byte(document), policy.Options{Name: "session policy"})
		s.compiled = append(s.compiled, p)
	}
}

// TransitiveTags are the tags that go on to the sessions that are made with this one.
func (s *Session) TransitiveTags() map[string]string {
	if len(s.Transitive) == 0 {
		return nil
	}
	tags := make(map[string]string, len(s.Transitive))
	for key, value := range s.Tags {
		if slices.ContainsFunc(s.Transitive, func(other string) bool { return policy.SameKey(other, key) }) {
			tags[key] = value
		}
	}
	return tags
}

// SecondFactor is when the holder proved a second factor, as policies see it. The session of a role has none for them even
// if whoever assumed the role proved one: what was asked for then is for the role's trust policy to say. The trail tells it.
func (s *Session) SecondFactor() (at time.Time, ok bool) {
	return time.UnixMicro(s.MFA), s.Kind == UserSession && s.MFA != 0
}

// putKeys adds the condition keys of a session.
func (s *Session) putKeys(keys policy.Context) {
	keys.Put("aws:TokenIssueTime", timeKey(s.IssuedAt()))
	_, proved := s.SecondFactor()
	keys.Put("aws:MultiFactorAuthPresent", strconv.FormatBool(proved))
	if s.SourceIdentity != "" {
		keys.Put("aws:SourceIdentity", s.SourceIdentity)
	}
	if s.Provider != "" {
		keys.Put("aws:FederatedProvider", s.Provider)
	}
	for _, key := range slices.Sorted(maps.Keys(s.ProviderKeys)) {
		keys.Put(key, s.ProviderKeys[key]...)
	}
}
