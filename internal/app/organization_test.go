package app_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/sigv4"
)

// memberRoot are the credentials of a member's root: the other example of the AWS documentation.
var memberRoot = coffertest.Credentials{AccessKeyID: "AKIAI44QH8DHBEXAMPLE", SecretAccessKey: "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY"}

// company is an organization with a member account.
type company struct {
	// management and member sign as the roots of their accounts, and ask for the registries of their own.
	management, member *coffertest.Server
	account, root      string
}

// found makes a company in a data folder, and leaves its server running.
func found(t *testing.T) company {
	t.Helper()
	s, account := foundIn(t, t.TempDir()+"/data")
	var listed struct{ Roots []struct{ ID string } }
	s.MustOrganizations("ListRoots", struct{}{}, &listed)
	return company{management: s.InRegistry(coffertest.Account), member: s.As(memberRoot).InRegistry(account), account: account, root: listed.Roots[0].ID}
}

// foundIn makes the accounts of a company. The member's root gets its key from a start with the member as the first account,
// since no root but that one has a key.
func foundIn(t *testing.T, data string) (s *coffertest.Server, account string) {
	t.Helper()
	s = coffertest.Start(t, coffertest.Data(data))
	account = s.CreateAccount("member")
	s.Stop()
	return coffertest.Start(t, coffertest.Data(data), func(c *app.Config, _ *app.Options) {
		c.Account, c.RootAccessKeyID, c.RootSecretAccessKey = account, memberRoot.AccessKeyID, secret.New(memberRoot.SecretAccessKey)
	}), account
}

// control attaches a policy to a target and returns its id.
func (c company) control(typ, name, document, target string) string {
	var out struct {
		Policy struct{ PolicySummary struct{ ID string } }
	}
	c.management.MustOrganizations("CreatePolicy", map[string]string{"Name": name, "Description": "", "Type": typ, "Content": document}, &out)
	id := out.Policy.PolicySummary.ID
	c.management.MustOrganizations("AttachPolicy", map[string]string{"PolicyId": id, "TargetId": target}, nil)
	return id
}

// Service control policies limit the users and the root of members, on the API and on /v2/, from one request to the next,
// and never the management account.
func TestServiceControlPolicies(t *testing.T) {
	c := found(t)
	for _, s := range []*coffertest.Server{c.management, c.member} {
		s.CreateRepository("app")
	}
	ann := user(c.member, "ann", document("Allow", "*", "*"))
	clients := map[string]*coffertest.Server{"root": c.member, "user": ann, "management": c.management}
	tokens := map[string]string{}
	for who, s := range clients {
		tokens[who] = s.Token()
		s.PushImage(tokens[who], "app", who, []byte("layer"))
	}
	id := c.control("SERVICE_CONTROL_POLICY", "no-pulls", document("Deny", "ecr:BatchGetImage", "*"), c.root)
	in := map[string]any{"repositoryName": "app", "imageIds": []any{map[string]string{"imageTag": "root"}}}
	for who, s := range clients {
		pull, got := s.V2(tokens[who], http.MethodGet, "/v2/app/manifests/"+who, nil), s.ECR("BatchGetImage", in)
		if who == "management" {
			wantStatus(t, pull, http.StatusOK, "")
			wantStatus(t, got, http.StatusOK, "")
			continue
		}
		wantStatus(t, pull, http.StatusForbidden, "DENIED")
		wantStatus(t, got, http.StatusBadRequest, "AccessDeniedException")
		if !strings.Contains(got.Message(), "with an explicit deny in a service control policy") {
			t.Errorf("%s is told: %s", who, got.Message())
		}
	}
	c.management.MustOrganizations("DetachPolicy", map[string]string{"PolicyId": id, "TargetId": c.root}, nil)
	for who, s := range clients {
		wantStatus(t, s.V2(tokens[who], http.MethodGet, "/v2/app/manifests/"+who, nil), http.StatusOK, "")
	}

	// What no level allows is denied.
	c.control("SERVICE_CONTROL_POLICY", "pulls", document("Allow", "ecr:Get*", "*"), c.account)
	c.management.MustOrganizations("DetachPolicy", map[string]string{"PolicyId": "p-FullAWSAccess", "TargetId": c.account}, nil)
	denied := c.member.ECR("DescribeRepositories", struct{}{})
	wantStatus(t, denied, http.StatusBadRequest, "AccessDeniedException")
	if want := "because no service control policy allows the ecr:DescribeRepositories action"; !strings.Contains(denied.Message(), want) {
		t.Errorf("it is told: %s", denied.Message())
	}
	c.member.Token()
}

// A resource control policy keeps others out of a repository whose own policy lets them in.
func TestResourceControlPolicies(t *testing.T) {
	c := found(t)
	c.member.CreateRepository("app")
	c.member.PushImage(c.member.Token(), "app", "1", []byte("layer"))
	bob := user(c.management, "bob", document("Allow", "ecr:*", "*")).InRegistry(c.account)
	token := bob.Token()
	pull := func(status int, code string) {
		t.Helper()
		wantStatus(t, bob.V2(token, http.MethodGet, "/v2/app/manifests/1", nil), status, code)
	}
	pull(http.StatusForbidden, "DENIED")
	c.member.MustECR("SetRepositoryPolicy", map[string]string{"repositoryName": "app",
		"policyText": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"ecr:*"}}`}, nil)
	pull(http.StatusOK, "")
	c.management.MustOrganizations("EnablePolicyType", map[string]string{"RootId": c.root, "PolicyType": "RESOURCE_CONTROL_POLICY"}, nil)
	pull(http.StatusOK, "")
	c.control("RESOURCE_CONTROL_POLICY", "own", `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"ecr:*","Resource":"*",
		"Condition":{"StringNotEquals":{"aws:PrincipalAccount":"`+c.account+`"}}}}`, c.account)
	pull(http.StatusForbidden, "DENIED")
	wantStatus(t, c.member.V2(c.member.Token(), http.MethodGet, "/v2/app/manifests/1", nil), http.StatusOK, "")
	c.management.MustOrganizations("DisablePolicyType", map[string]string{"RootId": c.root, "PolicyType": "RESOURCE_CONTROL_POLICY"}, nil)
	pull(http.StatusOK, "")
}

// Accounts share nothing: the same name is another repository in each, and the same layer another object.
func TestAccountsShareNothing(t *testing.T) {
	c := found(t)
	tokens := map[*coffertest.Server]string{}
	layer := []byte("a layer that both push")
	for _, s := range []*coffertest.Server{c.management, c.member} {
		s.CreateRepository("team/app")
		tokens[s] = s.Token()
	}
	c.member.PushImage(tokens[c.member], "team/app", "1", layer)
	for _, path := range []string{"manifests/1", "blobs/" + coffertest.Digest(layer)} {
		wantStatus(t, c.member.V2(tokens[c.member], http.MethodGet, "/v2/team/app/"+path, nil), http.StatusOK, "")
		if r := c.management.V2(tokens[c.management], http.MethodGet, "/v2/team/app/"+path, nil); r.Status != http.StatusNotFound {
			t.Errorf("%s of the member is in the registry of another: status %d", path, r.Status)
		}
		wantStatus(t, c.management.InRegistry(c.account).V2(tokens[c.management], http.MethodGet, "/v2/team/app/"+path, nil), http.StatusForbidden, "DENIED")
	}
	var out struct{ ImageIDs []struct{ ImageTag string } }
	c.management.MustECR("ListImages", map[string]string{"repositoryName": "team/app"}, &out)
	if len(out.ImageIDs) != 0 {
		t.Errorf("it lists %v", out.ImageIDs)
	}
	wantStatus(t, c.management.ECR("ListImages", map[string]string{"repositoryName": "team/app", "registryId": c.account}), http.StatusBadRequest, "AccessDeniedException")
	// A layer of another account is none that could be mounted or that counts as there.
	r := c.management.V2(tokens[c.management], http.MethodPost, "/v2/team/app/blobs/uploads/?from=team/app&mount="+coffertest.Digest(layer), nil)
	if r.Status != http.StatusAccepted {
		t.Errorf("mount: status %d", r.Status)
	}
}

// A member may ask what organization it is in and what it is itself, and nothing else, whatever its policies say.
func TestMembersManageNothing(t *testing.T) {
	c := found(t)
	var described struct {
		Organization struct{ MasterAccountID string }
	}
	c.member.MustOrganizations("DescribeOrganization", struct{}{}, &described)
	if described.Organization.MasterAccountID != coffertest.Account {
		t.Errorf("it is managed by %s", described.Organization.MasterAccountID)
	}
	c.member.MustOrganizations("DescribeAccount", map[string]string{"AccountId": c.account}, nil)
	for operation, in := range map[string]any{
		"DescribeAccount": map[string]string{"AccountId": coffertest.Account}, "ListAccounts": struct{}{}, "ListRoots": struct{}{},
		"AttachPolicy":  map[string]string{"PolicyId": "p-FullAWSAccess", "TargetId": c.root},
		"CreateAccount": map[string]string{"AccountName": "mine", "Email": "mine@example.com"},
		"CloseAccount":  map[string]string{"AccountId": c.account},
	} {
		r := c.member.Organizations(operation, in)
		wantStatus(t, r, http.StatusBadRequest, "AccessDeniedException")
		if r.Message() != "You don't have permissions to access this resource." {
			t.Errorf("%s: it is told: %s", operation, r.Message())
		}
	}
}

// Nobody of a closed account may do anything, from the next request on.
func TestClosedAccount(t *testing.T) {
	c := found(t)
	c.member.CreateRepository("app")
	ann := user(c.member, "ann", document("Allow", "*", "*"))
	token := ann.Token()
	c.management.MustOrganizations("CloseAccount", map[string]string{"AccountId": c.account}, nil)
	wantStatus(t, c.member.ECR("DescribeRepositories", struct{}{}), http.StatusBadRequest, "UnrecognizedClientException")
	wantStatus(t, ann.ECR("DescribeRepositories", struct{}{}), http.StatusBadRequest, "UnrecognizedClientException")
	if r := ann.V2(token, http.MethodGet, "/v2/app/tags/list", nil); r.Status != http.StatusUnauthorized {
		t.Errorf("status %d", r.Status)
	}
	var out struct {
		Account struct{ Status, State string }
	}
	c.management.MustOrganizations("DescribeAccount", map[string]string{"AccountId": c.account}, &out)
	if out.Account.Status != "SUSPENDED" || out.Account.State != "CLOSED" {
		t.Errorf("it is %+v", out.Account)
	}
}

// A region that is served later has registries of all accounts.
func TestRegionsAreServedToAllAccounts(t *testing.T) {
	data := t.TempDir() + "/data"
	s, account := foundIn(t, data)
	s.Stop()
	s = coffertest.Start(t, coffertest.Data(data), func(c *app.Config, _ *app.Options) { c.Region = []string{"eu-west-1", coffertest.Region} })
	member := s.As(memberRoot)
	body := []byte(`{"repositoryName":"app"}`)
	r := member.Request(http.MethodPost, "/", bytes.NewReader(body), "Content-Type", "application/x-amz-json-1.1", "X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.CreateRepository")
	credentials := sigv4.Credentials{AccessKeyID: memberRoot.AccessKeyID, Secret: secret.New(memberRoot.SecretAccessKey)}
	if err := sigv4.Sign(r, body, credentials, sigv4.Scope{Region: "eu-west-1", Service: "ecr"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if r := member.Do(r); r.Status != http.StatusOK || !strings.Contains(string(r.Body), "arn:aws:ecr:eu-west-1:"+account+":repository/app") {
		t.Errorf("status %d: %s", r.Status, r.Body)
	}
}

// Users of the management account that may get into an account that was made, by its role, which may do everything there.
func TestAccessToNewAccount(t *testing.T) {
	s := coffertest.Start(t)
	account := s.CreateAccount("member")
	in := map[string]any{"RoleArn": "arn:aws:iam::" + account + ":role/OrganizationAccountAccessRole", "RoleSessionName": "admin"}
	wantStatus(t, user(s, "bob", document("Allow", "ecr:*", "*")).Query("sts", "AssumeRole", in), http.StatusForbidden, "AccessDenied")
	wantStatus(t, s.Query("sts", "AssumeRole", in), http.StatusForbidden, "AccessDenied")
	ann := user(s, "ann", document("Allow", "sts:AssumeRole", "*"))
	admin := s.As(ann.MustQuery("sts", "AssumeRole", in).KeyOf()).InRegistry(account)
	if arn := admin.MustQuery("sts", "GetCallerIdentity", nil).Text("Arn"); arn != "arn:aws:sts::"+account+":assumed-role/OrganizationAccountAccessRole/admin" {
		t.Errorf("it is %s", arn)
	}
	admin.CreateRepository("app")
	admin.PushImage(admin.Token(), "app", "1", []byte("layer"))
	wantStatus(t, admin.V2(admin.Token(), http.MethodGet, "/v2/app/manifests/1", nil), http.StatusOK, "")
	// Its users are made from there.
	user(admin, "carol", document("Allow", "ecr:*", "*")).MustECR("ListImages", map[string]string{"repositoryName": "app"}, nil)
	s.MustOrganizations("CloseAccount", map[string]string{"AccountId": account}, nil)
	wantStatus(t, admin.ECR("DescribeRepositories", struct{}{}), http.StatusBadRequest, "UnrecognizedClientException")
}
