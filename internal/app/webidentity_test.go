package app_test

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/federation/federationtest"
)

// pipeline is a server that takes the tokens of an issuer for the role "ci", which may do everything with team/app.
type pipeline struct {
	*coffertest.Server
	issuer *federationtest.Issuer
	clock  *coffertest.FakeClock
}

// trustIssuer is a trust policy for the tokens of an issuer with a condition on their subject.
func trustIssuer(issuer, condition string) string {
	host := strings.TrimPrefix(issuer, "https://")
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::123456789012:oidc-provider/%s"},
		"Action":["sts:AssumeRoleWithWebIdentity","sts:TagSession"],"Condition":{"StringEquals":{"%s:aud":"sts.amazonaws.com"},"StringLike":{"%s:sub":"%s"}}}}`,
		host, host, host, condition)
}

func newPipeline(t *testing.T) *pipeline {
	p := &pipeline{issuer: federationtest.NewIssuer(t), clock: coffertest.NewClock()}
	p.issuer.Now = p.clock.Now
	p.Server = coffertest.Start(t, coffertest.Clock(p.clock.Now), func(_ *app.Config, o *app.Options) {
		o.Roots = x509.NewCertPool()
		o.Roots.AddCert(p.issuer.Authority.Certificate)
	})
	p.CreateRepository("team/app")
	p.MustQuery("iam", "CreateOpenIDConnectProvider", map[string]any{"Url": p.issuer.URL, "ClientIDList": []string{"sts.amazonaws.com"}})
	p.MustQuery("iam", "CreateRole", map[string]any{"RoleName": "ci", "AssumeRolePolicyDocument": trustIssuer(p.issuer.URL, "repo:bank/app:*")})
	p.MustQuery("iam", "PutRolePolicy", map[string]any{"RoleName": "ci", "PolicyName": "push", "PolicyDocument": document("Allow", "ecr:*", "*")})
	return p
}

func (p *pipeline) token(claims map[string]any) string {
	all := map[string]any{"sub": "repo:bank/app:ref:refs/heads/main", "aud": "sts.amazonaws.com"}
	for name, value := range claims {
		all[name] = value
	}
	return p.issuer.Mint(all).Reveal()
}

// assume swaps a token for the credentials of a role. Nobody signs it.
func (p *pipeline) assume(token string, more map[string]any) coffertest.Response {
	in := map[string]any{"RoleArn": "arn:aws:iam::123456789012:role/ci", "RoleSessionName": "run-1", "WebIdentityToken": token}
	for name, value := range more {
		in[name] = value
	}
	return p.As(coffertest.Credentials{}).Query("sts", "AssumeRoleWithWebIdentity", in)
}

func TestPipelinePushesWithoutStoredSecret(t *testing.T) {
	p := newPipeline(t)
	r := p.assume(p.token(map[string]any{"https://aws.amazon.com/tags": map[string]any{"principal_tags": map[string]any{"branch": []string{"main"}}}}), nil)
	if r.Status != http.StatusOK {
		t.Fatalf("status %d: %s", r.Status, r.Body)
	}
	provider := "arn:aws:iam::123456789012:oidc-provider/" + strings.TrimPrefix(p.issuer.URL, "https://")
	if r.Text("Provider") != provider || r.Text("Audience") != "sts.amazonaws.com" || r.Text("SubjectFromWebIdentityToken") != "repo:bank/app:ref:refs/heads/main" {
		t.Errorf("%s", r.Body)
	}
	ci := p.As(r.KeyOf())
	if arn := ci.MustQuery("sts", "GetCallerIdentity", nil).Text("Arn"); arn != "arn:aws:sts::123456789012:assumed-role/ci/run-1" {
		t.Errorf("it is %s", arn)
	}
	ci.PushImage(ci.Token(), "team/app", "1", []byte("layer"))

	// The session's keys and tags count for its policies.
	p.MustQuery("iam", "PutRolePolicy", map[string]any{"RoleName": "ci", "PolicyName": "guard", "PolicyDocument": fmt.Sprintf(
		`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"ecr:*","Resource":"*","Condition":{"StringEquals":{"%s:sub":"repo:bank/app:ref:refs/heads/main","aws:PrincipalTag/branch":"main"}}}}`,
		strings.TrimPrefix(p.issuer.URL, "https://"))})
	wantStatus(t, ci.ECR("ListImages", map[string]any{"repositoryName": "team/app"}), http.StatusBadRequest, "AccessDeniedException")

	var record coffertest.Record
	for _, one := range p.Trail() {
		if one.EventName == "AssumeRoleWithWebIdentity" {
			record = one
		}
	}
	for _, want := range []string{`"type":"WebIdentityUser"`, `"userName":"repo:bank/app:ref:refs/heads/main"`, `"identityProvider":"` + provider + `"`, `"roleSessionName":"run-1"`} {
		if !strings.Contains(record.Text, want) {
			t.Errorf("the record lacks %s: %s", want, record.Text)
		}
	}
	if strings.Contains(record.Text, "eyJ") {
		t.Errorf("the record shows a token: %s", record.Text)
	}
}

func TestRefusedWebIdentity(t *testing.T) {
	p := newPipeline(t)
	const notAuthorized = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
	good := p.token(nil)
	for what, tt := range map[string]struct {
		token   string
		more    map[string]any
		status  int
		code    string
		message string
	}{
		"another subject":   {p.token(map[string]any{"sub": "repo:evil/app:ref:refs/heads/main"}), nil, 403, "AccessDenied", notAuthorized},
		"a role that isn't": {good, map[string]any{"RoleArn": "arn:aws:iam::123456789012:role/none"}, 403, "AccessDenied", notAuthorized},
		"another audience":  {p.token(map[string]any{"aud": "web"}), nil, 400, "InvalidIdentityToken", "Incorrect token audience"},
		"another account": {good, map[string]any{"RoleArn": "arn:aws:iam::999999999999:role/ci"}, 400, "InvalidIdentityToken",
			"No OpenIDConnect provider found in your account for " + p.issuer.URL},
		"an expired token":  {p.token(map[string]any{"exp": p.clock.Now().Unix() - 600}), nil, 400, "ExpiredTokenException", ""},
		"no token at all":   {"eyJhbGciOiJub25lIn0.e30.", nil, 400, "InvalidIdentityToken", ""},
		"no role":           {good, map[string]any{"RoleArn": "arn:aws:iam::123456789012:user/ci"}, 400, "ValidationError", "arn:aws:iam::123456789012:user/ci is invalid"},
		"too long a life":   {good, map[string]any{"DurationSeconds": 7200}, 400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."},
		"a provider's name": {good, map[string]any{"ProviderId": "www.amazon.com"}, 400, "ValidationError", ""},
	} {
		r := p.assume(tt.token, tt.more)
		if r.Status != tt.status || r.Code() != tt.code || tt.message != "" && r.Message() != tt.message {
			t.Errorf("%s: status %d: %s", what, r.Status, r.Body)
		}
	}
}

// Known keys of a stopped issuer go on for a day; then the error says that it can't be reached.
func TestStoppedIssuer(t *testing.T) {
	p := newPipeline(t)
	if r := p.assume(p.token(nil), nil); r.Status != http.StatusOK {
		t.Fatalf("%s", r.Body)
	}
	p.issuer.Stop()
	p.clock.Advance(20 * time.Hour)
	if r := p.assume(p.token(nil), nil); r.Status != http.StatusOK {
		t.Errorf("with known keys: %s", r.Body)
	}
	p.clock.Advance(5 * time.Hour)
	if r := p.assume(p.token(nil), nil); r.Status != http.StatusBadRequest || r.Code() != "IDPCommunicationError" {
		t.Errorf("without keys: status %d: %s", r.Status, r.Body)
	}
	p.issuer.Start()
	p.clock.Advance(time.Minute)
	if r := p.assume(p.token(nil), nil); r.Status != http.StatusOK {
		t.Errorf("once it is back: %s", r.Body)
	}
}

// A key that the issuer rotated to is found when a token names it.
func TestRotatedIssuer(t *testing.T) {
	p := newPipeline(t)
	if r := p.assume(p.token(nil), nil); r.Status != http.StatusOK {
		t.Fatalf("%s", r.Body)
	}
	p.issuer.Rotate()
	p.clock.Advance(time.Minute)
	if r := p.assume(p.token(nil), nil); r.Status != http.StatusOK {
		t.Errorf("%s", r.Body)
	}
}
