package main

import "context"

// encryptions are the types of encryption of repositories, each with the goal of its processor time: what KMS_DSSE may cost is
// half as much again as the others.
var encryptions = []struct {
	kind       string
	push, pull goal
}{
	{"AES256", atLeast(450), atLeast(1000)}, {"KMS", atLeast(450), atLeast(1000)}, {"KMS_DSSE", atLeast(450 / 1.5), atLeast(1000 / 1.5)},
}

// encrypted pushes and pulls one large blob under each type of encryption, in turns. The peers, which encrypt nothing, do the same
// for each.
func encrypted(s scale) measure {
	size := s.size(gib)
	m := measure{name: "encryption"}
	for _, e := range encryptions {
		m.rows = append(m.rows,
			row{id: "push-" + e.kind, title: formatSize(size) + " push, " + e.kind, unit: "MiB/CPU s", more: true, goal: e.push},
			row{id: "pull-" + e.kind, title: formatSize(size) + " pull, " + e.kind, unit: "MiB/CPU s", more: true, goal: e.pull})
	}
	m.setup = func(ctx context.Context, h *host) (round, error) {
		src, err := newSource(size)
		if err != nil {
			return nil, err
		}
		for _, e := range encryptions {
			if err := h.encryptedRepository(ctx, "bench/"+repositoryOf(e.kind), e.kind); err != nil {
				return nil, err
			}
		}
		return func(ctx context.Context) (readings []reading, err error) {
			for _, e := range encryptions {
				name := "bench/" + repositoryOf(e.kind)
				b, err := src.blob(h.bench.reserve(1))
				if err != nil {
					return nil, err
				}
				pushed, err := h.run(ctx, job{clients: 1, ops: 1, do: func(c *conn, _ int) error { return c.pushBlob(name, b) }})
				if err != nil {
					return nil, err
				}
				get := h.target.request(nil, "GET", "/v2/"+name+"/blobs/"+b.digest, "", -1)
				pulled, err := h.run(ctx, job{clients: 1, ops: 2, do: func(c *conn, _ int) error { return fetch(c, get, size) }})
				if err != nil {
					return nil, err
				}
				readings = append(readings, reading{"push-" + e.kind, pushed.perCPU(size), &pushed}, reading{"pull-" + e.kind, pulled.perCPU(size), &pulled})
			}
			return readings, nil
		}, nil
	}
	return m
}

// repositoryOf is the name of the repository of a type of encryption.
func repositoryOf(kind string) string {
	return map[string]string{"AES256": "aes256", "KMS": "kms", "KMS_DSSE": "dsse"}[kind]
}

// encryptedRepository makes a repository under a type of encryption where the server has such.
func (h *host) encryptedRepository(ctx context.Context, name, kind string) error {
	s, own := h.server.(coffer)
	if !own {
		return h.repository(ctx, name)
	}
	return s.call(ctx, h.target.addr, "CreateRepository", map[string]any{
		"repositoryName": name, "encryptionConfiguration": map[string]string{"encryptionType": kind},
	}, nil)
}
