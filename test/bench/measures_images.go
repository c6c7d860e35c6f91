package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

const smallLayer = 64 * kib

// pushJob pushes ops images of one small layer each: the layer by POST and PUT, then the manifest under a tag of its
// own. The configuration, the same for all, is there already.
func pushJob(h *host, repository string, clients, ops int) (job, error) {
	src, err := newSource(smallLayer)
	if err != nil {
		return job{}, err
	}
	first := h.bench.reserve(ops)
	return job{clients: clients, ops: ops, do: func(c *conn, i int) error {
		n := first + uint64(i)
		layer, err := src.blob(n)
		if err != nil {
			return err
		}
		if err := c.pushBlob(repository, layer); err != nil {
			return err
		}
		tag := fmt.Sprintf("i%d", n)
		return c.pushManifest(repository, tag, manifest(layer, tag))
	}}, nil
}

// smallPush pushes small images on eight connections.
func smallPush(s scale) measure {
	return measure{
		name: "small-push",
		bare: true,
		rows: []row{
			{id: "small-push", title: "64 KiB images pushed, 8 clients", unit: "/s", more: true, goal: atLeast(800)},
			{id: "small-push-cpu", title: "— server CPU for one", unit: "ms", goal: atMost(1.5)},
		},
		setup: func(ctx context.Context, h *host) (round, error) {
			if err := h.repository(ctx, "bench/small"); err != nil {
				return nil, err
			}
			return func(ctx context.Context) ([]reading, error) {
				j, err := pushJob(h, "bench/small", 8, s.n(2000))
				if err != nil {
					return nil, err
				}
				r, err := h.run(ctx, j)
				return []reading{{"small-push", r.rate(), &r}, {"small-push-cpu", ms(r.cpuPerOp()), nil}}, err
			}, nil
		},
	}
}

// syncs counts the system calls that make small images durable. The count is exact for what was acknowledged: strace
// writes a call's line before the call returns.
func syncs(s scale) measure {
	return measure{
		name: "syncs",
		rows: []row{
			{id: "syncs-8", title: "fsyncs for one small image, 8 clients", unit: "", goal: atMost(3)},
			{id: "syncs-1", title: "— one client", unit: ""},
		},
		setup: func(ctx context.Context, h *host) (round, error) {
			trace, err := traceSyncs(ctx, h.dir)
			if errors.Is(err, errNoTrace) {
				h.bench.note("fsyncs were not counted: " + err.Error() + ".")
				return func(context.Context) ([]reading, error) { return nil, nil }, nil
			}
			if err != nil {
				return nil, err
			}
			if err := h.stop(); err != nil {
				return nil, err
			}
			h.wrap = trace.command()
			if _, err := h.start(ctx); err != nil {
				return nil, err
			}
			if err := h.repository(ctx, "bench/synced"); err != nil {
				return nil, err
			}
			count := func(ctx context.Context, id string, clients, ops int) (reading, error) {
				j, err := pushJob(h, "bench/synced", clients, ops)
				if err != nil {
					return reading{}, err
				}
				j.unrecorded = true
				before, err := trace.count()
				if err != nil {
					return reading{}, err
				}
				if _, err := h.run(ctx, j); err != nil {
					return reading{}, err
				}
				after, err := trace.count()
				if err == nil && after == before {
					err = errors.New("no sync was seen: the trace is blind, or the server makes nothing durable")
				}
				return reading{id, float64(after-before) / float64(ops), nil}, err
			}
			return func(ctx context.Context) ([]reading, error) {
				eight, err := count(ctx, "syncs-8", 8, s.n(400))
				if err != nil {
					return nil, err
				}
				one, err := count(ctx, "syncs-1", 1, s.n(100))
				return []reading{eight, one}, err
			}, nil
		},
	}
}

// smallPull pulls small images on sixteen connections: the manifest by tag, then the layer.
func smallPull(s scale) measure {
	images := s.n(200)
	return measure{
		name: "small-pull",
		bare: true,
		rows: []row{
			{id: "small-pull", title: "64 KiB image pulls, 16 clients", unit: "MiB/CPU s", more: true, goal: atLeast(250)},
			{id: "small-pull-rate", title: "— images pulled", unit: "/s", more: true},
		},
		setup: func(ctx context.Context, h *host) (round, error) {
			if err := h.repository(ctx, "bench/pulled"); err != nil {
				return nil, err
			}
			src, err := newSource(smallLayer)
			if err != nil {
				return nil, err
			}
			type pull struct {
				manifest, layer []byte // requests
				size            int64  // of the manifest
			}
			pulls := make([]pull, images)
			first := h.bench.reserve(images)
			_, err = h.run(ctx, job{clients: 8, ops: images, unrecorded: true, do: func(c *conn, i int) error {
				layer, err := src.blob(first + uint64(i))
				if err != nil {
					return err
				}
				if err := c.pushBlob("bench/pulled", layer); err != nil {
					return err
				}
				tag := fmt.Sprintf("p%d", i)
				m := manifest(layer, tag)
				pulls[i] = pull{
					manifest: h.target.request(nil, http.MethodGet, "/v2/bench/pulled/manifests/"+tag, "", -1),
					layer:    h.target.request(nil, http.MethodGet, "/v2/bench/pulled/blobs/"+layer.digest, "", -1),
					size:     int64(len(m)),
				}
				return c.pushManifest("bench/pulled", tag, m)
			}})
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context) ([]reading, error) {
				r, err := h.run(ctx, job{clients: 16, ops: s.n(4000), do: func(c *conn, i int) error {
					p := pulls[i%images]
					if err := fetch(c, p.manifest, p.size); err != nil {
						return err
					}
					return fetch(c, p.layer, smallLayer)
				}})
				return []reading{{"small-pull", r.perCPU(smallLayer), &r}, {"small-pull-rate", r.rate(), nil}}, err
			}, nil
		},
	}
}
