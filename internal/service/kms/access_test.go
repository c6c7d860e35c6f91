package kms_test

import (
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// What decides about a key: its policy, the policies of its account where it leaves it to them, and grants.
func TestWhoMayUseAKey(t *testing.T) {
	h := start(t)
	blob := h.encrypt(h.key, nil)
	decrypt := func(want string) {
		t.Helper()
		expect(t, h.ann, "Decrypt", in{"CiphertextBlob": blob}, want)
	}
	decrypt(denied(annARN, "Decrypt", h.key, noPolicy("identity", "Decrypt")))
	h.let("ann", "Allow", "kms:*", "*")
	decrypt("")
	h.let("ann", "Deny", "kms:Decrypt", "*")
	decrypt(denied(annARN, "Decrypt", h.key, " with an explicit deny in an identity-based policy"))
	h.put(statement("Allow", annARN, "kms:Decrypt", "*", ""))
	decrypt(denied(annARN, "Decrypt", h.key, " with an explicit deny in an identity-based policy"))
	h.MustQuery("iam", "DeleteUserPolicy", in{"UserName": "ann", "PolicyName": "deny"})
	h.MustQuery("iam", "DeleteUserPolicy", in{"UserName": "ann", "PolicyName": "allow"})
	decrypt("") // which the key policy allows alone
	h.put(statement("Deny", "*", "kms:Decrypt", "*", ""))
	expect(t, h.Server, "Decrypt", in{"CiphertextBlob": blob}, denied(root, "Decrypt", h.key, " with an explicit deny in a resource-based policy"))
	h.put()

	// Without the account in the key policy neither the account's policies nor root have a say.
	bob := h.user("bob")
	h.MustKMS("PutKeyPolicy", in{"KeyId": h.key, "BypassPolicyLockoutSafetyCheck": true,
		"Policy": policyOf(statement("Allow", "arn:aws:iam::123456789012:user/bob", "kms:*", "*", ""))}, nil)
	h.let("ann", "Allow", "kms:*", "*")
	decrypt(denied(annARN, "Decrypt", h.key, noPolicy("resource", "Decrypt")))
	expect(t, h.Server, "Decrypt", in{"CiphertextBlob": blob}, denied(root, "Decrypt", h.key, noPolicy("resource", "Decrypt")))
	expect(t, h.Server, "PutKeyPolicy", in{"KeyId": h.key, "Policy": policyOf(accountStatement())}, denied(root, "PutKeyPolicy", h.key, noPolicy("resource", "PutKeyPolicy")))
	expect(t, bob, "Decrypt", in{"CiphertextBlob": blob}, "")
	expect(t, bob, "PutKeyPolicy", in{"KeyId": h.key, "Policy": policyOf(accountStatement())}, "MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in the future.")
	expect(t, bob, "PutKeyPolicy", in{"KeyId": h.key, "Policy": policyOf(accountStatement()), "BypassPolicyLockoutSafetyCheck": true}, "")
	decrypt("")
}

func TestGrantsAllow(t *testing.T) {
	h := start(t)
	repository := map[string]string{"aws:ecr:arn": "arn:aws:ecr:us-east-1:123456789012:repository/team/app"}
	object := map[string]string{"aws:ecr:arn": repository["aws:ecr:arn"], "aws:s3:arn": "arn:aws:s3:::b/k"}
	both, one := h.encrypt(h.key, object), h.encrypt(h.key, repository)
	no := denied(annARN, "Decrypt", h.key, noPolicy("identity", "Decrypt"))
	grant := func(constraints in) string {
		t.Helper()
		return decode[struct{ GrantID string }](t, h.KMS("CreateGrant", in{"KeyId": h.key, "GranteePrincipal": annARN, "Operations": []string{"Decrypt"}, "Constraints": constraints})).GrantID
	}
	decrypt := func(blob string, context map[string]string, want string) {
		t.Helper()
		expect(t, h.ann, "Decrypt", in{"CiphertextBlob": blob, "EncryptionContext": context}, want)
	}
	decrypt(both, object, no)
	id := grant(in{"EncryptionContextSubset": repository})
	decrypt(both, object, "")
	decrypt(both, repository, "InvalidCiphertextException: ")
	decrypt(both, map[string]string{"AWS:ecr:arn": repository["aws:ecr:arn"]}, no)
	h.MustKMS("RevokeGrant", in{"KeyId": h.key, "GrantId": id}, nil)
	decrypt(both, object, no)
	id = grant(in{"EncryptionContextEquals": repository})
	decrypt(both, object, no)
	decrypt(one, repository, "")
	h.put(statement("Deny", "*", "kms:Decrypt", "*", ""))
	decrypt(one, repository, denied(annARN, "Decrypt", h.key, " with an explicit deny in a resource-based policy"))
	h.put()
	decrypt(one, repository, "")
	expect(t, h.ann, "DescribeKey", in{"KeyId": h.key}, denied(annARN, "DescribeKey", h.key, noPolicy("identity", "DescribeKey")))
	h.MustKMS("RevokeGrant", in{"KeyId": h.key, "GrantId": id}, nil)
	expect(t, h.Server, "RevokeGrant", in{"KeyId": h.key, "GrantId": id}, "NotFoundException: Grant ID "+id+" not found")

	// A user who is made anew under the name of another has no part in the other's grants.
	grant(nil)
	decrypt(one, repository, "")
	for _, name := range decode[struct {
		Grants []struct{ GranteePrincipal string }
	}](t, h.KMS("ListGrants", in{"KeyId": h.key})).Grants {
		if name.GranteePrincipal != annARN {
			t.Errorf("the grantee is shown as %s", name.GranteePrincipal)
		}
	}
	h.MustQuery("iam", "DeleteAccessKey", in{"UserName": "ann", "AccessKeyId": h.ann.Credentials.AccessKeyID})
	h.MustQuery("iam", "DeleteUser", in{"UserName": "ann"})
	h.ann = h.user("ann")
	decrypt(one, repository, no)
}

// Who may retire a grant: those whom it names, and those whom the account lets; not whom the key policy lets.
func TestRetiringGrants(t *testing.T) {
	h := start(t)
	bob := h.user("bob")
	type made struct{ GrantID, GrantToken string }
	grant := func(more in) made {
		t.Helper()
		input := in{"KeyId": h.key, "GranteePrincipal": annARN, "Operations": []string{"Decrypt"}}
		for k, v := range more {
			input[k] = v
		}
		return decode[made](t, h.KMS("CreateGrant", input))
	}
	no := denied(annARN, "RetireGrant", h.key, noPolicy("identity", "RetireGrant"))
	g := grant(nil)
	h.put(statement("Allow", annARN, "kms:RetireGrant", "*", ""))
	expect(t, h.ann, "RetireGrant", in{"GrantToken": g.GrantToken}, no)
	expect(t, h.Server, "RetireGrant", in{"GrantToken": g.GrantToken, "DryRun": true}, "DryRunOperationException: The request would have succeeded, but the DryRun option is set.")
	expect(t, h.Server, "RetireGrant", in{"GrantToken": g.GrantToken}, "")
	expect(t, h.Server, "RetireGrant", in{"GrantToken": g.GrantToken}, "NotFoundException: Grant ID "+g.GrantID+" not found")
	g = grant(in{"Operations": []string{"Decrypt", "RetireGrant"}})
	expect(t, bob, "RetireGrant", in{"GrantToken": g.GrantToken}, strings.ReplaceAll(no, "/ann", "/bob"))
	expect(t, h.ann, "RetireGrant", in{"KeyId": h.key, "GrantId": g.GrantID}, "")
	g, other := grant(in{"RetiringPrincipal": "arn:aws:iam::123456789012:user/bob"}), grant(nil)
	expect(t, bob, "RetireGrant", in{"KeyId": h.key, "GrantId": other.GrantID}, strings.ReplaceAll(no, "/ann", "/bob"))
	retirable := decode[struct{ Grants []struct{ GrantID string } }](t, h.KMS("ListRetirableGrants", in{"RetiringPrincipal": "arn:aws:iam::123456789012:user/bob"}))
	if len(retirable.Grants) != 1 || retirable.Grants[0].GrantID != g.GrantID {
		t.Errorf("retirable are %+v", retirable)
	}
	expect(t, bob, "RetireGrant", in{"GrantToken": g.GrantToken}, "")
	expect(t, h.Server, "RetireGrant", in{"GrantToken": "AAAA"}, "InvalidGrantTokenException: ")
	expect(t, h.Server, "RetireGrant", in{"KeyId": h.key}, "ValidationException: Either GrantToken, or KeyId and GrantId must be given")
}

// A grant that lets its grantee make grants lets it make none that allow more.
func TestGrantsOfGrantees(t *testing.T) {
	h := start(t)
	h.user("bob")
	const bob = "arn:aws:iam::123456789012:user/bob"
	h.MustKMS("CreateGrant", in{"KeyId": h.key, "GranteePrincipal": annARN, "Operations": []string{"CreateGrant", "Decrypt"},
		"Constraints": in{"EncryptionContextSubset": in{"a": "b"}}}, nil)
	no := denied(annARN, "CreateGrant", h.key, noPolicy("identity", "CreateGrant"))
	for _, tt := range []struct {
		more in
		want string
	}{
		{in{"Operations": []string{"Decrypt"}}, no},
		{in{"Operations": []string{"Decrypt"}, "Constraints": in{"EncryptionContextSubset": in{"a": "c"}}}, no},
		{in{"Operations": []string{"Decrypt"}, "Constraints": in{"EncryptionContextSubset": in{"x": "y"}}}, no},
		{in{"Operations": []string{"Decrypt", "Encrypt"}, "Constraints": in{"EncryptionContextSubset": in{"a": "b"}}}, no},
		{in{"Operations": []string{"Decrypt"}, "Constraints": in{"EncryptionContextSubset": in{"a": "b"}}}, ""},
		{in{"Operations": []string{"Decrypt"}, "Constraints": in{"EncryptionContextSubset": in{"a": "b", "c": "d"}}}, ""},
		{in{"Operations": []string{"Decrypt"}, "Constraints": in{"EncryptionContextEquals": in{"a": "b", "c": "d"}}}, ""},
	} {
		tt.more["KeyId"], tt.more["GranteePrincipal"] = h.key, bob
		expect(t, h.ann, "CreateGrant", tt.more, tt.want)
	}
}

// neighbour is an administrator of another account, who is returned with its id.
func (h *house) neighbour() (*coffertest.Server, string) {
	h.t.Helper()
	id := h.CreateAccount("other")
	h.let("ann", "Allow", "sts:AssumeRole", "*")
	role := "arn:aws:iam::" + id + ":role/OrganizationAccountAccessRole"
	return h.As(h.ann.MustQuery("sts", "AssumeRole", in{"RoleArn": role, "RoleSessionName": "s1"}).KeyOf()), id
}

// Another account uses a key by its ARN, if the key's policy and its own let it.
func TestAcrossAccounts(t *testing.T) {
	h := start(t)
	other, id := h.neighbour()
	otherRoot, session := "arn:aws:iam::"+id+":root", "arn:aws:sts::"+id+":assumed-role/OrganizationAccountAccessRole/s1"
	no := func(action string) string { return denied(session, action, h.key, noPolicy("resource", action)) }
	expect(t, other, "DescribeKey", in{"KeyId": h.key}, no("DescribeKey"))
	missing := h.key[:len(h.key)-12] + "000000000000"
	expect(t, other, "DescribeKey", in{"KeyId": missing}, strings.ReplaceAll(no("DescribeKey"), h.key, missing))
	expect(t, other, "DescribeKey", in{"KeyId": h.key[strings.LastIndex(h.key, "/")+1:]},
		"NotFoundException: Key '"+strings.Replace(h.key, "123456789012", id, 1)+"' does not exist")
	h.put(statement("Allow", otherRoot, "kms:*", "*", ""))
	expect(t, other, "DescribeKey", in{"KeyId": h.key}, "")
	blob := decode[struct{ CiphertextBlob string }](t, other.KMS("Encrypt", in{"KeyId": h.key, "Plaintext": "eA=="})).CiphertextBlob
	expect(t, other, "Decrypt", in{"CiphertextBlob": blob}, "")
	expect(t, h.Server, "Decrypt", in{"CiphertextBlob": blob}, "")
	for _, operation := range []string{"GetKeyPolicy", "ScheduleKeyDeletion", "DisableKey", "EnableKey", "ListResourceTags"} { // which stay in the account
		expect(t, other, operation, in{"KeyId": h.key}, no(operation))
	}
	h.MustKMS("CreateAlias", in{"AliasName": "alias/app", "TargetKeyId": h.key}, nil)
	expect(t, other, "DescribeKey", in{"KeyId": "arn:aws:kms:us-east-1:123456789012:alias/app"}, "")
	h.put()
	expect(t, other, "Decrypt", in{"CiphertextBlob": blob}, no("Decrypt"))
	h.MustKMS("CreateGrant", in{"KeyId": h.key, "GranteePrincipal": otherRoot, "Operations": []string{"Decrypt"}}, nil)
	expect(t, other, "Decrypt", in{"CiphertextBlob": blob}, "")
	shared := 0
	for _, r := range h.Trail() {
		if r.EventName == "Decrypt" && r.ErrorCode == "" && strings.Contains(r.Text, "sharedEventID") {
			shared++
		}
	}
	if shared != 4 {
		t.Errorf("%d records of use from another account, want two of each", shared)
	}
}

// Condition keys that only KMS has, each with a call that has the value and one that has another.
func TestConditionKeys(t *testing.T) {
	h := start(t)
	h.MustKMS("CreateAlias", in{"AliasName": "alias/app", "TargetKeyId": h.key}, nil)
	h.MustKMS("TagResource", in{"KeyId": h.key, "Tags": []in{{"TagKey": "Team", "TagValue": "red"}}}, nil)
	plain, blob := in{"KeyId": h.key, "Plaintext": "eA=="}, h.encrypt(h.key, map[string]string{"a": "b"})
	with := func(context in) in { return in{"KeyId": h.key, "Plaintext": "eA==", "EncryptionContext": context} }
	grant := func(more in) in {
		more["KeyId"], more["GranteePrincipal"] = h.key, annARN
		if more["Operations"] == nil {
			more["Operations"] = []string{"Decrypt"}
		}
		return more
	}
	for _, tt := range []struct {
		operation, condition string
		yes, no              in
	}{
		{"Encrypt", `{"StringEquals":{"kms:EncryptionContext:TEAM":"red"}}`, with(in{"team": "red"}), with(in{"team": "Red"})},
		{"Encrypt", `{"ForAnyValue:StringEquals":{"kms:EncryptionContextKeys":"team"}}`, with(in{"team": "x", "b": "c"}), plain},
		{"Encrypt", `{"StringEquals":{"kms:RequestAlias":"alias/app"}}`, in{"KeyId": "alias/app", "Plaintext": "eA=="}, plain},
		{"Encrypt", `{"StringEquals":{"kms:CallerAccount":"123456789012","kms:KeySpec":"SYMMETRIC_DEFAULT","kms:KeyUsage":"ENCRYPT_DECRYPT","kms:KeyOrigin":"AWS_KMS","kms:EncryptionAlgorithm":"SYMMETRIC_DEFAULT"},"Bool":{"kms:MultiRegion":"false"},"ForAnyValue:StringEquals":{"kms:ResourceAliases":"alias/app"}}`, plain, nil},
		{"Encrypt", `{"StringEquals":{"aws:ResourceTag/Team":"red"}}`, plain, nil},
		{"Encrypt", `{"StringEquals":{"aws:ResourceTag/Team":"blue"}}`, nil, plain},
		{"Encrypt", `{"Null":{"kms:ViaService":"false"}}`, nil, plain},
		{"CreateGrant", `{"ForAllValues:StringEquals":{"kms:GrantOperations":["Decrypt","Encrypt"]}}`, grant(in{}), grant(in{"Operations": []string{"DescribeKey"}})},
		{"CreateGrant", `{"StringEquals":{"kms:GrantConstraintType":"EncryptionContextSubset"}}`, grant(in{"Constraints": in{"EncryptionContextSubset": in{"a": "b"}}}), grant(in{"Constraints": in{"EncryptionContextEquals": in{"a": "b"}}})},
		{"CreateGrant", `{"Bool":{"kms:GrantIsForAWSResource":"true"}}`, nil, grant(in{})},
		{"CreateGrant", `{"StringEquals":{"kms:GranteePrincipal":"` + annARN + `"}}`, grant(in{}), nil},
		{"CreateGrant", `{"StringEquals":{"kms:RetiringPrincipal":"` + annARN + `"}}`, grant(in{"RetiringPrincipal": annARN}), grant(in{})},
		{"ReEncrypt*", `{"Bool":{"kms:ReEncryptOnSameKey":"true"}}`, in{"CiphertextBlob": blob, "SourceEncryptionContext": in{"a": "b"}, "DestinationKeyId": h.key}, nil},
		{"ReEncrypt*", `{"StringEquals":{"kms:EncryptionContext:a":"b"}}`, in{"CiphertextBlob": blob, "SourceEncryptionContext": in{"a": "b"}, "DestinationEncryptionContext": in{"a": "b"}, "DestinationKeyId": h.key},
			in{"CiphertextBlob": blob, "SourceEncryptionContext": in{"a": "b"}, "DestinationEncryptionContext": in{"a": "c"}, "DestinationKeyId": h.key}},
		{"PutKeyPolicy", `{"Bool":{"kms:BypassPolicyLockoutSafetyCheck":"true"}}`, nil, in{"KeyId": h.key, "Policy": policyOf(accountStatement())}},
		{"TagResource", `{"StringEquals":{"aws:RequestTag/k":"v"},"ForAllValues:StringEquals":{"aws:TagKeys":["k"]}}`, in{"KeyId": h.key, "Tags": []in{{"TagKey": "k", "TagValue": "v"}}}, in{"KeyId": h.key, "Tags": []in{{"TagKey": "k", "TagValue": "w"}}}},
		{"ScheduleKeyDeletion", `{"NumericGreaterThan":{"kms:ScheduleKeyDeletionPendingWindowInDays":"10"}}`, in{"KeyId": h.key, "PendingWindowInDays": 11}, in{"KeyId": h.key, "PendingWindowInDays": 10}},
	} {
		h.put(statement("Allow", annARN, "kms:"+tt.operation, "*", tt.condition))
		operation := strings.TrimSuffix(tt.operation, "*")
		if tt.no != nil {
			if r := h.ann.KMS(operation, tt.no); r.Code() != "AccessDeniedException" {
				t.Errorf("%s under %s: %s", operation, tt.condition, r.Body)
			}
		}
		if tt.yes != nil {
			expect(t, h.ann, operation, tt.yes, "")
		}
	}
}
