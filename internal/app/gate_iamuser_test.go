package app_test

const (
	onAccountRoot = " on arn:aws:iam::123456789012:root"
	onAnn         = " on arn:aws:iam::123456789012:user/team/ann"
	onDevs        = " on arn:aws:iam::123456789012:group/team/devs"
)

// The house has the user team/ann with an access key, and the group team/devs.
var iamUserOperations = []asked{
	{"AddUserToGroup", nil, []string{"iam:AddUserToGroup" + onDevs}},
	{"ChangePassword", nil, []string{"iam:ChangePassword" + onAccountRoot}},
	{"CreateAccessKey", nil, []string{"iam:CreateAccessKey" + onAccountRoot}},
	{"CreateAccessKey", map[string]any{"UserName": "ANN"}, []string{"iam:CreateAccessKey" + onAnn}},
	{"CreateGroup", map[string]any{"Path": "/team/", "GroupName": "ops"}, []string{"iam:CreateGroup on arn:aws:iam::123456789012:group/team/ops"}},
	{"CreateLoginProfile", map[string]any{"UserName": "ann"}, []string{"iam:CreateLoginProfile" + onAnn}},
	{"CreateUser", map[string]any{"Path": "/team/", "UserName": "bob"}, []string{"iam:CreateUser on arn:aws:iam::123456789012:user/team/bob"}},
	{"CreateUser", map[string]any{"UserName": "bob", "Tags": []any{map[string]string{"Key": "k", "Value": "v"}}},
		[]string{"iam:CreateUser on arn:aws:iam::123456789012:user/bob", "iam:TagUser on arn:aws:iam::123456789012:user/bob"}},
	{"DeleteAccessKey", nil, []string{"iam:DeleteAccessKey" + onAccountRoot}},
	{"DeleteAccessKey", map[string]any{"UserName": "ann"}, []string{"iam:DeleteAccessKey" + onAnn}},
	{"DeleteAccountPasswordPolicy", nil, []string{"iam:DeleteAccountPasswordPolicy on *"}},
	{"DeleteGroup", nil, []string{"iam:DeleteGroup" + onDevs}},
	{"DeleteLoginProfile", map[string]any{"UserName": "ann"}, []string{"iam:DeleteLoginProfile" + onAnn}},
	{"DeleteUser", nil, []string{"iam:DeleteUser" + onAnn}},
	{"GetAccessKeyLastUsed", nil, []string{"iam:GetAccessKeyLastUsed" + onAnn}},
	{"GetAccessKeyLastUsed", map[string]any{"AccessKeyId": "AKIAI44QH8DHBEXAMPLE"}, []string{"iam:GetAccessKeyLastUsed on *"}},
	{"GetAccountPasswordPolicy", nil, []string{"iam:GetAccountPasswordPolicy on *"}},
	{"GetGroup", nil, []string{"iam:GetGroup" + onDevs}},
	{"GetLoginProfile", map[string]any{"UserName": "ann"}, []string{"iam:GetLoginProfile" + onAnn}},
	{"GetUser", nil, []string{"iam:GetUser" + onAccountRoot}},
	{"GetUser", map[string]any{"UserName": "Ann"}, []string{"iam:GetUser" + onAnn}},
	{"ListAccessKeys", nil, []string{"iam:ListAccessKeys" + onAccountRoot}},
	{"ListAccessKeys", map[string]any{"UserName": "ann"}, []string{"iam:ListAccessKeys" + onAnn}},
	{"ListGroups", nil, []string{"iam:ListGroups on *"}},
	{"ListGroupsForUser", nil, []string{"iam:ListGroupsForUser" + onAnn}},
	{"ListUserTags", nil, []string{"iam:ListUserTags" + onAnn}},
	{"ListUsers", nil, []string{"iam:ListUsers on *"}},
	{"PutUserPolicy", nil, []string{"iam:PutUserPolicy" + onAnn}},
	{"PutUserPolicy", map[string]any{"UserName": "nobody"}, []string{"iam:PutUserPolicy on arn:aws:iam::123456789012:user/nobody"}},
	{"RemoveUserFromGroup", nil, []string{"iam:RemoveUserFromGroup" + onDevs}},
	{"TagUser", map[string]any{"Tags": []any{map[string]string{"Key": "k", "Value": "v"}}}, []string{"iam:TagUser" + onAnn}},
	{"UntagUser", nil, []string{"iam:UntagUser" + onAnn}},
	{"UpdateAccessKey", nil, []string{"iam:UpdateAccessKey" + onAccountRoot}},
	{"UpdateAccessKey", map[string]any{"UserName": "ann"}, []string{"iam:UpdateAccessKey" + onAnn}},
	{"UpdateAccountPasswordPolicy", nil, []string{"iam:UpdateAccountPasswordPolicy on *"}},
	{"UpdateGroup", map[string]any{"NewGroupName": "ops"}, []string{"iam:UpdateGroup" + onDevs, "iam:UpdateGroup on arn:aws:iam::123456789012:group/team/ops"}},
	{"UpdateLoginProfile", nil, []string{"iam:UpdateLoginProfile" + onAnn}},
	{"UpdateUser", nil, []string{"iam:UpdateUser" + onAnn}},
	{"UpdateUser", map[string]any{"NewPath": "/other/", "NewUserName": "bob"}, []string{"iam:UpdateUser" + onAnn, "iam:UpdateUser on arn:aws:iam::123456789012:user/other/bob"}},
}
