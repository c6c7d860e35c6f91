package policy

import (
	"strings"
)

// segments are the parts of an ARN, which is split at its first five colons.
type segments [6]string

// splitARN returns the segments of s and how many it has, at most six; 0 if s does not begin like an ARN.
func splitARN(s string) (out segments, n int) {
	if !strings.HasPrefix(s, "arn:") {
		return out, 0
	}
	for n < len(out)-1 {
		i := strings.IndexByte(s, ':')
		if i < 0 {
			break
		}
		out[n], s = s[:i], s[i+1:]
		n++
	}
	out[n] = s
	return out, n + 1
}

// arnPattern matches ARNs segment by segment, so that no "*" reaches over one of the first five colons.
type arnPattern struct {
	all      bool // "*", which matches also what is no ARN
	segments [6]glob
}

// newARNPattern compiles a pattern. Missing segments are "*" if complete is set; else a pattern that lacks some is none.
func newARNPattern(text string, complete bool) (p arnPattern, ok bool) {
	if text != "" && strings.Trim(text, "*") == "" {
		return arnPattern{all: true}, true
	}
	parts, n := splitARN(text)
	if n == 0 || n < len(parts) && !complete {
		return arnPattern{}, false
	}
	for i := range parts {
		if i < n {
			p.segments[i] = newGlob(parts[i])
		} else {
			p.segments[i] = glob{form: globAll}
		}
	}
	return p, true
}

// match compares the last segment first: it tells most ARNs apart.
func (p *arnPattern) match(s *segments) bool {
	return p.matchResource(s[5]) && p.matchPlace(s)
}

func (p *arnPattern) matchResource(resource string) bool { return p.segments[5].match(resource) }

func (p *arnPattern) matchPlace(s *segments) bool {
	for i := range 5 {
		if !p.segments[i].match(s[i]) {
			return false
		}
	}
	return true
}

// resourcePattern is an element of Resource or NotResource.
type resourcePattern struct {
	arnPattern
	// variable is the last segment if it holds variables.
	variable *template
}

// newResourcePattern compiles an element. It reports false for one that cannot be judged, as with variables where none may
// be.
func newResourcePattern(text string, complete, variables bool) (p resourcePattern, ok bool) {
	p.arnPattern, ok = newARNPattern(text, complete)
	if !ok || p.all || !variables || !strings.Contains(text, "${") {
		return p, ok
	}
	parts, _ := splitARN(text)
	for _, s := range parts[:5] {
		if strings.Contains(s, "${") {
			return p, false
		}
	}
	t, sound := newTemplate(parts[5])
	p.variable = &t
	return p, sound
}

// target is the resource of a question.
type target struct {
	text  string
	isARN bool
	segments
}

// resource is the last segment; empty for what is no ARN.
func (t *target) resource() string {
	if !t.isARN {
		return ""
	}
	return t.segments[5]
}

func newTarget(text string) target {
	parts, n := splitARN(text)
	return target{text: text, isARN: n == len(parts), segments: parts}
}

func (p *resourcePattern) match(t *target, c contexts) bool {
	switch {
	case p.all:
		return true
	case !t.isARN:
		return false
	case p.variable == nil:
		return p.arnPattern.match(&t.segments)
	}
	if !p.matchPlace(&t.segments) {
		return false
	}
	pattern, quoted, ok := p.variable.pattern(c)
	if !ok {
		return false
	}
	resource := t.segments[5]
	if quoted {
		if resource, ok = quote(resource); !ok {
			return false
		}
	}
	g := newGlob(pattern)
	return g.match(resource)
}
