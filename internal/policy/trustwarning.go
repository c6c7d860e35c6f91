package policy

import (
	"slices"
	"strings"
)

// Warnings returns sentences about a role's trust policy that is allowed but hardly meant, first of all one that trusts
// everybody to whom an identity provider issues tokens. They are those of Policy.Warnings; of a document that can't be read
// there are none. Of a provider that many organizations share, which TrustsStrangers is about, IAM saves no such policy; for
// others it is the administrator's decision, whose providers are often the organization's own.
func Warnings(document []byte) []string {
	p, err := Load(KindTrust, document, Options{})
	if err != nil {
		return nil
	}
	return p.Warnings()
}

// subjectClaims are those that tell the subjects of a provider apart, or what they signed in to, by providers that every
// account has. All other providers have "sub".
var subjectClaims = map[string][]string{
	"accounts.google.com":            {"sub", "aud"},
	"cognito-identity.amazonaws.com": {"aud", "sub"},
	"graph.facebook.com":             {"id", "app_id"},
	"www.amazon.com":                 {"user_id", "app_id"},
}

const (
	webIdentity = "sts:assumerolewithwebidentity"
	// sharedIssuer issues tokens for the workloads of everybody, with subjects such as repo:<owner>/<repository>:<what>.
	sharedIssuer = "token.actions.githubusercontent.com"
	sharedHead   = "repo:"
)

// warnOfTrust warns of a statement that lets a provider's tokens in without regard to whose they are.
func (c *compiler) warnOfTrust() {
	if c.policy.kind != KindTrust || c.raw.effect != effectAllow || c.raw.principal == nil || !c.allowsWebIdentity() {
		return
	}
	if c.raw.principal.everyone || slices.Contains(c.raw.principal.entries, rawEntry{"AWS", "*"}) {
		if !c.restrictsAnySubject() {
			c.warn("it trusts everybody to whom any identity provider of the account issues tokens: a condition on the subject is missing")
		}
		return
	}
	for _, e := range c.raw.principal.entries {
		if issuer, ok := issuerOf(e); ok {
			c.warnOfIssuer(issuer)
		}
	}
}

func (c *compiler) warnOfIssuer(issuer string) {
	claims := subjectClaims[issuer]
	if claims == nil {
		claims = []string{"sub"}
	}
	key := func(claim string) string { return strings.ToLower(issuer + ":" + claim) }
	if slices.ContainsFunc(claims, func(claim string) bool { return c.restricts(key(claim), issuer) }) {
		return
	}
	lack := "a condition on %s is missing"
	if slices.ContainsFunc(c.raw.conditions, func(r rawCondition) bool { return r.key == key(claims[0]) }) {
		lack = "the condition on %s lets everybody pass"
	}
	c.policy.strangers = c.policy.strangers || issuer == sharedIssuer
	c.warn("it trusts everybody to whom %s issues tokens: "+lack, issuer, issuer+":"+claims[0])
}

// issuerOf returns the host and path of the OpenID Connect provider that an entry names.
func issuerOf(e rawEntry) (string, bool) {
	if e.key != "Federated" {
		return "", false
	}
	if subjectClaims[e.value] != nil {
		return e.value, true
	}
	_, issuer, ok := strings.Cut(e.value, ":oidc-provider/")
	return issuer, ok && isProvider(e.value)
}

func (c *compiler) allowsWebIdentity() bool {
	for _, action := range c.raw.actions.values {
		if g := newGlob(strings.ToLower(action)); g.match(webIdentity) {
			return true
		}
	}
	return false
}

// restrictsAnySubject reports whether some condition is about the subject of some provider.
func (c *compiler) restrictsAnySubject() bool {
	return slices.ContainsFunc(c.raw.conditions, func(r rawCondition) bool {
		issuer, found := strings.CutSuffix(r.key, ":sub")
		return found && c.restricts(r.key, issuer)
	})
}

// restricts reports whether a condition holds for some values of a key only. One that holds without the key does not, and
// one with several values is only as narrow as the widest.
func (c *compiler) restricts(key, issuer string) bool {
	for _, raw := range c.raw.conditions {
		op, q, ifExists, ok := splitOperator(raw.operator)
		if !ok || op.negated || ifExists || q == allValues || op.family == familyNull || raw.key != key {
			continue
		}
		if !slices.ContainsFunc(raw.values, func(value string) bool { return op.family == familyLike && passesAll(value, issuer) }) {
			return true
		}
	}
	return false
}

// passesAll reports whether a pattern fits the subjects of everybody.
func passesAll(pattern, issuer string) bool {
	wildcard := strings.IndexAny(pattern, "*?")
	if wildcard < 0 {
		return false
	}
	head := pattern[:wildcard]
	if !strings.EqualFold(issuer, sharedIssuer) {
		return strings.Trim(pattern, "*?") == ""
	}
	// Everybody may take a name that begins as another owner's does.
	owner, ok := strings.CutPrefix(head, sharedHead)
	return ok && !strings.ContainsAny(owner, "/@") || strings.HasPrefix(sharedHead, head)
}
