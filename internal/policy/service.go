package policy

import "strings"

// What services have of their own, by actions in lower case.

// registryActions of ECR concern a registry as a whole, which no policy but that of an identity grants.
var registryActions = set(`ecr:CreatePullThroughCacheRule ecr:CreateRepositoryCreationTemplate ecr:DeletePullThroughCacheRule
	ecr:DeleteRegistryPolicy ecr:DeleteRepositoryCreationTemplate ecr:DeleteSigningConfiguration ecr:DeregisterPullTimeUpdateExclusion
	ecr:DescribePullThroughCacheRules ecr:DescribeRegistry ecr:DescribeRepositoryCreationTemplates ecr:GetAccountSetting
	ecr:GetAuthorizationToken ecr:GetRegistryPolicy ecr:GetRegistryScanningConfiguration ecr:GetSigningConfiguration
	ecr:ListPullTimeUpdateExclusions ecr:PutAccountSetting ecr:PutRegistryPolicy ecr:PutRegistryScanningConfiguration
	ecr:PutReplicationConfiguration ecr:PutSigningConfiguration ecr:RegisterPullTimeUpdateExclusion
	ecr:UpdatePullThroughCacheRule ecr:UpdateRepositoryCreationTemplate ecr:ValidatePullThroughCacheRule`)

// scopeV1 are the actions that a registry policy of the first scope is about.
var scopeV1 = set(`ecr:ReplicateImage ecr:BatchImportUpstreamImage ecr:CreateRepository`)

// keyOwnerActions of KMS manage keys and aliases, and never reach over accounts.
var keyOwnerActions = set(`kms:CreateKey kms:ListKeys kms:ListAliases kms:GetKeyPolicy kms:PutKeyPolicy kms:ListKeyPolicies
	kms:EnableKeyRotation kms:DisableKeyRotation kms:RotateKeyOnDemand kms:ListKeyRotations kms:ScheduleKeyDeletion
	kms:CancelKeyDeletion kms:TagResource kms:UntagResource kms:ListResourceTags kms:EnableKey kms:DisableKey
	kms:UpdateKeyDescription kms:CreateAlias kms:UpdateAlias kms:DeleteAlias kms:GetParametersForImport kms:ImportKeyMaterial
	kms:DeleteImportedKeyMaterial kms:CreateCustomKeyStore kms:DescribeCustomKeyStores kms:UpdateCustomKeyStore
	kms:ConnectCustomKeyStore kms:DisconnectCustomKeyStore kms:DeleteCustomKeyStore kms:ReplicateKey kms:UpdatePrimaryRegion`)

func set(names string) map[string]bool {
	out := map[string]bool{}
	for name := range strings.FieldsSeq(strings.ToLower(names)) {
		out[name] = true
	}
	return out
}

func identityOnly(action string) bool { return registryActions[action] }

// inScopeV1 reports whether a pattern of actions stays within scope V1.
func inScopeV1(action string) bool { return scopeV1[action] }

// counts reports whether a resource's policy has a say in an action. A token for registries is given to identities, with
// no resource; and a registry policy of scope V1 is about few actions.
func (p *Policy) counts(action string, registryV1 bool) bool {
	switch {
	case action == "ecr:getauthorizationtoken":
		return false
	case p.kind == KindRegistry && registryV1:
		return scopeV1[action]
	}
	return true
}

// grants reports whether the owner of a resource can allow an action by the resource's policy or by a grant, to a
// principal of its own account or of a foreign one.
func grants(action string, foreign bool) bool {
	return !identityOnly(action) && !(foreign && keyOwnerActions[action])
}

// demandsTrust reports whether the resource's own policy must allow an action even to principals of its account, as for
// roles that are assumed and for keys; the reason is that of a denial for lack of it.
func demandsTrust(action string, t *target) (Reason, bool) {
	resource := t.segments[5]
	switch {
	case !t.isARN:
		return "", false
	case strings.HasPrefix(action, "sts:") && t.segments[2] == "iam" && strings.HasPrefix(resource, "role/"):
		return ReasonTrust, true
	case strings.HasPrefix(action, "kms:") && t.segments[2] == "kms" && strings.HasPrefix(resource, "key/"):
		return ReasonResource, true
	}
	return "", false
}
