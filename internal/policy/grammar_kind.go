package policy

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// checkTrust allows nothing but what assumes a role.
func checkTrust(s *rawStatement, _ Options) string {
	if s.notActions.present {
		return textAssumeRole
	}
	for _, action := range s.actions.values {
		switch action = strings.ToLower(action); action {
		case "sts:tagsession", "sts:setsourceidentity", "sts:setcontext":
		default:
			if !strings.HasPrefix(action, "sts:assumerole") {
				return textAssumeRole
			}
		}
	}
	return ""
}

// checkRepository accepts the actions that a repository has. Resource was refused for years, and documentation now has it
// as "*"; the repository itself is the only other that makes sense.
func checkRepository(s *rawStatement, o Options) string {
	if s.notResources.present {
		return fmt.Sprintf(textProhibited, "NotResource")
	}
	for _, resource := range s.resources.values {
		if o.Resource != "" && resource != "*" && resource != o.Resource {
			return "it names another resource"
		}
	}
	for _, action := range s.actions.values {
		if identityOnly(strings.ToLower(action)) {
			return "it names an action that no repository has"
		}
	}
	return checkVendor(s, "ecr:")
}

// checkVendor allows actions of one service only; the result is no sentence of AWS.
func checkVendor(s *rawStatement, vendor string) string {
	for _, e := range []elements{s.actions, s.notActions} {
		for _, action := range e.values {
			if action != "*" && !strings.HasPrefix(strings.ToLower(action), vendor) {
				return "it names an action of another service"
			}
		}
	}
	return ""
}

// checkRegistry accepts repositories of the registry. A policy of scope V1 knows the actions only that others need for
// replication and pull-through.
func checkRegistry(s *rawStatement, o Options) string {
	for _, e := range []elements{s.resources, s.notResources} {
		for _, resource := range e.values {
			if !withinRegistry(resource, o.Resource) {
				return "it names a resource of another registry"
			}
		}
	}
	for _, e := range []elements{s.actions, s.notActions} {
		for _, action := range e.values {
			if o.RegistryV1 && !inScopeV1(strings.ToLower(action)) {
				return "it names an action that scope V1 does not know"
			}
		}
	}
	return checkVendor(s, "ecr:")
}

func withinRegistry(resource, registry string) bool {
	if resource == "*" {
		return true
	}
	parts, n := splitARN(resource)
	own, _ := splitARN(registry)
	if n < len(parts) || parts[2] != "ecr" || !strings.HasPrefix(parts[5], "repository/") {
		return false
	}
	return registry == "" || (parts[3] == own[3] || parts[3] == "*") && (parts[4] == own[4] || parts[4] == "*")
}

// checkKey refuses what KMS finds too permissive: a set of one value is easily empty.
func checkKey(s *rawStatement, _ Options) string {
	if checkVendor(s, "kms:") != "" {
		return textKeyActions
	}
	for _, c := range s.conditions {
		if strings.HasPrefix(c.operator, "ForAllValues:") && strings.HasPrefix(c.key, "kms:encryptioncontext:") {
			return textKeyPermissive
		}
	}
	return ""
}

// checkRCP holds a customer's policy to denials of everybody; RCPFullAWSAccess, which allows, is not a customer's.
func checkRCP(s *rawStatement, _ Options) string {
	everyone := s.principal.everyone || len(s.principal.entries) == 1 && s.principal.entries[0] == rawEntry{"AWS", "*"}
	switch {
	case s.effect != effectDeny:
		return "it allows"
	case !everyone:
		return "its principal is not everyone"
	case s.notActions.present:
		return fmt.Sprintf(textProhibited, "NotAction")
	case slices.Contains(s.actions.values, "*"):
		return textNoVendor
	}
	return ""
}

// generatedKeys hold ids that AWS generates, which a pattern might fit by chance.
var generatedKeys = []string{
	"aws:principalaccount", "aws:principalorgid", "aws:resourceaccount", "aws:resourceorgid", "aws:sourceaccount",
	"aws:sourceorgid", "aws:sourcevpc", "aws:sourcevpce", "aws:vpceaccount", "aws:vpceorgid",
}

// minimumBeside is how many characters must stand before or after a wildcard in a condition of an endpoint's policy.
const minimumBeside = 6

func checkEndpoint(s *rawStatement, _ Options) string {
	for _, e := range []elements{s.resources, s.notResources} {
		for _, resource := range e.values {
			if parts, n := splitARN(resource); n == len(parts) && !plainAccount(parts[4]) {
				return textSyntax
			}
		}
	}
	for _, c := range s.conditions {
		op, _ := newOperator(c.operator)
		generated := slices.Contains(generatedKeys, c.key)
		if generated && op.family == familyNumeric {
			return textSyntax
		}
		for _, value := range c.values {
			switch {
			case generated && strings.ContainsAny(value, "*?"):
				return textSyntax
			case op.family == familyLike && !specific(value):
				return textSyntax
			case op.family == familyARN:
				if parts, n := splitARN(value); n == len(parts) && !plainAccount(parts[4]) {
					return textSyntax
				}
			}
		}
	}
	return ""
}

// plainAccount reports whether the account of an ARN is one, or any, and not a mixture.
func plainAccount(s string) bool {
	return !strings.ContainsAny(s, "*?") || strings.Trim(s, "*") == ""
}

// specific reports whether each wildcard of a pattern has enough text before or after it.
func specific(pattern string) bool {
	runs := strings.Split(strings.ReplaceAll(pattern, "?", "*"), "*")
	for i := range runs[1:] {
		if max(utf8.RuneCountInString(runs[i]), utf8.RuneCountInString(runs[i+1])) < minimumBeside {
			return false
		}
	}
	return true
}
