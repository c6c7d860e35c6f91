package federation

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/coffer-registry/coffer/internal/policy"
)

// attributes are those of an assertion, by their names.
type attributes map[string][]string

// attributesOf reads the attributes of an assertion. One that is there twice has the values of both.
func attributesOf(e *etree.Element) (attributes, error) {
	out := attributes{}
	for _, statement := range children(e, nsAssertion, "AttributeStatement") {
		if len(children(statement, nsAssertion, "EncryptedAttribute")) > 0 {
			return nil, badResponse(errors.New("encrypted attributes are not supported"))
		}
		for _, a := range children(statement, nsAssertion, "Attribute") {
			name, _ := attribute(a, "Name")
			for _, v := range children(a, nsAssertion, "AttributeValue") {
				out[name] = append(out[name], textIn(v))
			}
		}
	}
	return out, nil
}

// ours is what the names of AWS's attributes begin with.
const ours = "https://aws.amazon.com/SAML/Attributes/"

// single is the value of one of AWS's attributes; empty if it is absent. It may not have several.
func (g attributes) single(name string) (string, error) {
	switch values := g[ours+name]; len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	}
	return "", badResponse(fmt.Errorf("%s has more than one value", name))
}

var sessionNames = regexp.MustCompile(`^[a-zA-Z_0-9+=,.@-]{2,64}$`)

// readAttributes takes in what the provider wants of a session.
func (a *Assertion) readAttributes(given attributes) (err error) {
	if err := a.readRoles(given[ours+"Role"]); err != nil {
		return err
	}
	if a.RoleSessionName, err = given.single("RoleSessionName"); err != nil {
		return err
	}
	switch {
	case a.RoleSessionName == "":
		return invalid("RoleSessionName is required in AuthnResponse", nil)
	case !sessionNames.MatchString(a.RoleSessionName):
		return invalid("RoleSessionName in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{2,64}", nil)
	}
	if a.SourceIdentity, err = given.single("SourceIdentity"); err != nil {
		return err
	}
	if a.SourceIdentity != "" && !sessionNames.MatchString(a.SourceIdentity) {
		return invalid(`Source Identity must match [a-zA-Z_0-9+=,.@-]{2,64} and not begin with "aws:"`, nil)
	}
	if err := a.readDuration(given); err != nil {
		return err
	}
	return a.readTags(given)
}

// readRoles reads pairs of a role and a provider, in any order. A value that is no such pair is none of ours: providers
// send groups of other systems along.
func (a *Assertion) readRoles(values []string) error {
	for _, v := range values {
		first, second, ok := strings.Cut(v, ",")
		first, second = strings.TrimSpace(first), strings.TrimSpace(second)
		if strings.Contains(first, ":saml-provider/") {
			first, second = second, first
		}
		pair := SAMLRole{Role: first, Provider: second}
		if ok && strings.Contains(first, ":role/") && strings.Contains(second, ":saml-provider/") && !slices.Contains(a.Roles, pair) {
			a.Roles = append(a.Roles, pair)
		}
	}
	if len(a.Roles) == 0 {
		return badResponse(errors.New("no role is named with its provider"))
	}
	return nil
}

// The durations that a session may have.
const minDuration, maxDuration = 15 * time.Minute, 12 * time.Hour

func (a *Assertion) readDuration(given attributes) error {
	text, err := given.single("SessionDuration")
	if err != nil || text == "" {
		return err
	}
	seconds, err := strconv.ParseInt(text, 10, 32)
	a.SessionDuration = time.Duration(seconds) * time.Second
	if err != nil || a.SessionDuration < minDuration || a.SessionDuration > maxDuration {
		return invalid("SessionDuration in AuthnResponse must be between 900 and 43200", nil) // (unverified)
	}
	return nil
}

func (a *Assertion) readTags(given attributes) error {
	for name, values := range given {
		key, ok := strings.CutPrefix(name, ours+"PrincipalTag:")
		if !ok {
			continue
		}
		if len(values) != 1 {
			return badResponse(errors.New("a tag does not have one value"))
		}
		if len(a.Tags) == maxTags {
			return badResponse(errors.New("there are too many tags"))
		}
		if a.Tags == nil {
			a.Tags = map[string]string{}
		}
		a.Tags[key] = values[0]
	}
	a.TransitiveTagKeys = given[ours+"TransitiveTagKeys"]
	if len(a.TransitiveTagKeys) > maxTags {
		return badResponse(errors.New("there are too many transitive tag keys"))
	}
	if err := a.check(); err != nil {
		return badResponse(err)
	}
	return nil
}

// samlKeys are the condition keys of attributes, by the attributes' names: object identifiers, those of eduPerson and
// eduOrg first, and the claims of Active Directory.
var samlKeys = map[string]string{
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.1":  "edupersonaffiliation",
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.2":  "edupersonnickname",
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.3":  "edupersonorgdn",
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.4":  "edupersonorgunitdn",
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.5":  "edupersonprimaryaffiliation",
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.6":  "edupersonprincipalname",
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.7":  "edupersonentitlement",
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.8":  "edupersonprimaryorgunitdn",
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.9":  "edupersonscopedaffiliation",
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.10": "edupersontargetedid",
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.11": "edupersonassurance",
	"urn:oid:1.3.6.1.4.1.5923.1.2.1.2":  "eduorghomepageuri",
	"urn:oid:1.3.6.1.4.1.5923.1.2.1.3":  "eduorgidentityauthnpolicyuri",
	"urn:oid:1.3.6.1.4.1.5923.1.2.1.4":  "eduorglegalname",
	"urn:oid:1.3.6.1.4.1.5923.1.2.1.5":  "eduorgsuperioruri",
	"urn:oid:1.3.6.1.4.1.5923.1.2.1.6":  "eduorgwhitepagesuri",
	"urn:oid:2.5.4.3":                   "cn",

	"http://schemas.xmlsoap.org/claims/CommonName":                            "commonName",
	"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name":              "name",
	"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname":         "givenName",
	"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname":           "surname",
	"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress":      "mail",
	"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/uid":               "uid",
	"http://schemas.microsoft.com/ws/2008/06/identity/claims/primarygroupsid": "primaryGroupSID",
	"urn:oid:2.5.4.4":                    "surname",
	"urn:oid:2.5.4.42":                   "givenName",
	"urn:oid:2.5.4.45":                   "x500UniqueIdentifier",
	"urn:oid:0.9.2342.19200300.100.1.1":  "uid",
	"urn:oid:0.9.2342.19200300.100.1.3":  "mail",
	"urn:oid:0.9.2342.19200300.100.1.45": "organizationStatus",
}

// keys are the condition keys that are made of attributes. Two attributes that make the same key give it the values of both.
func (g attributes) keys() policy.Context {
	values := map[string][]string{}
	for name, given := range g {
		if key, ok := samlKeys[name]; ok {
			values[key] = append(values[key], slices.DeleteFunc(slices.Clone(given), func(v string) bool { return v == "" })...)
		}
	}
	out := policy.Context{}
	for key, values := range values {
		if len(values) > 0 {
			slices.Sort(values)
			out.Put("saml:"+key, slices.Compact(values)...)
		}
	}
	return out
}
