package main

import "regexp"

// omissions say, by service, why some operations are not served. The first whose pattern fits part of the name counts.
var omissions = map[string][]struct {
	names *regexp.Regexp
	why   string
}{
	"iam": {
		{regexp.MustCompile(`SSHPublicKey|SigningCertificate|ServerCertificate`), "nobody gets into a registry with SSH keys or certificates; lists of them are empty"},
		{regexp.MustCompile(`ServiceSpecificCredential`), "registry tokens are what other services have these for; the list of them is empty"},
		{regexp.MustCompile(`InstanceProfile`), "there are no instances; lists of their profiles are empty"},
		{regexp.MustCompile(`Delegation|HumanReadableSummary`), "nobody delegates to providers of software here; the list of requests is empty"},
		{regexp.MustCompile(`OrganizationsAccessReport`), "reports are made by user, group, role and policy, not by organizational unit"},
		{regexp.MustCompile(`OrganizationsRoot`), "accounts are managed by a role in each, and their roots have no credentials to take away"},
		{regexp.MustCompile(`OutboundWebIdentity`), "no tokens are issued for others to trust"},
		{regexp.MustCompile(`SetSecurityTokenServicePreferences`), "session tokens are good in all regions"},
	},
	"kms": {
		{regexp.MustCompile(`CustomKeyStore`), "material of keys is kept here, under the root of trust, and in no other store"},
	},
	"sts": {
		{regexp.MustCompile(`AssumeRoot`), "accounts are managed by a role in each"},
		{regexp.MustCompile(`GetWebIdentityToken`), "no tokens are issued for others to trust"},
		{regexp.MustCompile(`GetDelegatedAccessToken`), "nobody delegates to providers of software here"},
	},
	"organizations": {
		{regexp.MustCompile(`GovCloud`), "there is one partition"},
		{regexp.MustCompile(`CreateOrganization|DeleteOrganization$|RemoveAccount`), "there is one organization, in which all accounts are"},
		{regexp.MustCompile(`EffectivePolicy`), "it is about types of policies that there aren't"},
		{regexp.MustCompile(`Delegated|ResourcePolicy`), "the management account alone manages the organization"},
		{regexp.MustCompile(`AWSServiceAccess`), "no other services work with the organization"},
	},
}

// whyOmitted is why an operation is not served; empty if nothing more is to be said than that it isn't yet.
func whyOmitted(service, operation string) string {
	for _, o := range omissions[service] {
		if o.names.MatchString(operation) {
			return o.why
		}
	}
	return ""
}
