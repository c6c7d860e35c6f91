package policy

import (
	"strings"

	"github.com/coffer-registry/coffer/internal/arn"
)

// principalEntry is an element of Principal or NotPrincipal.
type principalEntry struct {
	form entryForm
	text string
}

type entryForm uint8

const (
	entryNobody   entryForm = iota
	entryEveryone           // "*"
	entryAccount            // an account's id
	entryARN                // of a user, role, session or federated user
	entryID                 // the unique id of a user or role
	entryService
	entryProvider
)

// principals is Principal or NotPrincipal of a statement.
type principals struct {
	entries []principalEntry
	// not is set for NotPrincipal.
	not bool
}

// strength says how closely a statement names a principal. The closer, the fewer other policies have a say.
type strength uint8

const (
	unnamed strength = iota
	// byAccount is all of the account's principals, which the account's own policies must still allow.
	byAccount
	// byRole is the role of a session, or the user behind a federated user, which boundary and session still limit.
	byRole
	// byName is the user or session itself, or everyone.
	byName
	strengths
)

// caller is a principal with what principals are matched by.
type caller struct {
	Principal
	kind     principalKind
	boundary bool
}

// match returns how closely the statement's principals name the caller.
func (p *principals) match(c *caller) strength {
	if p.not {
		if p.spares(c) {
			return unnamed
		}
		return byName
	}
	found := unnamed
	for i := range p.entries {
		found = max(found, p.entries[i].match(c))
	}
	return found
}

func (e *principalEntry) match(c *caller) strength {
	if e.form == entryEveryone {
		return byName
	}
	switch c.kind {
	case service:
		return named(e.form == entryService && e.text == c.ARN, byName)
	case provider:
		return named(e.form == entryProvider && e.text == c.ARN, byName)
	case nobody:
		return unnamed
	}
	switch e.form {
	case entryAccount:
		return named(e.text == c.Account, byAccount)
	case entryID:
		if c.kind == user {
			return named(e.text == c.ID, byName)
		}
		return named(e.text == c.ID, byRole)
	case entryARN:
		if e.text == c.ARN {
			return byName
		}
		return named(e.text == c.Role || e.text == c.User, byRole)
	}
	return unnamed
}

func named(is bool, s strength) strength {
	if is {
		return s
	}
	return unnamed
}

// spares reports whether NotPrincipal lists the caller, for which every level of it must be listed: the account, the user
// or role, and the session. AWS documents that it "might" check each, and never spares those with a boundary; public
// simulators are content with the role alone. The strict reading denies.
func (p *principals) spares(c *caller) bool {
	if p.has(entryEveryone, "") {
		return true
	}
	if c.boundary {
		return false
	}
	account := p.has(entryAccount, c.Account)
	switch c.kind {
	case root:
		return account
	case user:
		return account && (p.has(entryARN, c.ARN) || p.has(entryID, c.ID))
	case session:
		return account && p.has(entryARN, c.ARN) && (p.has(entryARN, c.Role) || p.has(entryID, c.ID))
	case federated:
		byRoot := c.User == arn.Root(c.Account).String()
		return account && p.has(entryARN, c.ARN) && (byRoot || p.has(entryARN, c.User) || p.has(entryID, c.ID))
	case service:
		return p.has(entryService, c.ARN)
	case provider:
		return p.has(entryProvider, c.ARN)
	}
	return false
}

func (p *principals) has(form entryForm, text string) bool {
	for _, e := range p.entries {
		if e.form == form && (e.text == text && text != "" || form == entryEveryone) {
			return true
		}
	}
	return false
}

// newEntry compiles a principal of the kind that the document's key names: "AWS", "Service" or "Federated". It reports
// false for what is none.
func newEntry(key, text string) (principalEntry, bool) {
	switch key {
	case "AWS":
		return newAWSEntry(text)
	case "Service":
		return principalEntry{entryService, text}, isServiceName(text)
	case "Federated":
		return principalEntry{entryProvider, text}, isProvider(text)
	}
	return principalEntry{}, false
}

func newAWSEntry(text string) (principalEntry, bool) {
	switch {
	case text == "*":
		return principalEntry{form: entryEveryone}, true
	case isAccount(text):
		return principalEntry{entryAccount, text}, true
	case isUniqueID(text):
		return principalEntry{entryID, text}, true
	}
	a, err := arn.Parse(text)
	if err != nil || !isAccount(a.Account) || a.Region != "" || !isPartition(a.Partition) || strings.ContainsAny(text, "*?") {
		return principalEntry{}, false
	}
	if a.Service == "iam" && a.Resource == "root" {
		return principalEntry{entryAccount, a.Account}, true
	}
	return principalEntry{entryARN, text}, isEntity(a)
}

// isEntity reports whether an ARN names a user, role, session or federated user: groups are no principals.
func isEntity(a arn.ARN) bool {
	kind, rest, _ := strings.Cut(a.Resource, "/")
	switch a.Service + ":" + kind {
	case "iam:user", "iam:role", "sts:federated-user":
		return rest != "" && !strings.HasSuffix(rest, "/")
	case "sts:assumed-role":
		role, session, _ := strings.Cut(rest, "/")
		return role != "" && session != "" && !strings.Contains(session, "/")
	}
	return false
}

// isResolvable reports whether an entry is the ARN of a user or role, which have unique ids.
func (e principalEntry) isResolvable() bool {
	parts, _ := splitARN(e.text)
	return e.form == entryARN && parts[2] == "iam"
}

func isAccount(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}

const idCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

func isUniqueID(s string) bool {
	return (strings.HasPrefix(s, "AIDA") || strings.HasPrefix(s, "AROA")) && len(s) >= 16 && len(s) <= 128 &&
		strings.Trim(s, idCharacters) == ""
}

func isServiceName(s string) bool {
	name, ok := strings.CutSuffix(strings.TrimSuffix(s, ".cn"), ".amazonaws.com")
	return ok && name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == ""
}

// isProvider accepts the ARN of an OIDC or SAML provider, and the host names of those that every account has.
func isProvider(s string) bool {
	switch s {
	case "cognito-identity.amazonaws.com", "accounts.google.com", "www.amazon.com", "graph.facebook.com":
		return true
	}
	a, err := arn.Parse(s)
	if err != nil || a.Service != "iam" || a.Region != "" || !isAccount(a.Account) || strings.ContainsAny(s, "*?") {
		return false
	}
	kind, name, _ := strings.Cut(a.Resource, "/")
	return name != "" && (kind == "oidc-provider" || kind == "saml-provider")
}

func isPartition(s string) bool {
	switch s {
	case "aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc":
		return true
	}
	return false
}
