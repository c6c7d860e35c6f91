package app_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/iam"
)

// An administrator of users who must have a boundary makes such users and gives them what they may do, and can neither touch
// those who have no boundary, nor take it away, nor hand out more.
func TestAdministratorHeldToABoundary(t *testing.T) {
	s := coffertest.Start(t)
	const boundary = "arn:aws:iam::123456789012:policy/limit"
	s.MustQuery("iam", "CreatePolicy", map[string]any{"PolicyName": "limit", "PolicyDocument": document("Allow", "ecr:*", "*")})
	s.MustQuery("iam", "CreatePolicy", map[string]any{"PolicyName": "other", "PolicyDocument": document("Allow", "*", "*")})
	s.MustQuery("iam", "CreateUser", map[string]any{"UserName": "free"})
	s.MustQuery("iam", "CreateRole", map[string]any{"RoleName": "free", "AssumeRolePolicyDocument": trustRoot})
	admin := user(s, "admin", fmt.Sprintf(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":["iam:CreateUser","iam:PutUserPolicy","iam:DeleteUserPolicy","iam:AttachUserPolicy","iam:DetachUserPolicy","iam:PutUserPermissionsBoundary",
			"iam:CreateRole","iam:PutRolePolicy","iam:DeleteRolePolicy","iam:AttachRolePolicy","iam:DetachRolePolicy","iam:PutRolePermissionsBoundary"],
			"Resource":"*","Condition":{"StringEquals":{"iam:PermissionsBoundary":%q}}},
		{"Effect":"Allow","Action":["iam:DeleteUserPermissionsBoundary","iam:DeleteRolePermissionsBoundary"],
			"Resource":"*","Condition":{"StringNotEqualsIfExists":{"iam:PermissionsBoundary":%q}}}]}`, boundary, boundary))
	const aws = "arn:aws:iam::aws:policy/AdministratorAccess"
	for _, test := range []struct {
		name    string
		in      map[string]any
		allowed bool
	}{
		{"CreateUser", map[string]any{"UserName": "held"}, false},
		{"CreateUser", map[string]any{"UserName": "held", "PermissionsBoundary": "arn:aws:iam::123456789012:policy/other"}, false},
		{"CreateUser", map[string]any{"UserName": "held", "PermissionsBoundary": boundary}, true},
		{"CreateRole", map[string]any{"RoleName": "held", "AssumeRolePolicyDocument": trustRoot}, false},
		{"CreateRole", map[string]any{"RoleName": "held", "AssumeRolePolicyDocument": trustRoot, "PermissionsBoundary": boundary}, true},
		{"AttachUserPolicy", map[string]any{"UserName": "HELD", "PolicyArn": aws}, true},
		{"AttachUserPolicy", map[string]any{"UserName": "free", "PolicyArn": aws}, false},
		{"DetachUserPolicy", map[string]any{"UserName": "held", "PolicyArn": aws}, true},
		{"DetachUserPolicy", map[string]any{"UserName": "free", "PolicyArn": aws}, false},
		{"AttachRolePolicy", map[string]any{"RoleName": "held", "PolicyArn": aws}, true},
		{"AttachRolePolicy", map[string]any{"RoleName": "free", "PolicyArn": aws}, false},
		{"DetachRolePolicy", map[string]any{"RoleName": "held", "PolicyArn": aws}, true},
		{"DetachRolePolicy", map[string]any{"RoleName": "free", "PolicyArn": aws}, false},
		{"PutUserPolicy", map[string]any{"UserName": "held", "PolicyName": "p", "PolicyDocument": document("Allow", "*", "*")}, true},
		{"PutUserPolicy", map[string]any{"UserName": "free", "PolicyName": "p", "PolicyDocument": document("Allow", "*", "*")}, false},
		{"PutRolePolicy", map[string]any{"RoleName": "held", "PolicyName": "p", "PolicyDocument": document("Allow", "*", "*")}, true},
		{"PutRolePolicy", map[string]any{"RoleName": "free", "PolicyName": "p", "PolicyDocument": document("Allow", "*", "*")}, false},
		{"DeleteUserPolicy", map[string]any{"UserName": "held", "PolicyName": "p"}, true},
		{"DeleteUserPolicy", map[string]any{"UserName": "free", "PolicyName": "p"}, false},
		{"DeleteRolePolicy", map[string]any{"RoleName": "held", "PolicyName": "p"}, true},
		{"DeleteRolePolicy", map[string]any{"RoleName": "free", "PolicyName": "p"}, false},
		// The boundary that is given counts, and not the one that is there.
		{"PutUserPermissionsBoundary", map[string]any{"UserName": "held", "PermissionsBoundary": aws}, false},
		{"PutUserPermissionsBoundary", map[string]any{"UserName": "held", "PermissionsBoundary": boundary}, true},
		{"PutRolePermissionsBoundary", map[string]any{"RoleName": "held", "PermissionsBoundary": aws}, false},
		{"PutRolePermissionsBoundary", map[string]any{"RoleName": "free", "PermissionsBoundary": boundary}, true},
		{"DeleteUserPermissionsBoundary", map[string]any{"UserName": "held"}, false},
		{"DeleteUserPermissionsBoundary", map[string]any{"UserName": "free"}, true},
		{"DeleteRolePermissionsBoundary", map[string]any{"RoleName": "free"}, false}, // which has it by now
	} {
		if r := admin.Query("iam", test.name, test.in); test.allowed != (r.Status == http.StatusOK) || !test.allowed && r.Code() != "AccessDenied" {
			t.Errorf("%s of %v: status %d: %s", test.name, test.in, r.Status, r.Body)
		}
	}
}

// Which policies are attached, whose tags a policy has, and of which service a role is, are conditions too.
func TestConditionsOnPoliciesAndRoles(t *testing.T) {
	s := coffertest.Start(t)
	tags := func(team string) []any { return []any{map[string]string{"Key": "team", "Value": team}} }
	for _, team := range []string{"pay", "ship"} {
		s.MustQuery("iam", "CreatePolicy", map[string]any{"PolicyName": team, "PolicyDocument": document("Allow", "ecr:*", "*"), "Tags": tags(team)})
		if err := s.AddMFADevice(t.Context(), coffertest.Account, team, iam.Tag{Key: "team", Value: team}); err != nil {
			t.Fatal(err)
		}
		s.MustQuery("iam", "CreateOpenIDConnectProvider", map[string]any{"Url": "https://" + team + ".example.com", "Tags": tags(team)})
	}
	for _, service := range []string{"replication.ecr.amazonaws.com", "ecr.amazonaws.com"} {
		s.MustQuery("iam", "CreateServiceLinkedRole", map[string]any{"AWSServiceName": service})
	}
	s.MustQuery("iam", "CreateGroup", map[string]any{"GroupName": "devs"})
	admin := user(s, "admin", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"iam:*","Resource":["arn:aws:iam::*:policy/*","arn:aws:iam::*:mfa/*","arn:aws:iam::*:oidc-provider/*"],
			"Condition":{"StringEquals":{"iam:ResourceTag/team":"pay","aws:ResourceTag/Team":"pay"}}},
		{"Effect":"Allow","Action":["iam:AttachGroupPolicy","iam:DetachGroupPolicy"],"Resource":"*","Condition":{"ArnLike":{"iam:PolicyARN":"arn:aws:iam::*:policy/pay"}}},
		{"Effect":"Allow","Action":["iam:CreateServiceLinkedRole","iam:DeleteServiceLinkedRole"],"Resource":"*","Condition":{"StringEquals":{"iam:AWSServiceName":"ecr.amazonaws.com"}}}]}`)
	for _, test := range []struct {
		name    string
		in      map[string]any
		allowed bool
	}{
		{"GetPolicy", map[string]any{"PolicyArn": "arn:aws:iam::123456789012:policy/pay"}, true},
		{"GetPolicy", map[string]any{"PolicyArn": "arn:aws:iam::123456789012:policy/ship"}, false},
		{"GetPolicy", map[string]any{"PolicyArn": "arn:aws:iam::123456789012:policy/none"}, false},
		{"GetPolicy", map[string]any{"PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}, false},
		{"ListMFADeviceTags", map[string]any{"SerialNumber": "arn:aws:iam::123456789012:mfa/pay"}, true},
		{"ListMFADeviceTags", map[string]any{"SerialNumber": "arn:aws:iam::123456789012:mfa/ship"}, false},
		{"GetOpenIDConnectProvider", map[string]any{"OpenIDConnectProviderArn": "arn:aws:iam::123456789012:oidc-provider/pay.example.com"}, true},
		{"GetOpenIDConnectProvider", map[string]any{"OpenIDConnectProviderArn": "arn:aws:iam::123456789012:oidc-provider/ship.example.com"}, false},
		{"AttachGroupPolicy", map[string]any{"GroupName": "devs", "PolicyArn": "arn:aws:iam::123456789012:policy/pay"}, true},
		{"AttachGroupPolicy", map[string]any{"GroupName": "devs", "PolicyArn": "arn:aws:iam::123456789012:policy/ship"}, false},
		{"DetachGroupPolicy", map[string]any{"GroupName": "devs", "PolicyArn": "arn:aws:iam::123456789012:policy/pay"}, true},
		{"DeleteServiceLinkedRole", map[string]any{"RoleName": "AWSServiceRoleForECRReplication"}, false},
		{"DeleteServiceLinkedRole", map[string]any{"RoleName": "AWSServiceRoleForECRTemplate"}, true},
		{"CreateServiceLinkedRole", map[string]any{"AWSServiceName": "pullthroughcache.ecr.amazonaws.com"}, false},
		{"CreateServiceLinkedRole", map[string]any{"AWSServiceName": "ecr.amazonaws.com"}, true},
	} {
		if r := admin.Query("iam", test.name, test.in); test.allowed != (r.Status == http.StatusOK) || !test.allowed && r.Code() != "AccessDenied" {
			t.Errorf("%s of %v: status %d: %s", test.name, test.in, r.Status, r.Body)
		}
	}
	// What belongs to another account is not found out about.
	if r := s.Query("iam", "GetPolicy", map[string]any{"PolicyArn": "arn:aws:iam::999999999999:policy/pay"}); r.Code() != "AccessDenied" {
		t.Errorf("a policy of another account: status %d: %s", r.Status, r.Body)
	}
}
