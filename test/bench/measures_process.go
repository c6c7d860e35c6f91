package main

import (
	"context"
	"time"
)

// firstAnswer starts the server on the state of an earlier run.
func firstAnswer(s scale) measure {
	return measure{
		name: "start",
		rows: []row{{id: "start", title: "start to first answer", unit: "ms", goal: atMost(60)}},
		setup: func(ctx context.Context, h *host) (round, error) {
			if err := h.repository(ctx, "bench/kept"); err != nil {
				return nil, err
			}
			j, err := pushJob(h, "bench/kept", 8, s.n(500))
			if err != nil {
				return nil, err
			}
			j.unrecorded = true
			if _, err := h.run(ctx, j); err != nil {
				return nil, err
			}
			return func(ctx context.Context) ([]reading, error) {
				var took []time.Duration
				for range 5 {
					d, err := h.restart(ctx, false)
					if err != nil {
						return nil, err
					}
					took = append(took, d)
				}
				return []reading{{"start", ms(median(took)), nil}}, nil
			}, nil
		},
	}
}

// peak is the most memory that a fresh server has resident while it takes large layers on 32 connections.
func peak(s scale) measure {
	size := s.size(64 * mib)
	return measure{
		name: "memory",
		rows: []row{
			{id: "memory", title: "peak memory, 32 clients pushing " + formatSize(size) + " layers", unit: "MiB", goal: atMost(150)},
			{id: "memory-cpu", title: "— the layers pushed", unit: "MiB/CPU s", more: true},
		},
		setup: func(ctx context.Context, h *host) (round, error) {
			src, err := newSource(size)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context) ([]reading, error) {
				if _, err := h.restart(ctx, true); err != nil {
					return nil, err
				}
				if err := h.repository(ctx, "bench/layers"); err != nil {
					return nil, err
				}
				first := h.bench.reserve(32)
				r, err := h.run(ctx, job{clients: 32, ops: 32, do: func(c *conn, i int) error {
					b, err := src.blob(first + uint64(i))
					if err != nil {
						return err
					}
					return c.pushBlob("bench/layers", b)
				}})
				if err != nil {
					return nil, err
				}
				bytes, err := peakMemory(h.process.pid())
				return []reading{{"memory", float64(bytes) / mib, &r}, {"memory-cpu", r.perCPU(size), nil}}, err
			}, nil
		},
	}
}
