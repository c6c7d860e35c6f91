package policy

import "strings"

// index finds the statements of a policy that may concern an action, so that the others cost nothing.
type index struct {
	// exact holds those that name the action, by the whole action.
	exact map[string][]entry
	// loose holds those with a pattern of names of one service, by the service.
	loose map[string][]looseEntries
	// broad are all others: "*", patterns of services, and NotAction.
	broad []entry
}

// entry is a statement with what most resources are told apart by, side by side in memory.
type entry struct {
	// head begins the last segment of all resources that the statement applies to.
	head string
	*statement
}

// looseEntries are the statements with the same pattern.
type looseEntries struct {
	name    glob
	entries []entry
}

func newIndex(statements []*statement) index {
	x := index{exact: map[string][]entry{}, loose: map[string][]looseEntries{}}
	for _, s := range statements {
		e := entry{s.head(), s}
		if s.notActions || s.isBroad() {
			x.broad = append(x.broad, e)
			continue
		}
		for _, g := range s.actions {
			if g.form == globLiteral {
				x.exact[g.text] = append(x.exact[g.text], e)
			} else {
				x.addLoose(g, e)
			}
		}
	}
	return x
}

// isBroad reports whether an action has a wildcard in the place of its service.
func (s *statement) isBroad() bool {
	for _, g := range s.actions {
		service, _, found := strings.Cut(g.text, ":")
		if g.form != globLiteral && (!found || strings.ContainsAny(service, "*?")) {
			return true
		}
	}
	return false
}

func (x *index) addLoose(g glob, e entry) {
	service, pattern, _ := strings.Cut(g.text, ":")
	if g.form == globPrefix {
		pattern += "*"
	}
	name, all := newGlob(pattern), x.loose[service]
	for i := range all {
		if all[i].name == name {
			all[i].entries = append(all[i].entries, e)
			return
		}
	}
	x.loose[service] = append(all, looseEntries{name, []entry{e}})
}

// head is what the last segments of the statement's resources have in common at their beginning; empty if it may apply to
// what is no ARN.
func (s *statement) head() string {
	if s.anyResource || s.notResources || s.brokenResource || len(s.resources) == 0 {
		return ""
	}
	head := s.resources[0].head()
	for i := range s.resources {
		other := s.resources[i].head()
		for !strings.HasPrefix(other, head) {
			head = head[:len(head)-1]
		}
	}
	return head
}

func (p *resourcePattern) head() string {
	g := &p.segments[5]
	switch {
	case p.variable != nil:
		return p.variable.head()
	case g.form == globPattern:
		return g.text[:strings.IndexAny(g.text, "*?")]
	}
	return g.text // all of it, or none for "*"
}

// head is the text before the first variable or wildcard.
func (t *template) head() string {
	text := t.text
	if i := strings.Index(text, "${"); i >= 0 {
		text = text[:i]
	}
	if i := strings.IndexAny(text, "*?"); i >= 0 {
		text = text[:i]
	}
	return text
}

// concerns reports whether Action or NotAction fits; action is in lower case.
func (s *statement) concerns(action string) bool {
	for i := range s.actions {
		if s.actions[i].match(action) {
			return !s.notActions
		}
	}
	return s.notActions
}
