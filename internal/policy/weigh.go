package policy

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
	for _, s := range p.index.exact[e.action] {
		if e.hear(s, v); v.deny != nil {
			return
		}
	}
	loose := p.index.loose[e.service]
	for i := range loose {
		if !loose[i].name.match(e.name) {
			continue
		}
		if e.hear(loose[i].statement, v); v.deny != nil {
			return
		}
	}
	for _, s := range p.index.broad {
		if !s.concerns(e.action) {
			continue
		}
		if e.hear(s, v); v.deny != nil {
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
