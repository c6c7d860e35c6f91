package ociserver_test

import "github.com/coffer-registry/coffer/internal/coffertest"

func remove(reference string) string {
	return "DELETE /v2/team/app/manifests/" + reference + " HTTP/1.1"
}

const gone = "202\n\n"

var deleteScripts = []script{
	{name: "delete images", contents: images, setup: pushLayers, exchanges: []exchange{
		push("an image", "1", "one", coffertest.ManifestType),
		push("with two tags", "2", "one", coffertest.ManifestType),
		{name: "one tag", request: remove("1"), response: gone},
		{name: "it is gone", request: get("1"), response: noImage},
		{name: "the other is not", request: get("2"), response: shown("one", coffertest.ManifestType)},
		{name: "the last tag", request: remove("2"), response: gone},
		{name: "takes the image with it", request: get("${digest:one}"), response: noImage},
		push("an image again", "1", "one", coffertest.ManifestType),
		push("with two tags again", "2", "one", coffertest.ManifestType),
		{name: "by digest", request: remove("${digest:one}"), response: gone},
		{name: "takes all tags with it", request: "GET /v2/team/app/tags/list HTTP/1.1", response: tagsOf("team/app")},
		{name: "by digest again", request: remove("${digest:one}"), response: noImage},
		{name: "no such tag", request: remove("3"), response: noImage},
		{name: "no tag can be called that", request: remove("a+b"), response: noImage},
		{name: "in no repository", request: "DELETE /v2/no/such/manifests/1 HTTP/1.1",
			response: refusal(404, "NAME_UNKNOWN", "The repository with name 'no/such' does not exist in the registry with id '123456789012'")},
		{name: "the layers stay for a while", request: "HEAD /v2/team/app/blobs/${digest:layer} HTTP/1.1", response: found("layer")},
		push("so that the image can come back", "1", "one", coffertest.ManifestType),
	}},
	{name: "delete what an index refers to", contents: with(images, map[string]string{"index": indexOf(coffertest.IndexType, images["one"], images["two"])}),
		setup: pushLayers, exchanges: []exchange{
			push("a child", "${digest:one}", "one", coffertest.ManifestType),
			push("a child with a tag", "child", "two", coffertest.ManifestType),
			push("the index", "1", "index", coffertest.IndexType),
			{name: "the child", request: remove("${digest:one}"), response: referenced},
			{name: "the only tag of a child", request: remove("child"), response: referenced},
			push("a second tag of it", "again", "two", coffertest.ManifestType),
			{name: "one of two tags", request: remove("child"), response: gone},
			{name: "the children are still there", request: get("${digest:one}"), response: shown("one", coffertest.ManifestType)},
			{name: "the index", request: remove("1"), response: gone},
			{name: "the child then", request: remove("${digest:one}"), response: gone},
			{name: "the other child then", request: remove("again"), response: gone},
		}},
}

var referenced = refusal(405, "UNSUPPORTED", "Requested image referenced by manifest list: [${digest:index}]")
