package policy

import "strings"

// keyNames are the condition keys as AWS spells them, by the key in lower case. Those that end in "/" or ":" go on.
var keyNames = spelled(`aws:CalledVia aws:CalledViaFirst aws:CalledViaLast aws:CurrentTime aws:EpochTime aws:FederatedProvider
	aws:MultiFactorAuthAge aws:MultiFactorAuthPresent aws:PrincipalAccount aws:PrincipalArn aws:PrincipalIsAWSService
	aws:PrincipalOrgID aws:PrincipalOrgPaths aws:PrincipalServiceName aws:PrincipalServiceNamesList aws:PrincipalTag/
	aws:PrincipalType aws:RequestedRegion aws:RequestTag/ aws:ResourceAccount aws:ResourceOrgID aws:ResourceOrgPaths
	aws:ResourceTag/ aws:SecureTransport aws:SourceAccount aws:SourceArn aws:SourceIdentity aws:SourceIp aws:SourceOrgID
	aws:SourceOrgPaths aws:SourceVpc aws:SourceVpcArn aws:SourceVpce aws:TagKeys aws:TokenIssueTime aws:UserAgent
	aws:ViaAWSService aws:VpceAccount aws:VpceOrgID aws:VpceOrgPaths aws:VpcSourceIp
	coffer:ClientCertSubject coffer:ImageDigestOnly coffer:ImageTag ecr:AccountSetting ecr:ResourceTag/ iam:AssociatedResourceArn iam:AWSServiceName iam:OrganizationsPolicyId
	iam:PassedToService iam:PermissionsBoundary iam:PolicyARN iam:ResourceTag/ identitystore:UserId kms:CallerAccount
	kms:EncryptionContext: kms:EncryptionContextKeys kms:GrantIsForAWSResource kms:GrantOperations kms:KeySpec kms:KeyUsage
	kms:RequestAlias kms:ResourceAliases kms:ViaService sts:AWSServiceName sts:DurationSeconds sts:ExternalId
	sts:RoleSessionName sts:SourceIdentity sts:TransitiveTagKeys`)

func spelled(names string) map[string]string {
	out := map[string]string{}
	for name := range strings.FieldsSeq(names) {
		out[strings.ToLower(name)] = name
	}
	return out
}

// keyName returns how AWS spells a key that is in lower case; the key itself if that is not known.
func keyName(key string) string {
	if name, ok := keyNames[key]; ok {
		return name
	}
	// The name of a tag may have slashes and colons itself.
	for i := range len(key) {
		if key[i] == '/' || key[i] == ':' {
			if name, ok := keyNames[key[:i+1]]; ok {
				return name + key[i+1:]
			}
		}
	}
	return key
}
