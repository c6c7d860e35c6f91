package policy

import (
	"fmt"
	"slices"
	"strings"
)

// condition is one key under one operator. A statement applies if all of its conditions hold.
type condition struct {
	key        string // lower case
	operator   operator
	quantifier quantifier
	// ifExists makes the condition hold if the key is absent.
	ifExists bool
	matchers []matcher
	// null are the values of Null: whether the key shall be absent.
	null []bool
}

// quantifier says of how many of a key's values the operator must hold.
type quantifier uint8

const (
	single quantifier = iota
	allValues
	anyValue
)

// newOperator finds the operator of a name with prefix and suffix, such as "ForAnyValue:StringLikeIfExists".
func newOperator(name string) (operator, bool) {
	op, _, _, ok := splitOperator(name)
	return op, ok
}

func splitOperator(name string) (op operator, q quantifier, ifExists, ok bool) {
	if rest, found := strings.CutPrefix(name, "ForAllValues:"); found {
		name, q = rest, allValues
	} else if rest, found := strings.CutPrefix(name, "ForAnyValue:"); found {
		name, q = rest, anyValue
	}
	name, ifExists = strings.CutSuffix(name, "IfExists")
	op, ok = operators[name]
	if op.family == familyNull && (ifExists || q != single) {
		return operator{}, single, false, false
	}
	return op, q, ifExists, ok
}

// newCondition compiles a condition. It reports false for an operator that it does not know. The warnings are about values
// and keys that make little sense.
func newCondition(raw rawCondition, variables bool) (c condition, warnings []string, ok bool) {
	op, q, ifExists, ok := splitOperator(raw.operator)
	if !ok {
		return condition{}, nil, false
	}
	c = condition{key: raw.key, operator: op, quantifier: q, ifExists: ifExists}
	for _, text := range raw.values {
		if op.family == familyNull {
			if isBoolean(text) {
				c.null = append(c.null, strings.EqualFold(text, "true"))
				continue
			}
		} else if m, ok := newMatcher(op, text, variables); ok {
			c.matchers = append(c.matchers, m)
			continue
		}
		warnings = append(warnings, fmt.Sprintf("no value of %s can match %q under %s", raw.key, text, raw.operator))
	}
	if q == single && op.family != familyNull && multivalued(raw.key) {
		warnings = append(warnings, fmt.Sprintf("%s may have several values, and %s has neither ForAllValues nor ForAnyValue", raw.key, raw.operator))
	}
	return c, warnings, true
}

// multivalued reports whether requests may have several values of a key.
func multivalued(key string) bool {
	switch key {
	case "aws:tagkeys", "aws:principalorgpaths", "aws:resourceorgpaths", "aws:sourceorgpaths", "aws:vpceorgpaths", "aws:calledvia",
		"aws:principalservicenameslist", "kms:encryptioncontextkeys", "kms:grantoperations", "kms:resourcealiases",
		"sts:transitivetagkeys", "coffer:imagetag":
		return true
	}
	return strings.HasSuffix(key, ":amr")
}

// holds evaluates the condition. A key that is ambiguous can't be judged, and then a denial applies and nothing else.
func (c *condition) holds(in contexts, deny bool) bool {
	values := in.get(c.key)
	if len(values) == 1 && values[0] == ambiguous {
		return deny
	}
	if c.operator.family == familyNull {
		return slices.Contains(c.null, !slices.ContainsFunc(values, func(v string) bool { return v != "" }))
	}
	if len(values) == 0 {
		return c.holdsAbsent()
	}
	switch {
	case c.quantifier == anyValue, c.quantifier == single && !c.operator.negated:
		return slices.ContainsFunc(values, func(v string) bool { return c.satisfied(v, in) })
	case c.quantifier == allValues:
		// An empty value counts as none.
		return !slices.ContainsFunc(values, func(v string) bool { return v != "" && !c.satisfied(v, in) })
	}
	// AWS does not define a negated operator for several values without a quantifier: it is the complement of the positive.
	return !slices.ContainsFunc(values, func(v string) bool { return !c.satisfied(v, in) })
}

// holdsAbsent is what a condition says of a key that the request does not have. For ForAllValues AWS's own table once says
// otherwise, which contradicts its rule that nothing satisfies everything.
func (c *condition) holdsAbsent() bool {
	switch {
	case c.ifExists, c.quantifier == allValues:
		return true
	case c.quantifier == anyValue:
		return false
	}
	return c.operator.negated
}

// satisfied reports whether one value satisfies the operator: it matches one of the policy's, or none if that is negated.
func (c *condition) satisfied(value string, in contexts) bool {
	for _, m := range c.matchers {
		if m.match(value, in) {
			return !c.operator.negated
		}
	}
	return c.operator.negated && c.operator.readable(value)
}
