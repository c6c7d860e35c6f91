package federation

import (
	"crypto/fips140"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/secret"
)

// SAMLProvider is a SAML provider whose assertions an account takes.
type SAMLProvider struct {
	// Account owns the provider and Name is its own, of which condition keys are made.
	Account, Name string
	Metadata      *Metadata
	// Endpoints are recipients and audiences that an assertion may be for beside those of AWS, for which a provider is
	// set up that was meant for AWS.
	Endpoints []string
}

// Assertion is what a SAML provider says of its user.
type Assertion struct {
	// ID is the assertion's own, by which it could be told from others.
	ID     string
	Issuer string
	// Subject is the NameID. SubjectType is its format: "persistent", "transient", another one of SAML 2.0 without its
	// prefix, or one with it.
	Subject, SubjectType string
	// Audience is the recipient, as in AWS's answer, not the audience.
	Audience string
	// NameQualifier tells subjects of one provider from those of another.
	NameQualifier string
	// Roles are those that the user may assume, and through which provider. There is at least one.
	Roles []SAMLRole
	// RoleSessionName is the session's.
	RoleSessionName string
	// SessionDuration is the longest that a session may last; 0 if the provider does not say.
	SessionDuration time.Duration
	// SessionEnd is when a session must have ended; zero if the provider does not say.
	SessionEnd time.Time
	// Keys are the condition keys that stay with the session.
	Keys policy.Context
	// TrustKeys are those that count only for the role's trust policy, beside Keys.
	TrustKeys policy.Context
	Passed
}

// SAMLRole is a role with the provider through which it may be assumed, by their ARNs.
type SAMLRole struct{ Role, Provider string }

const (
	// maxResponse is the longest response that AWS takes, in characters of base64.
	maxResponse = 100_000
	// maxAge is how old an assertion may be.
	maxAge = 5 * time.Minute
)

// responseLimits stay below what the library of signatures walks through.
var responseLimits = xmlLimits{depth: 32, elements: 900, attributes: 64}

// VerifySAML verifies a response of a provider, in base64. The error is an *Error.
func (v *Verifier) VerifySAML(p SAMLProvider, response secret.Text) (Assertion, error) {
	now := v.now()
	if until := p.Metadata.ValidUntil; !until.IsZero() && !now.Before(until) {
		return Assertion{}, invalid("SAML provider metadata has expired", nil) // (unverified)
	}
	root, err := parseResponse(response.Reveal())
	if err != nil {
		return Assertion{}, badResponse(err)
	}
	// A provider that could not authenticate its user signs nothing. What it says so can only do harm to itself.
	if err := checkStatus(root); err != nil {
		return Assertion{}, err
	}
	signed, err := signedAssertion(root, p.Metadata.Certificates)
	if err != nil {
		return Assertion{}, invalid("Response signature invalid", err)
	}
	if issuer := only(root, nsAssertion, "Issuer"); issuer != nil && textIn(issuer) != p.Metadata.EntityID {
		return Assertion{}, otherIssuer()
	}
	return p.read(signed, now)
}

func badResponse(reason error) *Error {
	return invalid("Your request included an invalid SAML response", reason)
}

// otherIssuer's sentence is that of AWS's guide.
func otherIssuer() *Error { return invalid("Issuer not present in specified provider", nil) }

// parseResponse decodes a response. Browsers and command lines break the lines of base64.
func parseResponse(text string) (*etree.Element, error) {
	if len(text) > maxResponse {
		return nil, errors.New("the response is too long")
	}
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, errors.New("the response is not base64")
	}
	return parseXML(data, responseLimits)
}

const statusSuccess = "urn:oasis:names:tc:SAML:2.0:status:Success"

// checkStatus refuses the response of a provider that did not authenticate its user.
func checkStatus(response *etree.Element) error {
	status := only(response, nsProtocol, "Status")
	if status == nil {
		return badResponse(errors.New("the response has no status"))
	}
	code := only(status, nsProtocol, "StatusCode")
	if code == nil {
		return badResponse(errors.New("the response has no status code"))
	}
	if value, _ := attribute(code, "Value"); value != statusSuccess {
		return &Error{IDPRejectedClaim, "The identity provider reported that authentication failed", nil} // (unverified)
	}
	return nil
}

// read reads an assertion whose signature was verified.
func (p *SAMLProvider) read(e *etree.Element, now time.Time) (Assertion, error) {
	a := Assertion{}
	a.ID, _ = attribute(e, "ID")
	if version, _ := attribute(e, "Version"); version != "2.0" {
		return Assertion{}, badResponse(errors.New("the assertion is not of SAML 2.0"))
	}
	if issuer := only(e, nsAssertion, "Issuer"); issuer == nil || textIn(issuer) != p.Metadata.EntityID {
		return Assertion{}, otherIssuer()
	}
	a.Issuer = p.Metadata.EntityID
	for _, check := range []func(*etree.Element, *Assertion, time.Time) error{checkAge, p.checkConditions, p.readSubject, readSessionEnd} {
		if err := check(e, &a, now); err != nil {
			return Assertion{}, err
		}
	}
	given, err := attributesOf(e)
	if err != nil {
		return Assertion{}, err
	}
	if err := a.readAttributes(given); err != nil {
		return Assertion{}, err
	}
	a.NameQualifier = nameQualifier(a.Issuer, p.Account, p.Name)
	a.Keys, a.TrustKeys = policy.Context{}, given.keys()
	a.Keys.Put("saml:sub", a.Subject)
	a.Keys.Put("saml:sub_type", a.SubjectType)
	a.Keys.Put("saml:namequalifier", a.NameQualifier)
	a.TrustKeys.Put("saml:aud", a.Audience)
	a.TrustKeys.Put("saml:iss", a.Issuer)
	a.TrustKeys.Put("saml:doc", p.Account+"/"+p.Name)
	return a, nil
}

// nameQualifier hashes what a subject's name is unique in. As with thumbprints, SHA-1 proves nothing here.
func nameQualifier(issuer, account, provider string) string {
	var sum [sha1.Size]byte
	fips140.WithoutEnforcement(func() { sum = sha1.Sum([]byte(issuer + account + "/" + provider)) })
	return base64.StdEncoding.EncodeToString(sum[:])
}
