package ociserver_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// referrer is an entry of a list of referrers.
type referrer struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int               `json:"size"`
	ArtifactType string            `json:"artifactType"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

func describe(manifest string, artifactType string, annotations map[string]string) referrer {
	d := coffertest.Describe(coffertest.ManifestType, []byte(manifest))
	return referrer{d.MediaType, d.Digest, d.Size, artifactType, annotations}
}

// referrersOf is the answer that lists referrers, in the order of their digests, with further headers.
func referrersOf(headers string, list ...referrer) string {
	slices.SortFunc(list, func(a, b referrer) int { return strings.Compare(a.Digest, b.Digest) })
	text, _ := json.Marshal(append([]referrer{}, list...))
	return "200\nContent-Type: " + coffertest.IndexType + "\n" + headers + "\n" +
		`{"schemaVersion":2,"mediaType":"` + coffertest.IndexType + `","manifests":` + string(text) + "}"
}

func referrersRequest(query string) string {
	return "GET /v2/team/app/referrers/${digest:one}" + query + " HTTP/1.1"
}

var (
	signature = subjectOf(images["one"], map[string]any{"artifactType": "application/x.signature", "annotations": map[string]string{"by": "ci"}})
	bom       = subjectOf(images["one"], map[string]any{"artifactType": "application/x.bom"})
	plain     = subjectOf(images["one"], nil) // its artifact type is that of its config

	referrers  = with(images, map[string]string{"signature": signature, "bom": bom, "plain": plain})
	signatureD = describe(signature, "application/x.signature", map[string]string{"by": "ci"})
	bomD       = describe(bom, "application/x.bom", nil)
	plainD     = describe(plain, coffertest.ConfigType, nil)
)

// pushReferrer pushes a content by digest, and the answer names its subject.
func pushReferrer(content string) exchange {
	return exchange{name: "push " + content, request: put("${digest:"+content+"}", content, coffertest.ManifestType),
		response: strings.Replace(pushed(content), "\n\n", "\nOci-Subject: ${digest:one}\n\n", 1)}
}

// inOrder are the referrers in the order of their digests.
func inOrder() []referrer {
	list := []referrer{signatureD, bomD, plainD}
	slices.SortFunc(list, func(a, b referrer) int { return strings.Compare(a.Digest, b.Digest) })
	return list
}

func after(r referrer) string { return "last=" + strings.Replace(r.Digest, ":", "%3A", 1) }

var referrerScripts = []script{
	{name: "referrers", contents: referrers, setup: pushLayers, exchanges: []exchange{
		{name: "the subject is not there", request: referrersRequest(""), response: referrersOf("")},
		pushReferrer("signature"),
		{name: "the subject is still not there", request: referrersRequest(""), response: referrersOf("", signatureD)},
		push("the subject", "1", "one", coffertest.ManifestType),
		pushReferrer("bom"),
		pushReferrer("plain"),
		{name: "all", request: referrersRequest(""), response: referrersOf("", signatureD, bomD, plainD)},
		{name: "of a type", request: referrersRequest("?artifactType=application/x.bom"), response: referrersOf("Oci-Filters-Applied: artifactType\n", bomD)},
		{name: "of the type of a config", request: referrersRequest("?artifactType=" + url.QueryEscape(coffertest.ConfigType)), response: referrersOf("Oci-Filters-Applied: artifactType\n", plainD)},
		{name: "of two types", request: referrersRequest("?artifactType=application%2Fx.bom&artifactType=application%2Fx.signature"),
			response: referrersOf("Oci-Filters-Applied: artifactType\n", bomD, signatureD)},
		{name: "of a type that none has", request: referrersRequest("?artifactType=application/x.none"), response: referrersOf("Oci-Filters-Applied: artifactType\n")},
		{name: "first page", request: referrersRequest("?n=2"), response: referrersOf(
			"Link: </v2/team/app/referrers/${digest:one}?"+after(inOrder()[1])+"&n=2>; rel=\"next\"\n", inOrder()[:2]...)},
		{name: "last page", request: referrersRequest("?n=2&" + after(inOrder()[1])), response: referrersOf("", inOrder()[2])},
		{name: "first page of two types", request: referrersRequest("?artifactType=application/x.bom&n=1&artifactType=application/x.signature"), response: firstOfTwoTypes()},
		{name: "of a referrer", request: "GET /v2/team/app/referrers/${digest:bom} HTTP/1.1", response: referrersOf("")},
		{name: "of a tag", request: "GET /v2/team/app/referrers/1 HTTP/1.1",
			response: refusal(400, "DIGEST_INVALID", "The digest is not a digest of the form sha256:<64 lower-case hexadecimal digits>")},
		{name: "in no repository", request: "GET /v2/no/such/referrers/${digest:one} HTTP/1.1",
			response: refusal(404, "NAME_UNKNOWN", "The repository with name 'no/such' does not exist in the registry with id '123456789012'")},
		{name: "delete one", request: remove("${digest:bom}"), response: gone},
		{name: "it is gone", request: referrersRequest(""), response: referrersOf("", signatureD, plainD)},
	}},
	{name: "a client that knows no referrers", contents: with(referrers, map[string]string{"list": indexOf(coffertest.IndexType, signature)}), setup: pushLayers, exchanges: []exchange{
		push("the subject", "1", "one", coffertest.ManifestType),
		pushReferrer("signature"),
		{name: "is there a list", request: get("${fallback}"), response: noImage, before: func(w *session) {
			w.values["fallback"] = strings.Replace(coffertest.Digest([]byte(images["one"])), ":", "-", 1)
		}},
		push("its own list", "${fallback}", "list", coffertest.IndexType),
		{name: "is a tag like any other", request: get("${fallback}"), response: shown("list", coffertest.IndexType)},
		{name: "and is no referrer", request: referrersRequest(""), response: referrersOf("", signatureD)},
	}},
}

func firstOfTwoTypes() string {
	first := bomD
	if signatureD.Digest < first.Digest {
		first = signatureD
	}
	return referrersOf("Link: </v2/team/app/referrers/${digest:one}?artifactType=application%2Fx.bom&artifactType=application%2Fx.signature&"+
		after(first)+"&n=1>; rel=\"next\"\nOci-Filters-Applied: artifactType\n", first)
}
