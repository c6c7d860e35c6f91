package main

import (
	"context"
	"fmt"
	"net/http"
)

// mounts mounts blobs of one repository into new ones, on sixteen connections.
func mounts(s scale) measure {
	blobs, repositories := s.n(1000), 10
	return measure{
		name: "mounts",
		bare: true,
		rows: []row{
			{id: "mounts", title: "cross-repository mounts, 16 clients", unit: "/s", more: true, goal: atLeast(5000)},
			{id: "mounts-cpu", title: "— server CPU for one", unit: "µs"},
		},
		setup: func(ctx context.Context, h *host) (round, error) {
			if err := h.repository(ctx, "bench/source"); err != nil {
				return nil, err
			}
			src, err := newSource(kib)
			if err != nil {
				return nil, err
			}
			digests := make([]string, blobs)
			first := h.bench.reserve(blobs)
			_, err = h.run(ctx, job{clients: 16, ops: blobs, unrecorded: true, do: func(c *conn, i int) error {
				b, err := src.blob(first + uint64(i))
				if err != nil {
					return err
				}
				digests[i] = b.digest
				if err := c.pushBlob("bench/source", b); err != nil {
					return err
				}
				// Only what an image of the source refers to may be mounted.
				image := manifest(b, b.digest)
				return c.pushManifest("bench/source", digestOf(image), image)
			}})
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context) ([]reading, error) {
				var requests [][]byte
				for range repositories {
					to := fmt.Sprintf("bench/mounted%d", h.bench.reserve(1))
					if err := h.repository(ctx, to); err != nil {
						return nil, err
					}
					for _, d := range digests {
						path := "/v2/" + to + "/blobs/uploads/?mount=" + d + "&from=bench%2Fsource"
						requests = append(requests, h.target.request(nil, http.MethodPost, path, "", 0))
					}
				}
				r, err := h.run(ctx, job{clients: 16, ops: len(requests), do: func(c *conn, i int) error {
					_, err := c.send(http.StatusCreated, requests[i])
					return err
				}})
				return []reading{{"mounts", r.rate(), &r}, {"mounts-cpu", us(r.cpuPerOp()), nil}}, err
			}, nil
		},
	}
}
