package iam_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

const (
	pull      = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["ecr:BatchGetImage","ecr:ListImages"],"Resource":"*"}}`
	nothing   = `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`
	pushers   = "arn:aws:iam::123456789012:policy/team/pushers"
	administr = "arn:aws:iam::aws:policy/AdministratorAccess"
)

// long is a policy of about so many characters.
func long(characters int) string {
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ecr:*","Resource":"arn:aws:ecr:*:*:repository/` + strings.Repeat("a", characters) + `"}}`
}

func TestInlinePolicies(t *testing.T) {
	s := coffertest.Start(t)
	s.MustQuery("iam", "CreateUser", in{"UserName": "ann"})
	s.MustQuery("iam", "CreateGroup", in{"GroupName": "devs"})
	s.MustQuery("iam", "CreateRole", in{"RoleName": "ci", "AssumeRolePolicyDocument": trust("123456789012")})
	for _, owner := range []struct {
		kind, member, name string
		quota              int
	}{{"User", "UserName", "ann", 2048}, {"Group", "GroupName", "devs", 5120}, {"Role", "RoleName", "ci", 10240}} {
		with := func(more in) in {
			more[owner.member] = owner.name
			return more
		}
		kind := strings.ToLower(owner.kind)
		tooLarge := fmt.Sprintf("LimitExceeded: Maximum policy size of %d bytes exceeded for %s %s", owner.quota, kind, owner.name)
		run(t, s, []call{
			{"Put" + owner.kind + "Policy", with(in{"PolicyName": "b", "PolicyDocument": pull}), ""},
			{"Put" + owner.kind + "Policy", with(in{"PolicyName": "a", "PolicyDocument": pull}), ""},
			{"Put" + owner.kind + "Policy", with(in{"PolicyName": "a", "PolicyDocument": nothing}), ""},
			{"Get" + owner.kind + "Policy", with(in{"PolicyName": "a"}), "PolicyName: a\nPolicyDocument: " + strings.ReplaceAll(url.QueryEscape(nothing), "+", "%20")},
			{"Get" + owner.kind + "Policy", with(in{"PolicyName": "none"}), "NoSuchEntity: The " + kind + " policy with name none cannot be found."},
			{"Delete" + owner.kind + "Policy", with(in{"PolicyName": "none"}), "NoSuchEntity: The " + kind + " policy with name none cannot be found."},
			{"List" + owner.kind + "Policies", with(in{}), "member: a, b\nIsTruncated: false"},
			{"List" + owner.kind + "Policies", with(in{"MaxItems": 1}), "member: a\nIsTruncated: true"},
			{"Put" + owner.kind + "Policy", with(in{"PolicyName": "c", "PolicyDocument": long(owner.quota)}), tooLarge},
			{"Put" + owner.kind + "Policy", with(in{"PolicyName": "c", "PolicyDocument": long(owner.quota / 2)}), ""},
			{"Put" + owner.kind + "Policy", with(in{"PolicyName": "d", "PolicyDocument": long(owner.quota / 2)}), tooLarge},
			{"Put" + owner.kind + "Policy", with(in{"PolicyName": "a", "PolicyDocument": "{}"}), "MalformedPolicyDocument: Syntax errors in policy."},
			{"Put" + owner.kind + "Policy", with(in{"PolicyName": "a", "PolicyDocument": trust("123456789012")}), "MalformedPolicyDocument: Policy document should not specify a principal."},
			{"Delete" + owner.kind + "Policy", with(in{"PolicyName": "a"}), ""},
			{"List" + owner.kind + "Policies", with(in{}), "member: b, c"},
		})
	}
}

func TestManagedPolicies(t *testing.T) {
	s := coffertest.Start(t)
	policy := in{"PolicyArn": pushers}
	with := func(more in) in {
		more["PolicyArn"] = pushers
		return more
	}
	run(t, s, []call{
		{"CreatePolicy", in{"PolicyName": "pushers", "Path": "/team/", "PolicyDocument": pull, "Description": "for CI", "Tags": tags("team", "pay")},
			"Arn: " + pushers + "\nDefaultVersionId: v1\nAttachmentCount: 0\nIsAttachable: true\nKey: team"},
		{"CreatePolicy", in{"PolicyName": "Pushers", "PolicyDocument": pull}, "EntityAlreadyExists: A policy called Pushers already exists. Duplicate names are not allowed."},
		{"CreatePolicy", in{"PolicyName": "big", "PolicyDocument": long(6144)}, "LimitExceeded: Cannot exceed quota for PolicySize: 6144"},
		{"CreatePolicy", in{"PolicyName": "bad", "PolicyDocument": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"nothing","Resource":"*"}}`},
			"MalformedPolicyDocument: Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."},
		{"GetPolicy", policy, "PolicyName: pushers\nDescription: for CI\nKey: team"},
		{"GetPolicy", in{"PolicyArn": pushers + "x"}, "NoSuchEntity: Policy " + pushers + "x was not found."},
		{"GetPolicy", in{"PolicyArn": administr}, "PolicyName: AdministratorAccess\nDefaultVersionId: v1"},
		{"CreatePolicyVersion", with(in{"PolicyDocument": nothing}), "VersionId: v2\nIsDefaultVersion: false"},
		{"CreatePolicyVersion", with(in{"PolicyDocument": nothing, "SetAsDefault": true}), "VersionId: v3\nIsDefaultVersion: true"},
		{"DeletePolicyVersion", with(in{"VersionId": "v3"}), "DeleteConflict: Cannot delete the default version of a policy."},
		{"DeletePolicyVersion", with(in{"VersionId": "v2"}), ""},
		{"DeletePolicyVersion", with(in{"VersionId": "v2"}), "NoSuchEntity: Policy " + pushers + " version v2 does not exist or is not attachable."},
		{"CreatePolicyVersion", with(in{"PolicyDocument": pull}), "VersionId: v4"}, // no number is used again
		{"CreatePolicyVersion", with(in{"PolicyDocument": pull}), "VersionId: v5"},
		{"CreatePolicyVersion", with(in{"PolicyDocument": pull}), "VersionId: v6"},
		{"CreatePolicyVersion", with(in{"PolicyDocument": pull}),
			"LimitExceeded: A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version."},
		{"ListPolicyVersions", policy, "VersionId: v6, v5, v4, v3, v1\nIsDefaultVersion: false, false, false, true, false\nDocument:"},
		{"ListPolicyVersions", with(in{"MaxItems": 2}), "VersionId: v6, v5\nIsTruncated: true"},
		{"ListPolicyVersions", in{"PolicyArn": "arn:aws:iam::aws:role/AdministratorAccess"}, "InvalidInput: ARN arn:aws:iam::aws:role/AdministratorAccess is not valid."},
		{"ListPolicyVersions", with(in{"Marker": s.MustQuery("iam", "ListPolicies", in{"MaxItems": 1}).Text("Marker")}), "ValidationError: Invalid Marker."},
		{"GetPolicyVersion", with(in{"VersionId": "v1"}), "Document: " + url.QueryEscape(pull)},
		{"SetDefaultPolicyVersion", with(in{"VersionId": "v1"}), ""},
		{"GetPolicy", policy, "DefaultVersionId: v1"},
		{"DeletePolicy", policy, "DeleteConflict: This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy."},
	})
	// A list goes on although the version is gone with which a page ended.
	marker := s.MustQuery("iam", "ListPolicyVersions", with(in{"MaxItems": 2})).Text("Marker")
	s.MustQuery("iam", "DeletePolicyVersion", with(in{"VersionId": "v5"}))
	run(t, s, []call{{"ListPolicyVersions", with(in{"Marker": marker}), "VersionId: v4, v3, v1"}})
	for _, version := range []string{"v3", "v4", "v6"} {
		s.MustQuery("iam", "DeletePolicyVersion", with(in{"VersionId": version}))
	}
	run(t, s, []call{
		{"TagPolicy", with(in{"Tags": tags("stage", "test")}), ""},
		{"UntagPolicy", with(in{"TagKeys": []string{"team"}}), ""},
		{"ListPolicyTags", policy, "Key: stage"},
		{"DeletePolicy", policy, ""},
		{"DeletePolicy", policy, "NoSuchEntity: Policy " + pushers + " was not found."},
		{"DeletePolicy", in{"PolicyArn": administr}, "AccessDenied: The policy " + administr + " is managed by AWS and can't be changed."},
		{"CreatePolicyVersion", in{"PolicyArn": administr, "PolicyDocument": pull}, "AccessDenied: The policy " + administr + " is managed by AWS and can't be changed."},
		{"TagPolicy", in{"PolicyArn": administr, "Tags": tags("a", "b")}, "AccessDenied: The policy " + administr + " is managed by AWS and can't be changed."},
		{"GetPolicyVersion", in{"PolicyArn": administr, "VersionId": "v1"}, "IsDefaultVersion: true"},
	})
}

func TestAttachments(t *testing.T) {
	s := coffertest.Start(t)
	s.MustQuery("iam", "CreateUser", in{"UserName": "ann", "Path": "/team/"})
	s.MustQuery("iam", "CreateGroup", in{"GroupName": "devs"})
	s.MustQuery("iam", "CreateRole", in{"RoleName": "ci", "AssumeRolePolicyDocument": trust("123456789012")})
	s.MustQuery("iam", "CreatePolicy", in{"PolicyName": "pushers", "Path": "/team/", "PolicyDocument": pull})
	run(t, s, []call{
		{"AttachUserPolicy", in{"UserName": "ann", "PolicyArn": pushers}, ""},
		{"AttachUserPolicy", in{"UserName": "ann", "PolicyArn": pushers}, ""}, // once more
		{"AttachGroupPolicy", in{"GroupName": "devs", "PolicyArn": pushers}, ""},
		{"AttachRolePolicy", in{"RoleName": "ci", "PolicyArn": administr}, ""},
		{"AttachRolePolicy", in{"RoleName": "ci", "PolicyArn": pushers + "x"}, "NoSuchEntity: Policy " + pushers + "x does not exist or is not attachable."},
		{"AttachRolePolicy", in{"RoleName": "ci", "PolicyArn": "arn:aws:iam::999999999999:policy/pushers"},
			"NoSuchEntity: Policy arn:aws:iam::999999999999:policy/pushers does not exist or is not attachable."},
		{"AttachRolePolicy", in{"RoleName": "ci", "PolicyArn": "arn:aws:iam::aws:policy/aws-service-role/ECRReplicationServiceRolePolicy"},
			"PolicyNotAttachable: Cannot attach a Service Role Policy to a Customer Role."},
		{"ListAttachedUserPolicies", in{"UserName": "ann"}, "PolicyName: pushers\nPolicyArn: " + pushers},
		{"ListAttachedUserPolicies", in{"UserName": "ann", "PathPrefix": "/other/"}, "PolicyName:"},
		{"ListAttachedGroupPolicies", in{"GroupName": "devs"}, "PolicyName: pushers"},
		{"ListAttachedRolePolicies", in{"RoleName": "ci"}, "PolicyName: AdministratorAccess"},
		{"PutRolePermissionsBoundary", in{"RoleName": "ci", "PermissionsBoundary": pushers}, ""},
		{"GetRole", in{"RoleName": "ci"}, "PermissionsBoundaryArn: " + pushers + "\nPermissionsBoundaryType: Policy"},
		{"GetPolicy", in{"PolicyArn": pushers}, "AttachmentCount: 2\nPermissionsBoundaryUsageCount: 1"},
		{"ListEntitiesForPolicy", in{"PolicyArn": pushers}, "UserName: ann\nGroupName: devs\nRoleName: ci"},
		{"ListEntitiesForPolicy", in{"PolicyArn": pushers, "PolicyUsageFilter": "PermissionsPolicy"}, "UserName: ann\nGroupName: devs\nRoleName:"},
		{"ListEntitiesForPolicy", in{"PolicyArn": pushers, "PolicyUsageFilter": "PermissionsBoundary"}, "UserName:\nGroupName:\nRoleName: ci"},
		{"ListEntitiesForPolicy", in{"PolicyArn": pushers, "EntityFilter": "Group"}, "UserName:\nGroupName: devs"},
		{"ListEntitiesForPolicy", in{"PolicyArn": pushers, "PathPrefix": "/team/"}, "UserName: ann\nGroupName:"},
		{"ListPolicies", in{"Scope": "Local"}, "PolicyName: pushers\nAttachmentCount: 2"},
		{"ListPolicies", in{"OnlyAttached": "true"}, "PolicyName: AdministratorAccess, pushers"},
		{"ListPolicies", in{"PolicyUsageFilter": "PermissionsBoundary"}, "PolicyName: pushers"},
		{"ListPolicies", in{"Scope": "Local", "PathPrefix": "/x/"}, "PolicyName:"},
		{"DeletePolicy", in{"PolicyArn": pushers}, "DeleteConflict: Cannot delete a policy attached to entities."},
		{"DeleteUser", in{"UserName": "ann"}, "DeleteConflict: Cannot delete entity, must detach all policies first."},
		{"DetachUserPolicy", in{"UserName": "ann", "PolicyArn": pushers}, ""},
		{"DetachUserPolicy", in{"UserName": "ann", "PolicyArn": pushers}, "NoSuchEntity: Policy " + pushers + " was not found."},
		{"DetachGroupPolicy", in{"GroupName": "devs", "PolicyArn": pushers}, ""},
		{"DeletePolicy", in{"PolicyArn": pushers}, "DeleteConflict: Cannot delete a policy attached to entities."},
		{"DeleteRolePermissionsBoundary", in{"RoleName": "ci"}, ""},
		{"DeletePolicy", in{"PolicyArn": pushers}, ""},
		{"PutUserPermissionsBoundary", in{"UserName": "ann", "PermissionsBoundary": pushers}, "NoSuchEntity: Scope ARN: " + pushers + " does not exist or is not attachable."},
		{"PutUserPermissionsBoundary", in{"UserName": "ann", "PermissionsBoundary": "arn:aws:iam::aws:policy/aws-service-role/ECRReplicationServiceRolePolicy"},
			"PolicyNotAttachable: A policy of service-linked roles can't be a permissions boundary."},
		{"AttachUserPolicy", in{"UserName": "ann", "PolicyArn": "AdministratorAccess.."}, "InvalidInput: ARN AdministratorAccess.. is not valid."},
		{"AttachUserPolicy", in{"UserName": "ann", "PolicyArn": "arn:aws:iam::123456789012:role/ci"}, "InvalidInput: ARN arn:aws:iam::123456789012:role/ci is not valid."},
	})
	for i := range 10 {
		s.MustQuery("iam", "CreatePolicy", in{"PolicyName": fmt.Sprintf("p%d", i), "PolicyDocument": pull})
		s.MustQuery("iam", "AttachUserPolicy", in{"UserName": "ann", "PolicyArn": fmt.Sprintf("arn:aws:iam::123456789012:policy/p%d", i)})
	}
	run(t, s, []call{{"AttachUserPolicy", in{"UserName": "ann", "PolicyArn": administr}, "LimitExceeded: Cannot exceed quota for PoliciesPerUser: 10"}})
	var all []string
	marker := in{"MaxItems": 4}
	for {
		r := s.MustQuery("iam", "ListPolicies", marker)
		all = append(all, r.Texts("PolicyName")...)
		if r.Text("IsTruncated") == "false" {
			break
		}
		marker["Marker"] = r.Text("Marker")
	}
	if len(all) < 20 || len(all) != len(slices.Compact(slices.Sorted(slices.Values(all)))) || all[len(all)-1] != "p9" {
		t.Errorf("page by page: %q", all)
	}
}

// What policies say counts from the next request on, in every way that a user can have them.
func TestPoliciesCountAtOnce(t *testing.T) {
	s := coffertest.Start(t)
	s.CreateRepository("app")
	s.MustQuery("iam", "CreateUser", in{"UserName": "ann"})
	s.MustQuery("iam", "CreateGroup", in{"GroupName": "devs"})
	s.MustQuery("iam", "CreatePolicy", in{"PolicyName": "pushers", "Path": "/team/", "PolicyDocument": pull})
	ann := as(s, "ann")
	list := func(when string, want bool) {
		t.Helper()
		if r := ann.ECR("ListImages", in{"repositoryName": "app"}); (r.Status == 200) != want {
			t.Errorf("%s: status %d: %s", when, r.Status, r.Body)
		}
	}
	do := func(operation string, in in) { t.Helper(); s.MustQuery("iam", operation, in) }
	list("at first", false)
	do("AttachUserPolicy", in{"UserName": "ann", "PolicyArn": pushers})
	list("attached", true)
	do("CreatePolicyVersion", in{"PolicyArn": pushers, "PolicyDocument": nothing, "SetAsDefault": true})
	list("another version", false)
	do("SetDefaultPolicyVersion", in{"PolicyArn": pushers, "VersionId": "v1"})
	list("the first version", true)
	do("PutUserPermissionsBoundary", in{"UserName": "ann", "PermissionsBoundary": "arn:aws:iam::aws:policy/IAMReadOnlyAccess"})
	list("a boundary", false)
	do("DeleteUserPermissionsBoundary", in{"UserName": "ann"})
	list("no boundary", true)
	do("DetachUserPolicy", in{"UserName": "ann", "PolicyArn": pushers})
	list("detached", false)
	do("AttachGroupPolicy", in{"GroupName": "devs", "PolicyArn": pushers})
	list("attached to a group", false)
	do("AddUserToGroup", in{"GroupName": "devs", "UserName": "ann"})
	list("in the group", true)
	do("PutGroupPolicy", in{"GroupName": "devs", "PolicyName": "deny", "PolicyDocument": nothing})
	list("denied by the group", false)
	do("DeleteGroupPolicy", in{"GroupName": "devs", "PolicyName": "deny"})
	list("no longer denied", true)
	do("RemoveUserFromGroup", in{"GroupName": "devs", "UserName": "ann"})
	list("out of the group", false)
	do("AttachUserPolicy", in{"UserName": "ann", "PolicyArn": "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"})
	list("a policy of AWS", true)
}
