// Package policy decides whether a principal may do what it asks.
//
// It is pure: a decision is a function of the request and of the policies that apply to it, and what it cannot decide
// is a denial with a reason. It knows nothing of accounts, tokens or protocols: who is calling is settled before, and
// how a denial is shown is settled after.
package policy

import (
	"strings"

	"github.com/coffer-registry/coffer/internal/arn"
)

// Principal is who asks, as the policies see it.
type Principal struct {
	// ARN identifies the principal, such as arn:aws:iam::123456789012:root. The zero value is nobody.
	ARN string
	// Account is the 12-digit id of the account that the principal belongs to.
	Account string
	// Root is set for the account itself, which its own policies need not allow.
	Root bool
}

// Context holds the condition keys of a request. Keys are lower case, since condition keys compare without case.
type Context map[string][]string

// Request is what a principal wants to do.
type Request struct {
	Principal Principal
	// Questions must all be answered with yes. A request that needs no permission but an identity has none.
	Questions []Question
	Context   Context
}

// Question asks whether one action is allowed on one resource.
type Question struct {
	// Action is an IAM action such as "ecr:PutImage".
	Action   string
	Resource Resource
}

// Ask makes the questions of several actions on several resources.
func Ask(actions []string, resources ...Resource) []Question {
	questions := make([]Question, 0, len(actions)*len(resources))
	for _, action := range actions {
		for _, resource := range resources {
			questions = append(questions, Question{action, resource})
		}
	}
	return questions
}

// Resource is one thing that a request touches.
type Resource struct {
	// ARN names the resource; "*" where the action has no resource of its own.
	ARN string
	// Account owns the resource.
	Account string
}

// Repository returns the resource of a repository.
func Repository(region, account, name string) Resource {
	return Resource{ARN: arn.Repository(region, account, name).String(), Account: account}
}

// Registry returns the resource of an action that concerns the registry of an account as a whole.
func Registry(account string) Resource { return Resource{ARN: "*", Account: account} }

// PolicySet is what applies to a request. No policy exists yet beyond the rule that an account's root principal may do
// everything in its own account.
type PolicySet struct{}

// Reason says why a request was denied; it becomes the end of AWS's sentence.
type Reason string

// The reasons of a denial.
const (
	ReasonNoIdentityPolicy Reason = "no identity-based policy allows"
	ReasonNoResourcePolicy Reason = "no resource-based policy allows"
	ReasonNoPrincipal      Reason = "no principal was authenticated, which no policy allows"
)

// Decision is the answer to a Request.
type Decision struct {
	Allowed bool
	// Action, Resource and Reason say what was denied first and why; they are empty when Allowed.
	Action   string
	Resource string
	Reason   Reason
}

// Evaluate answers the request.
func Evaluate(r Request, _ PolicySet) Decision {
	if r.Principal.ARN == "" {
		d := Decision{Resource: "*", Reason: ReasonNoPrincipal}
		if len(r.Questions) > 0 {
			d.Action, d.Resource = r.Questions[0].Action, r.Questions[0].Resource.ARN
		}
		return d
	}
	for _, q := range r.Questions {
		if reason := rootReason(r.Principal, q.Resource); reason != "" {
			return Decision{Action: q.Action, Resource: q.Resource.ARN, Reason: reason}
		}
	}
	return Decision{Allowed: true}
}

func rootReason(p Principal, resource Resource) Reason {
	switch {
	case !p.Root:
		return ReasonNoIdentityPolicy
	case resource.Account == "" || resource.Account != p.Account:
		return ReasonNoResourcePolicy
	}
	return ""
}

// Message is the sentence in which AWS tells a principal of a denial.
func (d Decision) Message(p Principal) string {
	var b strings.Builder
	b.WriteString("User: ")
	b.WriteString(p.ARN)
	b.WriteString(" is not authorized to perform: ")
	b.WriteString(d.Action)
	b.WriteString(" on resource: ")
	b.WriteString(d.Resource)
	b.WriteString(" because ")
	b.WriteString(string(d.Reason))
	b.WriteString(" the ")
	b.WriteString(d.Action)
	b.WriteString(" action")
	return b.String()
}
