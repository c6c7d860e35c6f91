// Package ecr has the types and the model of the API of Amazon ECR, version 2015-09-21, and how it words that a request
// breaks the model. What the operations do is the business of package service/ecr.
package ecr

import (
	"log/slog"
	"strings"

	"github.com/coffer-registry/coffer/internal/awsapi"
)

//go:generate go run ../gen -model ../../../api/ecr.json -name ecr -out zz_generated.go

// style is that of ECR: "Invalid parameter at 'repositoryName' failed to satisfy constraint: '...'".
var style = &awsapi.Style{
	Code:         "InvalidParameterException",
	Codes:        newer,
	Sentence:     sentence,
	OnePerMember: true,
	Patterns: map[string]string{
		// ECR shows an older pattern than the one that it enforces.
		"RepositoryName": `(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*`,
	},
	Enums: map[string][]string{
		"ImageTagMutability": {
			ImageTagMutabilityImmutable, ImageTagMutabilityMutable, ImageTagMutabilityMutableWithExclusion,
			ImageTagMutabilityImmutableWithExclusion,
		},
	},
}

// newer holds the operations of the features that came after 2020, which answer ValidationException: settings of the
// registry as a whole, pull through cache, creation templates, signing, pull time exclusions and archiving.
var newer = codes(`
	BatchGetRepositoryScanningConfiguration GetRegistryScanningConfiguration PutRegistryScanningConfiguration
	DescribeRegistry PutReplicationConfiguration DescribeImageReplicationStatus
	GetRegistryPolicy PutRegistryPolicy DeleteRegistryPolicy
	GetAccountSetting PutAccountSetting
	CreatePullThroughCacheRule DescribePullThroughCacheRules UpdatePullThroughCacheRule ValidatePullThroughCacheRule
	DeletePullThroughCacheRule
	CreateRepositoryCreationTemplate DescribeRepositoryCreationTemplates UpdateRepositoryCreationTemplate
	DeleteRepositoryCreationTemplate
	GetSigningConfiguration PutSigningConfiguration DeleteSigningConfiguration DescribeImageSigningStatus
	RegisterPullTimeUpdateExclusion ListPullTimeUpdateExclusions DeregisterPullTimeUpdateExclusion
	UpdateImageStorageClass`)

func codes(operations string) map[string]string {
	codes := map[string]string{}
	for _, operation := range strings.Fields(operations) {
		codes[operation] = CodeValidation
	}
	return codes
}

// fields are the names that ECR spells in its own way: those whose values are texts with a syntax of their own.
var fields = map[string]string{
	"imageManifest": "ImageManifest", "policyText": "PolicyText", "lifecyclePolicyText": "LifecyclePolicyText",
}

// sentence is what ECR says of one violation. What it says of a member that is missing is not known; AWS's generic sentence
// stands in for it.
func sentence(v *awsapi.Violation) string {
	if v.Rule == awsapi.NotNull {
		return ""
	}
	reason := v.Reason
	if _, generic := newer[v.Operation]; v.Rule == awsapi.Pattern && !generic {
		reason = "must satisfy regular expression '" + v.Shown + "'"
	}
	field := v.Path
	if own, other := fields[field]; other {
		field = own
	}
	return "Invalid parameter at '" + field + "' failed to satisfy constraint: '" + reason + "'"
}

// String hides the token.
func (AuthorizationData) String() string { return "AuthorizationData(redacted)" }

// GoString hides the token.
func (d AuthorizationData) GoString() string { return d.String() }

// LogValue hides the token.
func (d AuthorizationData) LogValue() slog.Value { return slog.StringValue(d.String()) }
