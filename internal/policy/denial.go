package policy

import (
	"fmt"
	"strings"
)

// Reason is what decided a request, for whoever asks why.
type Reason string

// The reasons of decisions. Each may be that of a denial, implicit or explicit, and those that can allow say so.
const (
	// ReasonAlways is that no policy has a say.
	ReasonAlways Reason = "always"
	// ReasonRoot is that an account's root may do everything in its account.
	ReasonRoot Reason = "root"
	// ReasonIdentity are the policies of the principal, which also allow.
	ReasonIdentity Reason = "identity"
	// ReasonBoundary is the principal's permissions boundary.
	ReasonBoundary Reason = "boundary"
	// ReasonSession are the policies of the session.
	ReasonSession Reason = "session"
	// ReasonResource are the policies of the resource, which also allow.
	ReasonResource Reason = "resource"
	// ReasonTrust is the trust policy of the role to be assumed, which also allows those without an identity.
	ReasonTrust Reason = "trust"
	// ReasonSCP are the organization's service control policies.
	ReasonSCP Reason = "scp"
	// ReasonRCP are the organization's resource control policies.
	ReasonRCP Reason = "rcp"
	// ReasonEndpoint is the policy of the VPC endpoint.
	ReasonEndpoint Reason = "endpoint"
	// ReasonGrant is a grant of a key, which only allows.
	ReasonGrant Reason = "grant"
	// ReasonCrossAccount is that both the principal's account and the resource's allow.
	ReasonCrossAccount Reason = "cross-account"
)

// Statement names a statement of a policy. The zero value names none.
type Statement struct {
	// Policy is what Options called the policy, or the id of a grant.
	Policy string
	Sid    string
	// Number counts the statements of the policy from 1; a grant has none.
	Number int
}

// String returns the statement's policy and Sid, or its number without one.
func (s Statement) String() string {
	switch {
	case s.Sid != "":
		return s.Policy + "/" + s.Sid
	case s.Number > 0:
		return fmt.Sprintf("%s[%d]", s.Policy, s.Number)
	}
	return s.Policy
}

// Decision is the answer to a Request.
type Decision struct {
	Allowed bool
	// Explicit is set for a denial by a statement, as opposed to one for want of any that allows.
	Explicit bool
	// Reason is what decided: of a denial the first that was found, and if all was allowed, that of the first question.
	Reason Reason
	// Statement is the one that decided, if any did.
	Statement Statement
	// Action and Resource say what was denied first; they are empty when Allowed.
	Action   string
	Resource string
	// foreign says that principal and resource belong to different accounts, which learn little of each other.
	foreign bool
}

// phrases are how AWS's sentences call what denied: of an implicit denial, and of an explicit one.
var phrases = map[Reason]struct{ implicit, explicit string }{
	ReasonIdentity: {"no identity-based policy", "an identity-based policy"},
	ReasonBoundary: {"no permissions boundary", "a permissions boundary"},
	ReasonSession:  {"no session policy", "a session policy"},
	ReasonResource: {"no resource-based policy", "a resource-based policy"},
	ReasonTrust:    {"no role trust policy", "the role trust policy"},
	ReasonSCP:      {"no service control policy", "a service control policy"},
	ReasonRCP:      {"no resource control policy", "a resource control policy"},
	ReasonEndpoint: {"no VPC endpoint policy", "a VPC endpoint policy"},
}

// Message is the sentence in which AWS tells a principal of a denial.
func (d Decision) Message(p Principal) string {
	kind := p.kind()
	switch {
	case kind == provider:
		return "Not authorized to perform " + d.Action
	case kind == root && d.Reason == ReasonTrust && !d.Explicit:
		return "Roles may not be assumed by root accounts."
	}
	var b strings.Builder
	b.WriteString("User: ")
	if kind == nobody {
		b.WriteString("anonymous")
	}
	b.WriteString(p.ARN)
	b.WriteString(" is not authorized to perform: ")
	b.WriteString(d.Action)
	b.WriteString(" on resource: ")
	b.WriteString(d.Resource)
	b.WriteString(d.suffix())
	return b.String()
}

// suffix says why. A principal of another account is not told what the resource's policies say, nor whether a role exists.
func (d Decision) suffix() string {
	reason, explicit := d.Reason, d.Explicit
	if d.foreign && (reason == ReasonResource || reason == ReasonRCP) {
		reason, explicit = ReasonResource, false
	}
	if d.foreign && reason == ReasonTrust {
		return ""
	}
	phrase, ok := phrases[reason]
	switch {
	case !ok:
		return ""
	case !explicit:
		return " because " + phrase.implicit + " allows the " + d.Action + " action"
	}
	return " with an explicit deny in " + phrase.explicit + d.policyARN()
}

// policyARN is what newer sentences add to explicit denials, where the policy has an ARN.
func (d Decision) policyARN() string {
	switch d.Reason {
	case ReasonSCP, ReasonRCP, ReasonBoundary, ReasonSession, ReasonIdentity:
		if strings.HasPrefix(d.Statement.Policy, "arn:") {
			return ": " + d.Statement.Policy
		}
	}
	return ""
}
