package app_test

const onAccount = " on *"

// The reports, the simulator, and the alias of the account.
var iamReportOperations = []asked{
	{"CreateAccountAlias", map[string]any{"AccountAlias": "example-corp"}, []string{"iam:CreateAccountAlias" + onAccount}},
	{"DeleteAccountAlias", map[string]any{"AccountAlias": "example-corp"}, []string{"iam:DeleteAccountAlias" + onAccount}},
	{"GenerateCredentialReport", nil, []string{"iam:GenerateCredentialReport" + onAccount}},
	{"GenerateServiceLastAccessedDetails", map[string]any{"Arn": annARN}, []string{"iam:GenerateServiceLastAccessedDetails" + onAnn}},
	{"GetAccountAuthorizationDetails", nil, []string{"iam:GetAccountAuthorizationDetails" + onAccount}},
	{"GetAccountSummary", nil, []string{"iam:GetAccountSummary" + onAccount}},
	{"GetContextKeysForCustomPolicy", nil, []string{"iam:GetContextKeysForCustomPolicy" + onAccount}},
	{"GetContextKeysForPrincipalPolicy", map[string]any{"PolicySourceArn": annARN}, []string{"iam:GetContextKeysForPrincipalPolicy" + onAnn}},
	{"GetCredentialReport", nil, []string{"iam:GetCredentialReport" + onAccount}},
	{"GetServiceLastAccessedDetails", map[string]any{"JobId": noJob}, []string{"iam:GetServiceLastAccessedDetails" + onAccount}},
	{"GetServiceLastAccessedDetailsWithEntities", map[string]any{"JobId": noJob, "ServiceNamespace": "ecr"},
		[]string{"iam:GetServiceLastAccessedDetailsWithEntities" + onAccount}},
	{"ListAccountAliases", nil, []string{"iam:ListAccountAliases" + onAccount}},
	{"ListPoliciesGrantingServiceAccess", map[string]any{"Arn": annARN, "ServiceNamespaces": []string{"ecr"}},
		[]string{"iam:ListPoliciesGrantingServiceAccess" + onAnn}},
	{"ListPoliciesGrantingServiceAccess", map[string]any{"Arn": "arn:aws:iam::111122223333:user/ann", "ServiceNamespaces": []string{"ecr"}},
		[]string{"iam:ListPoliciesGrantingServiceAccess on arn:aws:iam::111122223333:user/ann"}},
	{"SimulateCustomPolicy", map[string]any{"ActionNames": []string{"ecr:PutImage"}}, []string{"iam:SimulateCustomPolicy" + onAccount}},
	{"SimulatePrincipalPolicy", map[string]any{"PolicySourceArn": annARN, "ActionNames": []string{"ecr:PutImage"}},
		[]string{"iam:SimulatePrincipalPolicy" + onAnn}},
}

// The lists of what there is nothing of.
var iamUnusedOperations = []asked{
	{"GetInstanceProfile", nil, []string{"iam:GetInstanceProfile on arn:aws:iam::123456789012:instance-profile/k"}},
	{"GetOutboundWebIdentityFederationInfo", nil, []string{"iam:GetOutboundWebIdentityFederationInfo" + onAccount}},
	{"GetSSHPublicKey", map[string]any{"SSHPublicKeyId": "APKAEIBAERJR2EXAMPLE"}, []string{"iam:GetSSHPublicKey" + onAnn}},
	{"GetServerCertificate", nil, []string{"iam:GetServerCertificate on arn:aws:iam::123456789012:server-certificate/k"}},
	{"ListDelegationRequests", nil, []string{"iam:ListDelegationRequests" + onAccount}},
	{"ListInstanceProfileTags", nil, []string{"iam:ListInstanceProfileTags on arn:aws:iam::123456789012:instance-profile/k"}},
	{"ListInstanceProfiles", nil, []string{"iam:ListInstanceProfiles" + onAccount}},
	{"ListInstanceProfilesForRole", map[string]any{"RoleName": "nobody"}, []string{"iam:ListInstanceProfilesForRole on arn:aws:iam::123456789012:role/nobody"}},
	{"ListOrganizationsFeatures", nil, []string{"iam:ListOrganizationsFeatures" + onAccount}},
	{"ListSSHPublicKeys", map[string]any{"UserName": "ann"}, []string{"iam:ListSSHPublicKeys" + onAnn}},
	{"ListServerCertificateTags", nil, []string{"iam:ListServerCertificateTags on arn:aws:iam::123456789012:server-certificate/k"}},
	{"ListServerCertificates", nil, []string{"iam:ListServerCertificates" + onAccount}},
	{"ListServiceSpecificCredentials", map[string]any{"UserName": "ANN"}, []string{"iam:ListServiceSpecificCredentials" + onAnn}},
	{"ListServiceSpecificCredentials", map[string]any{"AllUsers": true}, []string{"iam:ListServiceSpecificCredentials on arn:aws:iam::123456789012:user/*"}},
	{"ListSigningCertificates", nil, []string{"iam:ListSigningCertificates on arn:aws:iam::123456789012:root"}},
}

const (
	annARN = "arn:aws:iam::123456789012:user/team/ann"
	noJob  = "00000000-0000-0000-0000-000000000000"
)
