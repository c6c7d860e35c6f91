package app_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/coffer-registry/coffer/internal/store/pgtest"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/rootkey"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Around(m)) }

// dataOf is the folder of a server that ran, with one repository.
func dataOf(t *testing.T) string {
	t.Helper()
	s := coffertest.Start(t)
	s.CreateRepository("team/app")
	s.Stop()
	return s.Config.Data
}

// openFiles is how many files, sockets and pipes this process has open.
func openFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// refused wants a start to fail with one line, and to leave nothing: no file, no lock, no goroutine, no port.
func refused(t *testing.T, c app.Config, want string) {
	running := goleak.IgnoreCurrent() // such as what keeps the database server of other tests
	t.Helper()
	before := openFiles(t)
	s, err := app.Start(t.Context(), c, app.Options{})
	if err == nil {
		s.Stop()
		t.Fatal("it started")
	}
	if s != nil {
		t.Error("there is a server beside the error")
	}
	text := err.Error()
	if !strings.Contains(text, want) || strings.ContainsAny(text, "\n\r") || strings.Contains(text, coffertest.SecretAccessKey) {
		t.Errorf("error is %q\nwant %q", text, want)
	}
	// Connections of an earlier test may have been closed meanwhile.
	if after := openFiles(t); after > before {
		t.Errorf("%d files are open, and %d were before", after, before)
	}
	goleak.VerifyNone(t, running)
	if _, err := app.ReadEndpoint(c.Data); err == nil {
		t.Error("it left its address")
	}
}

// starts wants a configuration to be good after all.
func starts(t *testing.T, c app.Config) {
	t.Helper()
	s, err := app.Start(t.Context(), c, app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Get(s.URL() + "/v2/")
	if err != nil {
		t.Error(err)
	} else {
		response.Body.Close()
		if response.StatusCode != http.StatusUnauthorized {
			t.Errorf("status %d", response.StatusCode)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

// occupied is an address that another program listens on.
func occupied(t *testing.T) (address string, release func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l.Addr().String(), func() { l.Close() }
}

func TestPortTaken(t *testing.T) {
	for _, flag := range []string{"--listen", "--admin-listen"} {
		t.Run(flag, func(t *testing.T) {
			c := coffertest.Config(t)
			address, release := occupied(t)
			if flag == "--listen" {
				c.Listen = address
			} else {
				c.AdminListen = address
			}
			refused(t, c, flag+" "+address+": bind: address already in use")
			release()
			starts(t, c)
		})
	}
}

func TestAddressIsNone(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:99999": "--listen 127.0.0.1:99999: ", "127.0.0.1:http?": "--listen 127.0.0.1:http?: ", "203.0.113.7:0": "--listen 203.0.113.7:0: bind: cannot assign requested address",
	} {
		c := coffertest.Config(t)
		c.Listen = address
		refused(t, c, want)
		if _, err := os.Stat(c.Data); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it made its folder: %v", err)
		}
	}
}

func TestBadConfig(t *testing.T) {
	c := coffertest.Config(t)
	c.Account = "1"
	refused(t, c, `--account "1" is not 12 digits`)
	c = coffertest.Config(t)
	c.RootAccessKeyID = "short"
	refused(t, c, "COFFER_ROOT_ACCESS_KEY_ID must be 16 to 128 letters, digits or underscores")
}

func TestDataInUse(t *testing.T) {
	s := coffertest.Start(t)
	c := s.Config
	goleaks := goleak.IgnoreCurrent()
	_, err := app.Start(t.Context(), c, app.Options{})
	if !errors.Is(err, store.ErrLocked) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error is %v", err)
	}
	_, err = app.Check(t.Context(), c, func(text string) { t.Error(text) }, func(app.Checked) {})
	if !errors.Is(err, store.ErrLocked) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error is %v", err)
	}
	goleak.VerifyNone(t, goleaks)
	// The first is none the worse for it.
	if e, err := app.ReadEndpoint(c.Data); err != nil || e.URL != s.URL {
		t.Errorf("%+v, error %v", e, err)
	}
	s.CreateRepository("team/app")
	if names := len(s.Trail()); names != 1 {
		t.Errorf("%d records", names)
	}
	s.Stop()
	starts(t, c)
}

// TestRootKey spoils the root key in each way; with the right one back, the server starts again.
func TestRootKey(t *testing.T) {
	data := dataOf(t)
	path := filepath.Join(data, "root-key")
	right, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := coffertest.Config(t)
	c.Data = data
	for name, tt := range map[string]struct {
		spoil func() error
		want  string
	}{
		"missing":              {func() error { return nil }, "root key " + path + " is missing, and this data can't be read without it"},
		"another's":            {func() error { _, err := rootkey.CreateFile(path); return err }, "the root key does not open this data: it belongs to another installation"},
		"damaged":              {func() error { return os.WriteFile(path, right[:len(right)/2], 0o600) }, "root key " + path + " is damaged"},
		"readable by everyone": {func() error { return errors.Join(os.WriteFile(path, right, 0o600), os.Chmod(path, 0o644)) }, "root key " + path + " can be read by others (mode 0644)"},
		"a folder":             {func() error { return os.Mkdir(path, 0o700) }, "read the root key: "},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if err := tt.spoil(); err != nil {
				t.Fatal(err)
			}
			c := c
			for range 2 { // nothing is made up for what is missing
				refused(t, c, tt.want)
			}
			if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, right, 0o600)); err != nil {
				t.Fatal(err)
			}
			starts(t, c)
		})
	}
	t.Run("elsewhere", func(t *testing.T) {
		c := c
		c.RootKey = "file:" + filepath.Join(t.TempDir(), "key")
		refused(t, c, "is missing, and this data can't be read without it")
		if err := os.Rename(path, strings.TrimPrefix(c.RootKey, "file:")); err != nil {
			t.Fatal(err)
		}
		starts(t, c)
	})
}

// TestSpoiledFolder puts something in the way of each part of the state.
func TestSpoiledFolder(t *testing.T) {
	folder := func(path string) func() error {
		return func() error { return os.MkdirAll(filepath.Join(path, "x"), 0o700) }
	}
	file := func(path string) func() error {
		return func() error { return os.WriteFile(path, []byte(strings.Repeat("none of ours\n", 1000)), 0o600) }
	}
	for name, tt := range map[string]struct {
		spoil func(data string) error
		want  string
	}{
		"a file":                  {func(data string) error { return file(data)() }, ": not a directory"},
		"below a file":            {func(data string) error { return file(filepath.Dir(data))() }, ": not a directory"},
		"a database that is none": {func(data string) error { return file(filepath.Join(data, "coffer.db"))() }, "the file is damaged or not a database"},
		"a folder for a database": {func(data string) error { return folder(filepath.Join(data, "coffer.db"))() }, "coffer.db is no file"},
		"a folder for the lock":   {func(data string) error { return folder(filepath.Join(data, "lock"))() }, "lock the data folder "},
		"a file for the objects":  {func(data string) error { return file(filepath.Join(data, "blobs"))() }, "it is not a folder"},
		"no credentials in their file": {func(data string) error { return file(filepath.Join(data, "root-credentials"))() },
			"root-credentials holds no aws_access_key_id and aws_secret_access_key"},
		"a folder for the socket":  {func(data string) error { return folder(filepath.Join(data, "control"))() }, "control socket: "},
		"a folder for the address": {func(data string) error { return folder(filepath.Join(data, "endpoint"))() }, "note the address: "},
	} {
		t.Run(name, func(t *testing.T) {
			c := coffertest.Config(t)
			c.Data = filepath.Join(t.TempDir(), "parent", "data")
			c.RootAccessKeyID, c.RootSecretAccessKey = "", secret.Text{}
			if name != "below a file" && name != "a file" {
				if err := os.MkdirAll(c.Data, 0o700); err != nil {
					t.Fatal(err)
				}
			} else if name == "a file" {
				if err := os.MkdirAll(filepath.Dir(c.Data), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if err := tt.spoil(c.Data); err != nil {
				t.Fatal(err)
			}
			refused(t, c, tt.want)
			if err := os.RemoveAll(filepath.Dir(c.Data)); err != nil {
				t.Fatal(err)
			}
			starts(t, c)
		})
	}
}

func TestReadOnlyData(t *testing.T) {
	data := dataOf(t)
	disk := t.TempDir()
	if err := syscall.Mount(data, disk, "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("mounting takes root's rights: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	if err := syscall.Mount("", disk, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	c := coffertest.Config(t)
	c.Data = disk
	refused(t, c, "lock the data folder "+disk+": the database can't be written to: ")
	c.Data = filepath.Join(disk, "new")
	refused(t, c, "data folder "+c.Data+": ")
	c.Data = data
	starts(t, c)
}

// A start whose context has ended has not begun.
func TestStartOfNobody(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := app.Start(ctx, coffertest.Config(t), app.Options{}); !errors.Is(err, context.Canceled) || s != nil {
		t.Errorf("error is %v", err)
	}
}

// TestStateOfACrash starts on what a killed server leaves: a socket, an address and files half written.
func TestStateOfACrash(t *testing.T) {
	data := dataOf(t)
	l, err := net.Listen("unix", filepath.Join(data, "control"))
	if err != nil {
		if err := os.Remove(filepath.Join(data, "control")); err != nil {
			t.Fatal(err)
		}
		if l, err = net.Listen("unix", filepath.Join(data, "control")); err != nil {
			t.Fatal(err)
		}
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	for name, text := range map[string]string{"endpoint": "http://127.0.0.1:1\nus-east-1\n", ".endpoint-123": "half", ".root-credentials-123": "half"} {
		if err := os.WriteFile(filepath.Join(data, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := coffertest.Start(t, coffertest.Data(data))
	if e, err := app.ReadEndpoint(data); err != nil || e != (app.Endpoint{URL: s.URL, Region: coffertest.Region}) {
		t.Errorf("%+v, error %v", e, err)
	}
	if n := len(s.Trail()); n != 1 {
		t.Errorf("%d records", n)
	}
}
