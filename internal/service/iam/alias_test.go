package iam_test

import (
	"crypto/fips140"
	"encoding/xml"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

func TestAccountAlias(t *testing.T) {
	s := coffertest.Start(t)
	other := member(s)
	run(t, s, []call{
		{"ListAccountAliases", nil, "member: \nIsTruncated: false"},
		{"DeleteAccountAlias", in{"AccountAlias": "example-corp"}, "NoSuchEntity: The account alias with name example-corp cannot be found."},
		{"CreateAccountAlias", in{"AccountAlias": "example-corp"}, ""},
		{"CreateAccountAlias", in{"AccountAlias": "example-corp"}, ""},
		{"CreateAccountAlias", in{"AccountAlias": "111122223333"}, "InvalidInput: An account alias must not have the form of an account ID."},
		{"ListAccountAliases", nil, "member: example-corp"},
	})
	run(t, other, []call{
		{"CreateAccountAlias", in{"AccountAlias": "example-corp"}, "EntityAlreadyExists: The account alias example-corp already exists."},
		{"DeleteAccountAlias", in{"AccountAlias": "example-corp"}, "NoSuchEntity: The account alias with name example-corp cannot be found."},
	})
	run(t, s, []call{
		{"CreateAccountAlias", in{"AccountAlias": "example-inc"}, ""},
		{"ListAccountAliases", nil, "member: example-inc"},
		{"DeleteAccountAlias", in{"AccountAlias": "example-corp"}, "NoSuchEntity: The account alias with name example-corp cannot be found."},
	})
	run(t, other, []call{
		{"CreateAccountAlias", in{"AccountAlias": "example-corp"}, ""},
		{"ListAccountAliases", nil, "member: example-corp"},
	})
	run(t, s, []call{
		{"DeleteAccountAlias", in{"AccountAlias": "example-inc"}, ""},
		{"ListAccountAliases", nil, "member:"},
	})
}

// member makes another account, and returns a client that manages it.
func member(s *coffertest.Server) *coffertest.Server {
	id := s.CreateAccount("member")
	admin := newUser(s, "admin-of-member", statement("Allow", "sts:AssumeRole", "*", ""))
	return s.As(admin.MustQuery("sts", "AssumeRole", in{"RoleArn": "arn:aws:iam::" + id + ":role/OrganizationAccountAccessRole", "RoleSessionName": "test"}).KeyOf())
}

func TestAccountSummary(t *testing.T) {
	s := coffertest.Start(t)
	read := func() map[string]int {
		var out struct {
			Entries []struct {
				Key   string `xml:"key"`
				Value int    `xml:"value"`
			} `xml:"GetAccountSummaryResult>SummaryMap>entry"`
		}
		if err := xml.Unmarshal(s.MustQuery("iam", "GetAccountSummary", nil).Body, &out); err != nil {
			t.Fatal(err)
		}
		all := map[string]int{}
		for _, e := range out.Entries {
			all[e.Key] = e.Value
		}
		return all
	}
	before := read()
	newUser(s, "ann", allowAll)
	s.MustQuery("iam", "CreateUser", in{"UserName": "bob"})
	s.MustQuery("iam", "CreateGroup", in{"GroupName": "readers"})
	s.MustQuery("iam", "CreateOpenIDConnectProvider", in{"Url": "https://id.example.com"})
	devices := 1
	if fips140.Enforced() { // there can be none
		devices = 0
	} else {
		s.CreatePhone("phone")
	}
	want := map[string]int{
		"Users": 2, "UsersQuota": 5000, "Groups": 1, "GroupsQuota": 300, "Roles": before["Roles"], "RolesQuota": 1000, "Policies": 0, "PoliciesQuota": 1500,
		"Providers": 1, "MFADevices": devices, "MFADevicesInUse": 0, "AccountMFAEnabled": 0, "AccountAccessKeysPresent": 1, "AccountPasswordPresent": 0,
		"AccountSigningCertificatesPresent": 0, "ServerCertificates": 0, "ServerCertificatesQuota": 20, "SigningCertificatesPerUserQuota": 2,
		"InstanceProfiles": 0, "InstanceProfilesQuota": 1000, "AccessKeysPerUserQuota": 2, "GroupsPerUserQuota": 10,
		"UserPolicySizeQuota": 2048, "GroupPolicySizeQuota": 5120, "RolePolicySizeQuota": 10240, "PolicySizeQuota": 6144, "AssumeRolePolicySizeQuota": 2048,
		"AttachedPoliciesPerUserQuota": 10, "AttachedPoliciesPerGroupQuota": 10, "AttachedPoliciesPerRoleQuota": 20,
		"VersionsPerPolicyQuota": 5, "PolicyVersionsInUse": before["PolicyVersionsInUse"], "PolicyVersionsInUseQuota": 10_000, "GlobalEndpointTokenVersion": 2,
	}
	if diff := cmp.Diff(want, read()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
