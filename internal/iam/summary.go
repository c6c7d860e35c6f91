package iam

import (
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// summaryQuotas are the quotas that the summary of an account tells, by AWS's keys. What can't be kept here, such as
// certificates, has AWS's too.
var summaryQuotas = map[string]int64{
	"UsersQuota": usersPerAccount, "GroupsQuota": groupsPerAccount, "GroupsPerUserQuota": groupsPerUser,
	"AccessKeysPerUserQuota": accessKeysPerUser, "RolesQuota": 1000, "PoliciesQuota": 1500, "VersionsPerPolicyQuota": 5,
	"PolicyVersionsInUseQuota": 10_000, "InstanceProfilesQuota": 1000,
	"AttachedPoliciesPerUserQuota": 10, "AttachedPoliciesPerGroupQuota": 10, "AttachedPoliciesPerRoleQuota": 20,
	"UserPolicySizeQuota": policy.QuotaUser, "GroupPolicySizeQuota": policy.QuotaGroup, "RolePolicySizeQuota": policy.QuotaRole,
	"PolicySizeQuota": policy.QuotaManaged, "AssumeRolePolicySizeQuota": policy.QuotaTrust,
	"ServerCertificatesQuota": 20, "SigningCertificatesPerUserQuota": 2,
}

// summaryCounts count, by AWS's keys, what there is in the account $1.
var summaryCounts = map[string]string{
	"Users":                    `SELECT count(*) FROM iam_user WHERE account = $1`,
	"Groups":                   `SELECT count(*) FROM iam_group WHERE account = $1`,
	"Roles":                    `SELECT count(*) FROM iam_role WHERE account = $1`,
	"Policies":                 `SELECT count(*) FROM iam_policy WHERE account = $1`,
	"PolicyVersionsInUse":      `SELECT count(DISTINCT policy) FROM iam_attachment WHERE account = $1`,
	"Providers":                `SELECT count(*) FROM iam_provider WHERE account = $1`,
	"MFADevices":               `SELECT count(*) FROM iam_mfa WHERE account = $1`,
	"MFADevicesInUse":          `SELECT count(*) FROM iam_mfa WHERE account = $1 AND owner IS NOT NULL`,
	"AccountMFAEnabled":        `SELECT count(*) FROM (SELECT 1 AS one FROM iam_mfa WHERE owner = $1 LIMIT 1) AS any_device`,
	"AccountAccessKeysPresent": `SELECT count(*) FROM (SELECT 1 AS one FROM access_key WHERE principal = 'arn:aws:iam::' || $1 || ':root' LIMIT 1) AS any_key`,
}

// summaryFacts are what holds for every account here: its root has no password, and some things there are none of.
var summaryFacts = map[string]int64{
	"AccountPasswordPresent": 0, "AccountSigningCertificatesPresent": 0, "ServerCertificates": 0, "InstanceProfiles": 0,
	// Session tokens are good in all regions.
	"GlobalEndpointTokenVersion": 2,
}

// Summary counts what there is in an account, and tells its quotas, by the keys of GetAccountSummary.
func (s *Store) Summary(tx *store.Tx, account string) (map[string]int64, error) {
	summary := map[string]int64{}
	for _, known := range []map[string]int64{summaryQuotas, summaryFacts} {
		for key, n := range known {
			summary[key] = n
		}
	}
	for key, query := range summaryCounts {
		var n int64
		if err := tx.QueryRow(query, account).Scan(&n); err != nil {
			return nil, err
		}
		summary[key] = n
	}
	return summary, nil
}
