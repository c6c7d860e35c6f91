package ecr_test

import (
	"strings"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

const (
	appARN  = `"resourceArn":"arn:aws:ecr:us-east-1:123456789012:repository/team/app"`
	noARN   = "InvalidParameterException: Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'"
	gone    = `"resourceArn":"arn:aws:ecr:us-east-1:123456789012:repository/no/such"`
	foreign = `"resourceArn":"arn:aws:ecr:us-east-1:999999999999:repository/team/app"`
)

// badARNs are calls of an operation with what is no ARN of a repository of this region.
func badARNs(operation, more string) []call {
	var all []call
	for _, text := range []string{"", "team/app", "arn:aws:s3:::bucket", "arn:aws:ecr:us-east-1:123456789012:team/app", "arn:aws:ecr:us-east-1:123456789012:repository/Team",
		"arn:aws:ecr:us-east-1:123456789012:repository/", "arn:aws:ecr:eu-west-1:123456789012:repository/team/app", "arn:aws:sts:us-east-1:123456789012:repository/team/app"} {
		all = append(all, call{name: "no repository: " + text, operation: operation, in: `{"resourceArn":"` + text + `"` + more + `}`, want: noARN})
	}
	return all
}

var resourceTagScripts = []script{
	{name: "resource tags", options: []coffertest.Option{coffertest.Limits(map[string]int64{"resource-tags": 3})}, calls: []call{
		{name: "none", operation: "ListTagsForResource", in: `{` + appARN + `}`, want: `{"tags":[]}`},
		{name: "add", operation: "TagResource", in: `{` + appARN + `,"tags":[{"Key":"b","Value":"1"},{"Key":"a","Value":""}]}`, want: `{}`},
		{name: "two", operation: "ListTagsForResource", in: `{` + appARN + `}`, want: `{"tags":[{"Key":"a","Value":""},{"Key":"b","Value":"1"}]}`},
		{name: "overwrite and add", operation: "TagResource", in: `{` + appARN + `,"tags":[{"Key":"b","Value":"2"},{"Key":"B","Value":"é + = . _ : / @ -"}]}`, want: `{}`},
		{name: "three", operation: "ListTagsForResource", in: `{` + appARN + `}`,
			want: `{"tags":[{"Key":"B","Value":"é + = . _ : / @ -"},{"Key":"a","Value":""},{"Key":"b","Value":"2"}]}`},
		{name: "one too many", operation: "TagResource", in: `{` + appARN + `,"tags":[{"Key":"b","Value":"3"},{"Key":"c","Value":""}]}`, want: "TooManyTagsException: " +
			"The repository with name 'team/app' in registry with id '123456789012' would have more than the maximum allowed number of tags which is '3'"},
		{name: "changes nothing", operation: "ListTagsForResource", in: `{` + appARN + `}`,
			want: `{"tags":[{"Key":"B","Value":"é + = . _ : / @ -"},{"Key":"a","Value":""},{"Key":"b","Value":"2"}]}`},
		{name: "remove", operation: "UntagResource", in: `{` + appARN + `,"tagKeys":["a","absent"]}`, want: `{}`},
		{name: "remove again", operation: "UntagResource", in: `{` + appARN + `,"tagKeys":["a"]}`, want: `{}`},
		{name: "remove nothing", operation: "UntagResource", in: `{` + appARN + `,"tagKeys":[]}`, want: `{}`},
		{name: "two are left", operation: "ListTagsForResource", in: `{` + appARN + `}`, want: `{"tags":[{"Key":"B","Value":"é + = . _ : / @ -"},{"Key":"b","Value":"2"}]}`},
		{name: "a key twice", operation: "TagResource", in: `{` + appARN + `,"tags":[{"Key":"k","Value":"1"},{"Key":"k","Value":"1"}]}`, want: "InvalidTagParameterException: Tag key 'k' is given more than once"},
		{name: "a reserved key", operation: "TagResource", in: `{` + appARN + `,"tags":[{"Key":"AWS:k","Value":"1"}]}`,
			want: "InvalidTagParameterException: Tag key 'AWS:k' is invalid: the prefix aws: is reserved"},
		{name: "an empty key", operation: "TagResource", in: `{` + appARN + `,"tags":[{"Key":"","Value":"1"}]}`, want: "InvalidTagParameterException: Tag keys must not be empty"},
		{name: "a long key", operation: "TagResource", in: `{` + appARN + `,"tags":[{"Key":"` + strings.Repeat("é", 129) + `","Value":"1"}]}`,
			want: "InvalidTagParameterException: Tag keys must have at most 128 characters"},
		{name: "a long value", operation: "TagResource", in: `{` + appARN + `,"tags":[{"Key":"k","Value":"` + strings.Repeat("é", 257) + `"}]}`,
			want: "InvalidTagParameterException: The value of tag 'k' must have at most 256 characters"},
		{name: "a bad character", operation: "TagResource", in: `{` + appARN + `,"tags":[{"Key":"k!","Value":"1"}]}`,
			want: "InvalidTagParameterException: Tag 'k!' has a character other than letters, digits, spaces and + - = . _ : / @"},
		{name: "no value", operation: "TagResource", in: `{` + appARN + `,"tags":[{"Key":"k"}]}`,
			want: "InvalidParameterException: 1 validation error detected: Value null at 'tags.1.member.value' failed to satisfy constraint: Member must not be null"},
		{name: "tag what is not there", operation: "TagResource", in: `{` + gone + `,"tags":[{"Key":"k","Value":"1"}]}`, want: noRepository("no/such", coffertest.Account)},
		{name: "untag what is not there", operation: "UntagResource", in: `{` + gone + `,"tagKeys":["k"]}`, want: noRepository("no/such", coffertest.Account)},
		{name: "list what is not there", operation: "ListTagsForResource", in: `{` + gone + `}`, want: noRepository("no/such", coffertest.Account)},
		{name: "tag in another account", operation: "TagResource", in: `{` + foreign + `,"tags":[{"Key":"k","Value":"1"}]}`, want: deniedAcross("ecr:TagResource", "team/app")},
		{name: "untag in another account", operation: "UntagResource", in: `{` + foreign + `,"tagKeys":["k"]}`, want: deniedAcross("ecr:UntagResource", "team/app")},
		{name: "list in another account", operation: "ListTagsForResource", in: `{` + foreign + `}`, want: deniedAcross("ecr:ListTagsForResource", "team/app")},
	}},
	{name: "TagResource without an ARN", calls: badARNs("TagResource", `,"tags":[{"Key":"k","Value":"1"}]`)},
	{name: "UntagResource without an ARN", calls: badARNs("UntagResource", `,"tagKeys":["k"]`)},
	{name: "ListTagsForResource without an ARN", calls: badARNs("ListTagsForResource", "")},
}
