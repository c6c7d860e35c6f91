// Package deploy_test tests what is under deploy, with the programs that it is for: the container image with the docker
// engine, podman and skopeo, the chart with helm, the unit with systemd's own checks, and the proxies' files with the proxies.
package deploy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// patience is how long a program may take.
const patience = 3 * time.Minute

// top is the folder of the project.
func top(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// program is how a test runs programs: with nothing in the environment but what is here.
type program struct {
	dir string
	env []string
}

// newProgram gives programs a home of their own.
func newProgram(t testing.TB, env ...string) program {
	t.Helper()
	home := t.TempDir()
	return program{dir: home, env: append([]string{"PATH=" + coffertest.ToolFolder(t) + ":" + os.Getenv("PATH"), "HOME=" + home,
		"DOCKER_CONFIG=" + filepath.Join(home, ".docker"), "LC_ALL=C.UTF-8",
		"AWS_ACCESS_KEY_ID=" + coffertest.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + coffertest.SecretAccessKey,
		"AWS_DEFAULT_REGION=" + coffertest.Region, "AWS_EC2_METADATA_DISABLED=true"}, env...)}
}

// try runs a program, and returns all that it prints.
func (p program) try(t testing.TB, stdin, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if !filepath.IsAbs(name) {
		name = coffertest.Tool(t, name)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.WaitDelay = p.dir, p.env, strings.NewReader(stdin), 10*time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return strings.TrimSpace(out.String()), err
}

// run is try with a program that must succeed.
func (p program) run(t testing.TB, name string, args ...string) string {
	t.Helper()
	return p.feed(t, "", name, args...)
}

// feed is run with an input.
func (p program) feed(t testing.TB, stdin, name string, args ...string) string {
	t.Helper()
	out, err := p.try(t, stdin, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// refuse runs a program that must fail and say what is wanted.
func (p program) refuse(t testing.TB, want, name string, args ...string) {
	t.Helper()
	out, err := p.try(t, "", name, args...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !strings.Contains(out, want) {
		t.Errorf("%s %s: %v, expected a failure with %q\n%s", name, strings.Join(args, " "), err, want, out)
	}
}

// await waits until something is so.
func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	pause := time.NewTicker(50 * time.Millisecond)
	defer pause.Stop()
	for !done() {
		select {
		case <-pause.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func decode(t testing.TB, text string, to any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), to); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
}
