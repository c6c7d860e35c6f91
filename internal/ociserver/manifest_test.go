package ociserver_test

import (
	"encoding/json"
	"strings"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/oci"
)

const (
	config = `{"architecture":"amd64","os":"linux"}`
	layer  = "a layer of the image"
)

// manifestOf makes a manifest of the common config and layer. extra are further members.
func manifestOf(extra map[string]any) string {
	return string(coffertest.Manifest([]byte(config), extra, []byte(layer)))
}

// subjectOf makes a manifest that refers to another.
func subjectOf(manifest string, extra map[string]any) string {
	members := map[string]any{"subject": coffertest.Describe(coffertest.ManifestType, []byte(manifest))}
	for name, value := range extra {
		members[name] = value
	}
	return manifestOf(members)
}

// indexOf makes an index of manifests.
func indexOf(mediaType string, manifests ...string) string {
	list := []coffertest.Descriptor{}
	for _, m := range manifests {
		list = append(list, coffertest.Describe(coffertest.ManifestType, []byte(m)))
	}
	text, _ := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": mediaType, "manifests": list})
	return string(text)
}

// pushLayers pushes what the manifests refer to.
func pushLayers(w *session) {
	w.PushBlob(w.values["token"], "team/app", []byte(config))
	w.PushBlob(w.values["token"], "team/app", []byte(layer))
}

// push makes an exchange that pushes a content under a reference of the repository team/app.
func push(name, reference, content, mediaType string) exchange {
	return exchange{name: name, request: put(reference, content, mediaType), response: pushed(content)}
}

func put(reference, content, mediaType string) string {
	header := ""
	if mediaType != "" {
		header = "\nContent-Type: " + mediaType
	}
	return "PUT /v2/team/app/manifests/" + reference + " HTTP/1.1" + header + "\n\n${body:" + content + "}"
}

func pushed(content string) string {
	return "201\nDocker-Content-Digest: ${digest:" + content + "}\nLocation: /v2/team/app/manifests/${digest:" + content + "}\n\n"
}

func get(reference string) string { return "GET /v2/team/app/manifests/" + reference + " HTTP/1.1" }

// shown is the answer that holds a manifest.
func shown(content, mediaType string) string {
	return "200\nContent-Type: " + mediaType + "\nDocker-Content-Digest: ${digest:" + content + "}\nEtag: \"${digest:" + content + "}\"\n\n${body:" + content + "}"
}

// headed is the answer to HEAD of a manifest.
func headed(content, mediaType string) string {
	return "200\nContent-Length: ${size:" + content + "}\nContent-Type: " + mediaType + "\nDocker-Content-Digest: ${digest:" + content + "}\n" +
		"Etag: \"${digest:" + content + "}\"\n\n"
}

func unmodified(content string) string {
	return "304\nDocker-Content-Digest: ${digest:" + content + "}\nEtag: \"${digest:" + content + "}\"\n\n"
}

var noImage = refusal(404, "MANIFEST_UNKNOWN", "Requested image not found")

// badManifest is what ECR says of a manifest that it can't read, with the reason behind it.
func badManifest(reason string) string {
	return refusal(405, "UNSUPPORTED", "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax': "+reason)
}

var images = map[string]string{
	"one": manifestOf(nil), "two": manifestOf(map[string]any{"annotations": map[string]string{"version": "2"}}),
	"untyped":  strings.Replace(manifestOf(nil), `"mediaType":"`+coffertest.ManifestType+`",`, "", 1),
	"headless": string(coffertest.Manifest([]byte("not pushed"), nil, []byte(layer), []byte("not pushed either"))),
	"orphans":  indexOf(coffertest.IndexType, "not pushed"),
	"config":   config, "layer": layer, "absent": "not pushed", "absent too": "not pushed either",
}

var manifestScripts = []script{
	{name: "manifests", contents: images, setup: pushLayers, exchanges: []exchange{
		push("push by tag", "1", "one", coffertest.ManifestType),
		push("push the same again", "1", "one", coffertest.ManifestType),
		{name: "HEAD by tag", request: "HEAD /v2/team/app/manifests/1 HTTP/1.1", response: headed("one", coffertest.ManifestType)},
		{name: "HEAD by digest", request: "HEAD /v2/team/app/manifests/${digest:one} HTTP/1.1", response: headed("one", coffertest.ManifestType)},
		{name: "GET by tag", request: get("1"), response: shown("one", coffertest.ManifestType)},
		{name: "GET by digest", request: get("${digest:one}"), response: shown("one", coffertest.ManifestType)},
		{name: "GET of what the client accepts", request: get("1") + "\nAccept: " + coffertest.IndexType + ", " + coffertest.ManifestType,
			response: shown("one", coffertest.ManifestType)},
		{name: "GET of what the client does not accept is not converted", request: get("1") + "\nAccept: " + oci.MediaTypeDockerManifest,
			response: shown("one", coffertest.ManifestType)},
		{name: "the client has it", request: get("1") + "\nIf-None-Match: \"${digest:one}\"", response: unmodified("one")},
		{name: "the client has it among others", request: get("1") + "\nIf-None-Match: \"x\", W/\"${digest:one}\"", response: unmodified("one")},
		{name: "the client has anything", request: "HEAD /v2/team/app/manifests/1 HTTP/1.1\nIf-None-Match: *", response: unmodified("one")},
		{name: "the client has another", request: get("1") + "\nIf-None-Match: \"${digest:two}\"", response: shown("one", coffertest.ManifestType)},
		push("a second tag", "1.0", "one", coffertest.ManifestType),
		push("by digest", "${digest:two}", "two", coffertest.ManifestType),
		push("by digest again", "${digest:two}", "two", coffertest.ManifestType),
		push("a tag moves", "1", "two", coffertest.ManifestType),
		{name: "it has moved", request: get("1"), response: shown("two", coffertest.ManifestType)},
		{name: "what it was on is still there", request: get("${digest:one}"), response: shown("one", coffertest.ManifestType)},
		{name: "in chunks", request: "PUT /v2/team/app/manifests/1 HTTP/1.1\nContent-Type: " + coffertest.ManifestType + "; charset=utf-8\nTransfer-Encoding: chunked\n\n${body:one}",
			response: pushed("one")},
		push("the media type is in the manifest alone", "typed", "one", ""),
		push("the media type is in the header alone", "untyped", "untyped", coffertest.ManifestType),
		{name: "GET of that", request: get("untyped"), response: shown("untyped", coffertest.ManifestType)},
		{name: "no such tag", request: get("2"), response: noImage},
		{name: "HEAD of no such tag", request: "HEAD /v2/team/app/manifests/2 HTTP/1.1", response: "404\nContent-Length: 78\nContent-Type: application/json\n\n"},
		{name: "no such digest", request: get("sha256:" + zeros), response: noImage},
		{name: "no tag can be called that", request: get("a+b"), response: noImage},
		{name: "no digest", request: get("sha256:0"),
			response: refusal(400, "DIGEST_INVALID", "The digest is not a digest of the form sha256:<64 lower-case hexadecimal digits>")},
		{name: "in no repository", request: "GET /v2/no/such/manifests/1 HTTP/1.1",
			response: refusal(404, "NAME_UNKNOWN", "The repository with name 'no/such' does not exist in the registry with id '123456789012'")},
		{name: "push to no repository", request: "PUT /v2/no/such/manifests/1 HTTP/1.1\nContent-Type: " + coffertest.ManifestType + "\n\n${body:one}",
			response: refusal(404, "NAME_UNKNOWN", "The repository with name 'no/such' does not exist in the registry with id '123456789012'")},
	}},
	{name: "manifests of every media type", contents: ofEveryType(), setup: pushLayers, exchanges: pushEveryType()},
	{name: "manifests that are refused", contents: images, setup: pushLayers, exchanges: []exchange{
		{name: "another digest", request: put("${digest:two}", "one", coffertest.ManifestType), response: refusal(400, "MANIFEST_INVALID",
			"The image with digest '${digest:two}' in repository 'team/app' and registry ID '123456789012' does not match the image digest that Amazon ECR has calculated.")},
		{name: "layers that are not there", request: put("1", "headless", coffertest.ManifestType), response: refusal(400, "MANIFEST_BLOB_UNKNOWN",
			"Layers with digests '[${digest:absent}, ${digest:absent too}]' required for pushing image into repository with name 'team/app' in the registry with id '123456789012' do not exist")},
		{name: "images that are not there", request: put("1", "orphans", coffertest.IndexType), response: refusal(400, "MANIFEST_BLOB_UNKNOWN",
			"Images with digests '[${digest:absent}]' required for pushing image into repository with name 'team/app' in the registry with id '123456789012' do not exist")},
		{name: "no JSON", request: "PUT /v2/team/app/manifests/1 HTTP/1.1\nContent-Type: " + coffertest.ManifestType + "\n\nhello",
			response: badManifest("invalid JSON at byte 0: expected a value")},
		{name: "nothing", request: "PUT /v2/team/app/manifests/1 HTTP/1.1\nContent-Type: " + coffertest.ManifestType + "\nContent-Length: 0",
			response: badManifest("invalid JSON at byte 0: text ends where a value should be")},
		{name: "no media type", request: put("1", "untyped", ""), response: badManifest("the manifest names no mediaType, and it was sent without one")},
		{name: "two media types", request: put("1", "one", oci.MediaTypeDockerManifest),
			response: badManifest("the manifest has the mediaType " + coffertest.ManifestType + ", but it was sent as " + oci.MediaTypeDockerManifest)},
		{name: "another media type", request: put("1", "untyped", "application/json"), response: badManifest("manifests of the media type application/json are not accepted")},
		{name: "a tag that can't be", request: put("a+b", "one", coffertest.ManifestType), response: refusal(400, "TAG_INVALID",
			"Invalid parameter at 'imageTag' failed to satisfy constraint: 'must be 1 to 128 characters and satisfy regular expression '[a-zA-Z0-9_][a-zA-Z0-9._-]*''")},
		{name: "nothing of it is there", request: "GET /v2/team/app/tags/list HTTP/1.1", response: tagsOf("team/app")},
	}},
	{name: "immutable tags", contents: images, setup: func(w *session) {
		pushLayers(w)
		w.MustECR("PutImageTagMutability", map[string]any{"repositoryName": "team/app", "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
			"imageTagMutabilityExclusionFilters": []any{map[string]string{"filterType": "WILDCARD", "filter": "latest*"}}}, nil)
	}, exchanges: []exchange{
		push("a new tag", "1", "one", coffertest.ManifestType),
		{name: "the same again", request: put("1", "one", coffertest.ManifestType), response: immutable},
		{name: "another image", request: put("1", "two", coffertest.ManifestType), response: immutable},
		{name: "it is not stored either", request: get("${digest:two}"), response: noImage},
		push("a second tag", "2", "one", coffertest.ManifestType),
		push("an excluded tag", "latest", "one", coffertest.ManifestType),
		push("an excluded tag moves", "latest", "two", coffertest.ManifestType),
		{name: "immutable tags can be deleted", request: "DELETE /v2/team/app/manifests/1 HTTP/1.1", response: "202\n\n"},
		push("and pushed again", "1", "two", coffertest.ManifestType),
	}},
	{name: "quotas", options: []coffertest.Option{coffertest.Limits(map[string]int64{"images-per-repository": 1, "tags-per-image": 2, "blobs-per-image": 2})},
		contents: with(images, map[string]string{"many": string(coffertest.Manifest([]byte(config), nil, []byte(layer), []byte(layer), []byte(layer)))}),
		setup:    pushLayers, exchanges: []exchange{
			push("first image", "1", "one", coffertest.ManifestType),
			{name: "second image", request: put("2", "two", coffertest.ManifestType), response: refusal(403, "DENIED",
				"The repository with name 'team/app' in registry with id '123456789012' already has the maximum allowed number of images which is '1'")},
			push("second tag", "2", "one", coffertest.ManifestType),
			{name: "third tag", request: put("3", "one", coffertest.ManifestType), response: refusal(403, "DENIED",
				"Adding tag '3' to an image in the repository with name 'team/app' in registry with id '123456789012' exceeds the maximum allowed number of tags per image which is '2'")},
			push("a tag that is there needs no room", "2", "one", coffertest.ManifestType),
			{name: "too many layers", request: put("3", "many", coffertest.ManifestType), response: refusal(400, "MANIFEST_INVALID",
				"The image exceeds the maximum allowed number of layers which is '2'")},
		}},
	{name: "small manifests", options: []coffertest.Option{func(c *app.Config, _ *app.Options) { c.Limits = map[string]int64{"manifest-bytes": 100} }},
		contents: images, setup: pushLayers, exchanges: []exchange{
			{name: "too large", request: put("1", "one", coffertest.ManifestType), response: refusal(400, "MANIFEST_INVALID",
				"The image manifest exceeds the maximum allowed size which is '100' bytes")},
		}},
}

var immutable = refusal(400, "TAG_INVALID", "The image tag '1' already exists in the 'team/app' repository and cannot be overwritten because the tag is immutable.")

func with(contents, more map[string]string) map[string]string {
	all := map[string]string{}
	for _, m := range []map[string]string{contents, more} {
		for name, text := range m {
			all[name] = text
		}
	}
	return all
}

// everyType are the media types of manifests, children before their parents.
var everyType = []string{oci.MediaTypeOCIManifest, oci.MediaTypeDockerManifest, oci.MediaTypeDockerSchema1, oci.MediaTypeDockerSignedOne, oci.MediaTypeOCIIndex, oci.MediaTypeDockerList}

func ofEveryType() map[string]string {
	one := `{"schemaVersion":1,"name":"team/app","tag":"1","fsLayers":[{"blobSum":"` + coffertest.Digest([]byte(layer)) + `"}],"history":[]}`
	return map[string]string{
		"0": manifestOf(nil), "1": strings.ReplaceAll(manifestOf(nil), coffertest.ManifestType, oci.MediaTypeDockerManifest),
		"2": one, "3": strings.Replace(one, `"history":[]`, `"signatures":[],"history":[]`, 1),
		"4": indexOf(oci.MediaTypeOCIIndex, manifestOf(nil)), "5": indexOf(oci.MediaTypeDockerList, manifestOf(nil)),
	}
}

func pushEveryType() []exchange {
	var all []exchange
	for i, mediaType := range everyType {
		name := string(rune('0' + i))
		all = append(all, push("push "+mediaType, "t"+name, name, mediaType),
			exchange{name: "pull " + mediaType, request: get("t" + name), response: shown(name, mediaType)})
	}
	return all
}
