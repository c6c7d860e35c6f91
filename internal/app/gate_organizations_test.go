package app_test

import (
	"slices"
	"strings"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// Where things of the organization are, with the names that named replaces.
const (
	onEverything = " on *"
	onRoot       = " on arn:aws:organizations::123456789012:root/{ORGANIZATION}/{ROOT}"
	onUnit       = " on arn:aws:organizations::123456789012:ou/{ORGANIZATION}/{UNIT}"
	onMember     = " on arn:aws:organizations::123456789012:account/{ORGANIZATION}/{MEMBER}"
	onControl    = " on arn:aws:organizations::123456789012:policy/{ORGANIZATION}/service_control_policy/{POLICY}"
	onFullAccess = " on arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess"
)

// The house has an account, a unit and a policy that hangs nowhere.
var organizationsOperations = []asked{
	{"AttachPolicy", nil, []string{"organizations:AttachPolicy" + onControl, "organizations:AttachPolicy" + onUnit}},
	{"AttachPolicy", map[string]any{"PolicyId": "p-none000000"}, []string{
		"organizations:AttachPolicy on arn:aws:organizations::123456789012:policy/{ORGANIZATION}/service_control_policy/p-none000000",
		"organizations:AttachPolicy" + onUnit}},
	{"CloseAccount", nil, []string{"organizations:CloseAccount" + onMember}},
	{"CreateAccount", nil, []string{"organizations:CreateAccount" + onEverything}},
	{"CreateAccount", map[string]any{"Tags": []any{map[string]string{"Key": "k", "Value": "v"}}},
		[]string{"organizations:CreateAccount" + onEverything, "organizations:TagResource" + onEverything}},
	{"CreateOrganizationalUnit", nil, []string{"organizations:CreateOrganizationalUnit" + onRoot}},
	{"CreateOrganizationalUnit", map[string]any{"Tags": []any{map[string]string{"Key": "k", "Value": "v"}}},
		[]string{"organizations:CreateOrganizationalUnit" + onRoot, "organizations:TagResource" + onRoot}},
	{"CreatePolicy", nil, []string{"organizations:CreatePolicy" + onEverything}},
	{"DeleteOrganizationalUnit", nil, []string{"organizations:DeleteOrganizationalUnit" + onUnit}},
	{"DeletePolicy", nil, []string{"organizations:DeletePolicy" + onControl}},
	{"DescribeAccount", nil, []string{"organizations:DescribeAccount" + onMember}},
	{"DescribeCreateAccountStatus", nil, []string{"organizations:DescribeCreateAccountStatus" + onEverything}},
	{"DescribeOrganization", nil, []string{"organizations:DescribeOrganization" + onEverything}},
	{"DescribeOrganizationalUnit", nil, []string{"organizations:DescribeOrganizationalUnit" + onUnit}},
	{"DescribePolicy", nil, []string{"organizations:DescribePolicy" + onControl}},
	{"DescribePolicy", map[string]any{"PolicyId": "p-FullAWSAccess"}, []string{"organizations:DescribePolicy" + onFullAccess}},
	{"DetachPolicy", nil, []string{"organizations:DetachPolicy" + onControl, "organizations:DetachPolicy" + onUnit}},
	{"DisablePolicyType", nil, []string{"organizations:DisablePolicyType" + onRoot}},
	{"EnablePolicyType", map[string]any{"PolicyType": "RESOURCE_CONTROL_POLICY"}, []string{"organizations:EnablePolicyType" + onRoot}},
	{"ListAWSServiceAccessForOrganization", nil, []string{"organizations:ListAWSServiceAccessForOrganization" + onEverything}},
	{"ListAccounts", nil, []string{"organizations:ListAccounts" + onEverything}},
	{"ListAccountsForParent", nil, []string{"organizations:ListAccountsForParent" + onRoot}},
	{"ListChildren", nil, []string{"organizations:ListChildren" + onRoot}},
	{"ListCreateAccountStatus", nil, []string{"organizations:ListCreateAccountStatus" + onEverything}},
	{"ListDelegatedAdministrators", nil, []string{"organizations:ListDelegatedAdministrators" + onEverything}},
	{"ListOrganizationalUnitsForParent", nil, []string{"organizations:ListOrganizationalUnitsForParent" + onRoot}},
	{"ListParents", nil, []string{"organizations:ListParents" + onMember}},
	{"ListPolicies", nil, []string{"organizations:ListPolicies" + onEverything}},
	{"ListPoliciesForTarget", nil, []string{"organizations:ListPoliciesForTarget" + onUnit}},
	{"ListRoots", nil, []string{"organizations:ListRoots" + onEverything}},
	{"ListTagsForResource", nil, []string{"organizations:ListTagsForResource" + onUnit}},
	{"ListTargetsForPolicy", nil, []string{"organizations:ListTargetsForPolicy" + onControl}},
	{"MoveAccount", nil, []string{"organizations:MoveAccount" + onMember, "organizations:MoveAccount" + onRoot, "organizations:MoveAccount" + onUnit}},
	{"TagResource", map[string]any{"Tags": []any{map[string]string{"Key": "k", "Value": "v"}}}, []string{"organizations:TagResource" + onUnit}},
	{"UntagResource", nil, []string{"organizations:UntagResource" + onUnit}},
	{"UpdateOrganizationalUnit", nil, []string{"organizations:UpdateOrganizationalUnit" + onUnit}},
	{"UpdatePolicy", nil, []string{"organizations:UpdatePolicy" + onControl}},
}

// organize makes what the house has of an organization, and returns its ids by the names that stand for them.
func organize(s *coffertest.Server) map[string]string {
	var described struct {
		Organization struct{ ID string }
	}
	var listed struct{ Roots []struct{ ID string } }
	var made struct{ OrganizationalUnit struct{ ID string } }
	var created struct {
		Policy struct{ PolicySummary struct{ ID string } }
	}
	var requests struct {
		CreateAccountStatuses []struct{ ID string }
	}
	s.MustOrganizations("DescribeOrganization", struct{}{}, &described)
	s.MustOrganizations("ListRoots", struct{}{}, &listed)
	root := listed.Roots[0].ID
	s.MustOrganizations("CreateOrganizationalUnit", map[string]string{"ParentId": root, "Name": "unit"}, &made)
	s.MustOrganizations("CreatePolicy", map[string]string{"Name": "policy", "Description": "", "Type": "SERVICE_CONTROL_POLICY", "Content": document("Deny", "ecr:DeleteRepository", "*")}, &created)
	member := s.CreateAccount("member")
	s.MustOrganizations("ListCreateAccountStatus", struct{}{}, &requests)
	return map[string]string{
		"{ORGANIZATION}": described.Organization.ID, "{ROOT}": root, "{UNIT}": made.OrganizationalUnit.ID,
		"{POLICY}": created.Policy.PolicySummary.ID, "{MEMBER}": member, "{REQUEST}": requests.CreateAccountStatuses[0].ID,
	}
}

// named puts the ids of what the house has into texts of the tables.
func (h *house) named(texts []string) []string {
	named := slices.Clone(texts)
	for i, text := range named {
		for name, id := range h.organization {
			text = strings.ReplaceAll(text, name, id)
		}
		named[i] = text
	}
	return named
}

// organizationMember is a value for a member of an input of Organizations, by its name.
func (h *house) organizationMember(name string) any {
	id := map[string]string{
		"ParentId": "{ROOT}", "SourceParentId": "{ROOT}", "DestinationParentId": "{UNIT}", "OrganizationalUnitId": "{UNIT}",
		"RootId": "{ROOT}", "TargetId": "{UNIT}", "ResourceId": "{UNIT}", "ChildId": "{MEMBER}", "AccountId": "{MEMBER}",
		"PolicyId": "{POLICY}", "CreateAccountRequestId": "{REQUEST}",
	}[name]
	if id != "" {
		return h.organization[id]
	}
	return map[string]any{"Email": "new@example.com", "AccountName": "new", "Content": document("Deny", "ecr:*", "*")}[name]
}
