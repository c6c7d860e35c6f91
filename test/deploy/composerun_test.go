package deploy_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// TestComposeRuns starts the compose file as it is, as deploy/README.md says, but for the images of PostgreSQL, HAProxy and versitygw, in whose
// place are ones that are made of this machine's programs. Images are pushed and pulled while the servers are made anew one after the
// other.
func TestComposeRuns(t *testing.T) {
	t.Parallel()
	host, namespace := coffertest.StartDockerApart(t)
	p := newProgram(t, "DOCKER_HOST="+host)
	p.run(t, filepath.Join(top(t), "test/deploy/testdata/standins"), filepath.Join(p.dir, "standins"), coffertest.Tool(t, "versitygw"))
	p.run(t, "docker", "load", "--input", image(t))
	deploy := filepath.Join(p.dir, "deploy")
	if err := os.CopyFS(deploy, os.DirFS(filepath.Join(top(t), "deploy"))); err != nil {
		t.Fatal(err)
	}
	secrets := filepath.Join(deploy, "secrets")
	p.run(t, "install", "-d", "-m", "711", "-o", "65532", "-g", "65532", secrets)
	p.run(t, "docker", "run", "--rm", "--network", "none", "--volume", secrets+":/secrets", "coffer", "root-key", "create", "/secrets/root-key")
	variables := []string{"POSTGRES_PASSWORD=only-for-tests", "S3_ACCESS_KEY_ID=coffer", "S3_SECRET_ACCESS_KEY=only-for-tests",
		"COFFER_ROOT_ACCESS_KEY_ID=" + coffertest.AccessKeyID, "COFFER_ROOT_SECRET_ACCESS_KEY=" + coffertest.SecretAccessKey}
	if err := os.WriteFile(filepath.Join(deploy, ".env"), []byte(strings.Join(variables, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := composition{p, deploy, namespace}
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := c.try(t, "", "docker-compose", c.args("logs", "--no-color", "--tail", "40")...)
			t.Log(log)
		}
	})
	c.compose(t, "up", "--detach")
	c.awaitHealthy(t, "proxy")

	c.within(t, "", "aws", "--endpoint-url", "http://localhost:5000", "ecr", "create-repository", "--repository-name", "team/app")
	password := c.within(t, "", "aws", "--endpoint-url", "http://localhost:5000", "ecr", "get-login-password")
	c.feed(t, password, "docker", "login", "--username", "AWS", "--password-stdin", "localhost:5000")
	const name = "localhost:5000/team/app:1"
	c.feed(t, "", "docker", "import", "--change", `CMD ["/hello"]`, oneFile(t), name)
	c.run(t, "docker", "push", "--quiet", name)

	stop, pushed := make(chan struct{}), make(chan int)
	go func() { pushed <- c.pushUntil(t, stop, name) }()
	for n := 1; n <= 3; n++ {
		server := fmt.Sprint("coffer-", n)
		c.compose(t, "up", "--detach", "--no-deps", "--force-recreate", server)
		c.awaitHealthy(t, server)
	}
	close(stop)
	if n := <-pushed; n == 0 {
		t.Error("nothing was pushed while the servers were made anew")
	} else {
		t.Logf("%d images were pushed and pulled while the servers were made anew", n)
	}
	c.seesClients(t)
}

// composition is what a compose file started.
type composition struct {
	program
	dir, namespace string
}

func (c composition) args(more ...string) []string {
	return append([]string{"--file", filepath.Join(c.dir, "compose.yaml"), "--project-directory", c.dir}, more...)
}

func (c composition) compose(t testing.TB, args ...string) string {
	t.Helper()
	return c.run(t, "docker-compose", c.args(args...)...)
}

// within runs a program in the engine's network namespace.
func (c composition) within(t testing.TB, stdin, name string, args ...string) string {
	t.Helper()
	return c.feed(t, stdin, "nsenter", slices.Concat([]string{"--net=" + c.namespace, "--", coffertest.Tool(t, name)}, args)...)
}

func (c composition) awaitHealthy(t testing.TB, service string) {
	t.Helper()
	await(t, service+" is healthy", func() bool {
		id := c.compose(t, "ps", "--quiet", service)
		return id != "" && c.run(t, "docker", "inspect", "--format", "{{.State.Health.Status}}", id) == "healthy"
	})
}

// pushUntil gives an image one tag after the other, pushes and pulls it, until it is told to stop, and returns how often.
func (c composition) pushUntil(t testing.TB, stop <-chan struct{}, name string) (n int) {
	for ; ; n++ {
		select {
		case <-stop:
			return n
		default:
		}
		tag := fmt.Sprint(strings.TrimSuffix(name, "1"), "again", n)
		for _, args := range [][]string{{"tag", name, tag}, {"push", "--quiet", tag}, {"rmi", tag}, {"pull", "--quiet", tag}} {
			if out, err := c.try(t, "", "docker", args...); err != nil {
				t.Errorf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
				return n
			}
		}
	}
}

// seesClients looks for the address of a request in the trail: it is the client's, and not that of the proxy.
func (c composition) seesClients(t testing.TB) {
	t.Helper()
	var record struct{ SourceIPAddress string }
	lines := strings.Split(c.compose(t, "exec", "-T", "coffer-1", "/usr/bin/coffer", "audit", "tail"), "\n")
	decode(t, lines[len(lines)-1], &record)
	address := net.ParseIP(record.SourceIPAddress)
	if _, network, _ := net.ParseCIDR("172.30.57.0/24"); address == nil || network.Contains(address) {
		t.Errorf("the trail says that a request came from %s", record.SourceIPAddress)
	}
}
