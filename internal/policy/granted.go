package policy

import (
	"maps"
	"slices"
	"strings"
)

// Services returns the services whose actions the policies name in what they allow, in lower case and sorted. others says
// that they allow actions of services that they don't name too, as "*" and NotAction do.
func Services(policies ...*Policy) (named []string, others bool) {
	all := map[string]bool{}
	for _, p := range policies {
		for _, s := range p.statements {
			if s.deny {
				continue
			}
			others = others || s.notActions || s.isBroad()
			for _, g := range s.actions {
				service, _, found := strings.Cut(g.text, ":")
				if found && !s.notActions && !strings.ContainsAny(service, "*?") {
					all[service] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(all)), others
}

// GrantsService reports whether the policy allows some action of a service on some resource, under whatever conditions.
func (p *Policy) GrantsService(service string) bool {
	return slices.ContainsFunc(p.statements, func(s *statement) bool { return !s.deny && !s.broken() && s.concernsPartOf(service) })
}

// DeniesService reports whether the policy denies all actions of a service on all resources, without conditions.
func (p *Policy) DeniesService(service string) bool {
	return slices.ContainsFunc(p.statements, func(s *statement) bool {
		return s.deny && s.anyResource && len(s.conditions) == 0 && s.concernsAllOf(service)
	})
}

// broken reports whether a statement that allows can never apply.
func (s *statement) broken() bool { return s.brokenResource || s.brokenCondition || s.brokenPrincipal }

// concernsPartOf reports whether Action or NotAction leaves any action of a service, which is in lower case.
func (s *statement) concernsPartOf(service string) bool {
	if s.notActions {
		return !slices.ContainsFunc(s.actions, func(g glob) bool { return g.coversService(service) })
	}
	return slices.ContainsFunc(s.actions, func(g glob) bool { return g.touchesService(service) })
}

func (s *statement) concernsAllOf(service string) bool {
	if s.notActions {
		return !slices.ContainsFunc(s.actions, func(g glob) bool { return g.touchesService(service) })
	}
	return slices.ContainsFunc(s.actions, func(g glob) bool { return g.coversService(service) })
}

// touchesService reports whether a pattern of actions may fit one of a service.
func (g glob) touchesService(service string) bool {
	vendor, _, found := strings.Cut(g.text, ":")
	switch {
	case g.form == globAll:
		return true
	case found:
		pattern := newGlob(vendor)
		return pattern.match(service)
	case g.form == globPrefix:
		return strings.HasPrefix(service, g.text)
	}
	return g.form == globPattern // which may have its colon in a wildcard
}

// coversService reports whether a pattern fits all actions of a service.
func (g glob) coversService(service string) bool {
	return g.form == globAll || g.form == globPrefix && strings.HasPrefix(service+":", g.text)
}
