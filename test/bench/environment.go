package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// dataFolder makes a folder for the servers' data under the given one and returns it with its file system. Memory is
// not a disk: under a default that lies there the user's cache is taken instead, and a choice that does is refused.
func dataFolder(parent string) (dir, kind string, err error) {
	parents := []string{parent}
	if parent == "" {
		parents = []string{os.TempDir()}
		if cache, err := os.UserCacheDir(); err == nil {
			parents = append(parents, cache)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", "", err
	}
	for _, p := range parents {
		if p, err = filepath.Abs(p); err != nil {
			return "", "", err
		}
		if p, err = filepath.EvalSymlinks(p); err != nil {
			return "", "", err
		}
		if kind = fileSystem(string(mounts), p); kind == "tmpfs" || kind == "ramfs" {
			continue
		}
		dir, err = os.MkdirTemp(p, "coffer-bench-")
		return dir, kind, err
	}
	return "", "", fmt.Errorf("%s is in memory; name a folder on a disk with -dir", strings.Join(parents, ", "))
}

// findServers are the servers to measure and a sentence about each.
func findServers(ctx context.Context, o options, root string) (servers []server, about []string, err error) {
	if o.only == "" || o.only == "coffer" {
		binary := o.coffer
		if binary == "" {
			binary = filepath.Join(root, "coffer")
			if err := build(ctx, "", nil, "build", "-o", binary, "github.com/coffer-registry/coffer/cmd/coffer"); err != nil {
				return nil, nil, fmt.Errorf("building coffer: %w", err)
			}
		}
		servers = append(servers, coffer{binary: binary})
		about = append(about, "Coffer: the embedded default, with authorisation, audit, encryption and fsync on"+builtWith(binary)+".")
	}
	if o.only == "" || o.only == "distribution" {
		binary := o.registry
		if binary == "" {
			if binary, err = installDistribution(ctx); err != nil {
				return nil, nil, fmt.Errorf("installing distribution %s: %w", distributionVersion, err)
			}
		}
		servers = append(servers, distribution{binary})
		about = append(about, "distribution: "+binaryVersion(binary)+" on its file system driver, without authorisation and encryption, access log off"+builtWith(binary)+
			"; tens of thousands of tags were written into its folder, not pushed.")
	}
	if o.only == "" || o.only == "bare" {
		self, err := os.Executable()
		if err != nil {
			return nil, nil, err
		}
		servers = append(servers, bare{self})
		about = append(about, "bare net/http: hashes and writes files without making them durable, manifests in memory; the ceiling of this machine for the measures that it can do.")
	}
	if len(servers) == 0 {
		return nil, nil, fmt.Errorf("-only: no server %q", o.only)
	}
	return servers, about, nil
}

// installDistribution returns the peer's binary from the user's cache, built at the first call.
func installDistribution(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "coffer-bench", "distribution-"+distributionVersion)
	binary := filepath.Join(dir, "registry")
	_, err = os.Stat(binary)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return binary, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return binary, build(ctx, dir, []string{"GOBIN=" + dir}, "install", distributionPackage+"@"+distributionVersion)
}

// build runs the go command.
func build(ctx context.Context, dir string, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w: %s", args[0], err, out)
	}
	return nil
}

// builtWith is the Go version of a binary, for a sentence; empty if it doesn't say.
func builtWith(binary string) string {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return ""
	}
	return ", built with " + info.GoVersion
}

// binaryVersion is the module version of a binary.
func binaryVersion(binary string) string {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return "unknown version"
	}
	return info.Main.Version
}

// environment describes where and how was measured, in sentences.
func environment(fileSystem string, load, others float64, rounds int, took time.Duration) []string {
	cpu := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		cpu = cpuModel(string(b))
	}
	kernel := ""
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = ", Linux " + strings.TrimSpace(string(b))
	}
	busy := "the machine was otherwise idle"
	if others > 5 {
		busy = "the machine was otherwise busy, so rates and latencies are worse than they could be"
	}
	return []string{
		fmt.Sprintf("Environment: %s, %d processors%s, %s, data on %s, loopback.", cpu, runtime.NumCPU(), kernel, runtime.Version(), fileSystem),
		fmt.Sprintf("Load average before: %.2f; while it was measured other programs and the hypervisor took %.1f%% of the processors: %s.", load, others, busy),
		fmt.Sprintf("Medians of %d rounds in which the servers took turns; %s in all. Ratio is Coffer / peer.", rounds, took.Round(time.Second)),
		"Images are one 64 KiB layer, a small configuration that all of a repository share, and a manifest of about 600 bytes. " +
			"Server CPU is user and system time of the process, with what it does in the second after the last answer.",
	}
}
