package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/federation/federationtest"
)

const samlRole = "arn:aws:iam::123456789012:role/staff"

// office is a server that takes the assertions of a SAML provider for the role "staff", which may list repositories.
type office struct {
	*coffertest.Server
	corp  *federationtest.SAMLProvider
	clock *coffertest.FakeClock
}

func newOffice(t *testing.T) *office {
	o := &office{corp: federationtest.NewSAMLProvider(t), clock: coffertest.NewClock()}
	o.corp.Now = o.clock.Now
	o.Server = coffertest.Start(t, coffertest.Clock(o.clock.Now))
	if arn := o.MustQuery("iam", "CreateSAMLProvider", map[string]any{"Name": "corp", "SAMLMetadataDocument": o.corp.Metadata()}).Text("SAMLProviderArn"); arn != corp {
		t.Fatalf("it is %s", arn)
	}
	o.MustQuery("iam", "CreateRole", map[string]any{"RoleName": "staff", "AssumeRolePolicyDocument": `{"Version":"2012-10-17","Statement":{"Effect":"Allow",
		"Principal":{"Federated":"` + corp + `"},"Action":["sts:AssumeRoleWithSAML","sts:TagSession"],"Condition":{"StringEquals":{"SAML:aud":"https://signin.aws.amazon.com/saml"},"StringLike":{"saml:sub":"*@example.com"}}}}`})
	o.MustQuery("iam", "PutRolePolicy", map[string]any{"RoleName": "staff", "PolicyName": "look", "PolicyDocument": `{"Version":"2012-10-17","Statement":{"Effect":"Allow",
		"Action":"ecr:DescribeRepositories","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"pay"}}}}`})
	return o
}

func (o *office) assume(response federationtest.SAMLResponse, more map[string]any) coffertest.Response {
	in := map[string]any{"RoleArn": samlRole, "PrincipalArn": corp, "SAMLAssertion": o.corp.Response(response).Reveal()}
	for name, value := range more {
		in[name] = value
	}
	return o.As(coffertest.Credentials{}).Query("sts", "AssumeRoleWithSAML", in)
}

// ann signs in at the provider.
func ann(change func(*federationtest.SAMLResponse)) federationtest.SAMLResponse {
	r := federationtest.SAMLResponse{Subject: "ann@example.com", SessionName: "ann", Roles: []string{samlRole + "," + corp},
		Attributes: map[string][]string{"https://aws.amazon.com/SAML/Attributes/PrincipalTag:team": {"pay"}}}
	if change != nil {
		change(&r)
	}
	return r
}

func TestStaffSignsInBySAML(t *testing.T) {
	o := newOffice(t)
	r := o.assume(ann(nil), nil)
	if r.Status != http.StatusOK {
		t.Fatalf("status %d: %s", r.Status, r.Body)
	}
	if r.Text("Subject") != "ann@example.com" || r.Text("Issuer") != o.corp.EntityID || r.Text("NameQualifier") == "" || r.Text("Audience") != federationtest.AWSEndpoint ||
		r.Text("Arn") != "arn:aws:sts::123456789012:assumed-role/staff/ann" {
		t.Errorf("%s", r.Body)
	}
	staff := o.As(r.KeyOf())
	staff.MustECR("DescribeRepositories", struct{}{}, nil)
	wantStatus(t, staff.ECR("CreateRepository", map[string]any{"repositoryName": "app"}), http.StatusBadRequest, "AccessDeniedException")
	for _, one := range o.Trail() {
		if one.EventName == "AssumeRoleWithSAML" && (!strings.Contains(one.Text, `"type":"SAMLUser"`) || !strings.Contains(one.Text, `"userName":"ann@example.com"`) ||
			strings.Contains(one.Text, "SAMLAssertion") || strings.Contains(one.Text, "sAMLAssertion")) {
			t.Errorf("the record: %s", one.Text)
		}
	}
}

func TestRefusedSAML(t *testing.T) {
	o := newOffice(t)
	stranger := federationtest.NewSAMLProvider(t)
	stranger.Now = o.clock.Now
	for what, tt := range map[string]struct {
		response federationtest.SAMLResponse
		more     map[string]any
		status   int
		code     string
		message  string
	}{
		"a subject that isn't trusted": {ann(func(r *federationtest.SAMLResponse) { r.Subject = "ann@example.org" }), nil, 403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithSAML"},
		"a role that isn't offered":    {ann(nil), map[string]any{"RoleArn": "arn:aws:iam::123456789012:role/admin"}, 400, "InvalidIdentityToken", "The assertion does not offer the role through the provider"},
		"a provider that isn't":        {ann(nil), map[string]any{"PrincipalArn": corp + "x"}, 400, "InvalidIdentityToken", "Specified provider doesn't exist"},
		"another's signature":          {ann(nil), map[string]any{"SAMLAssertion": stranger.Response(ann(nil)).Reveal()}, 400, "InvalidIdentityToken", "Response signature invalid"},
		"no assertion":                 {ann(nil), map[string]any{"SAMLAssertion": "AAAA"}, 400, "InvalidIdentityToken", ""},
		"too long a life":              {ann(nil), map[string]any{"DurationSeconds": 7200}, 400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."},
	} {
		r := o.assume(tt.response, tt.more)
		if r.Status != tt.status || r.Code() != tt.code || tt.message != "" && r.Message() != tt.message {
			t.Errorf("%s: status %d: %s", what, r.Status, r.Body)
		}
	}
	late := o.corp.Response(ann(nil)).Reveal()
	o.clock.Advance(time.Hour)
	if r := o.assume(ann(nil), map[string]any{"SAMLAssertion": late}); r.Status == http.StatusOK {
		t.Errorf("an old assertion: %s", r.Body)
	}
}

func TestSAMLProviders(t *testing.T) {
	s := coffertest.Start(t)
	metadata := federationtest.NewSAMLProvider(t).Metadata()
	on := func(more map[string]any) map[string]any {
		in := map[string]any{"SAMLProviderArn": corp}
		for name, value := range more {
			in[name] = value
		}
		return in
	}
	s.MustQuery("iam", "CreateSAMLProvider", map[string]any{"Name": "corp", "SAMLMetadataDocument": metadata})
	wantMessage(t, s.Query("iam", "CreateSAMLProvider", map[string]any{"Name": "corp", "SAMLMetadataDocument": metadata}), 409, "EntityAlreadyExists",
		"SAML Provider with name corp already exists.")
	wantMessage(t, s.Query("iam", "CreateSAMLProvider", map[string]any{"Name": "b", "SAMLMetadataDocument": metadata, "AssertionEncryptionMode": "Required"}), 400, "InvalidInput",
		"Encrypted assertions are not taken here; leave AssertionEncryptionMode and the private key out.")
	wantStatus(t, s.Query("iam", "CreateSAMLProvider", map[string]any{"Name": "b", "SAMLMetadataDocument": strings.Repeat("<a/>", 400)}), 400, "InvalidInput")
	s.MustQuery("iam", "TagSAMLProvider", on(map[string]any{"Tags": []any{map[string]string{"Key": "a", "Value": "b"}}}))
	got := s.MustQuery("iam", "GetSAMLProvider", on(nil))
	if got.Text("SAMLMetadataDocument") != metadata || got.Text("Key") != "a" || len(got.Text("SAMLProviderUUID")) < 22 {
		t.Errorf("%s", got.Body)
	}
	if list := s.MustQuery("iam", "ListSAMLProviders", nil); list.Text("Arn") != corp {
		t.Errorf("%s", list.Body)
	}
	other := federationtest.NewSAMLProvider(t).Metadata()
	s.MustQuery("iam", "UpdateSAMLProvider", on(map[string]any{"SAMLMetadataDocument": other}))
	if got := s.MustQuery("iam", "GetSAMLProvider", on(nil)); got.Text("SAMLMetadataDocument") != other {
		t.Errorf("%s", got.Body)
	}
	wantStatus(t, s.Query("iam", "UpdateSAMLProvider", on(map[string]any{"SAMLMetadataDocument": strings.Repeat("x", 1000)})), 400, "InvalidInput")
	s.MustQuery("iam", "DeleteSAMLProvider", on(nil))
	wantMessage(t, s.Query("iam", "DeleteSAMLProvider", on(nil)), 404, "NoSuchEntity", "SAML Provider not found for arn "+corp)
}
