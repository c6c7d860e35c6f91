package federation

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/federation/federationtest"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/secret"
)

const (
	roleARN     = "arn:aws:iam::123456789012:role/dev/Deploy"
	providerARN = "arn:aws:iam::123456789012:saml-provider/Example"
	sentenceBad = "Your request included an invalid SAML response"
	sentenceSig = "Response signature invalid"
)

// samlHouse is a verifier, a SAML provider that it trusts, and the clock of both.
type samlHouse struct {
	*testing.T
	verifier *Verifier
	idp      *federationtest.SAMLProvider
	provider SAMLProvider
	clock    *clock
}

func newSAMLHouse(t *testing.T) *samlHouse {
	t.Helper()
	h := &samlHouse{T: t, idp: federationtest.NewSAMLProvider(t), clock: &clock{at: time.Now().Truncate(time.Second)}}
	h.idp.Now = h.clock.now
	h.verifier = NewVerifier(Config{Now: h.clock.now})
	t.Cleanup(h.verifier.Close)
	h.provider = SAMLProvider{Account: "123456789012", Name: "Example", Metadata: h.metadata(h.idp.Metadata())}
	return h
}

func (h *samlHouse) metadata(document string) *Metadata {
	h.Helper()
	m, err := ParseMetadata(document)
	if err != nil {
		h.Fatal(err)
	}
	return m
}

// response makes a response for one role.
func (h *samlHouse) response(o federationtest.SAMLResponse) secret.Text {
	h.Helper()
	if o.Roles == nil {
		o.Roles = []string{roleARN + "," + providerARN}
	}
	return h.idp.Response(o)
}

func (h *samlHouse) accepts(what string, response secret.Text) Assertion {
	h.Helper()
	a, err := h.verifier.VerifySAML(h.provider, response)
	if err != nil {
		h.Errorf("%s: %v", what, err)
	}
	return a
}

func (h *samlHouse) refuses(what string, response secret.Text, code Code, sentence string) {
	h.Helper()
	a, err := h.verifier.VerifySAML(h.provider, response)
	wantRefusal(h.T, what, err, code, sentence)
	if !cmp.Equal(a, Assertion{}) {
		h.Errorf("%s: something is said of whom was refused: %+v", what, a)
	}
}

const awsAttributes = "https://aws.amazon.com/SAML/Attributes/"

func TestVerifySAML(t *testing.T) {
	h := newSAMLHouse(t)
	const qualifier = "YzkNHeOzHciDzcUOvVWMPVJ7uwg=" // printf https://idp.example.com/saml123456789012/Example | openssl sha1 -binary | base64
	end := h.clock.now().Add(time.Hour).UTC()
	for _, o := range []federationtest.SAMLResponse{{}, {SignResponse: true}, {SignResponse: true, SignAssertion: true}} {
		id := ""
		o.Roles = []string{roleARN + "," + providerARN, providerARN + " , " + roleARN + "2", "Domain Users", roleARN + "," + providerARN}
		o.Attributes = map[string][]string{
			awsAttributes + "PrincipalTag:Team": {"a"}, awsAttributes + "PrincipalTag:Cost Center": {"7"}, awsAttributes + "TransitiveTagKeys": {"Team"},
			awsAttributes + "SourceIdentity": {"alice@example.com"}, awsAttributes + "SessionDuration": {"1800"},
			"urn:oid:1.3.6.1.4.1.5923.1.1.1.1": {"staff", "member"}, "https://example.com/groups": {"a", "b"},
		}
		o.Edit = func(r *etree.Element) {
			id = federationtest.Find(r, "Assertion").SelectAttrValue("ID", "")
			federationtest.Find(r, "AuthnStatement").CreateAttr("SessionNotOnOrAfter", end.Format(time.RFC3339))
		}
		got := h.accepts("a response", h.response(o))
		want := Assertion{
			ID: id, Issuer: "https://idp.example.com/saml", Subject: "alice", SubjectType: "persistent", Audience: federationtest.AWSEndpoint, NameQualifier: qualifier,
			Roles:           []SAMLRole{{roleARN, providerARN}, {roleARN + "2", providerARN}},
			RoleSessionName: "alice", SessionDuration: 30 * time.Minute, SessionEnd: end,
			Keys: policy.Context{"saml:sub": {"alice"}, "saml:sub_type": {"persistent"}, "saml:namequalifier": {qualifier}},
			TrustKeys: policy.Context{"saml:aud": {federationtest.AWSEndpoint}, "saml:iss": {"https://idp.example.com/saml"}, "saml:doc": {"123456789012/Example"},
				"saml:edupersonaffiliation": {"member", "staff"}},
			Passed: Passed{Tags: map[string]string{"Team": "a", "Cost Center": "7"}, TransitiveTagKeys: []string{"Team"}, SourceIdentity: "alice@example.com"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// set changes an attribute of the first element of a name.
func set(element, name, value string) func(*etree.Element) {
	return func(r *etree.Element) { federationtest.Find(r, element).CreateAttr(name, value) }
}

func unset(element, name string) func(*etree.Element) {
	return func(r *etree.Element) { federationtest.Find(r, element).RemoveAttr(name) }
}

func setText(element, text string) func(*etree.Element) {
	return func(r *etree.Element) { federationtest.Find(r, element).SetText(text) }
}

func remove(element string) func(*etree.Element) {
	return func(r *etree.Element) {
		e := federationtest.Find(r, element)
		e.Parent().RemoveChild(e)
	}
}

func twice(element string) func(*etree.Element) {
	return func(r *etree.Element) {
		e := federationtest.Find(r, element)
		e.Parent().AddChild(e.Copy())
	}
}

// What a provider signs, but must not be believed here and now.
func TestRefusedAssertions(t *testing.T) {
	h := newSAMLHouse(t)
	at := func(d time.Duration) string { return h.clock.now().Add(d).UTC().Format(time.RFC3339Nano) }
	for what, c := range map[string]struct {
		edit     func(*etree.Element)
		code     Code
		sentence string
	}{
		"too old":                   {set("Assertion", "IssueInstant", at(-maxAge-time.Second)), ExpiredToken, "Token must be redeemed within 5 minutes of issuance"},
		"of the future":             {set("Assertion", "IssueInstant", at(clockSkew+time.Second)), InvalidIdentityToken, "Response is not yet valid"},
		"of no time":                {set("Assertion", "IssueInstant", "yesterday"), InvalidIdentityToken, sentenceBad},
		"without a time":            {unset("Assertion", "IssueInstant"), InvalidIdentityToken, sentenceBad},
		"another version":           {set("Assertion", "Version", "1.1"), InvalidIdentityToken, sentenceBad},
		"another issuer":            {setText("Assertion/Issuer", "https://other.example.com"), InvalidIdentityToken, "Issuer not present in specified provider"},
		"another response's issuer": {setText("Issuer", "https://other.example.com"), InvalidIdentityToken, "Issuer not present in specified provider"},
		"no issuer":                 {remove("Assertion/Issuer"), InvalidIdentityToken, "Issuer not present in specified provider"},
		"expired":                   {set("Conditions", "NotOnOrAfter", at(0)), ExpiredToken, "Response has expired"},
		"begins later":              {set("Conditions", "NotBefore", at(clockSkew+time.Second)), InvalidIdentityToken, "Response is not yet valid"},
		"begins never":              {set("Conditions", "NotBefore", "never"), InvalidIdentityToken, sentenceBad},
		"no conditions":             {remove("Conditions"), InvalidIdentityToken, "Response does not contain the required audience."},
		"conditions twice":          {twice("Conditions"), InvalidIdentityToken, "Response does not contain the required audience."},
		"no audience":               {remove("AudienceRestriction"), InvalidIdentityToken, "Response does not contain the required audience."},
		"another audience":          {setText("Audience", "https://other.example.com"), InvalidIdentityToken, "Response does not contain the required audience."},
		"empty audience":            {setText("Audience", ""), InvalidIdentityToken, "Response does not contain the required audience."},
		"not all audiences": {func(r *etree.Element) {
			e := federationtest.Find(r, "AudienceRestriction").Copy()
			e.ChildElements()[0].SetText("https://other.example.com")
			federationtest.Find(r, "Conditions").AddChild(e)
		}, InvalidIdentityToken, "Response does not contain the required audience."},
		"unknown condition": {func(r *etree.Element) { federationtest.Find(r, "Conditions").CreateElement("saml:Condition") }, InvalidIdentityToken, sentenceBad},
		"no subject":        {remove("Subject"), InvalidIdentityToken, sentenceBad},
		"subject twice":     {twice("Subject"), InvalidIdentityToken, sentenceBad},
		"no name":           {remove("NameID"), InvalidIdentityToken, sentenceBad},
		"empty name":        {setText("NameID", " "), InvalidIdentityToken, sentenceBad},
		"long name":         {setText("NameID", strings.Repeat("a", maxNameID+1)), InvalidIdentityToken, sentenceBad},
		"long format":       {set("NameID", "Format", strings.Repeat("a", maxNameID+1)), InvalidIdentityToken, sentenceBad},
		"two names":         {twice("NameID"), InvalidIdentityToken, sentenceBad},
		"name of elements": {func(r *etree.Element) { federationtest.Find(r, "NameID").CreateElement("saml:b") },
			InvalidIdentityToken, sentenceBad},
		"no confirmation":      {remove("SubjectConfirmation"), InvalidIdentityToken, sentenceBad},
		"two confirmations":    {twice("SubjectConfirmation"), InvalidIdentityToken, sentenceBad},
		"holder of a key":      {set("SubjectConfirmation", "Method", "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"), InvalidIdentityToken, sentenceBad},
		"no confirmation data": {remove("SubjectConfirmationData"), InvalidIdentityToken, sentenceBad},
		"another recipient":    {set("SubjectConfirmationData", "Recipient", "https://other.example.com/saml"), InvalidIdentityToken, sentenceBad},
		"an audience for one":  {set("SubjectConfirmationData", "Recipient", "urn:amazon:webservices"), InvalidIdentityToken, sentenceBad},
		"no recipient":         {unset("SubjectConfirmationData", "Recipient"), InvalidIdentityToken, sentenceBad},
		"endless confirmation": {unset("SubjectConfirmationData", "NotOnOrAfter"), InvalidIdentityToken, sentenceBad},
		"expired confirmation": {set("SubjectConfirmationData", "NotOnOrAfter", at(0)), ExpiredToken, "Response has expired"},
		"early confirmation":   {set("SubjectConfirmationData", "NotBefore", at(clockSkew+time.Second)), InvalidIdentityToken, "Response is not yet valid"},
		"session that ended":   {set("AuthnStatement", "SessionNotOnOrAfter", at(0)), ExpiredToken, "Response has expired"},
		"no status":            {remove("Status"), InvalidIdentityToken, sentenceBad},
		"no status code":       {remove("StatusCode"), InvalidIdentityToken, sentenceBad},
		"encrypted attributes": {func(r *etree.Element) {
			federationtest.Find(r, "AttributeStatement").CreateElement("saml:EncryptedAttribute")
		}, InvalidIdentityToken, sentenceBad},
		"not authenticated":     {set("StatusCode", "Value", "urn:oasis:names:tc:SAML:2.0:status:Responder"), IDPRejectedClaim, "The identity provider reported"},
		"roles of a namesake":   {set("Attribute", "Name", "https://example.com/SAML/Attributes/Role"), InvalidIdentityToken, sentenceBad},
		"statement of no space": {set("AttributeStatement", "xmlns:saml", "urn:example"), InvalidIdentityToken, sentenceBad},
	} {
		h.refuses(what, h.response(federationtest.SAMLResponse{Edit: c.edit}), c.code, c.sentence)
		h.refuses(what+", all signed", h.response(federationtest.SAMLResponse{Edit: c.edit, SignResponse: true}), c.code, c.sentence)
	}
	for what, c := range map[string]struct {
		attributes map[string][]string
		sentence   string
	}{
		"roles without providers":   {map[string][]string{"Role": {roleARN, providerARN}}, sentenceBad},
		"two providers":             {map[string][]string{"Role": {providerARN + "," + providerARN}}, sentenceBad},
		"two roles":                 {map[string][]string{"Role": {roleARN + "," + roleARN}}, sentenceBad},
		"two session names":         {map[string][]string{"RoleSessionName": {"alice", "bob"}}, sentenceBad},
		"no session name":           {map[string][]string{"RoleSessionName": nil}, "RoleSessionName is required in AuthnResponse"},
		"session name of one":       {map[string][]string{"RoleSessionName": {"a"}}, "RoleSessionName in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{2,64}"},
		"session name with a space": {map[string][]string{"RoleSessionName": {"alice bob"}}, "RoleSessionName in AuthnResponse must match"},
		"session name with a line":  {map[string][]string{"RoleSessionName": {"alice\nbob"}}, "RoleSessionName in AuthnResponse must match"},
		"source identity of AWS":    {map[string][]string{"SourceIdentity": {"aws:alice"}}, `Source Identity must match [a-zA-Z_0-9+=,.@-]{2,64} and not begin with "aws:"`},
		"short duration":            {map[string][]string{"SessionDuration": {"899"}}, "SessionDuration"},
		"long duration":             {map[string][]string{"SessionDuration": {"43201"}}, "SessionDuration"},
		"endless duration":          {map[string][]string{"SessionDuration": {"99999999999999999999"}}, "SessionDuration"},
		"negative duration":         {map[string][]string{"SessionDuration": {"-1800"}}, "SessionDuration"},
		"tag of two values":         {map[string][]string{"PrincipalTag:a": {"b", "c"}}, sentenceBad},
		"a tag in two cases":        {map[string][]string{"PrincipalTag:Team": {"a"}, "PrincipalTag:team": {"b"}}, sentenceBad},
		"a tag of AWS":              {map[string][]string{"PrincipalTag:aws:Team": {"a"}}, sentenceBad},
		"too many tags":             {manyTagAttributes(maxTags + 1), sentenceBad},
		"too many transitive tags":  {map[string][]string{"TransitiveTagKeys": make([]string, maxTags+1)}, sentenceBad},
	} {
		o := federationtest.SAMLResponse{Attributes: map[string][]string{}}
		for name, values := range c.attributes {
			o.Attributes[awsAttributes+name] = values
		}
		h.refuses(what, h.response(o), InvalidIdentityToken, c.sentence)
	}
}

func manyTagAttributes(n int) map[string][]string {
	out := map[string][]string{}
	for key, value := range manyTags(n) {
		out["PrincipalTag:"+key] = []string{value}
	}
	return out
}

func TestAcceptedAssertions(t *testing.T) {
	h := newSAMLHouse(t)
	at := func(d time.Duration) string { return h.clock.now().Add(d).UTC().Format(time.RFC3339Nano) }
	for what, edit := range map[string]func(*etree.Element){
		"as old as can be":   set("Assertion", "IssueInstant", at(-maxAge)),
		"clocks that differ": set("Conditions", "NotBefore", at(clockSkew)),
		"about to end":       set("Conditions", "NotOnOrAfter", at(time.Nanosecond)),
		"without a zone":     set("Conditions", "NotOnOrAfter", strings.TrimSuffix(at(time.Minute), "Z")),
		"AWS by its name":    setText("Audience", "urn:amazon:webservices"),
		"a region":           set("SubjectConfirmationData", "Recipient", "https://eu-west-1.signin.aws.amazon.com/saml"),
		"one use":            func(r *etree.Element) { federationtest.Find(r, "Conditions").CreateElement("saml:OneTimeUse") },
		"one of two audiences": func(r *etree.Element) {
			federationtest.Find(r, "AudienceRestriction").CreateElement("saml:Audience").SetText("https://other.example.com")
		},
	} {
		h.accepts(what, h.response(federationtest.SAMLResponse{Edit: edit}))
	}
	for format, want := range map[string]string{
		"urn:oasis:names:tc:SAML:2.0:nameid-format:transient":    "transient",
		"urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
	} {
		if a := h.accepts(format, h.response(federationtest.SAMLResponse{Edit: set("NameID", "Format", format)})); a.SubjectType != want {
			t.Errorf("%s: %s", format, a.SubjectType)
		}
	}
	for _, endpoint := range []string{"https://evil.example.com/signin.aws.amazon.com/saml", "https://a/b.signin.aws.amazon.com/saml", "https://evilsignin.aws.amazon.com/saml",
		"http://signin.aws.amazon.com/saml", "https://signin.aws.amazon.com/saml/", "https://coffer.example.com/saml", ""} {
		if h.provider.accepts(endpoint) {
			t.Errorf("%q is AWS's", endpoint)
		}
	}
	h.provider.Endpoints = []string{""}
	h.refuses("no recipient", h.response(federationtest.SAMLResponse{Edit: set("SubjectConfirmationData", "Recipient", "")}), InvalidIdentityToken, sentenceBad)
	h.provider.Endpoints = []string{"https://coffer.example.com/saml"}
	a := h.accepts("an endpoint of our own", h.response(federationtest.SAMLResponse{Recipient: "https://coffer.example.com/saml", Audience: "https://coffer.example.com/saml"}))
	if a.Audience != "https://coffer.example.com/saml" {
		t.Error(a.Audience)
	}
	// Command lines break lines.
	text := h.response(federationtest.SAMLResponse{}).Reveal()
	h.accepts("lines", secret.New(" "+text[:76]+"\r\n"+text[76:]+"\n"))
}

// A comment in a name neither cuts it nor breaks the signature, which is made without comments.
func TestComments(t *testing.T) {
	h := newSAMLHouse(t)
	comment := func(r *etree.Element) {
		name := federationtest.Find(r, "NameID")
		name.SetText("admin@example.com")
		name.CreateComment("")
		name.CreateText(".evil.example.com")
	}
	for _, o := range []federationtest.SAMLResponse{{Tamper: comment}, {Edit: comment}, {Tamper: comment, SignResponse: true}} {
		if o.Edit == nil {
			o.Subject = "admin@example.com.evil.example.com"
		}
		if a := h.accepts("a comment", h.response(o)); a.Subject != "admin@example.com.evil.example.com" || a.Keys["saml:sub"][0] != a.Subject {
			t.Errorf("the comment cut the name: %s", a.Subject)
		}
	}
	h.refuses("a comment that changes the name", h.response(federationtest.SAMLResponse{Tamper: func(r *etree.Element) {
		name := federationtest.Find(r, "NameID")
		name.CreateComment("")
		name.CreateText("x")
	}}), InvalidIdentityToken, sentenceSig)
	name := etree.NewElement("NameID")
	name.SetText("admin")
	name.CreateComment("")
	name.CreateText(".evil")
	if got := textIn(name); got != "admin.evil" {
		t.Error(got)
	}
	// Values of attributes are read in the same way.
	a := h.accepts("comments in roles", h.response(federationtest.SAMLResponse{Tamper: func(r *etree.Element) {
		for _, v := range r.FindElements(".//AttributeValue") {
			v.InsertChildAt(0, etree.NewComment("arn:aws:iam::123456789012:role/Admin,"))
		}
	}}))
	if !cmp.Equal(a.Roles, []SAMLRole{{roleARN, providerARN}}) {
		t.Error(a.Roles)
	}
}

func TestMalformedResponses(t *testing.T) {
	h := newSAMLHouse(t)
	good, err := base64.StdEncoding.DecodeString(h.response(federationtest.SAMLResponse{}).Reveal())
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"nothing":                 "",
		"no XML":                  "a",
		"no end":                  string(good[:len(good)-5]),
		"something after it":      string(good) + "<a/>",
		"text after it":           string(good) + "a",
		"text before it":          "a" + string(good),
		"document type":           "<!DOCTYPE a>" + string(good),
		"entities":                `<!DOCTYPE a [<!ENTITY e "mallory">]>` + strings.Replace(string(good), "alice", "&e;", 1),
		"undeclared entity":       strings.Replace(string(good), "alice", "&e;", 1),
		"outside entity":          `<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + strings.Replace(string(good), "alice", "&e;", 1),
		"processing instructions": strings.Replace(string(good), "alice", "ali<?a b?>ce", 1),
		"style sheet":             `<?xml-stylesheet href="a"?>` + string(good),
		"XML declared late":       "\n" + `<?xml version="1.0"?>` + string(good),
		"another encoding":        `<?xml version="1.0" encoding="ISO-8859-1"?>` + string(good),
		"no UTF-8":                strings.Replace(string(good), "alice", "ali\xffce", 1),
		"attribute twice":         strings.Replace(string(good), "ID=", `ID="_evil" ID=`, 1),
		"two prefixes":            strings.Replace(string(good), "<saml:Subject>", "<saml:Subject><a:b:c></a:b:c>", 1),
		"attribute of prefixes":   strings.Replace(string(good), "<saml:Subject>", `<saml:Subject :a="d">`, 1),
		"empty prefix":            strings.Replace(string(good), "<saml:Subject>", "<saml:Subject><:a></:a>", 1),
		"tags that cross":         strings.Replace(string(good), "<saml:Subject>", "<saml:Subject><a><b></a></b>", 1),
		"too deep":                strings.Replace(string(good), "<saml:Subject>", "<saml:Subject>"+strings.Repeat("<a>", 40)+strings.Repeat("</a>", 40), 1),
		"too many elements":       strings.Replace(string(good), "<saml:Subject>", "<saml:Subject>"+strings.Repeat("<a/>", 900), 1),
		"too many attributes":     strings.Replace(string(good), "<saml:Subject>", "<saml:Subject "+manyAttributes(65)+">", 1),
	} {
		h.refuses(what, secret.New(base64.StdEncoding.EncodeToString([]byte(text))), InvalidIdentityToken, sentenceBad)
	}
	for what, text := range map[string]string{"no base64": "<a/>", "too long": base64.StdEncoding.EncodeToString(good) + strings.Repeat(" ", maxResponse)} {
		h.refuses(what, secret.New(text), InvalidIdentityToken, sentenceBad)
	}
}

func manyAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ` a%d="b"`, i)
	}
	return b.String()
}
