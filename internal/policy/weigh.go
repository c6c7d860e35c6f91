package policy

import "strings"

// verdict is what a layer of policies says of a question: whether a statement denies, and if none, which allow, by how
// closely they name the caller.
type verdict struct {
	deny  *statement
	allow [strengths]*statement
}

func (v *verdict) allows() bool {
	return v.allow[byName] != nil || v.allow[byRole] != nil || v.allow[byAccount] != nil
}

// weigh asks policies. It returns a statement that denies.
func (e *evaluation) weigh(policies []*Policy, v *verdict) *statement {
	for _, p := range policies {
		if e.consult(p, v); v.deny != nil {
			return v.deny
		}
	}
	return nil
}

// consult asks the statements of a policy that may concern the action, up to the first that denies.
func (e *evaluation) consult(p *Policy, v *verdict) {
	e.hearAll(p.index.exact[e.action], v)
	loose := p.index.loose[e.service]
	for i := range loose {
		if v.deny == nil && loose[i].name.match(e.name) {
			e.hearAll(loose[i].entries, v)
		}
	}
	for _, s := range p.index.broad {
		if v.deny == nil && s.concerns(e.action) {
			e.hear(s.statement, v)
		}
	}
}

func (e *evaluation) hearAll(entries []entry, v *verdict) {
	resource := e.target.resource()
	for i := range entries {
		if !strings.HasPrefix(resource, entries[i].head) {
			continue
		}
		if e.hear(entries[i].statement, v); v.deny != nil {
			return
		}
	}
}

// hear takes in a statement that concerns the action.
func (e *evaluation) hear(s *statement, v *verdict) {
	if !s.deny && v.allow[byName] != nil {
		return // nothing can be allowed more
	}
	strength := s.fitsPrincipal(&e.caller)
	if strength == unnamed || !s.deny && v.allow[strength] != nil || !s.applies(&e.target, e.in) {
		return
	}
	if s.deny {
		v.deny = s
	} else {
		v.allow[strength] = s
	}
}
