package ociserver_test

import (
	"fmt"
	"strings"
)

// page is an answer that lists something and may name the next page.
func page(next, body string) string {
	if next != "" {
		next = "Link: <" + next + ">; rel=\"next\"\n"
	}
	return "200\nContent-Type: application/json\n" + next + "\n" + body
}

func tags(query string) string { return "GET /v2/team/app/tags/list" + query + " HTTP/1.1" }

func catalog(query string) string { return "GET /v2/_catalog" + query + " HTTP/1.1" }

const badNumber = "n is not a number of entries"

var listScripts = []script{
	{name: "tags", contents: images, setup: func(w *session) {
		pushLayers(w)
		for _, tag := range []string{"b", "_", "a.1", "B", "10", "9"} {
			w.PushManifest(w.values["token"], "team/app", tag, []byte(images["one"]))
		}
	}, exchanges: []exchange{
		{name: "all, sorted by their bytes", request: tags(""), response: tagsOf("team/app", "10", "9", "B", "_", "a.1", "b")},
		{name: "first page", request: tags("?n=2"), response: page("/v2/team/app/tags/list?last=9&n=2", `{"name":"team/app","tags":["10","9"]}`)},
		{name: "next page", request: tags("?last=9&n=2"), response: page("/v2/team/app/tags/list?last=_&n=2", `{"name":"team/app","tags":["B","_"]}`)},
		{name: "last page", request: tags("?last=_&n=2"), response: page("", `{"name":"team/app","tags":["a.1","b"]}`)},
		{name: "after the last", request: tags("?last=b"), response: tagsOf("team/app")},
		{name: "after what isn't there", request: tags("?last=A"), response: tagsOf("team/app", "B", "_", "a.1", "b")},
		{name: "a page of none", request: tags("?n=0"), response: tagsOf("team/app")},
		{name: "more than there are", request: tags("?n=1000"), response: tagsOf("team/app", "10", "9", "B", "_", "a.1", "b")},
		{name: "fewer than none", request: tags("?n=-1"), response: refusal(400, "PAGINATION_NUMBER_INVALID", badNumber)},
		{name: "no number", request: tags("?n=ten"), response: refusal(400, "PAGINATION_NUMBER_INVALID", badNumber)},
		{name: "of no repository", request: "GET /v2/no/such/tags/list HTTP/1.1",
			response: refusal(404, "NAME_UNKNOWN", "The repository with name 'no/such' does not exist in the registry with id '123456789012'")},
		{name: "of no name", request: "GET /v2/Team/tags/list HTTP/1.1", response: refusal(400, "NAME_INVALID", badName)},
		{name: "another method", request: "POST /v2/team/app/tags/list HTTP/1.1", response: `
405
Allow: GET
Content-Type: application/json

{"errors":[{"code":"UNSUPPORTED","message":"The method is not supported at this path"}]}`},
	}},
	{name: "many tags", contents: images, setup: func(w *session) {
		pushLayers(w)
		for i := range 101 {
			w.PushManifest(w.values["token"], "team/app", fmt.Sprintf("%03d", i), []byte(images["one"]))
		}
	}, exchanges: []exchange{
		{name: "a page is 100", request: tags(""), response: page("/v2/team/app/tags/list?last=099&n=100", `{"name":"team/app","tags":[`+numbers(0, 99)+`]}`)},
		{name: "the rest", request: tags("?last=099&n=100"), response: page("", `{"name":"team/app","tags":["100"]}`)},
		{name: "more than a page can hold", request: tags("?n=10000"), response: page("", `{"name":"team/app","tags":[`+numbers(0, 100)+`]}`)},
	}},
	{name: "catalog", setup: func(w *session) {
		for _, name := range []string{"zoo", "a/b", "ab"} {
			w.CreateRepository(name)
		}
	}, exchanges: []exchange{
		{name: "all", request: catalog(""), response: page("", `{"repositories":["a/b","ab","team/app","zoo"]}`)},
		{name: "first page", request: catalog("?n=3"), response: page("/v2/_catalog?last=team%2Fapp&n=3", `{"repositories":["a/b","ab","team/app"]}`)},
		{name: "last page", request: catalog("?last=team%2Fapp&n=3"), response: page("", `{"repositories":["zoo"]}`)},
		{name: "a page of none", request: catalog("?n=0"), response: page("", `{"repositories":[]}`)},
		{name: "no number", request: catalog("?n=x"), response: refusal(400, "PAGINATION_NUMBER_INVALID", badNumber)},
		{name: "what is deleted is gone", before: func(w *session) { w.MustECR("DeleteRepository", map[string]string{"repositoryName": "zoo"}, nil) },
			request: catalog(""), response: page("", `{"repositories":["a/b","ab","team/app"]}`)},
		{name: "another method", request: "HEAD /v2/_catalog HTTP/1.1", response: "405\nAllow: GET\nContent-Length: 88\nContent-Type: application/json\n\n"},
	}},
}

const badName = "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must be 2 to 256 characters and satisfy regular expression " +
	"'(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*''"

// numbers are texts of three digits in JSON.
func numbers(first, last int) string {
	var list []string
	for i := first; i <= last; i++ {
		list = append(list, fmt.Sprintf("%q", fmt.Sprintf("%03d", i)))
	}
	return strings.Join(list, ",")
}
