// Package pgtest runs Debian's PostgreSQL in tests, as processes on loopback.
//
// Start gives the one server that all tests of a process share, each in a database of its own; StartOwn gives a server
// that a test may stop, kill and start again. Whatever becomes of the test process, even if it is killed, its servers
// end and their folders go.
package pgtest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// role is who owns the databases of tests. It is a superuser.
	role     = "coffer"
	password = "only-for-tests"
	// patience bounds each wait for a process.
	patience = 60 * time.Second
	// oldest is the first major version that Coffer works with.
	oldest = 15
)

// Options say how a server of one's own works. The zero value is right for most tests.
type Options struct {
	// Disk keeps the server's files on the disk rather than in memory, so that its fsyncs take their time.
	Disk bool
	// Settings are more settings, each as name=value.
	Settings []string
}

// parent is the folder that the server's own is made in: one in memory, where there is one.
func (o Options) parent() string {
	const memory = "/dev/shm"
	if info, err := os.Stat(memory); err == nil && info.IsDir() && !o.Disk {
		return memory
	}
	return ""
}

// Server is a PostgreSQL server. Its address stays the same when it is started again. Its methods may be called by several
// goroutines, but only one may stop and start it.
type Server struct {
	bin, dir string
	port     int
	options  Options
	as       *syscall.Credential // nil to run as whoever runs the test
	keeper   io.Closer

	mu      sync.Mutex
	process *process // nil while it doesn't run
	names   int
}

// shared is the server that all tests of this process share, once one asked for it.
var shared struct {
	once   sync.Once
	server *Server
	err    error
}

// Tests is what runs the tests of a package, a *testing.M.
type Tests interface{ Run() int }

// Around ends the shared server after the tests, for packages that look for what is left behind.
func Around(m Tests) Tests { return around{m} }

type around struct{ Tests }

// Run runs the tests.
func (a around) Run() int {
	code := a.Tests.Run()
	if s := shared.server; s != nil {
		s.end(syscall.SIGQUIT)
		s.keeper.Close()
	}
	return code
}

// Start gives a server that other tests of this process use too. A
// test is skipped where no PostgreSQL is installed, unless test/setup is to have installed it.
func Start(t testing.TB) *Server {
	t.Helper()
	shared.once.Do(func() { shared.server, shared.err = launch(Options{}) })
	refuse(t, shared.err)
	return shared.server
}

// StartOwn starts a server that is the test's own, and ends with it.
func StartOwn(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := launch(o)
	refuse(t, err)
	t.Cleanup(func() {
		s.end(syscall.SIGQUIT)
		s.keeper.Close()
	})
	return s
}

// errMissing says that there is no PostgreSQL on the machine.
var errMissing = fmt.Errorf("PostgreSQL %d or later is not installed", oldest)

func refuse(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, errMissing) && os.Getenv("COFFER_TEST_DIR") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("start PostgreSQL: %v", err)
	}
}

// launch makes a folder for a server and starts it there.
func launch(o Options) (_ *Server, err error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, options: o}
	if s.as, err = credential(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp(o.parent(), "coffer-postgres-*"); err != nil {
		return nil, err
	}
	if s.keeper, err = keep(s.dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	defer func() {
		if err != nil {
			s.keeper.Close()
		}
	}()
	if s.as != nil {
		if err := os.Chown(s.dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			return nil, err
		}
	}
	if err := s.initialise(); err != nil {
		return nil, err
	}
	// Another process may take a free port before the server does.
	for range 5 {
		if s.port, err = freePort(); err != nil {
			return nil, err
		}
		if err = s.start(); err == nil || !strings.Contains(err.Error(), "Address already in use") {
			break
		}
	}
	return s, err
}

// programs is the folder of the newest PostgreSQL's programs.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", err
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // what is no number is no version
		return n
	}
	slices.SortFunc(found, func(a, b string) int { return cmp.Compare(version(a), version(b)) })
	if len(found) == 0 || version(found[len(found)-1]) < oldest {
		return "", errMissing
	}
	return filepath.Dir(found[len(found)-1]), nil
}

// credential is whom the server runs as: PostgreSQL refuses to run as root.
func credential() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("the id of user postgres: %w", err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("the group of user postgres: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// keep starts a process that ends what runs in a folder, and removes it, once what it returns is closed. The kernel closes
// it when this process ends, however that is.
func keep(dir string) (io.Closer, error) {
	const script = `cat >/dev/null
file=$0/data/postmaster.pid
pid=$(head -n 1 "$file" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null
n=0
while [ -e "$file" ] && [ $n -lt 50 ]; do n=$((n+1)); sleep 0.1; done
rm -rf "$0"`
	cmd := exec.Command("sh", "-c", script, dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return keeper{in, cmd}, nil
}

type keeper struct {
	io.Closer
	cmd *exec.Cmd
}

// Close waits until the folder is gone.
func (k keeper) Close() error { return errors.Join(k.Closer.Close(), k.cmd.Wait()) }

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// command is one of PostgreSQL's programs, which is not started yet.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as, Setpgid: true}
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password, "LC_ALL=C")
	return cmd
}

// initialise makes the files of a new server.
func (s *Server) initialise() error {
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(password+"\n"), 0o644); err != nil {
		return err
	}
	out, err := s.command("initdb", "--pgdata", s.data(), "--username", role, "--pwfile", secret, "--auth", "scram-sha-256",
		"--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions").CombinedOutput()
	if err != nil {
		return fmt.Errorf("make the files of PostgreSQL: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Address is where the server listens, as host:port.
func (s *Server) Address() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

// Database makes an empty database, and returns its URL. It is dropped with the test.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	return s.create(t, "template0")
}

// Clone makes a copy of a database that nobody is connected to, by its URL, and returns the copy's. It is dropped with the test.
func (s *Server) Clone(t testing.TB, address string) string {
	t.Helper()
	return s.create(t, databaseOf(t, address))
}

// create makes a copy of a database.
func (s *Server) create(t testing.TB, template string) string {
	t.Helper()
	s.mu.Lock()
	s.names++
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), s.names)
	s.mu.Unlock()
	s.run(t, "createdb", "--template", template, name)
	t.Cleanup(func() {
		if s.running() {
			s.run(t, "dropdb", "--force", name)
		}
	})
	return s.URL(s.Address(), name)
}

// databaseOf is the name of the database that a URL leads to.
func databaseOf(t testing.TB, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(u.Path, "/")
}

// Files is the folder of a database's tables and indexes, by its URL, with all that was committed in it.
func (s *Server) Files(t testing.TB, address string) string {
	t.Helper()
	s.Query(t, address, "CHECKPOINT")
	id := s.Query(t, address, "SELECT oid FROM pg_database WHERE datname = current_database()")
	return filepath.Join(s.data(), "base", id)
}

// URL is that of a database by way of an address, such as that of a proxy.
func (s *Server) URL(address, database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(role, password), Host: address, Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

// Query runs SQL in the database of a URL, and returns its rows: a line each, with columns separated by |.
func (s *Server) Query(t testing.TB, database, sql string) string {
	t.Helper()
	out, err := s.command("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1", "--command", sql, database).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", sql, err, bytes.TrimSpace(out))
	}
	return string(bytes.TrimSpace(out))
}

func (s *Server) run(t testing.TB, program string, args ...string) {
	t.Helper()
	args = append([]string{"--host", "127.0.0.1", "--port", strconv.Itoa(s.port), "--username", role}, args...)
	if out, err := s.command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", program, err, bytes.TrimSpace(out))
	}
}
