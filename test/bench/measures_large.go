package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
)

// largePush uploads one large blob on one connection, by POST and one PUT.
func largePush(s scale) measure {
	size := s.size(gib)
	return measure{
		name: "large-push",
		bare: true,
		rows: []row{{id: "large-push", title: formatSize(size) + " push", unit: "MiB/CPU s", more: true, goal: atLeast(450)}},
		setup: func(ctx context.Context, h *host) (round, error) {
			src, err := newSource(size)
			if err != nil {
				return nil, err
			}
			if err := h.repository(ctx, "bench/large"); err != nil {
				return nil, err
			}
			return func(ctx context.Context) ([]reading, error) {
				b, err := src.blob(h.bench.reserve(1))
				if err != nil {
					return nil, err
				}
				r, err := h.run(ctx, job{clients: 1, ops: 1, do: func(c *conn, _ int) error {
					return c.pushBlob("bench/large", b)
				}})
				return []reading{{"large-push", r.perCPU(size), &r}}, err
			}, nil
		},
	}
}

// largePull downloads one large blob on one connection.
func largePull(s scale) measure {
	size := s.size(gib)
	return measure{
		name: "large-pull",
		bare: true,
		rows: []row{{id: "large-pull", title: formatSize(size) + " pull", unit: "MiB/CPU s", more: true, goal: atLeast(1000)}},
		setup: func(ctx context.Context, h *host) (round, error) {
			src, err := newSource(size)
			if err != nil {
				return nil, err
			}
			b, err := src.blob(h.bench.reserve(1))
			if err != nil {
				return nil, err
			}
			if err := h.repository(ctx, "bench/large"); err != nil {
				return nil, err
			}
			if err := pushAndCheck(h, "bench/large", b); err != nil {
				return nil, err
			}
			get := h.target.request(nil, "GET", "/v2/bench/large/blobs/"+b.digest, "", -1)
			return func(ctx context.Context) ([]reading, error) {
				r, err := h.run(ctx, job{clients: 1, ops: 2, do: func(c *conn, _ int) error {
					return fetch(c, get, size)
				}})
				return []reading{{"large-pull", r.perCPU(size), &r}}, err
			}, nil
		},
	}
}

// fetch sends a prebuilt GET and requires a body of the given size.
func fetch(c *conn, get []byte, size int64) error {
	r, err := c.send(http.StatusOK, get)
	if err == nil && r.length != size {
		err = fmt.Errorf("a body of %d bytes, want %d", r.length, size)
	}
	return err
}

// pushAndCheck uploads a blob and reads it back, outside of any measure.
func pushAndCheck(h *host, repository string, b blob) error {
	c, err := h.target.dial()
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.pushBlob(repository, b); err != nil {
		return err
	}
	hash := sha256.New()
	if _, err := c.getTo(hash, "/v2/"+repository+"/blobs/"+b.digest); err != nil {
		return err
	}
	if got := "sha256:" + hex.EncodeToString(hash.Sum(nil)); got != b.digest {
		return fmt.Errorf("%s answered %s with content of %s", h.server.name(), b.digest, got)
	}
	return nil
}
