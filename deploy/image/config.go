package main

import (
	"strconv"
	"time"
)

const (
	// owner is the user and the group that the program runs as. It is a number, so that Kubernetes can see that it isn't root.
	owner       = 65532
	programPath = "/usr/bin/coffer"
	source      = "https://github.com/coffer-registry/coffer"
)

// labels are what people and scanners want to know of an image.
func labels(p program, at time.Time) map[string]string {
	l := map[string]string{
		"org.opencontainers.image.title":       "Coffer",
		"org.opencontainers.image.description": "A container registry that every AWS client takes for Amazon ECR",
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.source":      source,
		"org.opencontainers.image.url":         source,
		"org.opencontainers.image.version":     p.version,
		"org.opencontainers.image.created":     at.Format(time.RFC3339),
	}
	if p.revision != "" {
		l["org.opencontainers.image.revision"] = p.revision
	}
	return l
}

// makeConfig makes the configuration of the image. The check of health is docker's and podman's; others leave it out.
func makeConfig(p program, l layer, at time.Time) any {
	return map[string]any{
		"architecture": p.architecture,
		"os":           p.system,
		"created":      at.Format(time.RFC3339),
		"config": map[string]any{
			"User":         strconv.Itoa(owner) + ":" + strconv.Itoa(owner),
			"Entrypoint":   []string{programPath},
			"Cmd":          []string{"serve"},
			"WorkingDir":   "/data",
			"ExposedPorts": map[string]any{"5000/tcp": struct{}{}, "5001/tcp": struct{}{}},
			"Volumes":      map[string]any{"/data": struct{}{}},
			"StopSignal":   "SIGTERM",
			"Labels":       labels(p, at),
			// In a container, what listens on loopback can be reached by nobody.
			"Env": []string{"PATH=/usr/bin", "COFFER_DATA=/data", "COFFER_LISTEN=0.0.0.0:5000", "COFFER_ADMIN_LISTEN=0.0.0.0:5001"},
			"Healthcheck": map[string]any{
				"Test":     []string{"CMD", programPath, "health"},
				"Interval": 10 * time.Second, "Timeout": 10 * time.Second, "StartPeriod": 10 * time.Second, "Retries": 3,
			},
		},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{l.diff}},
		"history": []any{map[string]any{"created": at.Format(time.RFC3339), "created_by": source + "/deploy/image"}},
	}
}
