package policy

import "strings"

// index finds the statements of a policy that may concern an action, so that the others cost nothing.
type index struct {
	// exact holds those that name the action, by the whole action.
	exact map[string][]*statement
	// loose holds those with a pattern of names of one service, by the service.
	loose map[string][]looseAction
	// broad are all others: "*", patterns of services, and NotAction.
	broad []*statement
}

type looseAction struct {
	name glob
	*statement
}

func newIndex(statements []*statement) index {
	x := index{exact: map[string][]*statement{}, loose: map[string][]looseAction{}}
	for _, s := range statements {
		if s.notActions || !x.addActions(s) {
			x.broad = append(x.broad, s)
		}
	}
	return x
}

// addActions takes in the actions of a statement; it reports false if one has a pattern where its service stands.
func (x *index) addActions(s *statement) bool {
	for _, g := range s.actions {
		service, _, found := strings.Cut(g.text, ":")
		if g.form != globLiteral && (!found || strings.ContainsAny(service, "*?")) {
			return false
		}
	}
	for _, g := range s.actions {
		if g.form == globLiteral {
			x.exact[g.text] = append(x.exact[g.text], s)
			continue
		}
		service, name, _ := strings.Cut(g.text, ":")
		if g.form == globPrefix {
			name += "*"
		}
		x.loose[service] = append(x.loose[service], looseAction{newGlob(name), s})
	}
	return true
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
