package ecr_test

import (
	"slices"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// detail is what DescribeImages tells of an image that was pushed at the time "pushed"; more are further members.
func detail(content, mediaType, artifactType, size, more string) string {
	return `{"registryId":"123456789012","repositoryName":"team/app","imageDigest":"${digest:` + content + `}","imageSizeInBytes":` + size +
		`,"imagePushedAt":${pushed},"imageManifestMediaType":"` + mediaType + `","artifactMediaType":"` + artifactType + `","imageStatus":"ACTIVE"` + more + `}`
}

func imageDetail(content, more string) string {
	return detail(content, coffertest.ManifestType, coffertest.ConfigType, "57", more)
}

// byDigestOrder sorts what stands for contents by the digests of the contents.
func byDigestOrder(parts map[string]string) string {
	var contents, list []string
	for content := range parts {
		contents = append(contents, content)
	}
	slices.SortFunc(contents, func(a, b string) int {
		return strings.Compare(coffertest.Digest([]byte(images[a])), coffertest.Digest([]byte(images[b])))
	})
	for _, content := range contents {
		list = append(list, parts[content])
	}
	return strings.Join(list, ",")
}

// pushAll pushes an image with two tags, one without, and an index.
func pushAll(w *session) {
	w.push("team/app", "b", "one")
	w.push("team/app", "a", "one")
	w.push("team/app", w.expand("${digest:two}"), "two")
	w.push("team/app", "all", "index")
	w.values["pushed"] = w.expand("${now}")
	w.clock.Advance(time.Hour)
}

func describedIndex() string {
	return strings.Replace(detail("index", coffertest.IndexType, "", "57", `,"imageTags":["all"]`), `"artifactMediaType":"",`, "", 1)
}

func noSuchImage(digest, tag string) string {
	return "ImageNotFoundException: The image with imageId {imageDigest:'" + digest + "', imageTag:'" + tag +
		"'} does not exist within the repository with name 'team/app' in the registry with id '123456789012'"
}

func pair(content, tag string) string {
	if tag == "" {
		return `{` + byDigest(content) + `}`
	}
	return `{` + byBoth(content, tag) + `}`
}

var imageListScripts = []script{
	{name: "DescribeImages", contents: images, setup: pushAll, calls: []call{
		{name: "all", operation: "DescribeImages", in: `{"repositoryName":"team/app"}`, want: `{"imageDetails":[` + byDigestOrder(map[string]string{
			"one": imageDetail("one", `,"imageTags":["a","b"]`), "two": imageDetail("two", ""), "index": describedIndex()}) + `]}`},
		{name: "with tags", operation: "DescribeImages", in: `{"repositoryName":"team/app","filter":{"tagStatus":"TAGGED"}}`, want: `{"imageDetails":[` + byDigestOrder(map[string]string{
			"one": imageDetail("one", `,"imageTags":["a","b"]`), "index": describedIndex()}) + `]}`},
		{name: "without tags", operation: "DescribeImages", in: `{"repositoryName":"team/app","filter":{"tagStatus":"UNTAGGED","imageStatus":"ANY"}}`,
			want: `{"imageDetails":[` + imageDetail("two", "") + `]}`},
		{name: "of any status", operation: "DescribeImages", in: `{"repositoryName":"team/app","filter":{"tagStatus":"ANY","imageStatus":"ACTIVE"}}`, want: `{"imageDetails":[` + byDigestOrder(map[string]string{
			"one": imageDetail("one", `,"imageTags":["a","b"]`), "two": imageDetail("two", ""), "index": describedIndex()}) + `]}`},
		{name: "archived", operation: "DescribeImages", in: `{"repositoryName":"team/app","filter":{"imageStatus":"ARCHIVED"}}`, want: `{"imageDetails":[]}`},
		{name: "by one tag, with all tags", operation: "DescribeImages", in: `{"repositoryName":"team/app","imageIds":[{"imageTag":"b"}]}`,
			want: `{"imageDetails":[` + imageDetail("one", `,"imageTags":["a","b"]`) + `]}`},
		{name: "named twice, told once", operation: "DescribeImages", in: `{"repositoryName":"team/app","imageIds":[{"imageTag":"b"},{"imageTag":"a"},{` + byDigest("two") + `},{` + byBoth("one", "a") + `}]}`,
			want: `{"imageDetails":[` + imageDetail("one", `,"imageTags":["a","b"]`) + `,` + imageDetail("two", "") + `]}`},
		{name: "named, and filtered", operation: "DescribeImages", in: `{"repositoryName":"team/app","imageIds":[{"imageTag":"b"},{` + byDigest("two") + `}],"filter":{"tagStatus":"UNTAGGED"}}`,
			want: `{"imageDetails":[` + imageDetail("two", "") + `]}`},
		{name: "one is missing", operation: "DescribeImages", in: `{"repositoryName":"team/app","imageIds":[{"imageTag":"b"},{"imageTag":"c"}]}`, want: noSuchImage("null", "c")},
		{name: "a digest is missing", operation: "DescribeImages", in: `{"repositoryName":"team/app","imageIds":[{"imageDigest":"` + zeroDigest + `"}]}`, want: noSuchImage(zeroDigest, "null")},
		{name: "of another digest", operation: "DescribeImages", in: `{"repositoryName":"team/app","imageIds":[{` + byBoth("two", "a") + `}]}`, want: noSuchImage("${digest:two}", "a")},
		{name: "nothing is named", operation: "DescribeImages", in: `{"repositoryName":"team/app","imageIds":[{}]}`, want: invalid("imageIds", neither)},
		{name: "no digest", operation: "DescribeImages", in: `{"repositoryName":"team/app","imageIds":[{"imageDigest":"x"}]}`, want: invalid("imageIds", notDigest)},
		{name: "names and a page", operation: "DescribeImages", in: `{"repositoryName":"team/app","imageIds":[{"imageTag":"b"}],"maxResults":5}`,
			want: invalid("maxResults", "Pagination is not supported when specific items are requested")},
		{name: "no such status", operation: "DescribeImages", in: `{"repositoryName":"team/app","filter":{"tagStatus":"tagged"}}`,
			want: invalid("filter.tagStatus", "Member must satisfy enum value set: [TAGGED, UNTAGGED, ANY]")},
		{name: "no such repository", operation: "DescribeImages", in: `{"repositoryName":"no/such"}`, want: noRepository("no/such", coffertest.Account)},
		{name: "once pulled", before: func(w *session) {
			w.V2(w.values["token"], "GET", "/v2/team/app/manifests/"+w.expand("${digest:two}"), nil)
			if err := w.Registry.FlushPulls(w.t.Context()); err != nil {
				w.t.Fatal(err)
			}
		}, operation: "DescribeImages", in: `{"repositoryName":"team/app","imageIds":[{` + byDigest("two") + `}]}`,
			want: `{"imageDetails":[` + imageDetail("two", `,"lastRecordedPullTime":${now}`) + `]}`},
		{name: "a new tag makes no image younger", before: func(w *session) { w.push("team/app", "c", "two") },
			operation: "DescribeImages", in: `{"repositoryName":"team/app","imageIds":[{"imageTag":"c"}]}`,
			want: `{"imageDetails":[` + imageDetail("two", `,"imageTags":["c"],"lastRecordedPullTime":${now}`) + `]}`},
	}},
	{name: "ListImages", contents: images, setup: pushAll, calls: []call{
		{name: "a pair for each tag", operation: "ListImages", in: `{"repositoryName":"team/app"}`, want: `{"imageIds":[` + byDigestOrder(map[string]string{
			"one": pair("one", "a") + "," + pair("one", "b"), "two": pair("two", ""), "index": pair("index", "all")}) + `]}`},
		{name: "with tags", operation: "ListImages", in: `{"repositoryName":"team/app","filter":{"tagStatus":"TAGGED"}}`, want: `{"imageIds":[` + byDigestOrder(map[string]string{
			"one": pair("one", "a") + "," + pair("one", "b"), "index": pair("index", "all")}) + `]}`},
		{name: "without tags", operation: "ListImages", in: `{"repositoryName":"team/app","filter":{"tagStatus":"UNTAGGED"}}`, want: `{"imageIds":[` + pair("two", "") + `]}`},
		{name: "activating", operation: "ListImages", in: `{"repositoryName":"team/app","filter":{"imageStatus":"ACTIVATING"}}`, want: `{"imageIds":[]}`},
		{name: "too large a page", operation: "ListImages", in: `{"repositoryName":"team/app","maxResults":1001}`, want: invalid("maxResults", "Member must have value less than or equal to 1000")},
		{name: "no such repository", operation: "ListImages", in: `{"repositoryName":"no/such"}`, want: noRepository("no/such", coffertest.Account)},
	}},
}

var (
	signature = subjectOf(images["one"], map[string]any{"artifactType": "application/x.signature", "annotations": map[string]string{"by": "ci"}})
	bom       = subjectOf(images["one"], map[string]any{"artifactType": "application/x.bom"})
)

func referrer(content, artifactType, more string) string {
	return `{"digest":"${digest:` + content + `}","mediaType":"` + coffertest.ManifestType + `","artifactType":"` + artifactType + `","size":${size:` + content + `},"artifactStatus":"ACTIVE"` + more + `}`
}

// referrersInOrder are the referrers in the order of their digests.
func referrersInOrder() []string {
	list := []string{referrer("signature", "application/x.signature", `,"annotations":{"by":"ci"}`), referrer("bom", "application/x.bom", "")}
	if coffertest.Digest([]byte(bom)) < coffertest.Digest([]byte(signature)) {
		slices.Reverse(list)
	}
	return list
}

const ofOne = `{"repositoryName":"team/app","subjectId":{"imageDigest":"${digest:one}"}`

var referrerScripts = []script{
	{name: "ListImageReferrers", contents: with(images, map[string]string{"signature": signature, "bom": bom}), setup: func(w *session) {
		w.push("team/app", w.expand("${digest:signature}"), "signature")
		w.push("team/app", w.expand("${digest:bom}"), "bom")
	}, calls: []call{
		{name: "of what is not there itself", operation: "ListImageReferrers", in: ofOne + `}`, want: `{"referrers":[` + strings.Join(referrersInOrder(), ",") + `]}`},
		{name: "of a type", operation: "ListImageReferrers", in: ofOne + `,"filter":{"artifactTypes":["application/x.bom"],"artifactStatus":"ANY"}}`,
			want: `{"referrers":[` + referrer("bom", "application/x.bom", "") + `]}`},
		{name: "of a type that none has", operation: "ListImageReferrers", in: ofOne + `,"filter":{"artifactTypes":["application/x.none"]}}`, want: `{"referrers":[]}`},
		{name: "archived", operation: "ListImageReferrers", in: ofOne + `,"filter":{"artifactStatus":"ARCHIVED"}}`, want: `{"referrers":[]}`},
		{name: "a page", operation: "ListImageReferrers", in: ofOne + `,"maxResults":1}`, want: `{"referrers":[` + referrersInOrder()[0] + `],"nextToken":"${=next}"}`},
		{name: "the next", operation: "ListImageReferrers", in: ofOne + `,"maxResults":1,"nextToken":"${next}"}`, want: `{"referrers":[` + referrersInOrder()[1] + `]}`},
		{name: "of another subject", operation: "ListImageReferrers", in: `{"repositoryName":"team/app","subjectId":{"imageDigest":"${digest:two}"},"nextToken":"${next}"}`, want: badToken},
		{name: "of other types", operation: "ListImageReferrers", in: ofOne + `,"filter":{"artifactTypes":["application/x.bom"]},"nextToken":"${next}"}`, want: badToken},
		{name: "that has none", operation: "ListImageReferrers", in: `{"repositoryName":"team/app","subjectId":{"imageDigest":"` + zeroDigest + `"}}`, want: `{"referrers":[]}`},
		{name: "too large a page", operation: "ListImageReferrers", in: ofOne + `,"maxResults":51}`, want: invalid("maxResults", "Member must have value less than or equal to 50")},
		{name: "too many types", operation: "ListImageReferrers", in: ofOne + `,"filter":{"artifactTypes":["a","b","c","d","e","f"]}}`,
			want: invalid("filter.artifactTypes", "Member must have length less than or equal to 5")},
		{name: "no digest", operation: "ListImageReferrers", in: `{"repositoryName":"team/app","subjectId":{"imageDigest":"latest"}}`, want: invalid("subjectId", "Invalid image digest")},
		{name: "no subject", operation: "ListImageReferrers", in: `{"repositoryName":"team/app"}`,
			want: "InvalidParameterException: 1 validation error detected: Value null at 'subjectId' failed to satisfy constraint: Member must not be null"},
		{name: "no such repository", operation: "ListImageReferrers", in: `{"repositoryName":"no/such","subjectId":{"imageDigest":"` + zeroDigest + `"}}`, want: noRepository("no/such", coffertest.Account)},
		{name: "a referrer is described with its subject", operation: "DescribeImages", in: `{"repositoryName":"team/app","imageIds":[{` + byDigest("bom") + `}]}`,
			before: func(w *session) { w.values["pushed"] = w.expand("${now}") },
			want:   `{"imageDetails":[` + detail("bom", coffertest.ManifestType, "application/x.bom", "57", `,"subjectManifestDigest":"${digest:one}"`) + `]}`},
	}},
}
