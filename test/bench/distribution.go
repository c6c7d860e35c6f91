package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	// distributionVersion is the peer that Coffer is compared with.
	distributionVersion = "v3.1.2"
	distributionPackage = "github.com/distribution/distribution/v3/cmd/registry"
)

// distribution is the CNCF registry on its file system driver, with the storage settings of its own example: validation
// of manifests and an in-memory cache of blob descriptors. Deletes are on; access control, access logs and the export
// of traces are off.
type distribution struct{ binary string }

func (distribution) name() string { return "distribution" }

func (d distribution) command(dir, addr string) (*exec.Cmd, error) {
	config := filepath.Join(filepath.Dir(dir), "distribution.yml")
	text := fmt.Sprintf(`version: 0.1
log:
  level: error
  accesslog:
    disabled: true
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: %q
  tag:
    concurrencylimit: 8
  delete:
    enabled: true
http:
  addr: %s
`, dir, addr)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(d.binary, "serve", config)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	return cmd, nil
}

func (distribution) login(context.Context, string) (string, error) { return "", nil }

func (distribution) createRepository(context.Context, string, string) error { return nil }

// seedTags writes the links of the tags in the layout that the file system driver reads: through its API the tens of
// thousands that a measure starts from take minutes.
func (distribution) seedTags(ctx context.Context, h *host, repository string, image []byte, tags []string) error {
	digest := digestOf(image)
	algorithm, encoded, _ := strings.Cut(digest, ":")
	root := filepath.Join(h.dir, "data", "docker/registry/v2/repositories", repository, "_manifests/tags")
	for _, tag := range tags {
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, folder := range []string{"current", filepath.Join("index", algorithm, encoded)} {
			folder = filepath.Join(root, tag, folder)
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(folder, "link"), []byte(digest), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
