package federation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/strictjson"
)

// Claims are what a token says of its bearer.
type Claims struct {
	Issuer, Subject string
	// Audience is the client that the token is for: its authorized party if it names one, else its audience.
	Audience            string
	IssuedAt, ExpiresAt time.Time
	// Keys are the condition keys that stay with the session, such as "<issuer without https://>:sub".
	Keys policy.Context
	// TrustKeys are those that count only for the role's trust policy, beside Keys.
	TrustKeys policy.Context
	Passed
}

// trustClaims are claims that become condition keys of trust policies if they are texts. Those after email are GitHub's,
// which AWS takes from GitHub alone; here they count for each provider, since an Enterprise Server has a name of its own.
var trustClaims = []string{
	"email", "actor", "actor_id", "job_workflow_ref", "repository", "repository_id", "workflow", "ref", "environment", "enterprise_id",
}

const (
	// maxSubject is the longest subject that AWS answers with, in bytes.
	maxSubject = 255
	// maxTexts is how many texts a list may have, and maxText how long each may be, in bytes. Sessions keep some of them.
	maxTexts, maxText = 50, 1024
)

// claims reads what the token says, which has been verified.
func (t *token) claims(p OIDCProvider) (Claims, error) {
	c := Claims{Issuer: p.URL, Subject: t.text("sub")}
	if c.Subject == "" {
		return Claims{}, missingClaim("sub")
	}
	if len(c.Subject) > maxSubject {
		return Claims{}, notJWT(errors.New("the subject is too long"))
	}
	given, err := t.texts("aud")
	if err != nil {
		return Claims{}, err
	}
	if len(given) == 0 {
		return Claims{}, missingClaim("aud")
	}
	audiences, err := t.audiences(given, p.ClientIDs)
	if err != nil {
		return Claims{}, err
	}
	c.Audience = audiences[0]
	methods, err := t.texts("amr")
	if err != nil {
		return Claims{}, err
	}
	_, prefix, _ := strings.Cut(p.URL, "://")
	c.Keys, c.TrustKeys = policy.Context{}, policy.Context{}
	c.Keys.Put(prefix+":sub", c.Subject)
	c.Keys.Put(prefix+":aud", audiences...)
	if len(methods) > 0 {
		c.Keys.Put(prefix+":amr", methods...)
	}
	c.TrustKeys.Put(prefix+":oaud", given...)
	for _, name := range trustClaims {
		if text := t.text(name); text != "" {
			c.TrustKeys.Put(prefix+":"+name, text)
		}
	}
	c.ExpiresAt, _, _ = t.time("exp")
	c.IssuedAt, _, _ = t.time("iat")
	if c.Passed, err = t.passed(); err != nil {
		return Claims{}, err
	}
	return c, nil
}

// audiences are those that the token is for among a provider's clients. An authorized party comes before all audiences: it is
// who the token was issued to. Of several audiences without one, those that are no clients don't count.
func (t *token) audiences(given, clients []string) ([]string, error) {
	if azp := t.values.Member("azp"); azp.Kind() != strictjson.Absent {
		if azp.Kind() != strictjson.String {
			return nil, notJWT(errors.New("azp is not a text"))
		}
		given = []string{azp.String()}
	}
	var out []string
	for _, a := range given {
		if a != "" && slices.Contains(clients, a) {
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return nil, invalid("Incorrect token audience", nil)
	}
	return out, nil
}

// texts is a claim that is a text or a list of texts; nil if it is not there.
func (t *token) texts(name string) ([]string, error) {
	return textsOf(t.values.Member(name), name)
}

func textsOf(v strictjson.Value, name string) ([]string, error) {
	switch v.Kind() {
	case strictjson.Absent:
		return nil, nil
	case strictjson.String:
		return []string{v.String()}, nil
	case strictjson.Array:
		var out []string
		for _, item := range v.Items() {
			if item.Kind() != strictjson.String || len(out) == maxTexts || len(item.Raw()) > maxText {
				return nil, notJWT(fmt.Errorf("%s is not a list of texts, or too large", name))
			}
			out = append(out, item.String())
		}
		return out, nil
	}
	return nil, notJWT(fmt.Errorf("%s is neither a text nor a list of texts", name))
}

// The claims of what is passed to the session. Providers that can't nest claims write each tag as a claim of its own.
const (
	claimTags           = "https://aws.amazon.com/tags"
	claimTag            = claimTags + "/principal_tags/"
	claimTransitive     = claimTags + "/transitive_tag_keys"
	claimSourceIdentity = "https://aws.amazon.com/source_identity"
)

// passed reads what the token passes to the session.
func (t *token) passed() (p Passed, err error) {
	for name, v := range t.values.Members() {
		tag, isTag := strings.CutPrefix(name, claimTag)
		switch {
		case name == claimTags:
			err = p.readTags(v)
		case isTag:
			err = p.addTag(tag, v)
		case name == claimTransitive:
			err = p.addTransitive(v)
		case name == claimSourceIdentity:
			if v.Kind() != strictjson.String {
				return p, notJWT(errors.New("the source identity is not a text"))
			}
			p.SourceIdentity = v.String()
		}
		if err != nil {
			return Passed{}, err
		}
	}
	if err := p.check(); err != nil {
		return Passed{}, notJWT(err)
	}
	return p, nil
}

func (p *Passed) readTags(v strictjson.Value) error {
	if v.Kind() != strictjson.Object {
		return notJWT(errors.New("the tags are not an object"))
	}
	tags := v.Member("principal_tags")
	if tags.Kind() != strictjson.Absent && tags.Kind() != strictjson.Object {
		return notJWT(errors.New("principal_tags is not an object"))
	}
	for key, value := range tags.Members() {
		if err := p.addTag(key, value); err != nil {
			return err
		}
	}
	return p.addTransitive(v.Member("transitive_tag_keys"))
}

// addTag adds a tag, whose value is a text or a list of one.
func (p *Passed) addTag(key string, v strictjson.Value) error {
	values, err := textsOf(v, "a tag")
	if err != nil {
		return err
	}
	if len(values) != 1 {
		return notJWT(errors.New("a tag does not have one value"))
	}
	if _, twice := p.Tags[key]; twice || len(p.Tags) == maxTags {
		return notJWT(errors.New("there are too many tags, or one is there twice"))
	}
	if p.Tags == nil {
		p.Tags = map[string]string{}
	}
	p.Tags[key] = values[0]
	return nil
}

func (p *Passed) addTransitive(v strictjson.Value) error {
	keys, err := textsOf(v, "transitive_tag_keys")
	if err != nil {
		return err
	}
	if len(p.TransitiveTagKeys)+len(keys) > maxTags {
		return notJWT(errors.New("there are too many transitive tag keys"))
	}
	p.TransitiveTagKeys = append(p.TransitiveTagKeys, keys...)
	return nil
}
