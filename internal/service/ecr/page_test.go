package ecr_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const badToken = "InvalidParameterException: Invalid parameter at 'nextToken' failed to satisfy constraint: 'Invalid token'"

var pageScripts = []script{
	{name: "tokens", contents: images, setup: func(w *session) {
		w.CreateRepository("other")
		w.CreateRepository("third")
		pushAll(w)
	}, calls: []call{
		{name: "of ListImages", operation: "ListImages", in: `{"repositoryName":"team/app","maxResults":1}`,
			want: `{"imageIds":[` + firstPair() + `],"nextToken":"${=images}"}`},
		{name: "are refused by DescribeImages", operation: "DescribeImages", in: `{"repositoryName":"team/app","nextToken":"${images}"}`, want: badToken},
		{name: "for another repository", operation: "ListImages", in: `{"repositoryName":"other","nextToken":"${images}"}`, want: badToken},
		{name: "for another filter", operation: "ListImages", in: `{"repositoryName":"team/app","nextToken":"${images}","filter":{"tagStatus":"TAGGED"}}`, want: badToken},
		{name: "of DescribeRepositories", operation: "DescribeRepositories", in: `{"maxResults":2}`,
			want: created(`{"repositories":[` + repository("other", "MUTABLE", "") + `,` + repository("team/app", "MUTABLE", "") + `],"nextToken":"${=repositories}"}`)},
		{name: "go on", operation: "DescribeRepositories", in: `{"nextToken":"${repositories}"}`, want: created(`{"repositories":[` + repository("third", "MUTABLE", "") + `]}`)},
		{name: "are refused by ListImages", operation: "ListImages", in: `{"repositoryName":"team/app","nextToken":"${repositories}"}`, want: badToken},
		{name: "that are none", operation: "ListImages", in: `{"repositoryName":"team/app","nextToken":"next"}`, want: badToken},
		{name: "that are too long", operation: "ListImages", in: `{"repositoryName":"team/app","nextToken":"` + strings.Repeat("A", 4096) + `"}`, want: badToken},
		{name: "that are empty begin", operation: "ListImages", in: `{"repositoryName":"team/app","nextToken":"","maxResults":1}`,
			want: `{"imageIds":[` + firstPair() + `],"nextToken":"${=images}"}`},
	}},
}

// created makes an answer show repositories as old as the images of pushAll.
func created(answer string) string { return strings.ReplaceAll(answer, "${now}", "${pushed}") }

// firstPair is the first that ListImages lists of what pushAll pushes.
func firstPair() string {
	all := byDigestOrder(map[string]string{"one": pair("one", "a"), "two": pair("two", ""), "index": pair("index", "all")})
	first, _, _ := strings.Cut(all, "},{")
	return strings.TrimSuffix(first, "}") + "}"
}

// lister reads a list page by page: it returns the entries of a page and the token of the next.
type lister func(w *session, token string, n int) (entries []string, next string)

func listImages(w *session, token string, n int) ([]string, string) {
	var out struct {
		ImageIDs  []struct{ ImageDigest, ImageTag string }
		NextToken string
	}
	w.MustECR("ListImages", map[string]any{"repositoryName": "team/app", "maxResults": n, "nextToken": token}, &out)
	var entries []string
	for _, id := range out.ImageIDs {
		entries = append(entries, id.ImageDigest+" "+id.ImageTag)
	}
	return entries, out.NextToken
}

func describeImages(w *session, token string, n int) ([]string, string) {
	var out struct {
		ImageDetails []struct {
			ImageDigest string
			ImageTags   []string
		}
		NextToken string
	}
	w.MustECR("DescribeImages", map[string]any{"repositoryName": "team/app", "maxResults": n, "nextToken": token}, &out)
	var entries []string
	for _, d := range out.ImageDetails {
		entries = append(entries, d.ImageDigest)
	}
	return entries, out.NextToken
}

func describeRepositories(w *session, token string, n int) ([]string, string) {
	var out struct {
		Repositories []struct{ RepositoryName string }
		NextToken    string
	}
	w.MustECR("DescribeRepositories", map[string]any{"maxResults": n, "nextToken": token}, &out)
	var entries []string
	for _, r := range out.Repositories {
		entries = append(entries, r.RepositoryName)
	}
	return entries, out.NextToken
}

func listAll(w *session, list lister, n int, between func()) (all []string) {
	for token := ""; ; {
		entries, next := list(w, token, n)
		if len(entries) > n {
			w.t.Errorf("a page of %d has %d entries", n, len(entries))
		}
		if all = append(all, entries...); next == "" {
			return all
		}
		token = next
		between()
	}
}

// TestPages reads lists in pages of every size, and while others write: what is there from the first page to the last is
// listed exactly once.
func TestPages(t *testing.T) {
	w := start(t)
	w.contents = map[string]string{}
	for i := range 5 {
		name := fmt.Sprint("m", i)
		w.contents[name] = manifestOf(map[string]any{"annotations": map[string]string{"n": name}})
		w.push("team/app", w.expand("${digest:"+name+"}"), name)
		for tag := range i {
			w.push("team/app", fmt.Sprintf("%s-%d", name, tag), name)
		}
		w.CreateRepository("repository/" + name)
	}
	for name, list := range map[string]lister{"ListImages": listImages, "DescribeImages": describeImages, "DescribeRepositories": describeRepositories} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			whole := listAll(w, list, 1000, func() {})
			if !slices.IsSorted(whole) || len(whole) < 5 {
				t.Errorf("%q", whole)
			}
			d := &disturber{session: w}
			for n := 1; n <= len(whole)+1; n++ {
				if diff := cmp.Diff(whole, listAll(w, list, n, func() {})); diff != "" {
					t.Errorf("pages of %d: -want +got\n%s", n, diff)
				}
				got := listAll(w, list, n, d.disturb)
				d.restore()
				got = slices.DeleteFunc(got, func(entry string) bool { return !slices.Contains(whole, entry) })
				if diff := cmp.Diff(whole, got); diff != "" {
					t.Errorf("pages of %d, while others write: -want +got\n%s", n, diff)
				}
			}
		})
	}
}

// disturber adds something to each list and takes it away again.
type disturber struct {
	*session
	n       int
	present string
}

func (d *disturber) disturb() {
	d.restore()
	d.n++
	d.present = fmt.Sprint("d", d.n)
	d.contents[d.present] = manifestOf(map[string]any{"annotations": map[string]string{"disturbance": d.present}})
	d.push("team/app", d.present, d.present)
	d.CreateRepository("repository/" + d.present)
}

func (d *disturber) restore() {
	if d.present == "" {
		return
	}
	d.MustECR("BatchDeleteImage", json.RawMessage(d.expand(`{"repositoryName":"team/app","imageIds":[{"imageDigest":"${digest:`+d.present+`}"}]}`)), nil)
	d.MustECR("DeleteRepository", map[string]string{"repositoryName": "repository/" + d.present}, nil)
	d.present = ""
}
