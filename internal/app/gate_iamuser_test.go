package app_test

const onAnn = " on arn:aws:iam::123456789012:user/team/ann"

// The house has the user team/ann.
var iamUserOperations = []asked{
	{"CreateAccessKey", nil, []string{"iam:CreateAccessKey on arn:aws:iam::123456789012:root"}},
	{"CreateAccessKey", map[string]any{"UserName": "ANN"}, []string{"iam:CreateAccessKey" + onAnn}},
	{"CreateUser", map[string]any{"Path": "/team/", "UserName": "bob"}, []string{"iam:CreateUser on arn:aws:iam::123456789012:user/team/bob"}},
	{"CreateUser", map[string]any{"UserName": "bob", "Tags": []any{map[string]string{"Key": "k", "Value": "v"}}},
		[]string{"iam:CreateUser on arn:aws:iam::123456789012:user/bob", "iam:TagUser on arn:aws:iam::123456789012:user/bob"}},
	{"PutUserPolicy", nil, []string{"iam:PutUserPolicy" + onAnn}},
	{"PutUserPolicy", map[string]any{"UserName": "nobody"}, []string{"iam:PutUserPolicy on arn:aws:iam::123456789012:user/nobody"}},
}
