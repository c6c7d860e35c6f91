package federation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// timeOf is an attribute that is a time; zero if it is absent.
func timeOf(e *etree.Element, name string) (time.Time, error) {
	text, ok := attribute(e, name)
	if !ok {
		return time.Time{}, nil
	}
	at, err := parseTime(text)
	if err != nil {
		return time.Time{}, badResponse(fmt.Errorf("%s is not a time", name))
	}
	return at, nil
}

// expired says that a response was valid.
func expired(message string) *Error { return &Error{ExpiredToken, message, nil} }

// checkWindow judges the times between which something holds. Its beginning is judged by the provider's clock, which may be
// ahead of ours, its end without leeway.
func checkWindow(e *etree.Element, now time.Time) error {
	begins, err := timeOf(e, "NotBefore")
	if err != nil {
		return err
	}
	ends, err := timeOf(e, "NotOnOrAfter")
	if err != nil {
		return err
	}
	if begins.After(now.Add(clockSkew)) {
		return invalid("Response is not yet valid", nil) // (unverified)
	}
	if !ends.IsZero() && !now.Before(ends) {
		return expired("Response has expired")
	}
	return nil
}

// checkAge refuses an assertion that is older than AWS takes it, or of the future.
func checkAge(e *etree.Element, _ *Assertion, now time.Time) error {
	issued, err := timeOf(e, "IssueInstant")
	switch {
	case err != nil:
		return err
	case issued.IsZero():
		return badResponse(errors.New("the assertion has no IssueInstant"))
	case issued.After(now.Add(clockSkew)):
		return invalid("Response is not yet valid", nil)
	case now.Sub(issued) > maxAge:
		return expired("Token must be redeemed within 5 minutes of issuance")
	}
	return nil
}

// checkConditions judges for whom and when the assertion is. A condition that is not known can't be judged, and then an
// assertion is not valid.
func (p *SAMLProvider) checkConditions(e *etree.Element, _ *Assertion, now time.Time) error {
	conditions := only(e, nsAssertion, "Conditions")
	if conditions == nil {
		return noAudience()
	}
	if err := checkWindow(conditions, now); err != nil {
		return err
	}
	restricted := false
	for _, c := range conditions.ChildElements() {
		switch {
		case is(c, nsAssertion, "AudienceRestriction"):
			if !slices.ContainsFunc(children(c, nsAssertion, "Audience"), func(a *etree.Element) bool { return p.accepts(textIn(a), "urn:amazon:webservices") }) {
				return noAudience()
			}
			restricted = true
		case is(c, nsAssertion, "OneTimeUse"), is(c, nsAssertion, "ProxyRestriction"):
			// They restrict who passes the assertion on, or keeps it. Nobody does here.
		default:
			return badResponse(errors.New("the assertion has a condition that is not known"))
		}
	}
	if !restricted {
		return noAudience()
	}
	return nil
}

func noAudience() *Error { return invalid("Response does not contain the required audience.", nil) }

// accepts reports whether an assertion may be for a recipient or an audience: AWS's, in any region, one of the provider's,
// or also.
func (p *SAMLProvider) accepts(name string, also ...string) bool {
	if slices.Contains(p.Endpoints, name) || slices.Contains(also, name) {
		return name != ""
	}
	host, ok := strings.CutPrefix(name, "https://")
	if !ok {
		return false
	}
	host, ok = strings.CutSuffix(host, "signin.aws.amazon.com/saml")
	return ok && (host == "" || strings.HasSuffix(host, ".") && strings.Trim(host[:len(host)-1], "abcdefghijklmnopqrstuvwxyz0123456789-") == "")
}

// maxNameID is how long a name may be, and its format, in bytes: SAML allows 256 for names that last. Sessions keep both.
const maxNameID = 256

const methodBearer = "urn:oasis:names:tc:SAML:2.0:cm:bearer"

// readSubject reads who the assertion is about, and judges whether who brings it may be taken for that one: it is for
// whoever bears it, here and now.
func (p *SAMLProvider) readSubject(e *etree.Element, a *Assertion, now time.Time) error {
	subject := only(e, nsAssertion, "Subject")
	if subject == nil {
		return badResponse(errors.New("the assertion does not have one subject"))
	}
	name, confirmation := only(subject, nsAssertion, "NameID"), only(subject, nsAssertion, "SubjectConfirmation")
	if name == nil || textIn(name) == "" {
		return badResponse(errors.New("the subject does not have one NameID"))
	}
	if confirmation == nil {
		return badResponse(errors.New("the subject does not have exactly one confirmation"))
	}
	if method, _ := attribute(confirmation, "Method"); method != methodBearer {
		return badResponse(errors.New("the subject is not confirmed by who bears the assertion"))
	}
	data := only(confirmation, nsAssertion, "SubjectConfirmationData")
	if data == nil {
		return badResponse(errors.New("the confirmation has no data"))
	}
	recipient, _ := attribute(data, "Recipient")
	if !p.accepts(recipient) {
		return badResponse(errors.New("the assertion is for another recipient"))
	}
	if _, ok := attribute(data, "NotOnOrAfter"); !ok {
		return badResponse(errors.New("the confirmation does not end"))
	}
	if err := checkWindow(data, now); err != nil {
		return err
	}
	a.Subject, a.Audience = textIn(name), recipient
	format, ok := attribute(name, "Format")
	if !ok {
		format = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified" // SAML's default
	}
	a.SubjectType = strings.TrimPrefix(format, "urn:oasis:names:tc:SAML:2.0:nameid-format:")
	if len(a.Subject) > maxNameID || len(a.SubjectType) > maxNameID {
		return badResponse(errors.New("the NameID is too long"))
	}
	return nil
}

// readSessionEnd reads when the provider's own session ends, after which it vouches for nobody.
func readSessionEnd(e *etree.Element, a *Assertion, now time.Time) error {
	for _, statement := range children(e, nsAssertion, "AuthnStatement") {
		end, err := timeOf(statement, "SessionNotOnOrAfter")
		if err != nil {
			return err
		}
		if end.IsZero() {
			continue
		}
		if !now.Before(end) {
			return expired("Response has expired")
		}
		if a.SessionEnd.IsZero() || end.Before(a.SessionEnd) {
			a.SessionEnd = end
		}
	}
	return nil
}
