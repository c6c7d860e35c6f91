package store

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestMain lets the test binary stand in for another process of the program: see child.
func TestMain(m *testing.M) {
	switch os.Getenv(childRole) {
	case "lock":
		childLock()
	case "open":
		childOpen()
	case "insert":
		childInsert()
	default:
		os.Exit(m.Run())
	}
}

const (
	childRole   = "COFFER_TEST_CHILD"
	childFolder = "COFFER_TEST_FOLDER"
)

// child prepares this binary to run as another process in a role.
func child(t *testing.T, role, dir string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childRole+"="+role, childFolder+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// childLock locks the folder, says so, and holds it until it is killed.
func childLock() {
	lock, err := LockDir(os.Getenv(childFolder))
	if err != nil {
		os.Stdout.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	os.Stdout.WriteString("locked\n")
	io.Copy(io.Discard, os.Stdin)
	lock.Close()
}

// childOpen tries to open the database and says how that went.
func childOpen() {
	db, err := Open(interrupted, os.Getenv(childFolder), Options{})
	if err != nil {
		os.Stdout.WriteString(err.Error() + "\n")
		if errors.Is(err, ErrReadOnly) {
			os.Stdout.WriteString("ErrReadOnly\n")
		}
		os.Exit(1)
	}
	os.Stdout.WriteString("opened\n")
	db.Close()
}

func TestLockDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	holder := child(t, "lock", dir)
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "locked\n" {
		t.Fatal(line, err)
	}
	_, err = LockDir(dir)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error is %v", err)
	}
	if err := holder.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	holder.Wait()
	for range 2 { // The second time it has been released by Close.
		lock, err := LockDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := LockDir(dir); !errors.Is(err, ErrLocked) {
			t.Errorf("locked twice: %v, %v", again, err)
		}
		if err := lock.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		dir  func(t *testing.T) string
		want error
		text string
	}{
		{"missing parent", func(t *testing.T) string { return filepath.Join(t.TempDir(), "missing", "data") }, fs.ErrNotExist, "parent folder is missing"},
		{"no folder", func(t *testing.T) string { return file }, nil, "not a folder"},
		{"no database", func(t *testing.T) string {
			return folderWith(t, []byte(strings.Repeat("this is a text, and no database\n", 100)))
		}, ErrCorrupt, "not a database"},
		{"folder in its place", func(t *testing.T) string {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, FileName), 0o700); err != nil {
				t.Fatal(err)
			}
			return dir
		}, ErrCorrupt, FileName},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := test.dir(t)
			db, err := Open(t.Context(), dir, Options{})
			if err == nil {
				db.Close()
				t.Fatal("no error")
			}
			if test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("error is %v, want %v", err, test.want)
			}
			for _, part := range []string{dir, test.text} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error is %q, without %q", err, part)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error has lines: %q", err)
			}
		})
	}
}

func folderWith(t *testing.T, database []byte) string {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, FileName), database, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestOpenWithoutRights opens folders and files that may only be read, as a user to whom that matters.
func TestOpenWithoutRights(t *testing.T) {
	for _, test := range []struct {
		name    string
		prepare func(t *testing.T, dir string)
	}{
		{"folder", func(t *testing.T, dir string) { chmod(t, dir, 0o555) }},
		{"folder with a database", func(t *testing.T, dir string) {
			makeDatabase(t, dir)
			chmod(t, filepath.Join(dir, FileName), 0o666)
			chmod(t, dir, 0o555)
		}},
		{"file", func(t *testing.T, dir string) {
			makeDatabase(t, dir)
			chmod(t, filepath.Join(dir, FileName), 0o444)
			chmod(t, dir, 0o777)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "coffer-rights-") // t.TempDir is closed to other users.
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			test.prepare(t, dir)
			cmd := child(t, "open", dir)
			if os.Getuid() == 0 {
				if !strings.HasPrefix(cmd.Path, os.TempDir()) {
					t.Skip("the test binary is where another user may not be able to run it")
				}
				openPath(t, cmd.Path)
				const nobody = 65534
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			}
			out, err := cmd.Output()
			if _, exited := errors.AsType[*exec.ExitError](err); !exited {
				t.Fatalf("%v: %s", err, out)
			}
			lines := strings.Split(string(out), "\n")
			if !strings.Contains(lines[0], dir) || lines[1] != "ErrReadOnly" {
				t.Errorf("it says %q", out)
			}
		})
	}
}

// openPath lets everybody reach the test binary, in a folder that go test made for it alone.
func openPath(t *testing.T, path string) {
	chmod(t, path, 0o755)
	for dir := filepath.Dir(path); dir != filepath.Clean(os.TempDir()) && dir != "/"; dir = filepath.Dir(dir) {
		chmod(t, dir, 0o755)
	}
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func makeDatabase(t *testing.T, dir string) {
	t.Helper()
	db, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestFilesAreTheOwners(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	db, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFolderNames opens folders whose names mean something in a URI.
func TestFolderNames(t *testing.T) {
	for _, name := range []string{"a b", "a?mode=memory", "a%20b", "a#b", "ä", "'"} {
		dir := filepath.Join(t.TempDir(), name)
		makeDatabase(t, dir)
		if _, err := os.Stat(filepath.Join(dir, FileName)); err != nil {
			t.Error(err)
		}
	}
}
