package policy

import (
	"maps"
	"slices"
	"strings"

	"github.com/coffer-registry/coffer/internal/arn"
)

// Evaluate answers the request: every question must be allowed, and the first denial is the answer.
func Evaluate(r Request, s PolicySet) Decision {
	e := newEvaluation(&r, &s)
	d, _ := e.decide()
	return d
}

// decide answers all questions, and says which one the answer is about; -1 if there are none.
func (e *evaluation) decide() (first Decision, deciding int) {
	if len(e.request.Questions) == 0 && e.kind == nobody {
		return Decision{Reason: ReasonIdentity, Resource: "*"}, -1
	}
	if len(e.request.Questions) == 0 {
		return Decision{Allowed: true, Reason: ReasonAlways}, -1
	}
	for i := range e.request.Questions {
		d := e.answer(&e.request.Questions[i])
		if !d.Allowed {
			return d, i
		}
		if i == 0 {
			first = d
		}
	}
	return first, 0
}

// evaluation is the state of one request, and of the question at hand.
type evaluation struct {
	caller
	request *Request
	set     *PolicySet

	question *Question
	action   string // lower case
	service  string // the action's, before its colon
	name     string // and behind it
	target   target
	own      ResourceSet // what is attached to the resource
	in       contexts
	foreign  bool // the resource belongs to another account than the caller
	// encryption is the encryption context that grants look at.
	encryption map[string]string
}

func newEvaluation(r *Request, s *PolicySet) evaluation {
	return evaluation{caller: caller{Principal: r.Principal, kind: r.Principal.kind(), boundary: s.Boundary != nil}, request: r, set: s}
}

// ask turns to a question.
func (e *evaluation) ask(q *Question) {
	e.question, e.action = q, strings.ToLower(q.Action)
	e.service, e.name, _ = strings.Cut(e.action, ":")
	e.target = newTarget(q.Resource.ARN)
	e.own = e.set.Resources[q.Resource]
	e.encryption = e.request.EncryptionContext
	if q.Own != nil {
		e.alone(q.Own)
	}
	e.in = contexts{e.own.Context, e.request.Context, e.set.Context}
	e.foreign = q.Resource.Account == "" || q.Resource.Account != e.Account
}

// alone takes in what a question has for itself.
func (e *evaluation) alone(own *Own) {
	if len(own.Context) > 0 {
		context := maps.Clone(e.own.Context)
		if context == nil {
			context = Context{}
		}
		maps.Copy(context, own.Context)
		e.own.Context = context
	}
	if own.EncryptionContext != nil {
		e.encryption = own.EncryptionContext
	}
	if len(own.Grants) > 0 {
		e.own.Grants = slices.Concat(e.own.Grants, own.Grants)
	}
}

func (e *evaluation) answer(q *Question) Decision {
	e.ask(q)
	if e.kind != nobody && e.action == "sts:getcalleridentity" {
		return e.allowed(ReasonAlways, nil)
	}

	var v verdicts
	if reason, s := e.weighAll(&v); s != nil {
		return e.denied(reason, s)
	}
	if reason := v.limit(e.set); reason != "" {
		return e.denied(reason, nil)
	}
	switch {
	case e.kind == nobody, e.kind == service, e.kind == provider:
		return e.outside(&v)
	case e.foreign:
		return e.acrossAccounts(&v)
	case e.kind == root:
		return e.byRoot(&v)
	}
	return e.withinAccount(&v)
}

// verdicts are what the layers of policies say, of which none denies.
type verdicts struct {
	scp, rcp                              bool // every level allows
	endpoint, boundary, session, identity verdict
	resource                              verdict
	grant                                 [strengths]*Grant
}

// weighAll asks all layers. It returns the first that denies explicitly, in the order in which AWS would name them.
func (e *evaluation) weighAll(v *verdicts) (Reason, *statement) {
	var s *statement
	v.scp, v.rcp = true, true
	if e.limitedBySCP() {
		if v.scp, s = e.weighLevels(e.set.SCP); s != nil {
			return ReasonSCP, s
		}
	}
	if !e.ServiceLinked {
		if v.rcp, s = e.weighLevels(e.own.RCP); s != nil {
			return ReasonRCP, s
		}
	}
	if s = e.weigh(e.set.Endpoint, &v.endpoint); s != nil {
		return ReasonEndpoint, s
	}
	if e.inside() {
		if reason, s := e.weighPrincipal(v); s != nil {
			return reason, s
		}
	}
	return e.weighResource(v)
}

// inside reports whether the caller has policies of its own.
func (e *evaluation) inside() bool {
	return e.kind == user || e.kind == session || e.kind == federated
}

// limitedBySCP reports whether the organization's service control policies are about the caller.
func (e *evaluation) limitedBySCP() bool {
	return (e.inside() || e.kind == root) && !e.Management && !e.ServiceLinked
}

// weighPrincipal asks the policies of the principal's side.
func (e *evaluation) weighPrincipal(v *verdicts) (Reason, *statement) {
	if s := e.weigh(e.set.Boundary, &v.boundary); s != nil {
		return ReasonBoundary, s
	}
	if s := e.weigh(e.set.Session, &v.session); s != nil {
		return ReasonSession, s
	}
	return ReasonIdentity, e.weigh(e.set.Identity, &v.identity)
}

// weighResource asks the policies and grants of the resource.
func (e *evaluation) weighResource(v *verdicts) (Reason, *statement) {
	for _, p := range e.own.Policies {
		if !p.counts(e.action, e.own.RegistryV1) {
			continue
		}
		before := v.resource.allow
		e.consult(p, &v.resource)
		if e.kind == nobody && p.kind == KindRegistry {
			v.resource.allow = before // a repository is open to everyone only if its own policy says so
		}
		if v.resource.deny != nil {
			if reason, trust := demandsTrust(e.action, &e.target); trust {
				return reason, v.resource.deny
			}
			return ReasonResource, v.resource.deny
		}
	}
	for i := range e.own.Grants {
		g := &e.own.Grants[i]
		if s := g.match(e.action, e.encryption, &e.caller); s != unnamed && v.grant[s] == nil {
			v.grant[s] = g
		}
	}
	if !grants(e.action, e.foreign) {
		v.resource, v.grant = verdict{}, [strengths]*Grant{}
	}
	return "", nil
}

// weighLevels asks the levels of an organization, each of which must allow. It returns a statement that denies.
func (e *evaluation) weighLevels(levels [][]*Policy) (all bool, deny *statement) {
	all = true
	for _, level := range levels {
		var v verdict
		if s := e.weigh(level, &v); s != nil {
			return false, s
		}
		all = all && v.allows()
	}
	return all, nil
}

// limit returns the first layer that all requests have to pass and this one does not.
func (v *verdicts) limit(s *PolicySet) Reason {
	switch {
	case !v.rcp:
		return ReasonRCP
	case !v.scp:
		return ReasonSCP
	case s.Endpoint != nil && !v.endpoint.allows():
		return ReasonEndpoint
	}
	return ""
}

// outside answers those who have no identity here: what the resource's policy allows is allowed.
func (e *evaluation) outside(v *verdicts) Decision {
	trust, isTrust := demandsTrust(e.action, &e.target)
	reason := ReasonResource
	if isTrust {
		reason = trust
	}
	s := v.resource.allow[byName]
	switch {
	case e.kind == nobody && isTrust, e.kind == provider && !e.providesFor():
		return e.denied(reason, nil)
	case s != nil && e.kind == provider:
		return e.allowed(ReasonTrust, s)
	case s != nil:
		return e.allowed(ReasonResource, s)
	case v.grant[byName] != nil:
		return e.granted(v.grant[byName])
	}
	return e.denied(reason, nil)
}

// providesFor reports whether an identity provider may vouch before the resource: one that an account has set up, in that
// account only.
func (e *evaluation) providesFor() bool {
	parts, n := splitARN(e.ARN)
	return n == 0 || parts[4] == e.question.Resource.Account
}

// acrossAccounts answers a principal of another account than the resource's: both must allow.
func (e *evaluation) acrossAccounts(v *verdicts) Decision {
	reason, isTrust := demandsTrust(e.action, &e.target)
	if e.kind == root && reason == ReasonTrust {
		return e.denied(ReasonTrust, nil)
	}
	if e.kind != root {
		if lack := e.lack(v, e.identityAllows(v)); lack != "" {
			return e.denied(lack, nil)
		}
	}
	for s := byName; s > unnamed; s-- {
		switch {
		case v.resource.allow[s] != nil:
			return e.allowed(ReasonCrossAccount, v.resource.allow[s])
		case v.grant[s] != nil:
			d := e.granted(v.grant[s])
			d.Reason = ReasonCrossAccount
			return d
		}
	}
	if isTrust {
		return e.denied(reason, nil)
	}
	return e.denied(ReasonResource, nil)
}

// byRoot answers the root of the account that owns the resource. Only keys have a say against it, and it assumes no roles.
func (e *evaluation) byRoot(v *verdicts) Decision {
	reason, demands := demandsTrust(e.action, &e.target)
	if !demands || reason != ReasonTrust && (v.resource.allows() || v.grant != [strengths]*Grant{}) {
		return e.allowed(ReasonRoot, nil)
	}
	return e.denied(reason, nil)
}

// withinAccount answers a principal of the account that owns the resource.
func (e *evaluation) withinAccount(v *verdicts) Decision {
	if s := v.resource.allow[byName]; s != nil {
		return e.allowed(ReasonResource, s) // neither boundary nor session limit this
	}
	lack := e.lack(v, true)
	if s := v.resource.allow[byRole]; s != nil && lack == "" {
		return e.allowed(ReasonResource, s)
	}
	reason, demands := demandsTrust(e.action, &e.target)
	trusted := !demands || v.resource.allow[byAccount] != nil || v.grant[byAccount] != nil
	if trusted && lack == "" && e.identityAllows(v) {
		return e.allowed(ReasonIdentity, v.identity.allow[byName])
	}
	if g := v.grant[byName]; g != nil {
		return e.granted(g)
	}
	if g := v.grant[byRole]; g != nil && lack == "" {
		return e.granted(g)
	}
	if v.resource.allow[byRole] != nil || v.grant[byRole] != nil {
		return e.denied(lack, nil)
	}
	// Who lacks something to assume a role is told that first, whether or not there is such a role.
	if lack = e.lack(v, e.identityAllows(v)); lack == "" || !trusted && reason != ReasonTrust {
		lack = reason
	}
	return e.denied(lack, nil)
}

// identityAllows reports whether the principal's own policies allow. A federated user of the root has the root's part.
func (e *evaluation) identityAllows(v *verdicts) bool {
	return v.identity.allows() || e.kind == federated && e.User == arn.Root(e.Account).String()
}

// lack returns what a principal's side lacks to be allowed, given whether its policies allow; empty if nothing.
func (e *evaluation) lack(v *verdicts, identity bool) Reason {
	switch {
	case !identity:
		return ReasonIdentity
	case e.set.Boundary != nil && !v.boundary.allows():
		return ReasonBoundary
	case (e.set.Session != nil || e.kind == federated) && !v.session.allows():
		return ReasonSession
	}
	return ""
}

func (e *evaluation) allowed(r Reason, s *statement) Decision {
	return Decision{Allowed: true, Reason: r, Statement: s.reference()}
}

func (e *evaluation) granted(g *Grant) Decision {
	return Decision{Allowed: true, Reason: ReasonGrant, Statement: Statement{Policy: g.ID}}
}

// denied denies explicitly if a statement does.
func (e *evaluation) denied(r Reason, s *statement) Decision {
	return Decision{Explicit: s != nil, Reason: r, Statement: s.reference(), Action: e.question.Action,
		Resource: e.question.Resource.ARN, foreign: e.foreign}
}

func (s *statement) reference() Statement {
	if s == nil {
		return Statement{}
	}
	return Statement{Policy: s.policy.name, Sid: s.sid, Number: s.number}
}
