package app_test

const (
	aRole   = "arn:aws:iam::123456789012:role/team/builder"
	onARole = " on " + aRole
)

var stsOperations = []asked{
	{"AssumeRole", assume(nil), []string{"sts:AssumeRole" + onARole}},
	{"AssumeRole", assume(map[string]any{"Tags": []any{map[string]string{"Key": "k", "Value": "v"}}, "TransitiveTagKeys": []string{"k"}, "SourceIdentity": "ann"}),
		[]string{"sts:AssumeRole" + onARole, "sts:TagSession" + onARole, "sts:SetSourceIdentity" + onARole}},
	{"AssumeRoleWithSAML", map[string]any{"RoleArn": aRole, "PrincipalArn": corp}, []string{"sts:AssumeRoleWithSAML" + onARole}},
	{"AssumeRoleWithWebIdentity", map[string]any{"RoleArn": aRole}, []string{"sts:AssumeRoleWithWebIdentity" + onARole}},
	{"DecodeAuthorizationMessage", nil, []string{"sts:DecodeAuthorizationMessage on *"}},
	{"GetAccessKeyInfo", map[string]any{"AccessKeyId": "AKIAIOSFODNN7EXAMPLE"}, []string{"sts:GetAccessKeyInfo on *"}},
	{"GetCallerIdentity", nil, nil},
	{"GetFederationToken", map[string]any{"Name": "bob"}, []string{"sts:GetFederationToken on arn:aws:sts::123456789012:federated-user/bob"}},
	{"GetFederationToken", map[string]any{"Name": "bob", "Tags": []any{map[string]string{"Key": "k", "Value": "v"}}},
		[]string{"sts:GetFederationToken on arn:aws:sts::123456789012:federated-user/bob", "sts:TagSession on arn:aws:sts::123456789012:federated-user/bob"}},
	{"GetSessionToken", nil, nil},
}

// assume is the input of AssumeRole with more in it.
func assume(more map[string]any) map[string]any {
	in := map[string]any{"RoleArn": aRole, "RoleSessionName": "run1"}
	for member, value := range more {
		in[member] = value
	}
	return in
}
