package ecr_test

import (
	"strings"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
)

// repository is the API's view of a repository with the defaults, and those members that differ.
func repository(name, mutability, more string) string {
	return `{"repositoryArn":"arn:aws:ecr:us-east-1:123456789012:repository/` + name + `","registryId":"123456789012","repositoryName":"` + name +
		`","repositoryUri":"${host}/` + name + `","createdAt":${now},"imageTagMutability":"` + mutability +
		`","imageScanningConfiguration":{"scanOnPush":false},"encryptionConfiguration":{"encryptionType":"AES256"}` + more + `}`
}

const (
	oldName      = "(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*"
	mutabilities = "Member must satisfy enum value set: [IMMUTABLE, MUTABLE, MUTABLE_WITH_EXCLUSION, IMMUTABLE_WITH_EXCLUSION]"
	filtersField = "imageTagMutabilityExclusionFilters"
)

func filters(list ...string) string {
	var all []string
	for _, f := range list {
		all = append(all, `{"filterType":"WILDCARD","filter":"`+f+`"}`)
	}
	return `"imageTagMutabilityExclusionFilters":[` + strings.Join(all, ",") + `]`
}

var repositoryScripts = []script{
	{name: "CreateRepository", calls: []call{
		{name: "defaults", operation: "CreateRepository", in: `{"repositoryName":"a/b"}`, want: `{"repository":` + repository("a/b", "MUTABLE", "") + `}`},
		{name: "again", operation: "CreateRepository", in: `{"repositoryName":"a/b","imageTagMutability":"IMMUTABLE"}`,
			want: "RepositoryAlreadyExistsException: The repository with name 'a/b' already exists in the registry with id '123456789012'"},
		{name: "everything", operation: "CreateRepository", in: `{"registryId":"123456789012","repositoryName":"full","imageTagMutability":"IMMUTABLE",
			"imageScanningConfiguration":{"scanOnPush":true},"encryptionConfiguration":{"encryptionType":"AES256"},"tags":[{"Key":"team","Value":"a"}]}`,
			want: `{"repository":` + strings.Replace(repository("full", "IMMUTABLE", ""), `"scanOnPush":false`, `"scanOnPush":true`, 1) + `}`},
		{name: "with its tags", operation: "ListTagsForResource", in: `{"resourceArn":"arn:aws:ecr:us-east-1:123456789012:repository/full"}`,
			want: `{"tags":[{"Key":"team","Value":"a"}]}`},
		{name: "with exclusion", operation: "CreateRepository", in: `{"repositoryName":"excluding","imageTagMutability":"IMMUTABLE_WITH_EXCLUSION",` + filters("latest", "dev-*") + `}`,
			want: `{"repository":` + repository("excluding", "IMMUTABLE_WITH_EXCLUSION", ","+filters("latest", "dev-*")) + `}`},
		{name: "a name of all separators", operation: "CreateRepository", in: `{"repositoryName":"0a/b__c--d.e_f"}`,
			want: `{"repository":` + repository("0a/b__c--d.e_f", "MUTABLE", "") + `}`},
		{name: "filters without exclusion", operation: "CreateRepository", in: `{"repositoryName":"bad",` + filters("x") + `}`,
			want: invalid(filtersField, "ImageTagMutabilityExclusionFilters must be null when imageTagMutability is set as MUTABLE")},
		{name: "exclusion without filters", operation: "CreateRepository", in: `{"repositoryName":"bad","imageTagMutability":"IMMUTABLE_WITH_EXCLUSION"}`,
			want: invalid(filtersField, "ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as IMMUTABLE_WITH_EXCLUSION")},
		{name: "the other exclusion without filters", operation: "CreateRepository", in: `{"repositoryName":"bad","imageTagMutability":"MUTABLE_WITH_EXCLUSION"}`,
			want: invalid(filtersField, "ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as MUTABLE_WITH_EXCLUSION")},
		{name: "too many filters", operation: "CreateRepository",
			in:   `{"repositoryName":"bad","imageTagMutability":"MUTABLE_WITH_EXCLUSION",` + filters("a", "b", "c", "d", "e", "f") + `}`,
			want: invalid(filtersField, "Member must have length less than or equal to 5")},
		{name: "no filters in the list", operation: "CreateRepository", in: `{"repositoryName":"bad","imageTagMutability":"MUTABLE_WITH_EXCLUSION",` + filters() + `}`,
			want: invalid(filtersField, "Member must have length greater than or equal to 1")},
		{name: "a filter that is none", operation: "CreateRepository", in: `{"repositoryName":"bad","imageTagMutability":"MUTABLE_WITH_EXCLUSION",` + filters("a?") + `}`,
			want: invalid(filtersField+".1.member.filter", "must satisfy regular expression '^[0-9a-zA-Z._*-]{1,128}$$'")},
		{name: "an alias of no key", operation: "CreateRepository", in: `{"repositoryName":"bad","encryptionConfiguration":{"encryptionType":"KMS","kmsKey":"alias/none"}}`,
			want: `{"__type":"KmsException","kmsError":"NotFoundException","message":"The KMS key of the repository can't be used: Alias arn:aws:kms:us-east-1:123456789012:alias/none is not found."}`},
		{name: "a key of another region", operation: "CreateRepository", in: `{"repositoryName":"bad","encryptionConfiguration":{"encryptionType":"KMS_DSSE","kmsKey":"arn:aws:kms:eu-west-3:123456789012:key/00000000-0000-4000-8000-000000000000"}}`,
			want: `{"__type":"KmsException","kmsError":"NotFoundException","message":"The KMS key of the repository can't be used: Invalid arn eu-west-3"}`},
		{name: "a key for AES256", operation: "CreateRepository", in: `{"repositoryName":"bad","encryptionConfiguration":{"encryptionType":"AES256","kmsKey":"alias/a"}}`,
			want: invalid("encryptionConfiguration", "A KMS key can't be given for the encryption type AES256")},
		{name: "no encryption type", operation: "CreateRepository", in: `{"repositoryName":"bad","encryptionConfiguration":{}}`,
			want: "InvalidParameterException: 1 validation error detected: Value null at 'encryptionConfiguration.encryptionType' failed to satisfy constraint: Member must not be null"},
		{name: "a bad name", operation: "CreateRepository", in: `{"repositoryName":"Bad"}`, want: invalid("repositoryName", "must satisfy regular expression '"+oldName+"'")},
		{name: "a short name", operation: "CreateRepository", in: `{"repositoryName":"a"}`, want: invalid("repositoryName", "Member must have length greater than or equal to 2")},
		{name: "no name", operation: "CreateRepository", in: `{}`,
			want: "InvalidParameterException: 1 validation error detected: Value null at 'repositoryName' failed to satisfy constraint: Member must not be null"},
		{name: "no such mutability", operation: "CreateRepository", in: `{"repositoryName":"bad","imageTagMutability":"SOMETIMES"}`, want: invalid("imageTagMutability", mutabilities)},
		{name: "a tag twice", operation: "CreateRepository", in: `{"repositoryName":"bad","tags":[{"Key":"k","Value":"1"},{"Key":"k","Value":"2"}]}`,
			want: "InvalidTagParameterException: Tag key 'k' is given more than once"},
		{name: "a reserved tag", operation: "CreateRepository", in: `{"repositoryName":"bad","tags":[{"Key":"aws:k","Value":"1"}]}`,
			want: "InvalidTagParameterException: Tag key 'aws:k' is invalid: the prefix aws: is reserved"},
		{name: "in another account", operation: "CreateRepository", in: `{"registryId":"999999999999","repositoryName":"bad"}`, want: deniedAcross("ecr:CreateRepository", "bad")},
		{name: "none of these is there", operation: "DescribeRepositories", in: `{"repositoryNames":["bad"]}`, want: noRepository("bad", coffertest.Account)},
	}},
	{name: "repository quotas", options: []coffertest.Option{coffertest.Limits(map[string]int64{"repositories-per-registry": 2, "resource-tags": 1})}, calls: []call{
		{name: "too many tags", operation: "CreateRepository", in: `{"repositoryName":"ab","tags":[{"Key":"k","Value":"1"},{"Key":"l","Value":"2"}]}`,
			want: "TooManyTagsException: The repository with name 'ab' in registry with id '123456789012' would have more than the maximum allowed number of tags which is '1'"},
		{name: "the last", operation: "CreateRepository", in: `{"repositoryName":"ab"}`, want: `{"repository":` + repository("ab", "MUTABLE", "") + `}`},
		{name: "one too many", operation: "CreateRepository", in: `{"repositoryName":"cd"}`,
			want: "LimitExceededException: The registry with id '123456789012' already has the maximum allowed number of repositories which is '2'"},
		{name: "that exists is told first", operation: "CreateRepository", in: `{"repositoryName":"ab"}`,
			want: "RepositoryAlreadyExistsException: The repository with name 'ab' already exists in the registry with id '123456789012'"},
		{name: "make room", operation: "DeleteRepository", in: `{"repositoryName":"ab"}`, want: `{"repository":` + repository("ab", "MUTABLE", "") + `}`},
		{name: "there is room", operation: "CreateRepository", in: `{"repositoryName":"cd"}`, want: `{"repository":` + repository("cd", "MUTABLE", "") + `}`},
	}},
	{name: "DescribeRepositories", setup: func(w *session) { w.CreateRepository("zoo") }, calls: []call{
		{name: "all", operation: "DescribeRepositories", in: `{}`, want: `{"repositories":[` + repository("team/app", "MUTABLE", "") + `,` + repository("zoo", "MUTABLE", "") + `]}`},
		{name: "named, in the order of the names", operation: "DescribeRepositories", in: `{"repositoryNames":["zoo","team/app"]}`,
			want: `{"repositories":[` + repository("zoo", "MUTABLE", "") + `,` + repository("team/app", "MUTABLE", "") + `]}`},
		{name: "the first that is missing is named", operation: "DescribeRepositories", in: `{"repositoryNames":["zoo","no/such","nor/this"]}`, want: noRepository("no/such", coffertest.Account)},
		{name: "names and a page", operation: "DescribeRepositories", in: `{"repositoryNames":["zoo"],"maxResults":1}`,
			want: invalid("maxResults", "Pagination is not supported when specific items are requested")},
		{name: "names and a token", operation: "DescribeRepositories", in: `{"repositoryNames":["zoo"],"nextToken":"x"}`,
			want: invalid("nextToken", "Pagination is not supported when specific items are requested")},
		{name: "too large a page", operation: "DescribeRepositories", in: `{"maxResults":1001}`, want: invalid("maxResults", "Member must have value less than or equal to 1000")},
		{name: "too small a page", operation: "DescribeRepositories", in: `{"maxResults":0}`, want: invalid("maxResults", "Member must have value greater than or equal to 1")},
		{name: "no names in the list", operation: "DescribeRepositories", in: `{"repositoryNames":[]}`, want: invalid("repositoryNames", "Member must have length greater than or equal to 1")},
		{name: "of another account", operation: "DescribeRepositories", in: `{"registryId":"999999999999"}`, want: deniedAcross("ecr:DescribeRepositories", "*")},
		{name: "of no account", operation: "DescribeRepositories", in: `{"registryId":"1"}`, want: invalid("registryId", "must satisfy regular expression '[0-9]{12}'")},
	}},
	{name: "registry hosts", options: []coffertest.Option{func(c *app.Config, _ *app.Options) { c.Domain = "registry.example.com" }}, calls: []call{
		{name: "a repository has one", operation: "DescribeRepositories", in: `{"repositoryNames":["team/app"]}`,
			want: strings.Replace(`{"repositories":[`+repository("team/app", "MUTABLE", "")+`]}`, "${host}", "123456789012.dkr.ecr.us-east-1.registry.example.com", 1)},
	}},
	{name: "DeleteRepository", contents: images, setup: func(w *session) {
		w.push("team/app", "1", "one")
		w.CreateRepository("empty")
		w.CreateRepository("layers")
		w.PushBlob(w.values["token"], "layers", []byte(w.contents["layer"]))
	}, calls: []call{
		{name: "with an image in it", operation: "DeleteRepository", in: `{"repositoryName":"team/app"}`,
			want: "RepositoryNotEmptyException: The repository with name 'team/app' in registry with id '123456789012' cannot be deleted because it still contains images"},
		{name: "without force", operation: "DeleteRepository", in: `{"repositoryName":"team/app","force":false}`,
			want: "RepositoryNotEmptyException: The repository with name 'team/app' in registry with id '123456789012' cannot be deleted because it still contains images"},
		{name: "empty", operation: "DeleteRepository", in: `{"repositoryName":"empty"}`, want: `{"repository":` + repository("empty", "MUTABLE", "") + `}`},
		{name: "layers don't count", operation: "DeleteRepository", in: `{"repositoryName":"layers"}`, want: `{"repository":` + repository("layers", "MUTABLE", "") + `}`},
		{name: "with force", operation: "DeleteRepository", in: `{"repositoryName":"team/app","force":true}`, want: `{"repository":` + repository("team/app", "MUTABLE", "") + `}`},
		{name: "again", operation: "DeleteRepository", in: `{"repositoryName":"team/app","force":true}`, want: noRepository("team/app", coffertest.Account)},
		{name: "its name is free", operation: "CreateRepository", in: `{"repositoryName":"team/app"}`, want: `{"repository":` + repository("team/app", "MUTABLE", "") + `}`},
		{name: "and nothing is in it", operation: "ListImages", in: `{"repositoryName":"team/app"}`, want: `{"imageIds":[]}`},
		{name: "in another account", operation: "DeleteRepository", in: `{"registryId":"999999999999","repositoryName":"team/app"}`, want: deniedAcross("ecr:DeleteRepository", "team/app")},
	}},
	{name: "PutImageTagMutability", contents: images, setup: func(w *session) { w.push("team/app", "1", "one") }, calls: []call{
		{name: "immutable", operation: "PutImageTagMutability", in: `{"repositoryName":"team/app","imageTagMutability":"IMMUTABLE"}`,
			want: `{"registryId":"123456789012","repositoryName":"team/app","imageTagMutability":"IMMUTABLE"}`},
		{name: "again", operation: "PutImageTagMutability", in: `{"repositoryName":"team/app","imageTagMutability":"IMMUTABLE"}`,
			want: `{"registryId":"123456789012","repositoryName":"team/app","imageTagMutability":"IMMUTABLE"}`},
		{name: "the tag that is there is left alone", operation: "ListImages", in: `{"repositoryName":"team/app"}`,
			want: `{"imageIds":[{"imageDigest":"${digest:one}","imageTag":"1"}]}`},
		{name: "with exclusion", operation: "PutImageTagMutability", in: `{"repositoryName":"team/app","imageTagMutability":"MUTABLE_WITH_EXCLUSION",` + filters("v*", "release") + `}`,
			want: `{"registryId":"123456789012","repositoryName":"team/app","imageTagMutability":"MUTABLE_WITH_EXCLUSION",` + filters("v*", "release") + `}`},
		{name: "as it is told", operation: "DescribeRepositories", in: `{"repositoryNames":["team/app"]}`,
			want: `{"repositories":[` + repository("team/app", "MUTABLE_WITH_EXCLUSION", ","+filters("v*", "release")) + `]}`},
		{name: "without again", operation: "PutImageTagMutability", in: `{"repositoryName":"team/app","imageTagMutability":"MUTABLE"}`,
			want: `{"registryId":"123456789012","repositoryName":"team/app","imageTagMutability":"MUTABLE"}`},
		{name: "drops the filters", operation: "DescribeRepositories", in: `{"repositoryNames":["team/app"]}`, want: `{"repositories":[` + repository("team/app", "MUTABLE", "") + `]}`},
		{name: "filters without exclusion", operation: "PutImageTagMutability", in: `{"repositoryName":"team/app","imageTagMutability":"IMMUTABLE",` + filters("x") + `}`,
			want: invalid(filtersField, "ImageTagMutabilityExclusionFilters must be null when imageTagMutability is set as IMMUTABLE")},
		{name: "exclusion without filters", operation: "PutImageTagMutability", in: `{"repositoryName":"team/app","imageTagMutability":"MUTABLE_WITH_EXCLUSION"}`,
			want: invalid(filtersField, "ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as MUTABLE_WITH_EXCLUSION")},
		{name: "no such mutability", operation: "PutImageTagMutability", in: `{"repositoryName":"team/app","imageTagMutability":"immutable"}`, want: invalid("imageTagMutability", mutabilities)},
		{name: "no mutability", operation: "PutImageTagMutability", in: `{"repositoryName":"team/app"}`,
			want: "InvalidParameterException: 1 validation error detected: Value null at 'imageTagMutability' failed to satisfy constraint: Member must not be null"},
		{name: "no such repository", operation: "PutImageTagMutability", in: `{"repositoryName":"no/such","imageTagMutability":"MUTABLE"}`, want: noRepository("no/such", coffertest.Account)},
	}},
	{name: "a registry of another account", options: []coffertest.Option{func(_ *app.Config, o *app.Options) { o.Evaluate = allowAll }}, calls: acrossAccounts()},
}

// acrossAccounts are calls that a policy allows on another account's registry: its id is the one that errors tell.
func acrossAccounts() []call {
	var all []call
	for operation, more := range map[string]string{
		"DeleteRepository": ``, "PutImageTagMutability": `,"imageTagMutability":"MUTABLE"`, "ListImages": ``, "DescribeImages": ``,
		"ListImageReferrers": `,"subjectId":{"imageDigest":"` + zeroDigest + `"}`, "BatchGetImage": `,"imageIds":[{"imageTag":"1"}]`,
		"BatchDeleteImage": `,"imageIds":[{"imageTag":"1"}]`, "BatchCheckLayerAvailability": `,"layerDigests":["` + zeroDigest + `"]`,
		"GetDownloadUrlForLayer": `,"layerDigest":"` + zeroDigest + `"`, "InitiateLayerUpload": ``,
		"UploadLayerPart":     `,"uploadId":"` + noUpload + `","partFirstByte":0,"partLastByte":0,"layerPartBlob":"AA=="`,
		"CompleteLayerUpload": `,"uploadId":"` + noUpload + `","layerDigests":["` + zeroDigest + `"]`,
		"PutImage":            `,"imageManifest":"{\"schemaVersion\":2,\"mediaType\":\"` + coffertest.IndexType + `\",\"manifests\":[]}"`,
	} {
		all = append(all, call{name: operation, operation: operation, in: `{"registryId":"999999999999","repositoryName":"team/app"` + more + `}`,
			want: noRepository("team/app", "999999999999")})
	}
	return all
}

const (
	zeroDigest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	noUpload   = "00000000-0000-4000-8000-000000000000"
)
