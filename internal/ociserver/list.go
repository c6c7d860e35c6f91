package ociserver

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/store"
)

// Sizes of pages.
const (
	defaultPage   = 100
	maxPage       = 1000
	referrersPage = 100
)

// pageSize is how many entries the client wants, as far as it gets them. ECR refuses to be asked for more than 1000; the
// specification allows a shorter page, and clients ask for more where they don't see by the host that this is ECR.
func (x *exchange) pageSize() int {
	if x.req.N < 0 {
		return defaultPage
	}
	return min(x.req.N, maxPage)
}

// next is the Link to the page after the one that ends with last.
func (x *exchange) next(path string, n int, last string, artifactTypes ...string) string {
	q := url.Values{"last": {last}, "n": {strconv.Itoa(n)}}
	if len(artifactTypes) > 0 {
		q["artifactType"] = artifactTypes
	}
	return "<" + path + "?" + q.Encode() + `>; rel="next"`
}

func jsonResponse(v any) (*response, error) {
	text, err := json.Marshal(v)
	return &response{status: http.StatusOK, contentType: "application/json", body: text}, err
}

func (x *exchange) catalog(ctx context.Context) (*response, error) {
	n := x.pageSize()
	var repos []registry.Repository
	err := x.Registry.View(ctx, func(tx *store.Tx) (err error) {
		repos, err = x.Registry.Repositories(tx, x.id, x.req.Last, n+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, repo := range repos[:min(n, len(repos))] {
		names = append(names, repo.Name)
	}
	p, err := jsonResponse(map[string][]string{"repositories": names})
	if err == nil && len(repos) > n && n > 0 {
		p.link = x.next("/v2/_catalog", n, names[n-1])
	}
	return p, err
}

func (x *exchange) tagsList(ctx context.Context) (*response, error) {
	repo, err := x.find(ctx)
	if err != nil {
		return nil, err
	}
	n := x.pageSize()
	names, err := x.Registry.TagNames(ctx, repo, x.req.Last, n+1)
	if err != nil {
		return nil, err
	}
	page := append([]string{}, names[:min(n, len(names))]...)
	p, err := jsonResponse(struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}{repo.Name, page})
	if err == nil && len(names) > n && n > 0 {
		p.link = x.next("/v2/"+repo.Name+"/tags/list", n, page[n-1])
	}
	return p, err
}

// referrerIndex is the image index in which referrers are listed.
type referrerIndex struct {
	SchemaVersion int                  `json:"schemaVersion"`
	MediaType     string               `json:"mediaType"`
	Manifests     []referrerDescriptor `json:"manifests"`
}

type referrerDescriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       oci.Digest        `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

func (x *exchange) referrers(ctx context.Context) (*response, error) {
	repo, err := x.find(ctx)
	if err != nil {
		return nil, err
	}
	n := referrersPage
	if x.req.N > 0 {
		n = min(x.req.N, referrersPage)
	}
	var found []registry.Referrer
	err = x.Registry.View(ctx, func(tx *store.Tx) (err error) {
		found, err = x.Registry.Referrers(tx, repo, x.req.Digest, x.req.ArtifactTypes, x.req.Last, n+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	index := referrerIndex{SchemaVersion: 2, MediaType: oci.MediaTypeOCIIndex, Manifests: []referrerDescriptor{}}
	for _, r := range found[:min(n, len(found))] {
		index.Manifests = append(index.Manifests, referrerDescriptor{
			MediaType: r.MediaType, Digest: r.Digest, Size: r.ManifestSize, ArtifactType: r.ArtifactType, Annotations: r.Annotations,
		})
	}
	p, err := jsonResponse(index)
	if err != nil {
		return nil, err
	}
	p.contentType = oci.MediaTypeOCIIndex
	if len(x.req.ArtifactTypes) > 0 {
		p.filters = "artifactType"
	}
	if len(found) > n {
		p.link = x.next("/v2/"+repo.Name+"/referrers/"+string(x.req.Digest), n, string(found[n-1].Digest), x.req.ArtifactTypes...)
	}
	return p, nil
}
