package iam_test

import (
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// What scripts of auditors ask for and there is nothing of is answered with empty lists.
func TestThereIsNothingOfSomeThings(t *testing.T) {
	s := coffertest.Start(t)
	ann := newUser(s, "ann", statement("Allow", "iam:*", iamARN+"user/${aws:username}", ""))
	trust := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"ecr.amazonaws.com"},"Action":"sts:AssumeRole"}}`
	s.MustQuery("iam", "CreateRole", in{"RoleName": "builder", "AssumeRolePolicyDocument": trust})
	const noBob = "NoSuchEntity: The user with name bob cannot be found."
	run(t, s, []call{
		{"ListSSHPublicKeys", in{"UserName": "ann"}, "SSHPublicKeys: \nIsTruncated: false"},
		{"ListSSHPublicKeys", in{"UserName": "bob"}, noBob},
		{"ListSigningCertificates", in{"UserName": "ann"}, "Certificates: \nIsTruncated: false"},
		{"ListSigningCertificates", nil, "Certificates:"},
		{"ListSigningCertificates", in{"UserName": "bob"}, noBob},
		{"ListServiceSpecificCredentials", in{"UserName": "ann"}, "ServiceSpecificCredentials:"},
		{"ListServiceSpecificCredentials", in{"AllUsers": true}, "ServiceSpecificCredentials:"},
		{"ListServerCertificates", nil, "ServerCertificateMetadataList: \nIsTruncated: false"},
		{"ListInstanceProfiles", nil, "InstanceProfiles: \nIsTruncated: false"},
		{"ListInstanceProfilesForRole", in{"RoleName": "builder"}, "InstanceProfiles:"},
		{"ListInstanceProfilesForRole", in{"RoleName": "nobody"}, "NoSuchEntity: The role with name nobody cannot be found."},
		{"ListOrganizationsFeatures", nil, "EnabledFeatures:"},
		{"ListDelegationRequests", nil, "DelegationRequests:"},
		{"GetSSHPublicKey", in{"UserName": "ann", "SSHPublicKeyId": "APKAEIBAERJR2EXAMPLE", "Encoding": "SSH"}, "NoSuchEntity: The Public Key with id APKAEIBAERJR2EXAMPLE cannot be found."},
		{"GetServerCertificate", in{"ServerCertificateName": "web"}, "NoSuchEntity: The Server Certificate with name web cannot be found."},
		{"ListServerCertificateTags", in{"ServerCertificateName": "web"}, "NoSuchEntity: The Server Certificate with name web cannot be found."},
		{"GetInstanceProfile", in{"InstanceProfileName": "web"}, "NoSuchEntity: Instance Profile web cannot be found."},
		{"ListInstanceProfileTags", in{"InstanceProfileName": "web"}, "NoSuchEntity: Instance Profile web cannot be found."},
		{"GetOutboundWebIdentityFederationInfo", nil, "FeatureDisabled: Outbound web identity federation is not enabled for this account."},
	})
	run(t, ann, []call{{"ListSSHPublicKeys", nil, "SSHPublicKeys:"}})
	if r := ann.Query("iam", "ListSSHPublicKeys", in{"UserName": "bob"}); r.Code() != "AccessDenied" {
		t.Errorf("status %d: %s", r.Status, r.Body)
	}
}
