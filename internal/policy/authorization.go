package policy

import (
	"maps"
	"slices"
	"strings"
)

// MaxAuthorizationMessage is the greatest size in bytes of an AuthorizationMessage. Encrypted and in base64 it is still no
// longer than the 10,240 characters that DecodeAuthorizationMessage takes.
const MaxAuthorizationMessage = 7000

// AuthorizationMessage returns what sts:DecodeAuthorizationMessage says of a decision: JSON with the statements that
// decided, the principal, the action, the resource, and the condition keys of the request. It is not for the principal
// itself but for whoever may decode it, in the principal's account.
//
// Of another account's resource it tells nothing that the account did not: neither what its policies say nor its tags. Of
// a decision that would be larger than MaxAuthorizationMessage it leaves out what is less needed: the contents of the
// statements, then most conditions, and in the end all but the beginnings of the names.
func AuthorizationMessage(x Explanation) []byte {
	m := newAuthorizationMessage(&x)
	text := plainJSON(m)
	for _, shorten := range []func(*authorizationMessage){
		(*authorizationMessage).dropStatementContents, (*authorizationMessage).dropConditions, (*authorizationMessage).cutNames,
	} {
		if len(text) <= MaxAuthorizationMessage {
			break
		}
		shorten(m)
		text = plainJSON(m)
	}
	return text
}

// list is how AWS writes lists here.
type list[T any] struct {
	Items []T `json:"items"` // never nil, which would be null
}

type authorizationMessage struct {
	Allowed           bool                   `json:"allowed"`
	ExplicitDeny      bool                   `json:"explicitDeny"`
	MatchedStatements list[matchedStatement] `json:"matchedStatements"`
	Failures          list[struct{}]         `json:"failures"`
	Context           authorizationContext   `json:"context"`
}

// matchedStatement has the elements of a statement. How AWS shows those that begin with Not is not documented; here they
// are there only if the statement has them.
type matchedStatement struct {
	StatementID     string             `json:"statementId"`
	Effect          string             `json:"effect"`
	Principals      list[plainValue]   `json:"principals"`
	NotPrincipals   *list[plainValue]  `json:"notPrincipals,omitempty"`
	PrincipalGroups list[plainValue]   `json:"principalGroups"`
	Actions         list[plainValue]   `json:"actions"`
	NotActions      *list[plainValue]  `json:"notActions,omitempty"`
	Resources       list[plainValue]   `json:"resources"`
	NotResources    *list[plainValue]  `json:"notResources,omitempty"`
	Conditions      list[keyAndValues] `json:"conditions"`
}

type authorizationContext struct {
	Principal  authorizationPrincipal `json:"principal"`
	Action     string                 `json:"action"`
	Resource   string                 `json:"resource"`
	Conditions list[keyAndValues]     `json:"conditions"`
}

type authorizationPrincipal struct {
	ID  string `json:"id"`
	ARN string `json:"arn,omitempty"`
}

type keyAndValues struct {
	Key    string           `json:"key"`
	Values list[plainValue] `json:"values"`
}

type plainValue struct {
	Value string `json:"value"`
}

func plainValues(values []string) list[plainValue] {
	out := list[plainValue]{[]plainValue{}}
	for _, value := range values {
		out.Items = append(out.Items, plainValue{value})
	}
	return out
}

func newAuthorizationMessage(x *Explanation) *authorizationMessage {
	m := &authorizationMessage{
		Allowed:           x.Allowed,
		MatchedStatements: list[matchedStatement]{[]matchedStatement{}}, Failures: list[struct{}]{[]struct{}{}},
		Context: authorizationContext{
			Principal: authorizationPrincipal{x.Principal.userID(), x.Principal.ARN}, Action: x.Question.Action, Resource: x.Question.Resource.ARN,
			Conditions: x.conditions(),
		},
	}
	for _, match := range x.Deciding() {
		if match.Layer != ReasonGrant && !x.hides(match.Layer) {
			m.MatchedStatements.Items = append(m.MatchedStatements.Items, newMatchedStatement(&match, &x.Principal))
			m.ExplicitDeny = x.Explicit
		}
	}
	return m
}

// hides reports whether a layer is another account's, as Decision.Message has it.
func (x *Explanation) hides(layer Reason) bool {
	return x.Foreign && (layer == ReasonResource || layer == ReasonTrust || layer == ReasonRCP)
}

// conditions returns the condition keys, in the order of their names. An ambiguous key has no values.
func (x *Explanation) conditions() list[keyAndValues] {
	all := Context{}
	maps.Copy(all, x.context.caller)
	maps.Copy(all, x.context.request)
	if !x.Foreign {
		maps.Copy(all, x.context.resource)
	}
	out := list[keyAndValues]{[]keyAndValues{}}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		values := slices.DeleteFunc(slices.Clone(all[key]), func(value string) bool { return value == ambiguous })
		out.Items = append(out.Items, keyAndValues{keyName(key), plainValues(values)})
	}
	return out
}

func newMatchedStatement(match *Match, p *Principal) matchedStatement {
	m := matchedStatement{StatementID: match.Sid, Effect: "ALLOW"}
	if match.Deny {
		m.Effect = "DENY"
	}
	raw := match.raw
	if raw == nil {
		raw = &rawStatement{} // of a document that can't be read
	}
	if raw.principal != nil || raw.notPrincipal != nil {
		m.Principals, m.NotPrincipals = plainValues(raw.principal.values()), notValues(raw.notPrincipal != nil, raw.notPrincipal.values())
	} else {
		m.Principals = plainValues([]string{p.entityID()}) // to whom the policy is attached
	}
	m.PrincipalGroups = plainValues(nil)
	m.Actions, m.NotActions = plainValues(raw.actions.values), notValues(raw.notActions.present, raw.notActions.values)
	m.Resources, m.NotResources = plainValues(raw.resources.values), notValues(raw.notResources.present, raw.notResources.values)
	m.Conditions = list[keyAndValues]{[]keyAndValues{}}
	for _, c := range raw.conditions {
		m.Conditions.Items = append(m.Conditions.Items, keyAndValues{c.spelled, plainValues(c.values)})
	}
	return m
}

func notValues(present bool, values []string) *list[plainValue] {
	if !present {
		return nil
	}
	out := plainValues(values)
	return &out
}

// values returns the texts of Principal or NotPrincipal, without the keys under which they stand.
func (p *rawPrincipal) values() (out []string) {
	switch {
	case p == nil:
		return nil
	case p.everyone:
		return []string{"*"}
	}
	for _, e := range p.entries {
		out = append(out, e.value)
	}
	return out
}

// entityID is the unique id of the user or role, if there is one.
func (p *Principal) entityID() string {
	if p.ID != "" {
		return p.ID
	}
	return p.ARN
}

// userID is what the condition key aws:userid says of the principal.
func (p *Principal) userID() string {
	name := p.ARN[strings.LastIndexByte(p.ARN, '/')+1:]
	switch p.kind() {
	case nobody:
		return "anonymous"
	case root:
		return p.Account
	case session:
		return p.ID + ":" + name
	case federated:
		return p.Account + ":" + name
	case user:
		return p.ID
	}
	return p.ARN
}

// How many statements and conditions are left of too many, and how many bytes of a name that is too long.
const (
	mostStatements = 8
	mostConditions = 24
	mostOfName     = 256
)

// dropStatementContents leaves the ids and effects of the first statements.
func (m *authorizationMessage) dropStatementContents() {
	s := m.MatchedStatements.Items
	s = s[:min(len(s), mostStatements)]
	for i := range s {
		s[i] = newMatchedStatement(&Match{Statement: Statement{Sid: cut(s[i].StatementID)}, Deny: s[i].Effect == "DENY"}, &Principal{})
		s[i].Principals = plainValues(nil)
	}
	m.MatchedStatements.Items = s
}

// dropConditions leaves the first conditions whose texts are short.
func (m *authorizationMessage) dropConditions() {
	c := slices.DeleteFunc(m.Context.Conditions.Items, func(c keyAndValues) bool {
		size := len(c.Key)
		for _, v := range c.Values.Items {
			size += len(v.Value)
		}
		return size > mostOfName
	})
	m.Context.Conditions.Items = c[:min(len(c), mostConditions)]
}

// cutNames leaves nothing whose size is not bounded.
func (m *authorizationMessage) cutNames() {
	m.MatchedStatements.Items, m.Context.Conditions.Items = []matchedStatement{}, []keyAndValues{}
	for _, name := range []*string{&m.Context.Principal.ID, &m.Context.Principal.ARN, &m.Context.Action, &m.Context.Resource} {
		*name = cut(*name)
	}
}

// cut returns the beginning of a text, of whole characters.
func cut(text string) string {
	if len(text) <= mostOfName {
		return text
	}
	return strings.ToValidUTF8(text[:mostOfName], "")
}
