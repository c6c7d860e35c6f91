package app_test

// The house has the MFA device phone, which is assigned to nobody.
const onPhone = " on arn:aws:iam::123456789012:mfa/phone"

var iamMFAOperations = []asked{
	{"CreateVirtualMFADevice", map[string]any{"Path": "/team/", "VirtualMFADeviceName": "tablet"},
		[]string{"iam:CreateVirtualMFADevice on arn:aws:iam::123456789012:mfa/team/tablet"}},
	{"CreateVirtualMFADevice", map[string]any{"VirtualMFADeviceName": "tablet", "Tags": []any{map[string]string{"Key": "k", "Value": "v"}}},
		[]string{"iam:CreateVirtualMFADevice on arn:aws:iam::123456789012:mfa/tablet", "iam:TagMFADevice on arn:aws:iam::123456789012:mfa/tablet"}},
	{"DeactivateMFADevice", map[string]any{"UserName": "ann"}, []string{"iam:DeactivateMFADevice" + onAnn}},
	{"DeactivateMFADevice", nil, []string{"iam:DeactivateMFADevice on arn:aws:iam::123456789012:root"}},
	{"DeleteVirtualMFADevice", nil, []string{"iam:DeleteVirtualMFADevice" + onPhone}},
	{"EnableMFADevice", nil, []string{"iam:EnableMFADevice" + onAnn}},
	{"EnableMFADevice", map[string]any{"UserName": "123456789012"}, []string{"iam:EnableMFADevice on arn:aws:iam::123456789012:root"}},
	{"GetMFADevice", nil, []string{"iam:GetMFADevice on arn:aws:iam::123456789012:root"}},
	{"ListMFADeviceTags", nil, []string{"iam:ListMFADeviceTags" + onPhone}},
	{"ListMFADevices", nil, []string{"iam:ListMFADevices on arn:aws:iam::123456789012:root"}},
	{"ListMFADevices", map[string]any{"UserName": "ANN"}, []string{"iam:ListMFADevices" + onAnn}},
	{"ListVirtualMFADevices", nil, []string{"iam:ListVirtualMFADevices on *"}},
	{"ResyncMFADevice", nil, []string{"iam:ResyncMFADevice" + onAnn}},
	{"TagMFADevice", nil, []string{"iam:TagMFADevice" + onPhone}},
	{"UntagMFADevice", nil, []string{"iam:UntagMFADevice" + onPhone}},
}
