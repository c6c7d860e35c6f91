package iam

import (
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"
	"time"
)

// awsPolicy is a managed policy of AWS: there in every account, and changed by nobody.
type awsPolicy struct {
	path, name, description, document string
}

// awsPoliciesMade is when AWS's managed policies are shown to have been made.
var awsPoliciesMade = time.Date(2015, 12, 21, 17, 6, 0, 0, time.UTC)

// allow is a policy of one statement that allows actions on a resource.
func allow(resource string, actions ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + allowing(resource, actions...) + `]}`
}

func allowing(resource string, actions ...string) string {
	return `{"Effect":"Allow","Action":["` + strings.Join(actions, `","`) + `"],"Resource":"` + resource + `"}`
}

// prefixed puts a service before the names of actions.
func prefixed(service string, names ...string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = service + ":" + name
	}
	return out
}

var (
	ecrRead = prefixed("ecr", "GetAuthorizationToken", "BatchCheckLayerAvailability", "GetDownloadUrlForLayer", "GetRepositoryPolicy",
		"DescribeRepositories", "ListImages", "DescribeImages", "BatchGetImage", "GetLifecyclePolicy", "GetLifecyclePolicyPreview",
		"ListTagsForResource", "DescribeImageScanFindings")
	ecrPush = prefixed("ecr", "InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "PutImage")

	publicRead = append(prefixed("ecr-public", "GetAuthorizationToken", "BatchCheckLayerAvailability", "GetRepositoryPolicy", "DescribeRepositories",
		"DescribeRegistries", "DescribeImages", "DescribeImageTags", "GetRepositoryCatalogData", "GetRegistryCatalogData"), "sts:GetServiceBearerToken")
	publicPush = prefixed("ecr-public", "CompleteLayerUpload", "InitiateLayerUpload", "PutImage", "UploadLayerPart")

	// looking are the actions of the services that there are here which look and change nothing.
	looking = []string{"cloudtrail:Describe*", "cloudtrail:Get*", "cloudtrail:List*", "cloudtrail:LookupEvents", "cloudwatch:Describe*", "cloudwatch:Get*",
		"cloudwatch:List*", "ecr-public:BatchCheckLayerAvailability", "ecr-public:Describe*", "ecr-public:Get*", "ecr-public:ListTagsForResource",
		"ecr:BatchCheck*", "ecr:BatchGet*", "ecr:Describe*", "ecr:Get*", "ecr:List*", "iam:Generate*", "iam:Get*", "iam:List*", "iam:Simulate*",
		"kms:Describe*", "kms:Get*", "kms:List*", "organizations:Describe*", "organizations:List*", "signer:Get*", "signer:List*", "sts:GetAccessKeyInfo",
		"sts:GetCallerIdentity", "sts:GetSessionToken", "tag:Get*"}
	// auditing are those of them that show settings and not what is kept.
	auditing = []string{"cloudtrail:Describe*", "cloudtrail:GetEventSelectors", "cloudtrail:GetTrail*", "cloudtrail:List*", "cloudtrail:LookupEvents",
		"cloudwatch:Describe*", "cloudwatch:GetDashboard", "cloudwatch:List*", "ecr-public:DescribeRepositories", "ecr-public:GetRepositoryPolicy",
		"ecr:BatchGetRepositoryScanningConfiguration", "ecr:DescribeImages", "ecr:DescribeImageScanFindings", "ecr:DescribePullThroughCacheRules",
		"ecr:DescribeRegistry", "ecr:DescribeRepositories", "ecr:GetLifecyclePolicy", "ecr:GetRegistryPolicy", "ecr:GetRegistryScanningConfiguration",
		"ecr:GetRepositoryPolicy", "ecr:ListImages", "ecr:ListTagsForResource", "iam:GenerateCredentialReport", "iam:GenerateServiceLastAccessedDetails",
		"iam:Get*", "iam:List*", "iam:SimulateCustomPolicy", "iam:SimulatePrincipalPolicy", "kms:Describe*", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus",
		"kms:List*", "organizations:Describe*", "organizations:List*", "signer:ListSigningProfiles", "tag:GetResources", "tag:GetTagKeys"}
)

// awsManaged are AWS's managed policies that a registry's users attach, sorted by path and name. Those of ECR and IAM are as
// AWS has them; of those for whole accounts the part that concerns services that there are here.
var awsManaged = []awsPolicy{
	{"/", "AdministratorAccess", "Provides full access to AWS services and resources.", allow("*", "*")},
	{"/", "AmazonEC2ContainerRegistryFullAccess", "Provides administrative access to Amazon ECR resources",
		`{"Version":"2012-10-17","Statement":[` + allowing("*", "ecr:*", "cloudtrail:LookupEvents") + `,{"Effect":"Allow","Action":["iam:CreateServiceLinkedRole"],` +
			`"Resource":"*","Condition":{"StringEquals":{"iam:AWSServiceName":["replication.ecr.amazonaws.com"]}}}]}`},
	{"/", "AmazonEC2ContainerRegistryPowerUser",
		"Provides full access to Amazon EC2 Container Registry repositories, but does not allow repository deletion or policy changes.", allow("*", slices.Concat(ecrRead, ecrPush)...)},
	{"/", "AmazonEC2ContainerRegistryPullOnly", "Provides pull-only access to Amazon EC2 Container Registry images.",
		allow("*", prefixed("ecr", "GetAuthorizationToken", "BatchGetImage", "GetDownloadUrlForLayer", "BatchImportUpstreamImage")...)},
	{"/", "AmazonEC2ContainerRegistryReadOnly", "Provides read-only access to Amazon EC2 Container Registry repositories.", allow("*", ecrRead...)},
	{"/", "AmazonElasticContainerRegistryPublicFullAccess", "Provides administrative access to Amazon ECR Public resources", allow("*", "ecr-public:*", "sts:GetServiceBearerToken")},
	{"/", "AmazonElasticContainerRegistryPublicPowerUser",
		"Provides full access to Amazon ECR Public repositories, but does not allow repository deletion or policy changes.", allow("*", slices.Concat(publicRead, publicPush)...)},
	{"/", "AmazonElasticContainerRegistryPublicReadOnly", "Provides read-only access to Amazon ECR Public repositories.", allow("*", publicRead...)},
	{"/", "IAMFullAccess", "Provides full access to IAM via the AWS Management Console.",
		allow("*", "iam:*", "organizations:DescribeAccount", "organizations:DescribeOrganization", "organizations:DescribeOrganizationalUnit", "organizations:DescribePolicy",
			"organizations:ListChildren", "organizations:ListParents", "organizations:ListPoliciesForTarget", "organizations:ListRoots", "organizations:ListPolicies", "organizations:ListTargetsForPolicy")},
	{"/", "IAMReadOnlyAccess", "Provides read only access to IAM via the AWS Management Console.",
		allow("*", "iam:GenerateCredentialReport", "iam:GenerateServiceLastAccessedDetails", "iam:Get*", "iam:List*", "iam:SimulateCustomPolicy", "iam:SimulatePrincipalPolicy")},
	{"/", "IAMUserChangePassword", "Provides the ability for an IAM user to change their own password.",
		`{"Version":"2012-10-17","Statement":[` + allowing("arn:aws:iam::*:user/${aws:username}", "iam:ChangePassword") + `,` + allowing("*", "iam:GetAccountPasswordPolicy") + `]}`},
	{"/", "PowerUserAccess", "Provides full access to AWS services and resources, but does not allow management of Users and groups.",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*"],"Resource":"*"},` +
			allowing("*", "iam:CreateServiceLinkedRole", "iam:DeleteServiceLinkedRole", "iam:ListRoles", "organizations:DescribeOrganization") + `]}`},
	{"/", "ReadOnlyAccess", "Provides read-only access to AWS services and resources.", allow("*", looking...)},
	{"/", "SecurityAudit", "The security audit template grants access to read security configuration metadata. It is useful for software that audits the configuration of an AWS account.",
		allow("*", auditing...)},
	{"/aws-service-role/", "AWSECRPullThroughCache_ServiceRolePolicy", "Enables access to AWS Services and Resources used or managed by AWS ECR pull through cache",
		`{"Version":"2012-10-17","Statement":[` + allowing("*", prefixed("ecr", "GetAuthorizationToken", "BatchCheckLayerAvailability", "InitiateLayerUpload", "UploadLayerPart",
			"CompleteLayerUpload", "PutImage", "BatchGetImage", "BatchImportUpstreamImage", "GetDownloadUrlForLayer", "GetImageCopyStatus")...) +
			`,{"Effect":"Allow","Action":["secretsmanager:GetSecretValue"],"Resource":"arn:aws:secretsmanager:*:*:secret:ecr-pullthroughcache/*",` +
			`"Condition":{"StringEquals":{"aws:ResourceAccount":"${aws:PrincipalAccount}"}}}]}`},
	{"/aws-service-role/", "ECRReplicationServiceRolePolicy", "Allows access to AWS Services and Resources used by ECR Replication", allow("*", "ecr:CreateRepository", "ecr:ReplicateImage")},
	{"/aws-service-role/", "ECRTemplateServiceRolePolicy", "Allows ECR to create repositories by templates", allow("*", "ecr:CreateRepository")},
}

func (p awsPolicy) arn() string { return strings.TrimSuffix(awsPolicies, "/") + p.path + p.name }

// policy is what is shown of it.
func (p awsPolicy) policy() Policy {
	sum := sha256.Sum256([]byte(p.name))
	return Policy{ID: ids[KindPolicy] + base32.StdEncoding.EncodeToString(sum[:])[:17], Account: awsAccount, Name: p.name, Path: p.path,
		Description: p.description, CreatedAt: awsPoliciesMade, UpdatedAt: awsPoliciesMade, DefaultVersion: 1}
}

// awsAccount stands in ARNs for AWS itself.
const awsAccount = "aws"

var awsByARN = func() map[string]awsPolicy {
	all := map[string]awsPolicy{}
	for _, p := range awsManaged {
		all[p.arn()] = p
	}
	return all
}()
