package app_test

const onAccount = " on *"

// The report operations, and the lists of what there is nothing of.
var iamReportOperations = []asked{
	{"CreateAccountAlias", map[string]any{"AccountAlias": "example-corp"}, []string{"iam:CreateAccountAlias" + onAccount}},
	{"DeleteAccountAlias", map[string]any{"AccountAlias": "example-corp"}, []string{"iam:DeleteAccountAlias" + onAccount}},
	{"GenerateCredentialReport", nil, []string{"iam:GenerateCredentialReport" + onAccount}},
	{"GenerateServiceLastAccessedDetails", map[string]any{"Arn": annARN}, []string{"iam:GenerateServiceLastAccessedDetails" + onAnn}},
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

const (
	annARN = "arn:aws:iam::123456789012:user/team/ann"
	noJob  = "00000000-0000-0000-0000-000000000000"
)
