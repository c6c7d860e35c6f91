package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// tagged makes a repository of one image that n tags name, and returns its manifest.
func tagged(ctx context.Context, h *host, repository string, n int) ([]byte, error) {
	if err := h.repository(ctx, repository); err != nil {
		return nil, err
	}
	layer := bytesBlob([]byte("the layer of an image with many tags"))
	if err := pushAndCheck(h, repository, layer); err != nil {
		return nil, err
	}
	m := manifest(layer, "tagged")
	c, err := h.target.dial()
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := c.pushManifest(repository, tagName(0), m); err != nil {
		return nil, err
	}
	tags := make([]string, n-1)
	for i := range tags {
		tags[i] = tagName(i + 1)
	}
	if err := h.server.seedTags(ctx, h, repository, m, tags); err != nil {
		return nil, fmt.Errorf("making %d tags: %w", n, err)
	}
	return m, nil
}

// manyTags works in a repository where one image has very many tags: pages of the list of tags, one more tag, images
// pushed beside them.
func manyTags(s scale) measure {
	tags := s.n(50000)
	count := formatNumber(float64(tags))
	return measure{
		name: "many-tags",
		rows: []row{
			{id: "page-first", title: "first 100 of " + count + " tags", unit: "ms", goal: atMost(2)},
			{id: "page-later", title: "100 tags in the middle", unit: "ms", goal: atMost(2)},
			{id: "tag-few", title: "tag PUT at 10 tags", unit: "ms"},
			{id: "tag-many", title: "tag PUT at " + count + " tags", unit: "ms", goal: flat("tag-few", 1.25)},
			{id: "push-many", title: "64 KiB images pushed beside " + count + " tags, 8 clients", unit: "/s", more: true, goal: atLeast(800)},
		},
		setup: func(ctx context.Context, h *host) (round, error) {
			m, err := tagged(ctx, h, "bench/tagged", tags)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context) ([]reading, error) {
				first, err := tagPage(ctx, h, "page-first", "", 0, s.n(100))
				if err != nil {
					return nil, err
				}
				later, err := tagPage(ctx, h, "page-later", "&last="+tagName(tags/2-1), tags/2, s.n(100))
				if err != nil {
					return nil, err
				}
				few := fmt.Sprintf("bench/few%d", h.bench.reserve(1))
				if _, err := tagged(ctx, h, few, 10); err != nil {
					return nil, err
				}
				putFew, err := tagPuts(ctx, h, "tag-few", few, m, s.n(300))
				if err != nil {
					return nil, err
				}
				putMany, err := tagPuts(ctx, h, "tag-many", "bench/tagged", m, s.n(300))
				if err != nil {
					return nil, err
				}
				j, err := pushJob(h, "bench/tagged", 8, s.n(1000))
				if err != nil {
					return nil, err
				}
				r, err := h.run(ctx, j)
				return []reading{first, later, putFew, putMany, {"push-many", r.rate(), &r}}, err
			}, nil
		},
	}
}

// tagPage measures one page of the list of tags on one connection. It must hold the 100 tags from the given number on.
func tagPage(ctx context.Context, h *host, id, after string, from, ops int) (reading, error) {
	path := "/v2/bench/tagged/tags/list?n=100" + after
	c, err := h.target.dial()
	if err != nil {
		return reading{}, err
	}
	defer c.close()
	body, err := c.get(path)
	if err != nil {
		return reading{}, err
	}
	var list struct{ Tags []string }
	if err := json.Unmarshal(body, &list); err != nil {
		return reading{}, fmt.Errorf("decoding a list of tags: %w", err)
	}
	// Tags that the rounds before have added sort before these.
	if len(list.Tags) != 100 || after != "" && list.Tags[0] != tagName(from) {
		return reading{}, fmt.Errorf("%s: %d tags from %q on", path, len(list.Tags), list.Tags[:min(1, len(list.Tags))])
	}
	get := h.target.request(nil, http.MethodGet, path, "", -1)
	r, err := h.run(ctx, job{clients: 1, ops: ops, do: func(c *conn, _ int) error {
		_, err := c.send(http.StatusOK, get)
		return err
	}})
	return reading{id, ms(r.p50), &r}, err
}

// tagPuts measures putting new tags on an image, on one connection.
func tagPuts(ctx context.Context, h *host, id, repository string, m []byte, ops int) (reading, error) {
	first := h.bench.reserve(ops)
	r, err := h.run(ctx, job{clients: 1, ops: ops, do: func(c *conn, i int) error {
		return c.pushManifest(repository, fmt.Sprintf("n%d", first+uint64(i)), m)
	}})
	return reading{id, ms(r.p50), &r}, err
}

// taggedDelete deletes an image that very many tags name, by its digest.
func taggedDelete(s scale) measure {
	tags := s.n(50000)
	return measure{
		name:       "tagged-delete",
		peerRounds: 1, // one takes it half a minute
		rows: []row{{id: "tagged-delete", unit: "s", goal: atMost(0.5),
			title: "delete of an image that " + formatNumber(float64(tags)) + " tags name"}},
		setup: func(ctx context.Context, h *host) (round, error) {
			return func(ctx context.Context) ([]reading, error) {
				repository := fmt.Sprintf("bench/deleted%d", h.bench.reserve(1))
				m, err := tagged(ctx, h, repository, tags)
				if err != nil {
					return nil, err
				}
				r, err := h.run(ctx, job{clients: 1, ops: 1, do: func(c *conn, _ int) error {
					_, err := c.expect(http.StatusAccepted, "DELETE", "/v2/"+repository+"/manifests/"+digestOf(m), "")
					return err
				}})
				if err != nil {
					return nil, err
				}
				return []reading{{"tagged-delete", r.elapsed.Seconds(), &r}}, gone(h, repository, tagName(tags-1))
			}, nil
		},
	}
}

// gone checks that a tag names nothing.
func gone(h *host, repository, tag string) error {
	c, err := h.target.dial()
	if err != nil {
		return err
	}
	defer c.close()
	_, err = c.expect(http.StatusNotFound, "HEAD", "/v2/"+repository+"/manifests/"+tag, "")
	return err
}
