package iam_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// trust is a trust policy for principals of AWS.
func trust(principals ...string) string {
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":["` + strings.Join(principals, `","`) + `"]},"Action":"sts:AssumeRole"}}`
}

const annARN = "arn:aws:iam::123456789012:user/ann"

// shownTrust is the trust policy of a role as GetRole answers it.
func shownTrust(t *testing.T, s *coffertest.Server, role string) string {
	t.Helper()
	text, err := url.PathUnescape(s.MustQuery("iam", "GetRole", in{"RoleName": role}).Text("AssumeRolePolicyDocument"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestRoles(t *testing.T) {
	s := coffertest.Start(t)
	s.MustQuery("iam", "CreateUser", in{"UserName": "ann"})
	run(t, s, []call{
		{"CreateRole", in{"RoleName": "ci", "Path": "/team/", "AssumeRolePolicyDocument": trust(annARN), "Description": "pushes", "MaxSessionDuration": 7200, "Tags": tags("team", "pay")},
			"Arn: arn:aws:iam::123456789012:role/team/ci\nMaxSessionDuration: 7200\nDescription: pushes\nKey: team"},
		{"CreateRole", in{"RoleName": "CI", "AssumeRolePolicyDocument": trust(annARN)}, "EntityAlreadyExists: Role with name CI already exists."},
		{"CreateRole", in{"RoleName": "a", "Path": "/aws-service-role/x/", "AssumeRolePolicyDocument": trust(annARN)},
			"ValidationError: The path /aws-service-role/x/ is reserved for roles that services make."},
		{"CreateRole", in{"RoleName": "a", "AssumeRolePolicyDocument": trust("arn:aws:iam::123456789012:user/none")},
			`MalformedPolicyDocument: Invalid principal in policy: "AWS":"arn:aws:iam::123456789012:user/none"`},
		{"CreateRole", in{"RoleName": "a", "AssumeRolePolicyDocument": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"}}`},
			"MalformedPolicyDocument: Has prohibited field Resource."},
		{"CreateRole", in{"RoleName": "a", "AssumeRolePolicyDocument": trust(append([]string{annARN}, strings.Split(strings.Repeat("123456789012,", 200)+"123456789012", ",")...)...)},
			"LimitExceeded: Cannot exceed quota for ACLSizePerRole: 2048"},
		{"GetRole", in{"RoleName": "CI"}, "RoleName: ci\nKey: team\nLastUsedDate:"},
		{"GetRole", in{"RoleName": "none"}, "NoSuchEntity: The role with name none cannot be found."},
		{"UpdateRole", in{"RoleName": "ci", "Description": "pulls"}, ""},
		{"GetRole", in{"RoleName": "ci"}, "Description: pulls\nMaxSessionDuration: 7200"},
		{"UpdateRole", in{"RoleName": "ci", "MaxSessionDuration": 3600}, ""},
		{"GetRole", in{"RoleName": "ci"}, "Description: pulls\nMaxSessionDuration: 3600"},
		{"UpdateRoleDescription", in{"RoleName": "ci", "Description": "again"}, "Description: again"},
		{"TagRole", in{"RoleName": "ci", "Tags": tags("Team", "x", "stage", "test")}, ""},
		{"ListRoleTags", in{"RoleName": "ci"}, "Key: stage, Team\nValue: test, x"},
		{"UntagRole", in{"RoleName": "ci", "TagKeys": []string{"TEAM", "none"}}, ""},
		{"ListRoleTags", in{"RoleName": "ci"}, "Key: stage"},
		{"CreateRole", in{"RoleName": "other", "AssumeRolePolicyDocument": trust("123456789012")}, ""},
		{"ListRoles", nil, "RoleName: other, ci\nKey:"},
		{"ListRoles", in{"PathPrefix": "/team/"}, "RoleName: ci"},
		{"ListRoles", in{"MaxItems": 1}, "RoleName: other\nIsTruncated: true"},
		{"PutRolePolicy", in{"RoleName": "ci", "PolicyName": "p", "PolicyDocument": pull}, ""},
		{"DeleteRole", in{"RoleName": "ci"}, "DeleteConflict: Cannot delete entity, must delete policies first."},
		{"DeleteRolePolicy", in{"RoleName": "ci", "PolicyName": "p"}, ""},
		{"DeleteRole", in{"RoleName": "ci"}, ""},
		{"DeleteRole", in{"RoleName": "ci"}, "NoSuchEntity: The role with name ci cannot be found."},
	})
}

// A trusted user is shown by the ARN that it has, by its id once it is gone, and one of the same name is another.
func TestTrustIsOfOneUser(t *testing.T) {
	s := coffertest.Start(t)
	s.MustQuery("iam", "CreateUser", in{"UserName": "ann"})
	s.MustQuery("iam", "CreateRole", in{"RoleName": "ci", "AssumeRolePolicyDocument": trust(annARN)})
	if text := shownTrust(t, s, "ci"); text != trust(annARN) {
		t.Errorf("it is shown as %s", text)
	}
	assume := in{"RoleArn": "arn:aws:iam::123456789012:role/ci", "RoleSessionName": "run1"}
	as(s, "ann").MustQuery("sts", "AssumeRole", assume)
	s.MustQuery("iam", "UpdateUser", in{"UserName": "ann", "NewUserName": "anna", "NewPath": "/x/"})
	if text := shownTrust(t, s, "ci"); text != trust("arn:aws:iam::123456789012:user/x/anna") {
		t.Errorf("after a new name it is shown as %s", text)
	}
	id := s.MustQuery("iam", "GetUser", in{"UserName": "anna"}).Text("UserId")
	for _, key := range s.MustQuery("iam", "ListAccessKeys", in{"UserName": "anna"}).Texts("AccessKeyId") {
		s.MustQuery("iam", "DeleteAccessKey", in{"UserName": "anna", "AccessKeyId": key})
	}
	s.MustQuery("iam", "DeleteUser", in{"UserName": "anna"})
	s.MustQuery("iam", "CreateUser", in{"UserName": "ann"})
	if text := shownTrust(t, s, "ci"); text != trust(id) {
		t.Errorf("after she is gone it is shown as %s", text)
	}
	if r := as(s, "ann").Query("sts", "AssumeRole", assume); r.Code() != "AccessDenied" {
		t.Errorf("another user of the name: status %d: %s", r.Status, r.Body)
	}
	// What is shown can be saved only once those who are gone are taken out.
	run(t, s, []call{
		{"UpdateAssumeRolePolicy", in{"RoleName": "ci", "PolicyDocument": shownTrust(t, s, "ci")}, `MalformedPolicyDocument: Invalid principal in policy: "AWS":"` + id + `"`},
		{"UpdateAssumeRolePolicy", in{"RoleName": "ci", "PolicyDocument": trust(annARN)}, ""},
	})
	if text := shownTrust(t, s, "ci"); text != trust(annARN) {
		t.Errorf("it is shown as %s", text)
	}
}

// Roles that trust each other do no harm.
func TestRolesInACircle(t *testing.T) {
	s := coffertest.Start(t)
	s.MustQuery("iam", "CreateUser", in{"UserName": "ann"})
	s.MustQuery("iam", "CreateRole", in{"RoleName": "a", "AssumeRolePolicyDocument": trust(annARN)})
	s.MustQuery("iam", "CreateRole", in{"RoleName": "b", "AssumeRolePolicyDocument": trust("arn:aws:iam::123456789012:role/a")})
	s.MustQuery("iam", "UpdateAssumeRolePolicy", in{"RoleName": "a", "PolicyDocument": trust(annARN, "arn:aws:iam::123456789012:role/b")})
	client := as(s, "ann")
	for _, role := range []string{"a", "b", "a", "b"} {
		client = s.As(client.MustQuery("sts", "AssumeRole", in{"RoleArn": "arn:aws:iam::123456789012:role/" + role, "RoleSessionName": "run1"}).KeyOf())
	}
	if arn := client.MustQuery("sts", "GetCallerIdentity", nil).Text("Arn"); arn != "arn:aws:sts::123456789012:assumed-role/b/run1" {
		t.Errorf("it is %s", arn)
	}
}

func TestServiceLinkedRoles(t *testing.T) {
	s := coffertest.Start(t)
	const protected = "UnmodifiableEntity: Cannot perform the operation on the protected role 'AWSServiceRoleForECRReplication' - this role is only modifiable by AWS"
	name := in{"RoleName": "AWSServiceRoleForECRReplication"}
	with := func(more in) in {
		for member, value := range name {
			more[member] = value
		}
		return more
	}
	run(t, s, []call{
		{"CreateServiceLinkedRole", in{"AWSServiceName": "replication.ecr.amazonaws.com"},
			"Arn: arn:aws:iam::123456789012:role/aws-service-role/replication.ecr.amazonaws.com/AWSServiceRoleForECRReplication"},
		{"CreateServiceLinkedRole", in{"AWSServiceName": "replication.ecr.amazonaws.com"},
			"InvalidInput: Service role name AWSServiceRoleForECRReplication has been taken in this account, please try a different suffix."},
		{"CreateServiceLinkedRole", in{"AWSServiceName": "ecr.amazonaws.com", "CustomSuffix": "x"}, "InvalidInput: Custom suffix is not allowed for ecr.amazonaws.com"},
		{"CreateServiceLinkedRole", in{"AWSServiceName": "lambda.amazonaws.com"}, "InvalidInput: The service lambda.amazonaws.com has no service-linked role here."},
		{"ListAttachedRolePolicies", name, "PolicyName: ECRReplicationServiceRolePolicy"},
		{"DeleteRole", name, protected},
		{"UpdateRole", name, protected},
		{"UpdateAssumeRolePolicy", with(in{"PolicyDocument": trust("123456789012")}), protected},
		{"PutRolePolicy", with(in{"PolicyName": "p", "PolicyDocument": pull}), protected},
		{"AttachRolePolicy", with(in{"PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}), protected},
		{"DetachRolePolicy", with(in{"PolicyArn": "arn:aws:iam::aws:policy/aws-service-role/ECRReplicationServiceRolePolicy"}), protected},
		{"PutRolePermissionsBoundary", with(in{"PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess"}), protected},
		{"UpdateRoleDescription", with(in{"Description": "mine"}), "Description: mine"},
		{"DeleteServiceLinkedRole", in{"RoleName": "none"}, "NoSuchEntity: The role with name none cannot be found."},
	})
	task := s.MustQuery("iam", "DeleteServiceLinkedRole", name).Text("DeletionTaskId")
	if !strings.HasPrefix(task, "task/aws-service-role/replication.ecr.amazonaws.com/AWSServiceRoleForECRReplication/") {
		t.Errorf("the task is %s", task)
	}
	run(t, s, []call{
		{"GetServiceLinkedRoleDeletionStatus", in{"DeletionTaskId": task}, "Status: SUCCEEDED"},
		{"GetServiceLinkedRoleDeletionStatus", in{"DeletionTaskId": task + "x"}, "NoSuchEntity: The deletion task " + task + "x cannot be found."},
		{"GetRole", name, "NoSuchEntity: The role with name AWSServiceRoleForECRReplication cannot be found."},
	})
}

// A role that every repository of GitHub could take is not made.
func TestRolesForStrangers(t *testing.T) {
	s := coffertest.Start(t)
	const github = "token.actions.githubusercontent.com"
	document := func(condition string) string {
		return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::123456789012:oidc-provider/` + github +
			`"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringLike":{` + condition + `}}}}`
	}
	const refused = "MalformedPolicyDocument: The policy trusts every repository of " + github + ": add a condition on " + github +
		":sub, such as repo:<organization>/<repository>:*."
	run(t, s, []call{
		{"CreateRole", in{"RoleName": "ci", "AssumeRolePolicyDocument": document(`"` + github + `:aud":"sts.amazonaws.com"`)}, refused},
		{"CreateRole", in{"RoleName": "ci", "AssumeRolePolicyDocument": document(`"` + github + `:sub":"repo:*"`)}, refused},
		{"CreateRole", in{"RoleName": "ci", "AssumeRolePolicyDocument": document(`"` + github + `:sub":"repo:bank/app:*"`)}, "RoleName: ci"},
		{"UpdateAssumeRolePolicy", in{"RoleName": "ci", "PolicyDocument": document(`"` + github + `:sub":"*"`)}, refused},
	})
}
