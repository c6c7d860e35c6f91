package ecr_test

import (
	"encoding/json"
	"strings"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

const (
	config = `{"architecture":"amd64","os":"linux"}`
	layer  = "a layer of the image"
)

func manifestOf(extra map[string]any) string {
	return string(coffertest.Manifest([]byte(config), extra, []byte(layer)))
}

func subjectOf(manifest string, extra map[string]any) string {
	members := map[string]any{"subject": coffertest.Describe(coffertest.ManifestType, []byte(manifest))}
	for name, value := range extra {
		members[name] = value
	}
	return manifestOf(members)
}

func indexOf(manifests ...string) string {
	list := []coffertest.Descriptor{}
	for _, m := range manifests {
		list = append(list, coffertest.Describe(coffertest.ManifestType, []byte(m)))
	}
	text, _ := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": coffertest.IndexType, "manifests": list})
	return string(text)
}

var images = map[string]string{
	"one": manifestOf(nil), "two": manifestOf(map[string]any{"annotations": map[string]string{"version": "2"}}),
	"untyped":  strings.Replace(manifestOf(nil), `"mediaType":"`+coffertest.ManifestType+`",`, "", 1),
	"headless": string(coffertest.Manifest([]byte("not pushed"), nil, []byte(layer))),
	"index":    indexOf(manifestOf(nil)), "orphans": indexOf("not pushed"),
	"config": config, "layer": layer, "absent": "not pushed",
}

// pushLayers pushes what the manifests refer to.
func pushLayers(w *session) {
	w.PushBlob(w.values["token"], "team/app", []byte(config))
	w.PushBlob(w.values["token"], "team/app", []byte(layer))
}

// push pushes a manifest of the contents with all that it refers to.
func (w *session) push(repository, reference, content string) {
	w.t.Helper()
	for _, blob := range []string{config, layer} {
		w.PushBlob(w.values["token"], repository, []byte(blob))
	}
	w.PushManifest(w.values["token"], repository, reference, []byte(w.contents[content]))
}

// image is an image as PutImage and BatchGetImage tell it; id are the members of its imageId.
func image(id, content, mediaType string) string {
	return `{"registryId":"123456789012","repositoryName":"team/app","imageId":{` + id + `},"imageManifest":${body:` + content + `},"imageManifestMediaType":"` + mediaType + `"}`
}

func put(content, more string) string {
	return `{"repositoryName":"team/app","imageManifest":${body:` + content + `}` + more + `}`
}

func byDigest(content string) string { return `"imageDigest":"${digest:` + content + `}"` }

func byBoth(content, tag string) string { return byDigest(content) + `,"imageTag":"` + tag + `"` }

func failure(id, code, reason string) string {
	return `{"imageId":{` + id + `},"failureCode":"` + code + `","failureReason":"` + reason + `"}`
}

const (
	notFound      = "Requested image not found"
	noMatch       = "Requested image tag does not match the image digest"
	neither       = "Invalid request parameters: both tag and digest cannot be null"
	notDigest     = "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"
	badJSON       = "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'"
	immutableText = "ImageTagAlreadyExistsException: The image tag '1' already exists in the 'team/app' repository and cannot be overwritten because the tag is immutable."
)

var imageScripts = []script{
	{name: "PutImage", contents: images, setup: pushLayers, calls: []call{
		{name: "with a tag", operation: "PutImage", in: put("one", `,"imageTag":"1"`), want: `{"image":` + image(byBoth("one", "1"), "one", coffertest.ManifestType) + `}`},
		{name: "the same again", operation: "PutImage", in: put("one", `,"imageTag":"1"`),
			want: "ImageAlreadyExistsException: Image with digest '${digest:one}' and tag '1' already exists in the repository with name 'team/app' in registry with id '123456789012'"},
		{name: "the same without a tag", operation: "PutImage", in: put("one", ""),
			want: "ImageAlreadyExistsException: Image with digest '${digest:one}' and tag 'null' already exists in the repository with name 'team/app' in registry with id '123456789012'"},
		{name: "another tag", operation: "PutImage", in: put("one", `,"imageTag":"2"`), want: `{"image":` + image(byBoth("one", "2"), "one", coffertest.ManifestType) + `}`},
		{name: "without a tag", operation: "PutImage", in: put("two", `,"imageDigest":"${digest:two}"`), want: `{"image":` + image(byDigest("two"), "two", coffertest.ManifestType) + `}`},
		{name: "a tag moves", operation: "PutImage", in: put("two", `,"imageTag":"1"`), want: `{"image":` + image(byBoth("two", "1"), "two", coffertest.ManifestType) + `}`},
		{name: "with the media type beside it", operation: "PutImage", in: put("untyped", `,"imageManifestMediaType":"`+coffertest.ManifestType+`"`),
			want: `{"image":` + image(byDigest("untyped"), "untyped", coffertest.ManifestType) + `}`},
		{name: "an index", operation: "PutImage", in: put("index", `,"imageTag":"all"`), want: `{"image":` + image(byBoth("index", "all"), "index", coffertest.IndexType) + `}`},
		{name: "of another digest", operation: "PutImage", in: put("one", `,"imageTag":"3","imageDigest":"${digest:two}"`), want: "ImageDigestDoesNotMatchException: " +
			"The image with digest '${digest:two}' in repository 'team/app' and registry ID '123456789012' does not match the image digest that Amazon ECR has calculated."},
		{name: "layers are missing", operation: "PutImage", in: put("headless", ""), want: "LayersNotFoundException: " +
			"Layers with digests '[${digest:absent}]' required for pushing image into repository with name 'team/app' in the registry with id '123456789012' do not exist"},
		{name: "images are missing", operation: "PutImage", in: put("orphans", ""), want: "ReferencedImagesNotFoundException: " +
			"Images with digests '[${digest:absent}]' required for pushing image into repository with name 'team/app' in the registry with id '123456789012' do not exist"},
		{name: "no JSON", operation: "PutImage", in: `{"repositoryName":"team/app","imageManifest":"hello"}`, want: "InvalidParameterException: " + badJSON + ": invalid JSON at byte 0: expected a value"},
		{name: "no media type", operation: "PutImage", in: put("untyped", ""), want: "InvalidParameterException: image manifest mediatype not provided in manifest or parameter"},
		{name: "another media type", operation: "PutImage", in: put("one", `,"imageManifestMediaType":"`+coffertest.IndexType+`"`),
			want: "InvalidParameterException: " + badJSON + ": the manifest has the mediaType " + coffertest.ManifestType + ", but it was sent as " + coffertest.IndexType},
		{name: "no manifest", operation: "PutImage", in: `{"repositoryName":"team/app","imageManifest":""}`, want: invalid("ImageManifest", "Member must have length greater than or equal to 1")},
		{name: "a long tag", operation: "PutImage", in: put("one", `,"imageTag":"`+strings.Repeat("a", 129)+`"`), want: invalid("imageTag", "must satisfy regular expression '[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}'")},
		{name: "a longer tag", operation: "PutImage", in: put("one", `,"imageTag":"`+strings.Repeat("a", 301)+`"`), want: invalid("imageTag", "Member must have length less than or equal to 300")},
		{name: "a bad tag", operation: "PutImage", in: put("one", `,"imageTag":"a+b"`), want: invalid("imageTag", "must satisfy regular expression '[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}'")},
		{name: "no such repository", operation: "PutImage", in: strings.Replace(put("one", ""), "team/app", "no/such", 1), want: noRepository("no/such", coffertest.Account)},
	}},
	{name: "PutImage with immutable tags", contents: images, setup: func(w *session) {
		w.push("team/app", "1", "one")
		w.MustECR("PutImageTagMutability", json.RawMessage(`{"repositoryName":"team/app","imageTagMutability":"IMMUTABLE_WITH_EXCLUSION",`+filters("dev-*")+`}`), nil)
	}, calls: []call{
		{name: "the same again", operation: "PutImage", in: put("one", `,"imageTag":"1"`), want: immutableText},
		{name: "another", operation: "PutImage", in: put("two", `,"imageTag":"1"`), want: immutableText},
		{name: "a new tag", operation: "PutImage", in: put("two", `,"imageTag":"dev-1"`), want: `{"image":` + image(byBoth("two", "dev-1"), "two", coffertest.ManifestType) + `}`},
		{name: "an excluded tag moves", operation: "PutImage", in: put("one", `,"imageTag":"dev-1"`), want: `{"image":` + image(byBoth("one", "dev-1"), "one", coffertest.ManifestType) + `}`},
		{name: "an excluded tag of the same", operation: "PutImage", in: put("one", `,"imageTag":"dev-1"`),
			want: "ImageAlreadyExistsException: Image with digest '${digest:one}' and tag 'dev-1' already exists in the repository with name 'team/app' in registry with id '123456789012'"},
		{name: "turned round", operation: "PutImageTagMutability", in: `{"repositoryName":"team/app","imageTagMutability":"MUTABLE_WITH_EXCLUSION",` + filters("1*") + `}`,
			want: `{"registryId":"123456789012","repositoryName":"team/app","imageTagMutability":"MUTABLE_WITH_EXCLUSION",` + filters("1*") + `}`},
		{name: "the excluded tag is immutable", operation: "PutImage", in: put("two", `,"imageTag":"1"`), want: immutableText},
		{name: "the others are not", operation: "PutImage", in: put("two", `,"imageTag":"dev-1"`), want: `{"image":` + image(byBoth("two", "dev-1"), "two", coffertest.ManifestType) + `}`},
	}},
	{name: "quotas of images", contents: images, options: []coffertest.Option{coffertest.Limits(map[string]int64{"images-per-repository": 1, "tags-per-image": 1, "manifest-bytes": 1000})},
		setup: func(w *session) { w.push("team/app", "1", "one") }, calls: []call{
			{name: "images", operation: "PutImage", in: put("two", ""), want: "LimitExceededException: " +
				"The repository with name 'team/app' in registry with id '123456789012' already has the maximum allowed number of images which is '1'"},
			{name: "tags", operation: "PutImage", in: put("one", `,"imageTag":"2"`), want: "LimitExceededException: Adding tag '2' to an image in the repository " +
				"with name 'team/app' in registry with id '123456789012' exceeds the maximum allowed number of tags per image which is '1'"},
			{name: "bytes of a manifest", operation: "PutImage", in: `{"repositoryName":"team/app","imageManifest":"` + strings.Repeat("x", 1001) + `"}`,
				want: "InvalidParameterException: The image manifest exceeds the maximum allowed size which is '1000' bytes"},
		}},
	{name: "layers of an image", contents: images, options: []coffertest.Option{coffertest.Limits(map[string]int64{"blobs-per-image": 2})}, setup: pushLayers, calls: []call{
		{name: "as many as may be", operation: "PutImage", in: put("one", ""), want: `{"image":` + image(byDigest("one"), "one", coffertest.ManifestType) + `}`},
		{name: "too many", operation: "PutImage", in: `{"repositoryName":"team/app","imageManifest":${body:two layers}}`,
			before: func(w *session) {
				w.contents = with(images, map[string]string{"two layers": string(coffertest.Manifest([]byte(config), nil, []byte(layer), []byte(layer)))})
			}, want: "LimitExceededException: The image exceeds the maximum allowed number of layers which is '2'"},
	}},
	{name: "rates", contents: images, options: []coffertest.Option{coffertest.Limits(map[string]int64{"rate-batch-get-image": 1, "rate-put-image": 1})}, calls: []call{
		{name: "the first", operation: "BatchGetImage", in: `{"repositoryName":"team/app","imageIds":[{"imageTag":"1"}]}`,
			want: `{"images":[],"failures":[` + failure(`"imageTag":"1"`, "ImageNotFound", notFound) + `]}`},
		{name: "the second", operation: "BatchGetImage", in: `{"repositoryName":"team/app","imageIds":[{"imageTag":"1"}]}`, want: "ThrottlingException: Rate exceeded"},
		{name: "another operation of the same action", operation: "ListImageReferrers", in: `{"repositoryName":"team/app","subjectId":{"imageDigest":"` + zeroDigest + `"}}`, want: "ThrottlingException: Rate exceeded"},
		{name: "another action", operation: "ListImages", in: `{"repositoryName":"team/app"}`, want: `{"imageIds":[]}`},
		{name: "a second later", operation: "BatchGetImage", in: `{"repositoryName":"team/app","imageIds":[{"imageTag":"1"}]}`, before: func(w *session) { w.clock.Advance(1e9) },
			want: `{"images":[],"failures":[` + failure(`"imageTag":"1"`, "ImageNotFound", notFound) + `]}`},
	}},
	{name: "BatchGetImage", contents: images, setup: func(w *session) {
		w.push("team/app", "1", "one")
		w.push("team/app", "all", "index")
	}, calls: []call{
		{name: "by tag and by digest", operation: "BatchGetImage", in: `{"repositoryName":"team/app","imageIds":[{"imageTag":"1"},{` + byDigest("index") + `},{` + byBoth("one", "1") + `}]}`,
			want: `{"images":[` + image(byBoth("one", "1"), "one", coffertest.ManifestType) + `,` + image(byDigest("index"), "index", coffertest.IndexType) + `,` +
				image(byBoth("one", "1"), "one", coffertest.ManifestType) + `],"failures":[]}`},
		{name: "what can't be had", operation: "BatchGetImage",
			in: `{"repositoryName":"team/app","imageIds":[{"imageTag":"2"},{` + byDigest("two") + `},{},{"imageDigest":"x"},{` + byBoth("index", "1") + `},{"imageTag":"1"}]}`,
			want: `{"images":[` + image(byBoth("one", "1"), "one", coffertest.ManifestType) + `],"failures":[` + strings.Join([]string{
				failure(`"imageTag":"2"`, "ImageNotFound", notFound), failure(byDigest("two"), "ImageNotFound", notFound), failure("", "MissingDigestAndTag", neither),
				failure(`"imageDigest":"x"`, "InvalidImageDigest", notDigest), failure(byBoth("index", "1"), "ImageTagDoesNotMatchDigest", noMatch)}, ",") + `]}`},
		{name: "of an accepted media type", operation: "BatchGetImage",
			in:   `{"repositoryName":"team/app","imageIds":[{"imageTag":"all"}],"acceptedMediaTypes":["application/x.other","` + coffertest.IndexType + `"]}`,
			want: `{"images":[` + image(byBoth("index", "all"), "index", coffertest.IndexType) + `],"failures":[]}`},
		{name: "of another media type", operation: "BatchGetImage", in: `{"repositoryName":"team/app","imageIds":[{"imageTag":"all"}],"acceptedMediaTypes":["` + coffertest.ManifestType + `"]}`,
			want: `{"images":[],"failures":[` + failure(`"imageTag":"all"`, "ImageNotFound",
				"Requested image has the media type "+coffertest.IndexType+", which is not among the accepted media types") + `]}`},
		{name: "no ids", operation: "BatchGetImage", in: `{"repositoryName":"team/app","imageIds":[]}`, want: invalid("imageIds", "Member must have length greater than or equal to 1")},
		{name: "too many ids", operation: "BatchGetImage", in: `{"repositoryName":"team/app","imageIds":[` + strings.Repeat(`{},`, 100) + `{}]}`,
			want: invalid("imageIds", "Member must have length less than or equal to 100")},
		{name: "no such repository", operation: "BatchGetImage", in: `{"repositoryName":"no/such","imageIds":[{"imageTag":"1"}]}`, want: noRepository("no/such", coffertest.Account)},
	}},
	{name: "BatchDeleteImage", contents: images, setup: func(w *session) {
		for _, tag := range []string{"1", "2", "3"} {
			w.push("team/app", tag, "two")
		}
		w.push("team/app", "child", "one")
		w.push("team/app", "all", "index")
	}, calls: []call{
		{name: "one of several tags", operation: "BatchDeleteImage", in: `{"repositoryName":"team/app","imageIds":[{"imageTag":"1"}]}`,
			want: `{"imageIds":[{` + byBoth("two", "1") + `}],"failures":[]}`},
		{name: "what can't be deleted", operation: "BatchDeleteImage",
			in: `{"repositoryName":"team/app","imageIds":[{"imageTag":"9"},{"imageDigest":"` + zeroDigest + `"},{},{"imageDigest":"x"},{` + byBoth("two", "child") + `},{` + byDigest("one") + `},{"imageTag":"child"}]}`,
			want: `{"imageIds":[],"failures":[` + strings.Join([]string{
				failure(`"imageTag":"9"`, "ImageNotFound", notFound), failure(`"imageDigest":"`+zeroDigest+`"`, "ImageNotFound", notFound), failure("", "MissingDigestAndTag", neither),
				failure(`"imageDigest":"x"`, "InvalidImageDigest", notDigest), failure(byBoth("two", "child"), "ImageTagDoesNotMatchDigest", noMatch),
				failure(byDigest("one"), "ImageReferencedByManifestList", "Requested image referenced by manifest list: [${digest:index}]"),
				failure(`"imageTag":"child"`, "ImageReferencedByManifestList", "Requested image referenced by manifest list: [${digest:index}]")}, ",") + `]}`},
		{name: "an index and its child at once", operation: "BatchDeleteImage", in: `{"repositoryName":"team/app","imageIds":[{` + byDigest("index") + `},{` + byDigest("one") + `}]}`,
			want: `{"imageIds":[{` + byBoth("index", "all") + `}],"failures":[` + failure(byDigest("one"), "ImageReferencedByManifestList",
				"Requested image referenced by manifest list: [${digest:index}]") + `]}`},
		{name: "the child then", operation: "BatchDeleteImage", in: `{"repositoryName":"team/app","imageIds":[{` + byDigest("one") + `}]}`,
			want: `{"imageIds":[{` + byBoth("one", "child") + `}],"failures":[]}`},
		{name: "by digest, all tags", operation: "BatchDeleteImage", in: `{"repositoryName":"team/app","imageIds":[{` + byDigest("two") + `}]}`,
			want: `{"imageIds":[{` + byBoth("two", "2") + `},{` + byBoth("two", "3") + `}],"failures":[]}`},
		{name: "again", operation: "BatchDeleteImage", in: `{"repositoryName":"team/app","imageIds":[{` + byDigest("two") + `}]}`,
			want: `{"imageIds":[],"failures":[` + failure(byDigest("two"), "ImageNotFound", notFound) + `]}`},
		{name: "nothing is left", operation: "ListImages", in: `{"repositoryName":"team/app"}`, want: `{"imageIds":[]}`},
		{name: "no such repository", operation: "BatchDeleteImage", in: `{"repositoryName":"no/such","imageIds":[{"imageTag":"1"}]}`, want: noRepository("no/such", coffertest.Account)},
	}},
	{name: "BatchDeleteImage of what ListImages lists", contents: images, setup: func(w *session) {
		for _, tag := range []string{"1", "2"} {
			w.push("team/app", tag, "two")
		}
		w.push("team/app", w.expand("${digest:one}"), "one")
	}, calls: []call{
		{name: "every pair", operation: "BatchDeleteImage", in: `{"repositoryName":"team/app","imageIds":[{` + byBoth("two", "1") + `},{` + byBoth("two", "2") + `},{` + byDigest("one") + `}]}`,
			want: `{"imageIds":[{` + byBoth("two", "1") + `},{` + byBoth("two", "2") + `},{` + byDigest("one") + `}],"failures":[]}`},
	}},
}
