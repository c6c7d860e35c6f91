package clients_test

import (
	"slices"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// The AWS CLI makes accounts and units, gets into an account by its role, and sets guardrails. It signs for a region that
// the server doesn't serve, which is all the same to Organizations.
func TestAWSOrganizations(t *testing.T) {
	t.Parallel()
	s := serve(t)
	organizations := func(v any, args ...string) {
		t.Helper()
		out := s.run(t, "aws", append([]string{"organizations", "--output", "json", "--region", "eu-central-1"}, args...)...)
		if v != nil {
			decode(t, out, v)
		}
	}
	var account struct {
		CreateAccountStatus struct{ ID, State, AccountID string }
	}
	organizations(&account, "create-account", "--account-name", "build", "--email", "build@example.com", "--tags", "Key=team,Value=platform")
	id := account.CreateAccountStatus.AccountID
	organizations(&account, "describe-create-account-status", "--create-account-request-id", account.CreateAccountStatus.ID)
	if account.CreateAccountStatus.State != "SUCCEEDED" || account.CreateAccountStatus.AccountID != id {
		t.Errorf("describe-create-account-status: %+v", account)
	}
	var roots struct{ Roots []struct{ ID string } }
	organizations(&roots, "list-roots")
	root := roots.Roots[0].ID
	var unit struct{ OrganizationalUnit struct{ ID string } }
	for _, name := range []string{"teams", "sandboxes"} {
		organizations(&unit, "create-organizational-unit", "--parent-id", root, "--name", name)
	}
	organizations(nil, "move-account", "--account-id", id, "--source-parent-id", root, "--destination-parent-id", unit.OrganizationalUnit.ID)
	var listed struct{ Accounts []struct{ ID, Name string } }
	organizations(&listed, "list-accounts", "--page-size", "1")
	var ids []string
	for _, a := range listed.Accounts {
		ids = append(ids, a.ID)
	}
	if want := []string{coffertest.Account, id}; !slices.Equal(ids, slices.Sorted(slices.Values(want))) {
		t.Errorf("list-accounts: %q", ids)
	}

	s.run(t, "aws", "iam", "create-user", "--user-name", "ann")
	s.run(t, "aws", "iam", "put-user-policy", "--user-name", "ann", "--policy-name", "p", "--policy-document",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}}`)
	type credentials struct{ AccessKeyID, SecretAccessKey, SessionToken string }
	as := func(c credentials, args ...string) []string {
		return append([]string{"AWS_ACCESS_KEY_ID=" + c.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + c.SecretAccessKey, "AWS_SESSION_TOKEN=" + c.SessionToken, "aws"}, args...)
	}
	var key struct{ AccessKey credentials }
	decode(t, s.run(t, "aws", "iam", "create-access-key", "--user-name", "ann", "--output", "json"), &key)
	var assumed struct{ Credentials credentials }
	decode(t, s.run(t, "env", as(key.AccessKey, "sts", "assume-role", "--role-arn", "arn:aws:iam::"+id+":role/OrganizationAccountAccessRole",
		"--role-session-name", "admin", "--output", "json")...), &assumed)
	s.run(t, "env", as(assumed.Credentials, "ecr", "create-repository", "--repository-name", "app")...)
	s.refuse(t, []string{"(AccessDeniedException)", "You don't have permissions to access this resource."},
		"env", as(assumed.Credentials, "organizations", "list-accounts")...)

	var guard struct {
		Policy struct{ PolicySummary struct{ ID string } }
	}
	organizations(&guard, "create-policy", "--type", "SERVICE_CONTROL_POLICY", "--name", "no-deletions", "--description", "Nothing is deleted",
		"--content", `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"ecr:Delete*","Resource":"*"}}`)
	organizations(nil, "attach-policy", "--policy-id", guard.Policy.PolicySummary.ID, "--target-id", unit.OrganizationalUnit.ID)
	s.refuse(t, []string{"(AccessDeniedException)", "with an explicit deny in a service control policy"},
		"env", as(assumed.Credentials, "ecr", "delete-repository", "--repository-name", "app")...)
	organizations(nil, "close-account", "--account-id", id)
	s.refuse(t, []string{"(UnrecognizedClientException)"}, "env", as(assumed.Credentials, "ecr", "describe-repositories")...)
}
