package clients_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// server is a coffer process with a data folder of its own, and the environment of its clients.
type server struct {
	*coffertest.Server
	// host is that of the registry in names of images.
	host string
	data string
	// home is the home folder of the clients.
	home string
	// env is what "coffer env" makes of a shell that has nothing but a path and a home folder.
	env []string
	// token is a registry token, as an Authorization header has it.
	token func() string
}

// ownCredentials makes the server start as it does for a new user: with credentials that its first start makes. Without it
// the root access key is that of tests.
const ownCredentials = "--own-credentials"

// serve starts a server with further flags. It is stopped with the test; its data must have no faults then.
func serve(t *testing.T, flags ...string) *server {
	t.Helper()
	return serveWith(t, nil, flags...)
}

// serveWith is serve with more in the environment of the server.
func serveWith(t *testing.T, more []string, flags ...string) *server {
	t.Helper()
	s := &server{data: filepath.Join(t.TempDir(), "data"), home: t.TempDir()}
	env := append([]string{"PATH=" + coffertest.ToolFolder(t) + ":" + os.Getenv("PATH"), "HOME=" + s.home, "GODEBUG=" + os.Getenv("GODEBUG")}, more...)
	if len(flags) > 0 && flags[0] == ownCredentials {
		flags = flags[1:]
	} else {
		env = append(env, "COFFER_ROOT_ACCESS_KEY_ID="+coffertest.AccessKeyID, "COFFER_ROOT_SECRET_ACCESS_KEY="+coffertest.SecretAccessKey)
	}
	s.start(t, env, flags)
	s.readEnvironment(t, env)
	s.Server = coffertest.Connect(t, s.variable(t, "AWS_ENDPOINT_URL"))
	if ca, ok := s.lookup("AWS_CA_BUNDLE"); ok {
		s.Trust(ca)
	}
	_, address, _ := strings.Cut(s.URL, "://")
	s.host = strings.Replace(address, "127.0.0.1", "localhost", 1)
	s.token = sync.OnceValue(s.Token)
	return s
}

// start runs the process until the test ends.
func (s *server) start(t *testing.T, env, flags []string) {
	t.Helper()
	cmd := exec.Command(built.coffer, append([]string{"serve", "--data", s.data, "--listen", "127.0.0.1:0", "--admin-listen", ""}, flags...)...)
	cmd.Env = env
	log := watch(t, cmd, `"msg":"serving"`)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		log.read()
		ended <- cmd.Wait()
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("coffer's log:\n%s", log.text())
		}
	})
	if !<-log.seen {
		t.Fatalf("coffer did not start: %v\n%s", <-ended, log.text())
	}
	t.Cleanup(func() {
		if err := end(cmd.Process, ended, 40*time.Second); err != nil {
			t.Errorf("coffer was told to end: %v", err)
			return
		}
		fsck := exec.Command(built.coffer, "fsck", "--data", s.data)
		fsck.Env = env
		if out, err := fsck.CombinedOutput(); err != nil {
			t.Errorf("coffer fsck: %v\n%s", err, out)
		}
	})
}

// end tells a process to end, and kills it when it takes too long. It returns what the process ended with.
func end(p *os.Process, ended <-chan error, patience time.Duration) error {
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(patience):
	}
	return errors.Join(errors.New("it had to be killed"), p.Kill(), <-ended)
}

// watched is the output of a process, in which a text says that the process is ready.
type watched struct {
	ready string
	// seen gets one value: whether the text came before the output ended.
	seen chan bool
	pipe io.Reader

	mu  sync.Mutex
	all bytes.Buffer
}

// watch takes the standard error of a process that is not started yet.
func watch(t *testing.T, cmd *exec.Cmd, ready string) *watched {
	t.Helper()
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	return &watched{ready: ready, seen: make(chan bool, 1), pipe: pipe}
}

// read reads until the output ends.
func (w *watched) read() {
	told := false
	for r := bufio.NewReader(w.pipe); ; {
		line, err := r.ReadString('\n')
		w.mu.Lock()
		w.all.WriteString(line)
		w.mu.Unlock()
		if !told && (strings.Contains(line, w.ready) || err != nil) {
			told = true
			w.seen <- err == nil
		}
		if err != nil {
			return
		}
	}
}

func (w *watched) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.String()
}

// readEnvironment evaluates "coffer env" in a shell, as its users do.
func (s *server) readEnvironment(t *testing.T, env []string) {
	t.Helper()
	cmd := exec.Command("sh", "-ec", `vars=$("$0" env --data "$1"); eval "$vars"; env`, built.coffer, s.data)
	cmd.Env = env
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("coffer env: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		if name, _, _ := strings.Cut(line, "="); name == "PATH" || name == "HOME" || strings.HasPrefix(name, "AWS_") {
			s.env = append(s.env, strings.TrimSuffix(line, "\n"))
		}
	}
	s.env = append(s.env, "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=", "LC_ALL=C.UTF-8",
		"DOCKER_CONFIG="+filepath.Join(s.home, ".docker"), "REGISTRY_AUTH_FILE="+filepath.Join(s.home, ".docker", "config.json"))
}

func (s *server) variable(t *testing.T, name string) string {
	t.Helper()
	value, ok := s.lookup(name)
	if !ok {
		t.Fatalf("coffer env sets no %s", name)
	}
	return value
}

func (s *server) lookup(name string) (value string, ok bool) {
	for _, v := range s.env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// password is what docker login takes for the user AWS.
func (s *server) password(t *testing.T) string {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(s.token())
	if err != nil {
		t.Fatal(err)
	}
	_, password, _ := strings.Cut(string(text), ":")
	return password
}

// patience is how long a client may take.
const patience = 2 * time.Minute

// command makes a client's command in the environment of s.
func (s *server) command(t *testing.T, stdin, name string, args ...string) (cmd *exec.Cmd, out, problems *bytes.Buffer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, coffertest.Tool(t, name), args...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = s.env, s.home, 10*time.Second
	cmd.Stdin = strings.NewReader(stdin)
	out, problems = &bytes.Buffer{}, &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = out, problems
	return cmd, out, problems
}

// run runs a client that must succeed, and returns what it prints, without the last line's end.
func (s *server) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	return s.feed(t, "", name, args...)
}

// feed is run with an input.
func (s *server) feed(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	out, _ := s.outputs(t, stdin, name, args...)
	return strings.TrimSuffix(out, "\n")
}

// outputs is feed that also returns what goes to standard error.
func (s *server) outputs(t *testing.T, stdin, name string, args ...string) (out, log string) {
	t.Helper()
	cmd, stdout, stderr := s.command(t, stdin, name, args...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout.String(), stderr.String()
}

// refuse runs a client that must fail and say all of want.
func (s *server) refuse(t *testing.T, want []string, name string, args ...string) {
	t.Helper()
	cmd, out, problems := s.command(t, "", name, args...)
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Errorf("%s %s: %v, expected a failure\n%s%s", name, strings.Join(args, " "), err, out, problems)
		return
	}
	said := strings.Join(strings.Fields(out.String()+problems.String()), " ")
	for _, text := range want {
		if !strings.Contains(said, text) {
			t.Errorf("%s %s says\n%s\nexpected\n%s", name, strings.Join(args, " "), said, text)
		}
	}
}
