package policy

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Outcome is what a decision, or a layer of policies by itself, comes to, in the words of IAM's policy simulator.
type Outcome string

// The outcomes.
const (
	OutcomeAllowed      Outcome = "allowed"
	OutcomeExplicitDeny Outcome = "explicitDeny"
	OutcomeImplicitDeny Outcome = "implicitDeny"
)

// Outcome returns what the decision comes to.
func (d Decision) Outcome() Outcome { return outcomeOf(d.Allowed, d.Explicit) }

func outcomeOf(allowed, denied bool) Outcome {
	switch {
	case denied:
		return OutcomeExplicitDeny
	case allowed:
		return OutcomeAllowed
	}
	return OutcomeImplicitDeny
}

// Explanation is a Decision with all that has to do with it.
type Explanation struct {
	// Decision is the one of Evaluate.
	Decision
	// Principal is who asked.
	Principal Principal
	// Question is the one that is explained: the first that was denied, or, if all were allowed, the first. It is empty for
	// a request that needs no permission.
	Question Question
	// Foreign is set where principal and resource belong to different accounts.
	Foreign bool
	// Layers holds what each layer of policies says by itself: ReasonSCP, ReasonRCP, ReasonEndpoint, ReasonBoundary,
	// ReasonSession, ReasonIdentity, and ReasonResource, which is ReasonTrust for a role that is assumed. A layer that has
	// no say is not in it, as that of a boundary where there is none, and none is for an action that policies don't limit.
	Layers map[Reason]Outcome
	// Matched are all statements that apply to the question, whether they allow or deny, in the order of the layers. A grant
	// that allows is among them.
	Matched []Match
	// Missing are the condition keys that statements about the action mention and that the request does not have, sorted,
	// as the policies spell them. Not all of them need change the decision.
	Missing []string

	context contexts
}

// Match is a statement that applies to a question, or a grant, which has neither Sid nor Number nor places.
type Match struct {
	Statement
	// Kind is that of the policy.
	Kind Kind
	// Layer is the one that the policy belongs to, as in Explanation.Layers; or ReasonGrant.
	Layer Reason
	// Deny is set for a statement that denies.
	Deny bool
	// Start and End are where the statement is written in the document, as IAM's policy simulator has it: Start is behind
	// what comes before it, which is the bracket of the list or the statement before, or behind its own brace if it is not
	// in a list; End is behind its closing brace. They are zero if the document could not be read.
	Start, End Position

	raw *rawStatement
}

// Position is a place between two characters of a document: that of the second of them. Both count from 1.
type Position struct{ Line, Column int }

// Deciding returns the statements that IAM's policy simulator shows: those that deny, if any does; those that allow, if the
// request is allowed; and else none.
func (x *Explanation) Deciding() (out []Match) {
	for _, m := range x.Matched {
		if m.Deny == x.Explicit && (x.Explicit || x.Allowed) {
			out = append(out, m)
		}
	}
	return out
}

// Explain answers a request as Evaluate does, and says how the answer comes about. It takes the time to look at every
// statement and to read their documents anew.
func Explain(r Request, s PolicySet) Explanation {
	e := newEvaluation(&r, &s)
	d, deciding := e.decide()
	x := Explanation{Decision: d, Principal: r.Principal}
	if deciding < 0 {
		return x
	}
	x.Question = r.Questions[deciding]
	e.ask(&x.Question)
	x.Foreign, x.context = e.foreign, e.in
	if x.Reason == ReasonAlways {
		return x
	}
	x.Layers = map[Reason]Outcome{}
	missing := spellings{}
	for _, l := range e.layers() {
		outcome := e.explainLayer(l, &x, missing)
		if l.reason == ReasonIdentity && outcome == OutcomeImplicitDeny && e.identityAllows(&verdicts{}) {
			outcome = OutcomeAllowed // without a policy
		}
		x.Layers[l.reason] = outcome
	}
	x.Missing = missing.sorted()
	return x
}

// layer is policies that have a say together.
type layer struct {
	reason Reason
	// levels must allow each. All layers but those of an organization have one.
	levels [][]*Policy
	// mute is set where the layer can only deny.
	mute   bool
	grants []Grant
}

// layers returns what has a say in the question, in the order in which weighAll asks.
func (e *evaluation) layers() (out []layer) {
	if e.limitedBySCP() && e.set.SCP != nil {
		out = append(out, layer{reason: ReasonSCP, levels: e.set.SCP})
	}
	if !e.ServiceLinked && e.own.RCP != nil {
		out = append(out, layer{reason: ReasonRCP, levels: e.own.RCP})
	}
	add := func(reason Reason, is bool, policies []*Policy) {
		if is {
			out = append(out, layer{reason: reason, levels: [][]*Policy{policies}})
		}
	}
	add(ReasonEndpoint, e.set.Endpoint != nil, e.set.Endpoint)
	add(ReasonBoundary, e.inside() && e.set.Boundary != nil, e.set.Boundary)
	add(ReasonSession, e.inside() && (e.set.Session != nil || e.kind == federated), e.set.Session)
	add(ReasonIdentity, e.inside(), e.set.Identity)

	own := layer{reason: ReasonResource, mute: !grants(e.action, e.foreign), grants: e.own.Grants}
	var policies []*Policy
	for _, p := range e.own.Policies {
		if p.counts(e.action, e.own.RegistryV1) {
			policies = append(policies, p)
		}
	}
	own.levels = [][]*Policy{policies}
	reason, demands := demandsTrust(e.action, &e.target)
	if demands {
		own.reason = reason
	}
	if demands || len(policies)+len(own.grants) > 0 {
		out = append(out, own)
	}
	return out
}

// explainLayer notes the statements and grants of a layer that apply, and what keys they lack.
func (e *evaluation) explainLayer(l layer, x *Explanation, missing spellings) Outcome {
	all, denied := true, false
	for _, level := range l.levels {
		allowed := false
		for _, p := range level {
			for _, m := range e.explainPolicy(p, missing) {
				if !m.Deny && l.mute {
					continue
				}
				m.Layer = l.reason
				x.Matched = append(x.Matched, m)
				allowed, denied = allowed || !m.Deny, denied || m.Deny
			}
		}
		for i := range l.grants {
			if g := &l.grants[i]; !l.mute && g.match(e.action, e.encryption, &e.caller) != unnamed {
				x.Matched = append(x.Matched, Match{Statement: Statement{Policy: g.ID}, Layer: ReasonGrant})
				allowed = true
			}
		}
		all = all && allowed
	}
	return outcomeOf(all, denied)
}

// explainPolicy returns the statements of a policy that apply, and notes the keys that are missing for those that might.
func (e *evaluation) explainPolicy(p *Policy, missing spellings) (out []Match) {
	d, err := decode([]byte(p.text)) // fails for the same texts as when it was loaded
	var written []places
	if err == nil {
		written = statementPlaces([]byte(p.text))
	}
	for i, s := range p.statements {
		if !s.concerns(e.action) || s.fitsPrincipal(&e.caller) == unnamed {
			continue
		}
		if d != nil && s.mayFitResource(&e.target, e.in) {
			for key := range d.keys(i) {
				if len(e.in.get(strings.ToLower(key))) == 0 {
					missing.add(key)
				}
			}
		}
		if !s.applies(&e.target, e.in) {
			continue
		}
		m := Match{Statement: s.reference(), Kind: p.kind, Deny: s.deny}
		if d != nil {
			m.raw, m.Start, m.End = &d.statements[i], written[i].start, written[i].end
		}
		out = append(out, m)
	}
	return out
}

// mayFitResource reports whether the resource fits, or might if variables had other values.
func (s *statement) mayFitResource(t *target, in contexts) bool {
	if s.fitsResource(t, in) {
		return true
	}
	for i := range s.resources {
		if p := &s.resources[i]; p.variable != nil && t.isARN && p.matchPlace(&t.segments) {
			return true
		}
	}
	return false
}

// places is where a statement is written, by the rule of Match.
type places struct{ start, end Position }

// statementPlaces returns where the statements of a valid text are written.
func statementPlaces(text []byte) (out []places) {
	l, at := lexer{text: text}, counter{text: text, at: Position{1, 1}}
	for name, value := range members(text, l.value()) {
		if name != "Statement" {
			continue
		}
		behind := at.position(value.start + 1)
		for _, s := range statementSpans(text) {
			end := at.position(s.end)
			out = append(out, places{behind, end})
			behind = end
		}
	}
	return out
}

// counter finds the positions of ascending offsets in one pass.
type counter struct {
	text   []byte
	offset int
	at     Position
}

func (c *counter) position(offset int) Position {
	passed := c.text[c.offset:offset]
	c.offset = offset
	if line := bytes.LastIndexByte(passed, '\n'); line >= 0 {
		c.at.Line += bytes.Count(passed, []byte{'\n'})
		c.at.Column = 1
		passed = passed[line+1:]
	}
	c.at.Column += utf8.RuneCount(passed)
	return c.at
}
