package sts_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// inAnother makes an account and returns it with a client that signs as a session that may do everything there.
func (w *world) inAnother(name string) (string, *coffertest.Server) {
	w.t.Helper()
	other := w.CreateAccount(name)
	admin := w.user("admin-of-"+name, statement("Allow", "*", "*"))
	return other, session(admin, "arn:aws:iam::"+other+":role/OrganizationAccountAccessRole", nil)
}

// Both accounts have a say in whether a role of one is assumed from the other, and neither learns what the other's policies
// say. Both have a record of it.
func TestAssumeRoleAcrossAccounts(t *testing.T) {
	w := newWorld(t)
	other, there := w.inAnother("other")
	create := func(name, trusting string) string {
		arn := there.MustQuery("iam", "CreateRole", in{"RoleName": name, "AssumeRolePolicyDocument": trusting}).Text("Arn")
		there.MustQuery("iam", "PutRolePolicy", in{"RoleName": name, "PolicyName": "p", "PolicyDocument": document(statement("Allow", "ecr:*", "*"))})
		return arn
	}
	open := create("open", document(trust(account, "sts:AssumeRole sts:TagSession", `{"StringEquals":{"sts:ExternalId":"deal"}}`)))
	hers := create("hers", document(trust("arn:aws:iam::"+other+":root", "sts:AssumeRole"), `{"Effect":"Deny","Principal":"*","Action":"sts:TagSession"}`))
	ann, bob := w.user("ann", statement("Allow", "sts:*", "*")), w.user("bob")
	sentence := func(who, role, suffix string) string {
		return "User: arn:aws:iam::123456789012:user/" + who + " is not authorized to perform: sts:AssumeRole on resource: " + role + suffix
	}
	w.denied("without the external id", ann.Query("sts", "AssumeRole", assume(open, nil)), sentence("ann", open, ""))
	w.denied("with another one", ann.Query("sts", "AssumeRole", assume(open, in{"ExternalId": "other"})), sentence("ann", open, ""))
	for _, role := range []string{hers, "arn:aws:iam::" + other + ":role/gone", "arn:aws:iam::999999999999:role/gone"} {
		w.denied("a role that doesn't trust her, or is none", ann.Query("sts", "AssumeRole", assume(role, in{"ExternalId": "deal"})), sentence("ann", role, ""))
	}
	w.denied("one whose own policies don't let him", bob.Query("sts", "AssumeRole", assume(open, in{"ExternalId": "deal"})),
		sentence("bob", open, " because no identity-based policy allows the sts:AssumeRole action"))
	w.denied("the root", w.Query("sts", "AssumeRole", assume(open, in{"ExternalId": "deal"})), "Roles may not be assumed by root accounts.")
	r := ann.MustQuery("sts", "AssumeRole", assume(open, in{"ExternalId": "deal", "Tags": tags("Team", "a")}))
	run := w.As(r.KeyOf())
	run.MustECR("CreateRepository", in{"repositoryName": "theirs"}, nil)
	var registry struct{ RegistryID string }
	run.MustECR("DescribeRegistry", in{}, &registry)
	if registry.RegistryID != other {
		t.Errorf("the session is in the registry of %s", registry.RegistryID)
	}
	id := r.Header.Get("X-Amzn-Requestid")
	var records []map[string]any
	for _, record := range w.Trail() {
		if record.RequestID == id {
			var fields map[string]any
			if err := json.Unmarshal([]byte(record.Text), &fields); err != nil {
				t.Fatal(err)
			}
			records = append(records, fields)
		} else if record.RecipientAccountID == other && record.ErrorCode != "" {
			t.Errorf("the other account has a record of what was denied here: %s", record.Text)
		}
	}
	if len(records) != 2 {
		t.Fatalf("%d records", len(records))
	}
	mine, theirs := records[0], records[1]
	if mine["recipientAccountId"] != account {
		mine, theirs = theirs, mine
	}
	for _, record := range records {
		if record["readOnly"] != true || record["sharedEventID"] != mine["sharedEventID"] || len(record["sharedEventID"].(string)) != 36 {
			t.Errorf("the record %v", record)
		}
	}
	if mine["eventID"] == theirs["eventID"] || mine["recipientAccountId"] != account || theirs["recipientAccountId"] != other {
		t.Errorf("the records are %v and %v", mine, theirs)
	}
	who := mine["userIdentity"].(map[string]any)
	if diff := cmp.Diff(map[string]any{"type": "AWSAccount", "principalId": who["principalId"], "accountId": account}, theirs["userIdentity"]); diff != "" || who["userName"] != "ann" {
		t.Errorf("who it was, for the other account: -want +got\n%s", diff)
	}
	want := map[string]any{"roleArn": open, "roleSessionName": "run1", "externalId": "deal", "principalTags": map[string]any{"Team": "a"}}
	if diff := cmp.Diff(want, theirs["requestParameters"]); diff != "" {
		t.Errorf("the parameters: -want +got\n%s", diff)
	}
	want = map[string]any{
		"credentials": map[string]any{"accessKeyId": r.Text("AccessKeyId"), "sessionToken": "HIDDEN_DUE_TO_SECURITY_REASONS",
			"expiration": w.clock.Now().Add(3600e9).UTC().Format("Jan 2, 2006 3:04:05 PM")},
		"assumedRoleUser":  map[string]any{"assumedRoleId": r.Text("AssumedRoleId"), "arn": "arn:aws:sts::" + other + ":assumed-role/open/run1"},
		"packedPolicySize": 2.0,
	}
	if diff := cmp.Diff(want, theirs["responseElements"]); diff != "" {
		t.Errorf("the answer: -want +got\n%s", diff)
	}
	if run.ECR("DescribeRepositories", in{"registryId": account}).Status == http.StatusOK {
		t.Error("the session got into the account that it comes from")
	}
}
