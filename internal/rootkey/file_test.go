package rootkey

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/coffer-registry/coffer/internal/store/pgtest"

	"github.com/coffer-registry/coffer/internal/seal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Around(m)) }

func newFile(t testing.TB) (*File, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root-key")
	root, err := CreateFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return root, path
}

// keyOf is the key in a root's file.
func keyOf(t testing.TB, f *File) seal.Key {
	t.Helper()
	key, err := readFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestRootFile(t *testing.T) {
	root, path := newFile(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("its mode is %v", info.Mode())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("coffer-root-key-1:%x\n", keyOf(t, root).Bytes()); string(text) != want {
		t.Errorf("the file is %d bytes", len(text))
	}
	opened, err := OpenFile(path)
	if err != nil || !keyOf(t, opened).Equal(keyOf(t, root)) {
		t.Errorf("it opens as another key, error %v", err)
	}
	if other, _ := newFile(t); keyOf(t, other).Equal(keyOf(t, root)) {
		t.Error("two root keys are the same")
	}
	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
		t.Errorf("%v, error %v", files, err)
	}
}

func TestRootIsNeverOverwritten(t *testing.T) {
	root, path := newFile(t)
	if _, err := CreateFile(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error is %v", err)
	}
	if opened, err := OpenFile(path); err != nil || !keyOf(t, opened).Equal(keyOf(t, root)) {
		t.Errorf("it is another key now, error %v", err)
	}
	// A file that is empty, as of a start that was cut short, is not taken for none either.
	empty := filepath.Join(t.TempDir(), "root-key")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateFile(empty); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error is %v", err)
	}
	if files, err := os.ReadDir(filepath.Dir(empty)); err != nil || len(files) != 1 {
		t.Errorf("%v, error %v", files, err)
	}
}

func TestRootCantBeMade(t *testing.T) {
	dir := t.TempDir()
	_, err := CreateFile(filepath.Join(dir, "missing", "root-key"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "create the root key: ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error is %v", err)
	}
}

// A file of root's may be read by its group, which is how secrets come to programs that run as another user, and no other file.
func TestRootExposed(t *testing.T) {
	const root, user, other = 0, 1000, 1001
	for _, tt := range []struct {
		mode        fs.FileMode
		owner, user int
		exposed     bool
	}{
		{0o600, user, user, false}, {0o400, user, user, false}, {0o640, user, user, true}, {0o604, user, user, true},
		{0o440, root, user, false}, {0o640, root, user, false}, {0o660, root, user, true}, {0o444, root, user, true}, {0o441, root, user, true},
		{0o600, root, root, false}, {0o640, root, root, true},
		{0o440, other, user, true}, {0o440, -1, user, true},
	} {
		if got := exposed(tt.mode, tt.owner, tt.user); got != tt.exposed {
			t.Errorf("mode %04o of user %d, read by %d: exposed is %v", tt.mode, tt.owner, tt.user, got)
		}
	}
}

// TestRootRefused has an error of one line for each file that is no root key, and no part of a key in it.
func TestRootRefused(t *testing.T) {
	root, good := newFile(t)
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(strings.TrimPrefix(string(text), filePrefix))
	damaged := "is damaged: it is not coffer-root-key-1: and 64 hexadecimal digits"
	for name, tt := range map[string]struct {
		text    string
		mode    fs.FileMode
		message string // empty if the key opens
	}{
		"as made":                 {string(text), 0o600, ""},
		"read-only":               {string(text), 0o400, ""},
		"without the line break":  {filePrefix + key, 0o600, ""},
		"with a Windows one":      {filePrefix + key + "\r\n", 0o600, ""},
		"in upper case":           {filePrefix + strings.ToUpper(key), 0o600, ""},
		"readable by the group":   {string(text), 0o640, "can be read by others (mode 0640); run: chmod 600 "},
		"readable by others":      {string(text), 0o604, "can be read by others (mode 0604); run: chmod 600 "},
		"writable by others":      {string(text), 0o602, "can be read by others (mode 0602); run: chmod 600 "},
		"empty":                   {"", 0o600, damaged},
		"truncated":               {string(text[:len(text)-3]), 0o600, damaged},
		"truncated to the prefix": {filePrefix, 0o600, damaged},
		"longer":                  {filePrefix + key + "00", 0o600, damaged},
		"twice":                   {string(text) + string(text), 0o600, damaged},
		"without its prefix":      {key, 0o600, damaged},
		"of another version":      {strings.Replace(string(text), "-1:", "-2:", 1), 0o600, damaged},
		"not hexadecimal":         {filePrefix + "g" + key[1:], 0o600, damaged},
		"a space within":          {filePrefix + key[:32] + " " + key[32:], 0o600, damaged},
		"something else":          {"-----BEGIN PRIVATE KEY-----\n" + key, 0o600, damaged},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "root-key")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			opened, err := OpenFile(path)
			if tt.message == "" {
				if err != nil || !keyOf(t, opened).Equal(keyOf(t, root)) {
					t.Errorf("it opens as another key, error %v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("it was opened")
			}
			message := err.Error()
			if !strings.HasPrefix(message, "root key "+path+" "+tt.message) || strings.Contains(message, "\n") {
				t.Errorf("error is %q", message)
			}
			if strings.Contains(message, key[:8]) || strings.Contains(message, key[40:48]) {
				t.Errorf("error shows the key: %q", message)
			}
		})
	}
}

func TestRootIsMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root-key")
	_, err := OpenFile(path)
	want := "root key " + path + " is missing, and this data can't be read without it; restore it from your backup: file does not exist"
	if !errors.Is(err, fs.ErrNotExist) || err.Error() != want {
		t.Errorf("error is %v", err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFile(path); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("a folder: %v", err)
	}
}

func TestRootNeverPrints(t *testing.T) {
	root, _ := newFile(t)
	raw := keyOf(t, root).Bytes()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		for _, v := range []any{root, *root} {
			text := fmt.Sprintf(verb, v)
			if strings.Contains(text, fmt.Sprintf("%x", raw[:4])) || strings.Contains(text, strings.Trim(fmt.Sprint(raw[:4]), "[]")) {
				t.Errorf("%s: %s", verb, text)
			}
		}
	}
}
