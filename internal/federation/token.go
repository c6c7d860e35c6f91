package federation

import (
	"crypto/fips140"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/strictjson"
)

const (
	// maxToken is the longest token that AWS takes, in bytes.
	maxToken = 20000
	// maxTokenDepth is how deep a token's values may be nested.
	maxTokenDepth = 16
	// clockSkew is by how much a provider's clock may be ahead of ours. AWS does not say what it allows (unverified); five
	// minutes is what it allows signatures.
	clockSkew = 5 * time.Minute
)

// token is a token that was parsed and not verified.
type token struct {
	signed         *jose.JSONWebSignature
	header, values strictjson.Value
}

// Issuer reads which provider a token claims to be of. Nothing of the token is verified. The error is an *Error.
func Issuer(text secret.Text) (string, error) {
	t, err := parseToken(text.Reveal())
	if err != nil {
		return "", err
	}
	issuer := t.text("iss")
	if issuer == "" {
		return "", missingClaim("iss")
	}
	return issuer, nil
}

// parseToken parses a token in the compact form.
func parseToken(text string) (*token, error) {
	if len(text) > maxToken {
		return nil, notJWT(errors.New("the token is too long"))
	}
	parts := strings.Split(text, ".")
	// Decoders of base64 skip line breaks, with which one token could be written in many ways.
	if len(parts) != 3 || strings.ContainsAny(text, "\r\n") {
		return nil, notJWT(errors.New("a token has three parts of base64url"))
	}
	t := &token{}
	var err error
	if t.header, err = parsePart(parts[0]); err != nil {
		return nil, notJWT(fmt.Errorf("header: %w", err))
	}
	if t.values, err = parsePart(parts[1]); err != nil {
		return nil, notJWT(fmt.Errorf("claims: %w", err))
	}
	// Extensions change what a signature covers. No provider uses any.
	for _, name := range []string{"crit", "b64"} {
		if t.header.Member(name).Kind() != strictjson.Absent {
			return nil, notJWT(errors.New("the header has extensions"))
		}
	}
	// The header may bring a certificate, whose SHA-1 thumbprint is computed then. Nothing goes by it.
	fips140.WithoutEnforcement(func() { t.signed, err = jose.ParseSignedCompact(text, algorithms) })
	if err != nil {
		return nil, notJWT(errors.New("it is not signed with an algorithm that is accepted"))
	}
	return t, nil
}

// parsePart decodes one part of a token, which must be an object.
func parsePart(text string) (strictjson.Value, error) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return strictjson.Value{}, errors.New("invalid base64url")
	}
	v, err := strictjson.Parse(data, maxTokenDepth)
	if err != nil {
		return strictjson.Value{}, err
	}
	if v.Kind() != strictjson.Object {
		return strictjson.Value{}, errors.New("not an object")
	}
	return v, nil
}

// text is a claim that is a text; empty if it is none.
func (t *token) text(name string) string {
	if v := t.values.Member(name); v.Kind() == strictjson.String {
		return v.String()
	}
	return ""
}

func (t *token) keyID() string {
	if v := t.header.Member("kid"); v.Kind() == strictjson.String {
		return v.String()
	}
	return ""
}

func (t *token) algorithm() string { return t.header.Member("alg").String() }

// time is a claim that is a number of seconds since 1970. It is present or not; one that is no time is an error.
func (t *token) time(name string) (at time.Time, present bool, err error) {
	v := t.values.Member(name)
	switch v.Kind() {
	case strictjson.Absent:
		return time.Time{}, false, nil
	case strictjson.Number:
		// Some write fractions. Year 9999 is the last that times have.
		s, err := strconv.ParseFloat(v.Number(), 64)
		if err == nil && s >= 0 && s < 253402300800 {
			return time.Unix(int64(s), 0), true, nil
		}
	}
	return time.Time{}, false, notJWT(fmt.Errorf("%s is not a time", name))
}

// verifyTimes checks that the token holds at a time. That it is over is judged without leeway, as AWS's sentence says.
func (t *token) verifyTimes(now time.Time) error {
	expires, ok, err := t.time("exp")
	if err != nil {
		return err
	}
	if !ok {
		return missingClaim("exp")
	}
	if !now.Before(expires) {
		return &Error{ExpiredToken, fmt.Sprintf("Token expired: current date/time %d must be before the expiration date/time %d",
			now.Unix(), expires.Unix()), nil}
	}
	issued, ok, err := t.time("iat")
	if err != nil {
		return err
	}
	if !ok {
		return missingClaim("iat")
	}
	begins, _, err := t.time("nbf")
	if err != nil {
		return err
	}
	if latest := now.Add(clockSkew); issued.After(latest) || begins.After(latest) {
		return invalid("Token is not yet valid", nil) // (unverified)
	}
	return nil
}

// missingClaim's sentence is (unverified).
func missingClaim(name string) *Error { return invalid("Missing a required claim: "+name, nil) }
