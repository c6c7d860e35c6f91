package policy

import (
	"fmt"
	"strings"
)

// statement is a compiled statement.
type statement struct {
	policy *Policy
	sid    string
	number int // from 1
	deny   bool
	// actions is Action or NotAction, in lower case.
	actions    []glob
	notActions bool
	// named says that principals count; in the policies of a principal they don't exist.
	named      bool
	principals principals
	// anyResource is set without Resource and for "*".
	anyResource  bool
	resources    []resourcePattern
	notResources bool
	conditions   []condition
	// broken elements could not be understood. They never match for Allow, and always for Deny.
	brokenResource, brokenPrincipal, brokenCondition bool
}

// compile makes a policy of a document whose shape is right. It never fails: what cannot be understood is marked.
func compile(kind Kind, d *document, o Options) *Policy {
	p := &Policy{name: o.Name, kind: kind}
	for i := range d.statements {
		c := compiler{policy: p, grammar: &grammars[kind], options: o, raw: &d.statements[i], number: i + 1,
			variables: d.version == version2012}
		s := c.statement()
		if d.version != version2012 && d.version != version2008 && d.version != "" {
			// Nobody knows what another version means.
			s.brokenResource, s.brokenPrincipal, s.brokenCondition, s.conditions = true, true, true, nil
		}
		p.statements = append(p.statements, s)
	}
	p.index = newIndex(p.statements)
	return p
}

type compiler struct {
	policy    *Policy
	grammar   *grammar
	options   Options
	raw       *rawStatement
	number    int
	variables bool
}

func (c *compiler) statement() *statement {
	s := &statement{policy: c.policy, sid: c.raw.sid, number: c.number, deny: c.raw.effect == effectDeny, named: c.grammar.principal == required}
	c.actions(s)
	if s.named {
		c.principals(s)
	} else {
		s.brokenPrincipal = c.raw.principal != nil || c.raw.notPrincipal != nil
	}
	c.resources(s)
	c.conditions(s)
	c.warnOfTrust()
	return s
}

func (c *compiler) warn(format string, args ...any) {
	c.policy.warnings = append(c.policy.warnings, fmt.Sprintf("statement %d: ", c.number)+fmt.Sprintf(format, args...))
}

func (c *compiler) actions(s *statement) {
	s.notActions = c.raw.notActions.present
	if s.deny && !s.notActions && !c.raw.actions.present {
		s.actions = []glob{{form: globAll}}
	}
	for _, e := range []elements{c.raw.actions, c.raw.notActions} {
		for _, action := range e.values {
			s.actions = append(s.actions, newGlob(strings.ToLower(action)))
		}
	}
}

func (c *compiler) principals(s *statement) {
	raw := c.raw.principal
	if raw == nil {
		raw, s.principals.not = c.raw.notPrincipal, true
	}
	// NotPrincipal with Allow would allow everyone else, which no service supports.
	if raw == nil || s.principals.not && !s.deny {
		s.brokenPrincipal = true
		return
	}
	if raw.everyone {
		s.principals.entries = []principalEntry{{form: entryEveryone}}
		return
	}
	for _, e := range raw.entries {
		entry, ok := newEntry(e.key, e.value)
		switch {
		case !ok:
			c.warn("%q is no principal", e.value)
			if s.principals.not || !s.deny {
				continue
			}
			entry = principalEntry{entryARN, e.value}
		case c.options.Resolve != nil && entry.isResolvable():
			entry = c.resolved(entry, s)
		}
		s.principals.entries = append(s.principals.entries, entry)
	}
}

// resolved replaces a user or role by its unique id. One that is gone is nobody, but is still denied what it was.
func (c *compiler) resolved(e principalEntry, s *statement) principalEntry {
	if id, ok := c.options.Resolve(e.text); ok {
		return principalEntry{entryID, id}
	}
	if s.deny && !s.principals.not {
		return e
	}
	return principalEntry{}
}

func (c *compiler) resources(s *statement) {
	s.notResources = c.raw.notResources.present
	s.anyResource = !s.notResources && !c.raw.resources.present
	if s.anyResource && c.grammar.resource == required {
		s.brokenResource = true
	}
	for _, e := range []elements{c.raw.resources, c.raw.notResources} {
		for _, text := range e.values {
			p, ok := newResourcePattern(text, c.grammar.shortARNs, c.variables)
			if !ok {
				c.warn("%q is no pattern of a resource", text)
				s.brokenResource = true
			}
			s.anyResource = s.anyResource || p.all && !s.notResources
			s.resources = append(s.resources, p)
		}
	}
}

func (c *compiler) conditions(s *statement) {
	for _, raw := range c.raw.conditions {
		condition, warnings, ok := newCondition(raw, c.variables)
		for _, w := range warnings {
			c.warn("%s", w)
		}
		if !ok {
			c.warn("there is no operator %s", raw.operator)
			s.brokenCondition = true
			continue
		}
		s.conditions = append(s.conditions, condition)
	}
}

// applies reports whether everything but the principal fits.
func (s *statement) applies(t *target, in contexts) bool {
	return s.fitsResource(t, in) && s.fitsConditions(in)
}

func (s *statement) fitsResource(t *target, in contexts) bool {
	if s.brokenResource {
		return s.deny
	}
	if s.anyResource {
		return true
	}
	for i := range s.resources {
		if s.resources[i].match(t, in) {
			return !s.notResources
		}
	}
	return s.notResources
}

func (s *statement) fitsConditions(in contexts) bool {
	if s.brokenCondition && !s.deny {
		return false
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(in, s.deny) {
			return false
		}
	}
	return true
}

func (s *statement) fitsPrincipal(c *caller) strength {
	switch {
	case s.brokenPrincipal:
		return named(s.deny, byName)
	case !s.named:
		return byName
	}
	return s.principals.match(c)
}
