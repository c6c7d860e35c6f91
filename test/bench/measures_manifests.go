package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// catalogue is a repository of images that differ in their manifests only, each under one tag.
type catalogue struct {
	head, get [][]byte // requests, one a tag
	size      []int64  // of the manifests
}

// newCatalogue pushes the images.
func newCatalogue(ctx context.Context, h *host, repository string, images int) (*catalogue, error) {
	if err := h.repository(ctx, repository); err != nil {
		return nil, err
	}
	layer := bytesBlob([]byte("the layer of all images in a catalogue"))
	if err := pushAndCheck(h, repository, layer); err != nil {
		return nil, err
	}
	k := &catalogue{head: make([][]byte, images), get: make([][]byte, images), size: make([]int64, images)}
	_, err := h.run(ctx, job{clients: 32, ops: images, unrecorded: true, do: func(c *conn, i int) error {
		tag := tagName(i)
		m := manifest(layer, tag)
		path := "/v2/" + repository + "/manifests/" + tag
		k.head[i] = h.target.request(nil, http.MethodHead, path, "", -1)
		k.get[i] = h.target.request(nil, http.MethodGet, path, "", -1)
		k.size[i] = int64(len(m))
		return c.pushManifest(repository, tag, m)
	}})
	return k, err
}

// tagName is the i-th of a repository's tags, which sort as they are numbered.
func tagName(i int) string { return fmt.Sprintf("t%06d", i) }

// read measures HEAD and GET of manifests by tags chosen at random, on sixteen connections.
func (k *catalogue) read(ctx context.Context, h *host, id string, ops int) ([]reading, error) {
	var out []reading
	for _, method := range []string{http.MethodHead, http.MethodGet} {
		rng := rand.New(rand.NewPCG(1, 2))
		order := make([]int, ops)
		for i := range order {
			order[i] = rng.IntN(len(k.get))
		}
		r, err := h.run(ctx, job{clients: 16, ops: ops, do: func(c *conn, i int) error {
			n := order[i]
			if method == http.MethodGet {
				return fetch(c, k.get[n], k.size[n])
			}
			_, err := c.send(http.StatusOK, k.head[n])
			return err
		}})
		if err != nil {
			return nil, err
		}
		row := readRow(method, id)
		out = append(out, reading{row, r.rate(), &r}, reading{row + "-cpu", us(r.cpuPerOp()), nil})
	}
	return out, nil
}

func readRow(method, id string) string { return "manifest-" + method + "-" + id }

// readRows are the rows of catalogue.read.
func readRows(id string, tags int) []row {
	var rows []row
	for _, method := range []string{http.MethodHead, http.MethodGet} {
		rows = append(rows,
			row{id: readRow(method, id), unit: "/s", more: true, goal: atLeast(20000),
				title: fmt.Sprintf("manifest %s by tag, 16 clients, %s tags", method, formatNumber(float64(tags)))},
			row{id: readRow(method, id) + "-cpu", title: "— server CPU for one", unit: "µs", goal: atMost(60)})
	}
	return rows
}

// manifestReads reads manifests in a repository of few tags and one of more.
func manifestReads(s scale) measure {
	few, more := 10, s.n(2000)
	return measure{
		name: "manifest-reads",
		bare: true,
		rows: append(readRows("few", few), readRows("more", more)...),
		setup: func(ctx context.Context, h *host) (round, error) {
			small, err := newCatalogue(ctx, h, "bench/few", few)
			if err != nil {
				return nil, err
			}
			large, err := newCatalogue(ctx, h, "bench/more", more)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context) ([]reading, error) {
				a, err := small.read(ctx, h, "few", s.n(30000))
				if err != nil {
					return nil, err
				}
				b, err := large.read(ctx, h, "more", s.n(30000))
				return append(a, b...), err
			}, nil
		},
	}
}

// manyImages reads manifests, and pages of DescribeImages, in a repository of very many images.
func manyImages(s scale) measure {
	images := s.n(100000)
	count := formatNumber(float64(images))
	return measure{
		name:       "many-images",
		cofferOnly: true,
		rows: append(readRows("many", images),
			row{id: "describe-first", title: "DescribeImages, first 100 of " + count + " images", unit: "ms", goal: atMost(10)},
			row{id: "describe-later", title: "DescribeImages, 100 images in the middle", unit: "ms", goal: atMost(10)}),
		setup: func(ctx context.Context, h *host) (round, error) {
			k, err := newCatalogue(ctx, h, "bench/many", images)
			if err != nil {
				return nil, err
			}
			server, ok := h.server.(coffer)
			if !ok {
				return nil, fmt.Errorf("%s has no DescribeImages", h.server.name())
			}
			var middle string
			for seen := 0; seen < images/2; {
				p, err := server.describeImages(ctx, h.target.addr, "bench/many", middle, 1000)
				if err != nil {
					return nil, err
				}
				if p.NextToken == "" {
					return nil, fmt.Errorf("DescribeImages ended after %d of %d images", seen+len(p.ImageDetails), images)
				}
				seen += len(p.ImageDetails)
				middle = p.NextToken
			}
			describe := func(ctx context.Context, id, token string) (reading, error) {
				r, err := h.run(ctx, job{clients: 1, ops: s.n(200), do: func(*conn, int) error {
					p, err := server.describeImages(ctx, h.target.addr, "bench/many", token, 100)
					if err == nil && len(p.ImageDetails) != 100 {
						err = fmt.Errorf("a page of %d images", len(p.ImageDetails))
					}
					return err
				}})
				return reading{id, ms(r.p50), &r}, err
			}
			return func(ctx context.Context) ([]reading, error) {
				out, err := k.read(ctx, h, "many", s.n(30000))
				if err != nil {
					return nil, err
				}
				first, err := describe(ctx, "describe-first", "")
				if err != nil {
					return nil, err
				}
				later, err := describe(ctx, "describe-later", middle)
				return append(out, first, later), err
			}, nil
		},
	}
}

// ms and us are a duration in the unit of a row.
func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
