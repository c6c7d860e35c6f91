package policy

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// MalformedError says why a text is no policy of its kind.
type MalformedError struct {
	// Message is the sentence that AWS answers with, which clients compare.
	Message string
	// Detail says where and what, for whoever has to find it.
	Detail  string
	notJSON bool
}

// Error returns the message with the detail.
func (e *MalformedError) Error() string { return e.Message + " (" + e.Detail + ")" }

// The sentences of MalformedPolicyDocument.
const (
	textSyntax        = "Syntax errors in policy."
	textNotJSON       = "This policy contains invalid Json"
	textVersion       = "Policy document must be version 2012-10-17 or greater."
	textLegacy        = "The policy failed legacy parsing"
	textSidUnique     = "Statement IDs (SID) in a single policy must be unique."
	textSidCharacters = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
	textNoAction      = "Policy statement must contain actions."
	textNoResource    = "Policy statement must contain resources."
	textPrincipal     = "Policy document should not specify a principal."
	textNoPrincipal   = "Missing required field Principal."
	textNoVendor      = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
	textTwoColons     = "Actions/Condition can contain only one colon."
	textAssumeRole    = "AssumeRole policy may only specify STS AssumeRole actions."

	textKeyPrincipals  = "Policy contains a statement with one or more invalid principals."
	textKeyActions     = "Policy contains a statement with one or more invalid actions."
	textKeyPermissive  = "OverlyPermissiveCondition:EncryptionContext"
	textOrganization   = "The provided policy document does not meet the requirements of the specified policy type."
	textECR            = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid %s policy provided'"
	textProhibited     = "Has prohibited field %s."
	textVendor         = "Vendor %s is not valid"
	textWrongPrincipal = `Invalid principal in policy: "%s":"%s"`
)

// presence says whether an element must or may be there.
type presence uint8

const (
	optional presence = iota
	required
	forbidden
)

// grammar is what the kinds of policies differ in.
type grammar struct {
	principal, resource presence
	// notPrincipal allows NotPrincipal, with Deny.
	notPrincipal bool
	// federated allows identity providers as principals.
	federated bool
	// plainSids are alphanumeric and unique.
	plainSids bool
	// version2012 refuses the older version.
	version2012 bool
	// shortARNs completes resources of fewer than six segments by "*".
	shortARNs bool
	// check judges what only this kind has; the result is a sentence, or empty.
	check func(*rawStatement, Options) string
}

var grammars = [...]grammar{
	KindIdentity:   {principal: forbidden, resource: required, plainSids: true, shortARNs: true},
	KindManaged:    {principal: forbidden, resource: required, plainSids: true, shortARNs: true, version2012: true},
	KindSession:    {principal: forbidden, resource: required, plainSids: true},
	KindTrust:      {principal: required, resource: forbidden, plainSids: true, federated: true, check: checkTrust},
	KindResource:   {principal: required, resource: required, notPrincipal: true},
	KindRepository: {principal: required, resource: optional, notPrincipal: true, check: checkRepository},
	KindRegistry:   {principal: required, resource: required, notPrincipal: true, check: checkRegistry},
	KindKey:        {principal: required, resource: required, notPrincipal: true, check: checkKey},
	KindSCP:        {principal: forbidden, resource: required, plainSids: true, shortARNs: true, version2012: true},
	KindRCP:        {principal: required, resource: required, plainSids: true, version2012: true, check: checkRCP},
	KindEndpoint:   {principal: required, resource: required, notPrincipal: true, check: checkEndpoint},
}

// check judges a document whose syntax is right, in the order in which IAM does. The error is a *MalformedError.
func check(kind Kind, d *document, o Options) error {
	g := &grammars[kind]
	each := func(step func(*grammar, *rawStatement, Options) string) func() error {
		return func() error {
			for i := range d.statements {
				if text := step(g, &d.statements[i], o); text != "" {
					return &MalformedError{Message: text, Detail: fmt.Sprintf("statement %d", i+1)}
				}
			}
			return nil
		}
	}
	for _, step := range []func() error{
		func() error { return checkWildcards(d) }, each(checkConditions), func() error { return checkVersion(g, d) }, each(checkLegacy), each(checkSid),
		func() error { return checkUnique(g, d) }, each(checkFields), each(checkResources), each(checkActions),
		each(checkPrincipals), each(checkKind),
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// maxSlowPatterns is how many patterns of a document may have a "?" between two "*", which take longer to match than all
// others. IAM documents no such bound; no policy that means something comes near it.
const maxSlowPatterns = 100

func checkWildcards(d *document) error {
	slow := 0
	for i, s := range d.statements {
		lists := [][]string{s.actions.values, s.notActions.values, s.resources.values, s.notResources.values}
		for _, c := range s.conditions {
			lists = append(lists, c.values)
		}
		for _, list := range lists {
			for _, text := range list {
				if isSlow(text) {
					slow++
				}
			}
		}
		if slow > maxSlowPatterns {
			return syntaxError("statement %d: there are more than %d patterns with ? between two *", i+1, maxSlowPatterns)
		}
	}
	return nil
}

func isSlow(pattern string) bool {
	_, rest, _ := strings.Cut(pattern, "*")
	last := strings.LastIndexByte(rest, '*')
	return last >= 0 && strings.Contains(rest[:last], "?")
}

// checkVersion refuses the old version in policies that are newer than it, and with variables, which it does not have:
// they would be text. Documents that were saved with them before are loaded all the same.
func checkVersion(g *grammar, d *document) error {
	switch d.version {
	case version2012:
		return nil
	case version2008, "":
	default:
		return syntaxError("there is no version %q", d.version)
	}
	if g.version2012 || g.plainSids && d.usesVariables() {
		return &MalformedError{Message: textVersion, Detail: "it is of another version"}
	}
	return nil
}

func (d *document) usesVariables() bool {
	for _, s := range d.statements {
		texts := append(append([]string(nil), s.resources.values...), s.notResources.values...)
		for _, c := range s.conditions {
			texts = append(texts, c.values...)
		}
		for _, text := range texts {
			if strings.Contains(text, "${") {
				return true
			}
		}
	}
	return false
}

// checkLegacy is what IAM's oldest parser refuses: dates that are none, and ARNs with an empty service or with gaps.
func checkLegacy(_ *grammar, s *rawStatement, _ Options) string {
	for _, c := range s.conditions {
		if op, ok := newOperator(c.operator); ok && op.family == familyDate {
			for _, value := range c.values {
				if _, ok := parseInstant(value); !ok {
					return textLegacy
				}
			}
		}
	}
	for _, e := range []elements{s.resources, s.notResources} {
		for _, text := range e.values {
			parts, n := splitARN(text)
			if n >= 3 && parts[2] == "" || n > 0 && n < len(parts) && strings.Contains(text, "::") {
				return textLegacy
			}
		}
	}
	return ""
}

func checkFields(g *grammar, s *rawStatement, _ Options) string {
	named := s.principal != nil || s.notPrincipal != nil
	resources := s.resources.present || s.notResources.present
	switch {
	case g.principal == forbidden && named:
		return textPrincipal
	case g.principal == required && !named:
		return textNoPrincipal
	case g.resource == forbidden && s.resources.present:
		return fmt.Sprintf(textProhibited, "Resource")
	case g.resource == forbidden && resources:
		return fmt.Sprintf(textProhibited, "NotResource")
	case s.notPrincipal != nil && !g.notPrincipal:
		return fmt.Sprintf(textProhibited, "NotPrincipal")
	case s.notPrincipal != nil && s.effect == effectAllow:
		return textSyntax
	case len(s.actions.values)+len(s.notActions.values) == 0:
		return textNoAction
	}
	return ""
}

func checkSid(g *grammar, s *rawStatement, _ Options) string {
	if g.plainSids && strings.IndexFunc(s.sid, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) >= 0 {
		return textSidCharacters
	}
	return ""
}

func checkUnique(g *grammar, d *document) error {
	seen := map[string]bool{"": true}
	for i, s := range d.statements {
		if g.plainSids && seen[s.sid] && s.sid != "" {
			return &MalformedError{Message: textSidUnique, Detail: fmt.Sprintf("statement %d", i+1)}
		}
		seen[s.sid] = true
	}
	return nil
}

var vendor = regexp.MustCompile(`^[A-Za-z0-9.-]+$`)

// checkActions also finds a missing Resource, since IAM complains of actions first.
func checkActions(g *grammar, s *rawStatement, _ Options) string {
	for _, e := range []elements{s.actions, s.notActions} {
		for _, action := range e.values {
			name, rest, found := strings.Cut(action, ":")
			switch {
			case action == "*":
			case !found:
				return textNoVendor
			case strings.Contains(rest, ":"):
				return textTwoColons
			case !vendor.MatchString(name):
				return fmt.Sprintf(textVendor, name)
			case rest == "":
				return textSyntax
			}
		}
	}
	resources := len(s.resources.values) + len(s.notResources.values)
	given := s.resources.present || s.notResources.present
	if resources == 0 && (g.resource == required || given) {
		return textNoResource
	}
	return ""
}

func checkPrincipals(g *grammar, s *rawStatement, o Options) string {
	for _, p := range []*rawPrincipal{s.principal, s.notPrincipal} {
		if p == nil {
			continue
		}
		for _, raw := range p.entries {
			entry, ok := newEntry(raw.key, raw.value)
			if ok && o.Resolve != nil && (entry.isResolvable() || entry.form == entryID) {
				_, ok = o.Resolve(raw.value)
			}
			if !ok || entry.form == entryProvider && !g.federated {
				return fmt.Sprintf(textWrongPrincipal, principalNames[raw.key], raw.value)
			}
		}
	}
	return ""
}

// principalNames are how AWS's sentence spells the keys of Principal.
var principalNames = map[string]string{"AWS": "AWS", "Service": "SERVICE", "Federated": "Federated", "CanonicalUser": "CANONICALUSER"}

func checkConditions(_ *grammar, s *rawStatement, _ Options) string {
	for _, c := range s.conditions {
		op, ok := newOperator(c.operator)
		if !ok {
			return textSyntax
		}
		for _, value := range c.values {
			if _, sound := newTemplate(value); !sound && op.takesVariables() {
				return textSyntax
			}
		}
	}
	return ""
}

func checkKind(g *grammar, s *rawStatement, o Options) string {
	if g.check == nil {
		return ""
	}
	return g.check(s, o)
}

// spoken puts an error into the words of the service that keeps policies of the kind. The error is a *MalformedError, and
// nil stays nil.
func spoken(kind Kind, err error) error {
	var e *MalformedError
	if !errors.As(err, &e) {
		return err
	}
	message := e.Message
	switch kind {
	case KindTrust:
		if e.notJSON {
			message = textNotJSON
		}
	case KindSCP, KindRCP:
		message = textOrganization
	case KindRepository, KindRegistry:
		message = fmt.Sprintf(textECR, kind)
	case KindKey:
		message = spokenByKMS(message)
	}
	if message == e.Message {
		return e
	}
	return &MalformedError{Message: message, Detail: e.Detail + ": " + e.Message}
}

func spokenByKMS(message string) string {
	switch {
	case message == textNoPrincipal, strings.HasPrefix(message, "Invalid principal "):
		return textKeyPrincipals
	case message == textNoAction, message == textNoVendor, message == textTwoColons, strings.HasPrefix(message, "Vendor "):
		return textKeyActions
	}
	return message
}
