package app_test

// The house has the provider id.example.com.
const onProvider = " on arn:aws:iam::123456789012:oidc-provider/id.example.com"

var iamProviderOperations = []asked{
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
