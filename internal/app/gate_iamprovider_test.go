package app_test

// The house has the OIDC provider id.example.com and the SAML provider corp.
const (
	onProvider = " on arn:aws:iam::123456789012:oidc-provider/id.example.com"
	corp       = "arn:aws:iam::123456789012:saml-provider/corp"
	onCorp     = " on " + corp
)

var iamProviderOperations = []asked{
	{"CreateSAMLProvider", map[string]any{"Name": "other"}, []string{"iam:CreateSAMLProvider on arn:aws:iam::123456789012:saml-provider/other"}},
	{"DeleteSAMLProvider", nil, []string{"iam:DeleteSAMLProvider" + onCorp}},
	{"GetSAMLProvider", nil, []string{"iam:GetSAMLProvider" + onCorp}},
	{"ListSAMLProviderTags", nil, []string{"iam:ListSAMLProviderTags" + onCorp}},
	{"ListSAMLProviders", nil, []string{"iam:ListSAMLProviders on *"}},
	{"TagSAMLProvider", nil, []string{"iam:TagSAMLProvider" + onCorp}},
	{"UntagSAMLProvider", nil, []string{"iam:UntagSAMLProvider" + onCorp}},
	{"UpdateSAMLProvider", nil, []string{"iam:UpdateSAMLProvider" + onCorp}},
	{"AddClientIDToOpenIDConnectProvider", nil, []string{"iam:AddClientIDToOpenIDConnectProvider" + onProvider}},
	{"CreateOpenIDConnectProvider", map[string]any{"Url": "https://other.example.com/a"},
		[]string{"iam:CreateOpenIDConnectProvider on arn:aws:iam::123456789012:oidc-provider/other.example.com/a"}},
	{"CreateOpenIDConnectProvider", map[string]any{"Url": "https://other.example.com", "Tags": []any{map[string]string{"Key": "k", "Value": "v"}}},
		[]string{"iam:CreateOpenIDConnectProvider on arn:aws:iam::123456789012:oidc-provider/other.example.com",
			"iam:TagOpenIDConnectProvider on arn:aws:iam::123456789012:oidc-provider/other.example.com"}},
	{"DeleteOpenIDConnectProvider", nil, []string{"iam:DeleteOpenIDConnectProvider" + onProvider}},
	{"GetOpenIDConnectProvider", nil, []string{"iam:GetOpenIDConnectProvider" + onProvider}},
	{"ListOpenIDConnectProviderTags", nil, []string{"iam:ListOpenIDConnectProviderTags" + onProvider}},
	{"ListOpenIDConnectProviders", nil, []string{"iam:ListOpenIDConnectProviders on *"}},
	{"RemoveClientIDFromOpenIDConnectProvider", nil, []string{"iam:RemoveClientIDFromOpenIDConnectProvider" + onProvider}},
	{"TagOpenIDConnectProvider", nil, []string{"iam:TagOpenIDConnectProvider" + onProvider}},
	{"UntagOpenIDConnectProvider", nil, []string{"iam:UntagOpenIDConnectProvider" + onProvider}},
	{"UpdateOpenIDConnectProviderThumbprint", nil, []string{"iam:UpdateOpenIDConnectProviderThumbprint" + onProvider}},
}
