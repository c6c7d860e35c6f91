package app_test

// onKMSKey is the key of KMS that the house has.
const onKMSKey = " on {kms-key}"

var kmsOperations = []asked{
	{"CancelKeyDeletion", nil, []string{"kms:CancelKeyDeletion" + onKMSKey}},
	{"CreateAlias", map[string]any{"AliasName": "alias/new"}, []string{"kms:CreateAlias on arn:aws:kms:us-east-1:123456789012:alias/new", "kms:CreateAlias" + onKMSKey}},
	{"CreateGrant", map[string]any{"GranteePrincipal": "arn:aws:iam::123456789012:root"}, []string{"kms:CreateGrant" + onKMSKey}},
	{"CreateKey", nil, []string{"kms:CreateKey on *"}},
	{"CreateKey", map[string]any{"Tags": []any{map[string]string{"TagKey": "k", "TagValue": "v"}}},
		[]string{"kms:CreateKey on *", "kms:TagResource on arn:aws:kms:us-east-1:123456789012:key/*"}},
	{"Decrypt", map[string]any{"CiphertextBlob": "{kms-blob}"}, []string{"kms:Decrypt" + onKMSKey}},
	{"DeleteAlias", nil, []string{"kms:DeleteAlias on arn:aws:kms:us-east-1:123456789012:alias/app", "kms:DeleteAlias" + onKMSKey}},
	{"DeleteImportedKeyMaterial", nil, []string{"kms:DeleteImportedKeyMaterial" + onKMSKey}},
	{"DeriveSharedSecret", nil, []string{"kms:DeriveSharedSecret" + onKMSKey}},
	{"DescribeKey", nil, []string{"kms:DescribeKey" + onKMSKey}},
	{"DescribeKey", map[string]any{"KeyId": "alias/app"}, []string{"kms:DescribeKey" + onKMSKey}},
	{"DescribeKey", map[string]any{"KeyId": "alias/missing"}, []string{"kms:DescribeKey on arn:aws:kms:us-east-1:123456789012:key/*"}},
	{"DescribeKey", map[string]any{"KeyId": missingKey}, []string{"kms:DescribeKey on " + missingKey}},
	{"DisableKey", nil, []string{"kms:DisableKey" + onKMSKey}},
	{"DisableKeyRotation", nil, []string{"kms:DisableKeyRotation" + onKMSKey}},
	{"EnableKey", nil, []string{"kms:EnableKey" + onKMSKey}},
	{"EnableKeyRotation", nil, []string{"kms:EnableKeyRotation" + onKMSKey}},
	{"Encrypt", map[string]any{"Plaintext": "eA=="}, []string{"kms:Encrypt" + onKMSKey}},
	{"GenerateDataKey", nil, []string{"kms:GenerateDataKey" + onKMSKey}},
	{"GenerateDataKeyPair", nil, []string{"kms:GenerateDataKeyPair" + onKMSKey}},
	{"GenerateDataKeyPairWithoutPlaintext", nil, []string{"kms:GenerateDataKeyPairWithoutPlaintext" + onKMSKey}},
	{"GenerateDataKeyWithoutPlaintext", nil, []string{"kms:GenerateDataKeyWithoutPlaintext" + onKMSKey}},
	{"GenerateMac", nil, []string{"kms:GenerateMac" + onKMSKey}},
	{"GenerateRandom", nil, []string{"kms:GenerateRandom on *"}},
	{"GetKeyLastUsage", nil, []string{"kms:GetKeyLastUsage" + onKMSKey}},
	{"GetKeyPolicy", nil, []string{"kms:GetKeyPolicy" + onKMSKey}},
	{"GetKeyRotationStatus", nil, []string{"kms:GetKeyRotationStatus" + onKMSKey}},
	{"GetParametersForImport", nil, []string{"kms:GetParametersForImport" + onKMSKey}},
	{"GetPublicKey", nil, []string{"kms:GetPublicKey" + onKMSKey}},
	{"ImportKeyMaterial", nil, []string{"kms:ImportKeyMaterial" + onKMSKey}},
	{"ListAliases", nil, []string{"kms:ListAliases on *"}},
	{"ListGrants", nil, []string{"kms:ListGrants" + onKMSKey}},
	{"ListKeyPolicies", nil, []string{"kms:ListKeyPolicies" + onKMSKey}},
	{"ListKeyRotations", nil, []string{"kms:ListKeyRotations" + onKMSKey}},
	{"ListKeys", nil, []string{"kms:ListKeys on *"}},
	{"ListResourceTags", nil, []string{"kms:ListResourceTags" + onKMSKey}},
	{"ListRetirableGrants", map[string]any{"RetiringPrincipal": "arn:aws:iam::123456789012:root"}, []string{"kms:ListRetirableGrants on *"}},
	{"PutKeyPolicy", map[string]any{"Policy": keyPolicyOfAccount}, []string{"kms:PutKeyPolicy" + onKMSKey}},
	{"ReEncrypt", map[string]any{"CiphertextBlob": "{kms-blob}", "DestinationKeyId": "alias/app"}, []string{"kms:ReEncryptFrom" + onKMSKey, "kms:ReEncryptTo" + onKMSKey}},
	{"ReplicateKey", map[string]any{"ReplicaRegion": "eu-west-1"}, []string{"kms:ReplicateKey" + onKMSKey}},
	{"RetireGrant", map[string]any{"KeyId": "{kms-key}", "GrantId": "missing"}, []string{"kms:RetireGrant" + onKMSKey}},
	{"RevokeGrant", map[string]any{"GrantId": "missing"}, []string{"kms:RevokeGrant" + onKMSKey}},
	{"RotateKeyOnDemand", nil, []string{"kms:RotateKeyOnDemand" + onKMSKey}},
	{"ScheduleKeyDeletion", nil, []string{"kms:ScheduleKeyDeletion" + onKMSKey}},
	{"Sign", nil, []string{"kms:Sign" + onKMSKey}},
	{"TagResource", map[string]any{"Tags": []any{map[string]string{"TagKey": "k", "TagValue": "v"}}}, []string{"kms:TagResource" + onKMSKey}},
	{"UntagResource", map[string]any{"TagKeys": []string{"k"}}, []string{"kms:UntagResource" + onKMSKey}},
	{"UpdateAlias", nil, []string{"kms:UpdateAlias on arn:aws:kms:us-east-1:123456789012:alias/app", "kms:UpdateAlias" + onKMSKey, "kms:UpdateAlias" + onKMSKey}},
	{"UpdateKeyDescription", map[string]any{"Description": "new"}, []string{"kms:UpdateKeyDescription" + onKMSKey}},
	{"UpdatePrimaryRegion", map[string]any{"PrimaryRegion": "eu-west-1"}, []string{"kms:UpdatePrimaryRegion" + onKMSKey}},
	{"Verify", nil, []string{"kms:Verify" + onKMSKey}},
	{"VerifyMac", nil, []string{"kms:VerifyMac" + onKMSKey}},
}

// missingKey is the ARN of a key that does not exist.
const missingKey = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-4000-8000-000000000000"

// keyPolicyOfAccount is a key policy that leaves all to the account.
const keyPolicyOfAccount = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"kms:*","Resource":"*"}}`
