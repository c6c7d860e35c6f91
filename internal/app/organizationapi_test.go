package app_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// unit, account and control are what the API answers, as far as the tests look at it.
type (
	unit    struct{ ID, Arn, Name, Path string }
	account struct {
		ID, Arn, Email, Name, Status, State, JoinedMethod string
		Paths                                             []string
	}
	control struct {
		ID, Arn, Name, Type string
		AwsManaged          bool
	}
)

// The tree as an administrator builds it: units in units, and accounts that move between them.
func TestOrganizationTree(t *testing.T) {
	s := coffertest.Start(t)
	ids := organize(s)
	root, organization, member := ids["{ROOT}"], ids["{ORGANIZATION}"], ids["{MEMBER}"]
	arn := func(kind, id string) string {
		return "arn:aws:organizations::123456789012:" + kind + "/" + organization + "/" + id
	}
	var made struct{ OrganizationalUnit unit }
	s.MustOrganizations("CreateOrganizationalUnit", map[string]string{"ParentId": ids["{UNIT}"], "Name": "inner"}, &made)
	inner := made.OrganizationalUnit
	path := organization + "/" + root + "/" + ids["{UNIT}"] + "/" + inner.ID + "/"
	if diff := cmp.Diff(unit{inner.ID, arn("ou", inner.ID), "inner", path}, inner); diff != "" {
		t.Errorf("the unit: -want +got\n%s", diff)
	}
	s.MustOrganizations("MoveAccount", map[string]string{"AccountId": member, "SourceParentId": root, "DestinationParentId": inner.ID}, nil)
	var listed struct{ Accounts []account }
	s.MustOrganizations("ListAccountsForParent", map[string]string{"ParentId": inner.ID}, &listed)
	want := []account{{member, arn("account", member), "member@example.com", "member", "ACTIVE", "ACTIVE", "CREATED", []string{path + member + "/"}}}
	if diff := cmp.Diff(want, listed.Accounts); diff != "" {
		t.Errorf("the accounts: -want +got\n%s", diff)
	}
	var parents struct{ Parents []struct{ ID, Type string } }
	s.MustOrganizations("ListParents", map[string]string{"ChildId": member}, &parents)
	var children struct{ Children []struct{ ID, Type string } }
	s.MustOrganizations("ListChildren", map[string]string{"ParentId": ids["{UNIT}"], "ChildType": "ORGANIZATIONAL_UNIT"}, &children)
	if got := fmt.Sprint(parents, children); got != fmt.Sprintf("{[{%s ORGANIZATIONAL_UNIT}]} {[{%s ORGANIZATIONAL_UNIT}]}", inner.ID, inner.ID) {
		t.Error(got)
	}
	trail := s.Trail()
	if text := string(trail[len(trail)-1].Text); !strings.Contains(text, `"type":"AWS::Organizations::OrganizationalUnit"`) {
		t.Errorf("the record: %s", text)
	}
	r := s.Organizations("DeleteOrganizationalUnit", map[string]string{"OrganizationalUnitId": inner.ID})
	wantStatus(t, r, http.StatusBadRequest, "OrganizationalUnitNotEmptyException")
	s.MustOrganizations("MoveAccount", map[string]string{"AccountId": member, "SourceParentId": inner.ID, "DestinationParentId": root}, nil)
	if r := s.Organizations("DeleteOrganizationalUnit", map[string]string{"OrganizationalUnitId": inner.ID}); r.Status != http.StatusOK {
		t.Errorf("status %d: %s", r.Status, r.Body)
	}
}

// Lists go on from page to page.
func TestOrganizationPages(t *testing.T) {
	s := coffertest.Start(t)
	var names []string
	for i := range 5 {
		names = append(names, fmt.Sprint("account-", i))
		s.CreateAccount(names[i])
	}
	seen := map[string]bool{}
	next := ""
	for pages := 0; pages == 0 || next != ""; pages++ {
		in := map[string]any{"MaxResults": 4}
		if next != "" {
			in["NextToken"] = next
		}
		var out struct {
			Accounts  []account
			NextToken string
		}
		s.MustOrganizations("ListAccounts", in, &out)
		for _, a := range out.Accounts {
			seen[a.Name] = true
		}
		if next = out.NextToken; pages > 2 {
			t.Fatal("the list has no end")
		}
	}
	if diff := cmp.Diff(append(names, "root"), slices.Sorted(maps.Keys(seen))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	wantStatus(t, s.Organizations("ListRoots", map[string]any{"NextToken": "x"}), http.StatusOK, "")
	r := s.Organizations("ListAccounts", map[string]any{"NextToken": "x"})
	wantStatus(t, r, http.StatusBadRequest, "InvalidInputException")
	if !strings.Contains(string(r.Body), `"Reason":"INVALID_PAGINATION_TOKEN"`) {
		t.Errorf("it answers %s", r.Body)
	}
}

// An account whose address is taken is not made, which the request tells and no error.
func TestFailedCreateAccount(t *testing.T) {
	s := coffertest.Start(t)
	s.CreateAccount("build")
	var out struct {
		CreateAccountStatus struct{ ID, State, AccountID, FailureReason string }
	}
	s.MustOrganizations("CreateAccount", map[string]string{"AccountName": "other", "Email": "build@example.com"}, &out)
	if st := out.CreateAccountStatus; st.State != "FAILED" || st.FailureReason != "EMAIL_ALREADY_EXISTS" || st.AccountID != "" {
		t.Errorf("it is %+v", st)
	}
	var listed struct {
		CreateAccountStatuses []struct{ ID, State string }
	}
	s.MustOrganizations("ListCreateAccountStatus", map[string]any{"States": []string{"FAILED"}}, &listed)
	if len(listed.CreateAccountStatuses) != 1 || listed.CreateAccountStatuses[0].ID != out.CreateAccountStatus.ID {
		t.Errorf("they are %v", listed)
	}
	for what, in := range map[string]map[string]string{
		"no address": {"AccountName": "a", "Email": "nobody"}, "no role": {"AccountName": "a", "Email": "a@example.com", "RoleName": "a b"},
	} {
		r := s.Organizations("CreateAccount", in)
		wantStatus(t, r, http.StatusBadRequest, "InvalidInputException")
		if r.Message() != "You provided a value that does not match the required pattern." {
			t.Errorf("%s: it is told: %s", what, r.Message())
		}
	}
	for _, record := range s.Trail() {
		if strings.Contains(string(record.Text), "build@example.com") {
			t.Errorf("the trail tells who an account is for: %s", record.Text)
		}
	}
}

// Policies are listed by type and by target, those of AWS among them.
func TestOrganizationPolicies(t *testing.T) {
	s := coffertest.Start(t)
	ids := organize(s)
	full := control{"p-FullAWSAccess", "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess", "FullAWSAccess", "SERVICE_CONTROL_POLICY", true}
	own := control{ids["{POLICY}"], "arn:aws:organizations::123456789012:policy/" + ids["{ORGANIZATION}"] + "/service_control_policy/" + ids["{POLICY}"], "policy", "SERVICE_CONTROL_POLICY", false}
	list := func(operation string, in map[string]string) []control {
		t.Helper()
		var out struct{ Policies []control }
		s.MustOrganizations(operation, in, &out)
		return out.Policies
	}
	if diff := cmp.Diff([]control{full, own}, list("ListPolicies", map[string]string{"Filter": "SERVICE_CONTROL_POLICY"})); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	ofUnit := map[string]string{"Filter": "SERVICE_CONTROL_POLICY", "TargetId": ids["{UNIT}"]}
	if diff := cmp.Diff([]control{full}, list("ListPoliciesForTarget", ofUnit)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	s.MustOrganizations("AttachPolicy", map[string]string{"PolicyId": own.ID, "TargetId": ids["{UNIT}"]}, nil)
	if n := len(list("ListPoliciesForTarget", ofUnit)); n != 2 {
		t.Errorf("%d are attached", n)
	}
	var targets struct {
		Targets []struct{ TargetID, Arn, Name, Type string }
	}
	s.MustOrganizations("ListTargetsForPolicy", map[string]string{"PolicyId": own.ID}, &targets)
	if got, want := fmt.Sprint(targets.Targets), "[{"+ids["{UNIT}"]+" arn:aws:organizations::123456789012:ou/"+ids["{ORGANIZATION}"]+"/"+ids["{UNIT}"]+" unit ORGANIZATIONAL_UNIT}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	wantStatus(t, s.Organizations("DeletePolicy", map[string]string{"PolicyId": own.ID}), http.StatusBadRequest, "PolicyInUseException")
	wantStatus(t, s.Organizations("UpdatePolicy", map[string]string{"PolicyId": own.ID, "Content": "{}"}), http.StatusBadRequest, "MalformedPolicyDocumentException")
	var updated struct{ Policy struct{ Content string } }
	s.MustOrganizations("UpdatePolicy", map[string]string{"PolicyId": own.ID, "Content": document("Deny", "ecr:Put*", "*")}, &updated)
	if updated.Policy.Content != document("Deny", "ecr:Put*", "*") {
		t.Errorf("it is %s", updated.Policy.Content)
	}
}

// Tags of accounts and units are condition keys, and what a request tags is too.
func TestOrganizationTags(t *testing.T) {
	s := coffertest.Start(t)
	ids := organize(s)
	ann := user(s, "ann", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"organizations:DescribeAccount","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"a"}}},
		{"Effect":"Allow","Action":"organizations:*PolicyType","Resource":"*","Condition":{"StringEquals":{"organizations:PolicyType":"RESOURCE_CONTROL_POLICY"}}},
		{"Effect":"Allow","Action":"organizations:TagResource","Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}}}]}`)
	describe := map[string]string{"AccountId": ids["{MEMBER}"]}
	wantStatus(t, ann.Organizations("DescribeAccount", describe), http.StatusBadRequest, "AccessDeniedException")
	tag := func(key string) map[string]any {
		return map[string]any{"ResourceId": ids["{MEMBER}"], "Tags": []map[string]string{{"Key": key, "Value": "a"}}}
	}
	wantStatus(t, ann.Organizations("TagResource", tag("other")), http.StatusBadRequest, "AccessDeniedException")
	ann.MustOrganizations("TagResource", tag("team"), nil)
	ann.MustOrganizations("DescribeAccount", describe, nil)
	var out struct{ Tags []struct{ Key, Value string } }
	s.MustOrganizations("ListTagsForResource", map[string]string{"ResourceId": ids["{MEMBER}"]}, &out)
	if got := fmt.Sprint(out.Tags); got != "[{team a}]" {
		t.Errorf("they are %s", got)
	}
	ann.MustOrganizations("EnablePolicyType", map[string]string{"RootId": ids["{ROOT}"], "PolicyType": "RESOURCE_CONTROL_POLICY"}, nil)
	wantStatus(t, ann.Organizations("DisablePolicyType", map[string]string{"RootId": ids["{ROOT}"], "PolicyType": "SERVICE_CONTROL_POLICY"}), http.StatusBadRequest, "AccessDeniedException")
}
