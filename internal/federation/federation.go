// Package federation verifies what identity providers outside of Coffer say about their users: OpenID Connect tokens and
// SAML responses. It answers who that is, for how long that may be believed, and the condition keys and session tags that
// come of it.
//
// It promises that nothing of a token or a response is used before its signature has been verified by a key that the
// provider published for that purpose, that everything it reads is bounded, and that what it can't judge is refused.
//
// It knows nothing of accounts, roles and trust policies: whose providers there are, and what their users may do, is for
// its callers to know.
//
// Reaching out: the only addresses that a Verifier connects to are the URL of an OIDC provider, the address of the keys
// that is published there, and where these two redirect to. Who may create an OIDC provider can therefore make the server
// send GET requests to hosts in its own network. They are limited to HTTPS servers with a certificate that the server
// trusts or the provider names, they carry nothing of a request, and nothing of an answer is ever shown: keys are read from it or it is dropped.
package federation

import "fmt"

// Code is the AWS error code of a refusal.
type Code string

// The codes of refusals.
const (
	// InvalidIdentityToken: the token or response is not what it should be.
	InvalidIdentityToken Code = "InvalidIdentityToken"
	// ExpiredToken: it was, but no longer is.
	ExpiredToken Code = "ExpiredTokenException"
	// IDPRejectedClaim: the provider says that it did not authenticate its user.
	IDPRejectedClaim Code = "IDPRejectedClaim"
	// IDPCommunicationError: the provider could not be reached; it may be tried again.
	IDPCommunicationError Code = "IDPCommunicationError"
	// InvalidInput: a provider's description can't be read.
	InvalidInput Code = "InvalidInput"
)

// Error is a refusal.
type Error struct {
	Code Code
	// Message is AWS's sentence for the client.
	Message string
	// Reason says more to an administrator, if there is more to say. It holds nothing of the token, but may name addresses.
	Reason error
}

// Error is for logs.
func (e *Error) Error() string {
	if e.Reason == nil {
		return string(e.Code) + ": " + e.Message
	}
	return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Reason)
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Reason }

// Passed is what a provider wants the session of its user to have.
type Passed struct {
	// Tags are session tags, at most 50; their keys and values are as the provider wrote them.
	Tags map[string]string
	// TransitiveTagKeys are the keys of tags that go on to later sessions.
	TransitiveTagKeys []string
	// SourceIdentity is empty for none.
	SourceIdentity string
}

// maxTags is the number of session tags that AWS takes.
const maxTags = 50
