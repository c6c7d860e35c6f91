package clients_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/federation/federationtest"
)

// keys are an access key or the credentials of a session, as the AWS CLI prints them.
type keys struct{ AccessKeyID, SecretAccessKey, SessionToken string }

// as is a client of the same server with other credentials and a home of its own.
func (s *server) as(t *testing.T, k keys) *server {
	t.Helper()
	other := *s
	other.home = t.TempDir()
	other.env = slices.DeleteFunc(slices.Clone(s.env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains([]string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "HOME", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE"}, name)
	})
	other.env = append(other.env, "HOME="+other.home, "DOCKER_CONFIG="+filepath.Join(other.home, ".docker"),
		"REGISTRY_AUTH_FILE="+filepath.Join(other.home, ".docker", "config.json"))
	if k.AccessKeyID != "" {
		other.env = append(other.env, "AWS_ACCESS_KEY_ID="+k.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+k.SecretAccessKey)
	}
	if k.SessionToken != "" {
		other.env = append(other.env, "AWS_SESSION_TOKEN="+k.SessionToken)
	}
	return &other
}

// user makes a user with managed policies of AWS, and returns a client of it.
func (s *server) user(t *testing.T, name string, policies ...string) *server {
	t.Helper()
	s.run(t, "aws", "iam", "create-user", "--user-name", name)
	for _, policy := range policies {
		s.run(t, "aws", "iam", "attach-user-policy", "--user-name", name, "--policy-arn", "arn:aws:iam::aws:policy/"+policy)
	}
	var made struct{ AccessKey keys }
	decode(t, s.run(t, "aws", "iam", "create-access-key", "--user-name", name, "--output", "json"), &made)
	return s.as(t, made.AccessKey)
}

// role makes a role that a principal may assume, with managed policies of AWS.
func (s *server) role(t *testing.T, name, principal string, policies ...string) {
	t.Helper()
	s.run(t, "aws", "iam", "create-role", "--role-name", name, "--assume-role-policy-document",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"`+principal+`"},"Action":"sts:AssumeRole"}}`)
	for _, policy := range policies {
		s.run(t, "aws", "iam", "attach-role-policy", "--role-name", name, "--policy-arn", "arn:aws:iam::aws:policy/"+policy)
	}
}

func (s *server) caller(t *testing.T) string {
	t.Helper()
	return s.run(t, "aws", "sts", "get-caller-identity", "--query", "Arn", "--output", "text")
}

// docker as a user who may pull and nothing else: it pulls, and is told why it may not push.
func TestDockerAsLimitedUser(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.startDocker(t)
	s.CreateRepository("team/docker")
	hello := helloLayout(t)
	s.push(t, "team/docker", hello)
	reader := s.user(t, "reader", "AmazonEC2ContainerRegistryPullOnly")
	image := s.host + "/team/docker:" + hello.tag
	reader.feed(t, reader.run(t, "aws", "ecr", "get-login-password"), "docker", "login", "--username", "AWS", "--password-stdin", s.host)
	reader.run(t, "docker", "pull", "--quiet", image)
	reader.run(t, "docker", "tag", image, s.host+"/team/docker:mine")
	reader.refuse(t, []string{"User: arn:aws:iam::123456789012:user/reader is not authorized to perform: ecr:",
		"because no identity-based policy allows the ecr:"}, "docker", "push", s.host+"/team/docker:mine")
	reader.refuse(t, []string{"(AccessDeniedException)", "is not authorized to perform: ecr:DeleteRepository"}, "aws", "ecr", "delete-repository", "--repository-name", "team/docker")
	// The token that docker keeps has the rights of the moment.
	s.run(t, "aws", "iam", "attach-user-policy", "--user-name", "reader", "--policy-arn", "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPowerUser")
	reader.run(t, "docker", "push", s.host+"/team/docker:mine")
	s.run(t, "aws", "iam", "delete-access-key", "--user-name", "reader", "--access-key-id", reader.variable(t, "AWS_ACCESS_KEY_ID"))
	reader.refuse(t, nil, "docker", "pull", image)
}

// A profile of the AWS configuration assumes a role, for the AWS CLI and for the credential helper of docker.
func TestCredentialHelperWithAssumedRole(t *testing.T) {
	t.Parallel()
	s := serve(t, "--domain", helperDomain)
	s.CreateRepository("team/helper")
	ann := s.user(t, "ann")
	s.role(t, "pull", "arn:aws:iam::123456789012:user/ann", "AmazonEC2ContainerRegistryPowerUser")
	config := filepath.Join(ann.home, "config")
	text := fmt.Sprintf("[profile ann]\naws_access_key_id = %s\naws_secret_access_key = %s\n[profile pull]\nrole_arn = arn:aws:iam::123456789012:role/pull\n"+
		"role_session_name = laptop\nsource_profile = ann\nregion = us-east-1\n", ann.variable(t, "AWS_ACCESS_KEY_ID"), ann.variable(t, "AWS_SECRET_ACCESS_KEY"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ann = s.as(t, keys{}) // keys in the environment count before a profile
	ann.env = append(ann.env, "AWS_CONFIG_FILE="+config, "AWS_PROFILE=pull", "AWS_SDK_LOAD_CONFIG=1")
	if arn := ann.caller(t); arn != "arn:aws:sts::123456789012:assumed-role/pull/laptop" {
		t.Errorf("the profile is %s", arn)
	}
	var got credentials
	// For a role the helper asks STS, which it knows by the name that AWS gives it.
	front := startFront(t, strings.TrimPrefix(s.URL, "http://"))
	ann.env = append(ann.env, "HTTPS_PROXY="+front.url, "SSL_CERT_FILE="+front.authority)
	decode(t, ann.feed(t, "123456789012.dkr.ecr.us-east-1."+helperDomain, "docker-credential-ecr-login", "get"), &got)
	if !front.asked("sts.us-east-1." + helperDomain) {
		t.Error("the helper did not assume the role")
	}
	if status := s.run(t, "curl", "-sS", "-o", os.DevNull, "-w", "%{http_code}", "-u", "AWS:"+got.Secret, s.URL+"/v2/team/helper/tags/list"); status != "200" {
		t.Errorf("the helper's password gives status %s", status)
	}
	// The session ends with the role, and with it the helper's password.
	s.run(t, "aws", "iam", "detach-role-policy", "--role-name", "pull", "--policy-arn", "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPowerUser")
	s.run(t, "aws", "iam", "delete-role", "--role-name", "pull")
	if status := s.run(t, "curl", "-sS", "-o", os.DevNull, "-w", "%{http_code}", "-u", "AWS:"+got.Secret, s.URL+"/v2/team/helper/tags/list"); status != "401" {
		t.Errorf("after the role is gone the helper's password gives status %s", status)
	}
}

// A job with nothing but an identity token gets a role: as a pod with its service account's token has it in a file.
func TestWebIdentity(t *testing.T) {
	t.Parallel()
	issuer := federationtest.NewIssuer(t)
	authority := filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(authority, issuer.Authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serveWith(t, []string{"SSL_CERT_FILE=" + authority})
	s.CreateRepository("team/app")
	s.run(t, "aws", "iam", "create-open-id-connect-provider", "--url", issuer.URL, "--client-id-list", "sts.amazonaws.com")
	name := strings.TrimPrefix(issuer.URL, "https://")
	s.run(t, "aws", "iam", "create-role", "--role-name", "pod", "--assume-role-policy-document", fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow",
		"Principal":{"Federated":"arn:aws:iam::123456789012:oidc-provider/%s"},"Action":"sts:AssumeRoleWithWebIdentity",
		"Condition":{"StringEquals":{"%s:aud":"sts.amazonaws.com","%s:sub":"system:serviceaccount:shop:builder"}}}}`, name, name, name))
	s.run(t, "aws", "iam", "attach-role-policy", "--role-name", "pod", "--policy-arn", "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPowerUser")

	pod := s.as(t, keys{})
	token := filepath.Join(pod.home, "token")
	write := func(subject string) {
		t.Helper()
		text := issuer.Mint(map[string]any{"sub": subject, "aud": []string{"sts.amazonaws.com"}})
		if err := os.WriteFile(token, []byte(text.Reveal()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("system:serviceaccount:shop:builder")
	pod.env = append(pod.env, "AWS_ROLE_ARN=arn:aws:iam::123456789012:role/pod", "AWS_WEB_IDENTITY_TOKEN_FILE="+token, "AWS_ROLE_SESSION_NAME=pod-1")
	if arn := pod.caller(t); arn != "arn:aws:sts::123456789012:assumed-role/pod/pod-1" {
		t.Errorf("the pod is %s", arn)
	}
	pod.feed(t, pod.run(t, "aws", "ecr", "get-login-password"), "crane", "auth", "login", "--username", "AWS", "--password-stdin", s.host)
	hello := helloLayout(t)
	pod.run(t, "crane", "push", hello.alone(t).dir, s.host+"/team/app:"+hello.tag)
	s.holds(t, "team/app", hello)
	write("system:serviceaccount:shop:other")
	pod.env = append(pod.env, "AWS_ROLE_SESSION_NAME=pod-2") // what the AWS CLI keeps is by this name
	pod.refuse(t, []string{"(AccessDenied)", "Not authorized to perform sts:AssumeRoleWithWebIdentity"}, "aws", "sts", "get-caller-identity")
}

// A user who has to prove a second factor proves it, and may then do what a policy wants it for.
func TestSecondFactor(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.CreateRepository("team/app")
	ann := s.user(t, "ann", "AmazonEC2ContainerRegistryReadOnly")
	s.run(t, "aws", "iam", "put-user-policy", "--user-name", "ann", "--policy-name", "mfa", "--policy-document",
		`{"Version":"2012-10-17","Statement":{"Effect":"Deny","NotAction":"sts:GetSessionToken","Resource":"*","Condition":{"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}}}}`)
	phone := s.EnablePhone("ann", "ann")
	serial := phone.Serial
	ann.refuse(t, []string{"(AccessDeniedException)", "with an explicit deny in an identity-based policy"}, "aws", "ecr", "describe-repositories")
	ann.refuse(t, []string{"(AccessDenied)", "MultiFactorAuthentication failed with invalid MFA one time pass code"},
		"aws", "sts", "get-session-token", "--serial-number", serial, "--token-code", phone.Code(40))
	var session struct{ Credentials keys }
	now := phone.Code(1)
	decode(t, ann.run(t, "aws", "sts", "get-session-token", "--serial-number", serial, "--token-code", now, "--output", "json"), &session)
	proved := s.as(t, session.Credentials)
	if name := proved.run(t, "aws", "ecr", "describe-repositories", "--query", "repositories[0].repositoryName", "--output", "text"); name != "team/app" {
		t.Errorf("with a second factor: %s", name)
	}
	ann.refuse(t, []string{"(AccessDenied)"}, "aws", "sts", "get-session-token", "--serial-number", serial, "--token-code", now) // once only
}

// An account lets another pull from one repository, under the name that its registry has.
func TestAcrossAccounts(t *testing.T) {
	t.Parallel()
	s := serve(t, "--domain", helperDomain)
	s.CreateRepository("team/shared")
	hello := helloLayout(t)
	s.push(t, "team/shared", hello)
	other := s.run(t, "aws", "organizations", "create-account", "--account-name", "staging", "--email", "staging@example.com",
		"--query", "CreateAccountStatus.AccountId", "--output", "text")
	admin := s.user(t, "admin", "AdministratorAccess")
	var session struct{ Credentials keys }
	decode(t, admin.run(t, "aws", "sts", "assume-role", "--role-arn", "arn:aws:iam::"+other+":role/OrganizationAccountAccessRole",
		"--role-session-name", "admin", "--output", "json"), &session)
	staging := s.as(t, session.Credentials)
	puller := staging.user(t, "puller", "AmazonEC2ContainerRegistryPowerUser")

	password := puller.run(t, "aws", "ecr", "get-login-password")
	front := startFront(t, strings.TrimPrefix(s.URL, "http://"))
	puller.env = append(puller.env, "HTTPS_PROXY="+front.url, "SSL_CERT_FILE="+front.authority)
	host := "123456789012.dkr.ecr.us-east-1." + helperDomain
	image := host + "/team/shared:" + hello.tag
	puller.feed(t, password, "crane", "auth", "login", "--username", "AWS", "--password-stdin", host)
	puller.refuse(t, []string{"User: arn:aws:iam::" + other + ":user/puller is not authorized to perform: ecr:BatchGetImage", "because no resource-based policy allows the ecr:BatchGetImage action"},
		"crane", "manifest", image)
	s.run(t, "aws", "ecr", "set-repository-policy", "--repository-name", "team/shared", "--policy-text",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"`+other+`"},"Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"]}}`)
	back := filepath.Join(t.TempDir(), "back")
	puller.run(t, "crane", "pull", "--format=oci", image, back)
	sameLayout(t, hello, openOnly(t, back))
	puller.refuse(t, []string{"403 Forbidden"}, "crane", "push", hello.alone(t).dir, host+"/team/shared:mine")
	// By ARN of the registry, on the API.
	listed := puller.as(t, keys{puller.variable(t, "AWS_ACCESS_KEY_ID"), puller.variable(t, "AWS_SECRET_ACCESS_KEY"), ""})
	listed.env = slices.DeleteFunc(listed.env, func(v string) bool { return strings.HasPrefix(v, "HTTPS_PROXY=") })
	if tag := listed.run(t, "aws", "ecr", "batch-get-image", "--registry-id", "123456789012", "--repository-name", "team/shared", "--image-ids", "imageTag="+hello.tag,
		"--query", "images[0].imageId.imageTag", "--output", "text"); tag != hello.tag {
		t.Errorf("batch-get-image of the other account: %s", tag)
	}
}
