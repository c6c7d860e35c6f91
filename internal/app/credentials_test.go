package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/store"
)

// The examples of the AWS documentation.
const (
	exampleID     = "AKIAIOSFODNN7EXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	otherID       = "AKIAI44QH8DHBEXAMPLE"
	otherSecret   = "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY"
)

func TestCredentialsFile(t *testing.T) {
	data := t.TempDir()
	if _, err := ReadCredentials(data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
	for _, c := range []Credentials{{exampleID, secret.New(exampleSecret)}, {otherID, secret.New(otherSecret)}} {
		if err := writeCredentials(data, c); err != nil {
			t.Fatal(err)
		}
		got, err := ReadCredentials(data)
		if err != nil || got.AccessKeyID != c.AccessKeyID || got.SecretAccessKey.Reveal() != c.SecretAccessKey.Reveal() {
			t.Errorf("%s, error %v", got.AccessKeyID, err)
		}
		if text := fmt.Sprintf("%v %+v %#v", got, got, got); strings.Contains(text, got.SecretAccessKey.Reveal()) {
			t.Error(text)
		}
	}
	path := filepath.Join(data, "root-credentials")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := "[default]\naws_access_key_id = " + otherID + "\naws_secret_access_key = " + otherSecret + "\n"; string(text) != want {
		t.Errorf("the file is %q", text)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	if files, err := os.ReadDir(data); err != nil || len(files) != 1 {
		t.Errorf("%v, error %v", files, err)
	}
}

func TestReadCredentials(t *testing.T) {
	data := t.TempDir()
	for text, good := range map[string]bool{
		"aws_access_key_id=" + exampleID + "\naws_secret_access_key=" + exampleSecret:                                             true,
		"[default]\r\naws_access_key_id = " + exampleID + "\r\naws_secret_access_key\t=\t" + exampleSecret + "\r\n":               true,
		"# by hand\n\n[default]\nregion = us-east-1\naws_secret_access_key=" + exampleSecret + "\naws_access_key_id=" + exampleID: true,
		"": false, "[default]\n": false, "aws_access_key_id = " + exampleID: false, "aws_secret_access_key = " + exampleSecret: false,
		"aws_access_key_id =\naws_secret_access_key =\n": false, "aws_access_key_id " + exampleID + "\naws_secret_access_key " + exampleSecret: false,
		"#aws_access_key_id=" + exampleID + "\n#aws_secret_access_key=" + exampleSecret: false, strings.Repeat("x", 1<<20): false,
	} {
		if err := os.WriteFile(filepath.Join(data, "root-credentials"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadCredentials(data)
		if good && (err != nil || got.AccessKeyID != exampleID || got.SecretAccessKey.Reveal() != exampleSecret) {
			t.Errorf("%q: %s, error %v", text, got.AccessKeyID, err)
		}
		if !good && (err == nil || errors.Is(err, fs.ErrNotExist)) {
			t.Errorf("%.40q: error %v", text, err)
		}
		if err != nil {
			oneLine(t, err)
		}
	}
}

// newStore is a directory of its own, in a data folder.
func newStore(t testing.TB) (*iam.Store, Config) {
	t.Helper()
	c := good()
	c.Data = t.TempDir()
	db, err := store.Open(t.Context(), c.Data, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return iam.New(iam.Config{DB: db, Secrets: seal.NewKey()}), c
}

func wantRootKey(t testing.TB, d *iam.Store, id, text string) {
	t.Helper()
	key, err := d.AccessKey(context.Background(), id)
	if err != nil || key.Secret.Reveal() != text || key.Owner != key.Account || key.Account != "123456789012" {
		t.Errorf("access key %s: %+v, error %v", id, key, err)
	}
}

func TestRootKeyIsMade(t *testing.T) {
	d, c := newStore(t)
	if err := ensureRootKey(t.Context(), c, d); err != nil {
		t.Fatal(err)
	}
	made, err := ReadCredentials(c.Data)
	if err != nil {
		t.Fatal(err)
	}
	wantRootKey(t, d, made.AccessKeyID, made.SecretAccessKey.Reveal())
	// It stays, even when the file is gone, which is not made again: the secret leaves the server once.
	if err := os.Remove(filepath.Join(c.Data, "root-credentials")); err != nil {
		t.Fatal(err)
	}
	if err := ensureRootKey(t.Context(), c, d); err != nil {
		t.Fatal(err)
	}
	wantRootKey(t, d, made.AccessKeyID, made.SecretAccessKey.Reveal())
	if _, err := ReadCredentials(c.Data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
}

// A start that was cut short after it wrote the file goes on with that.
func TestRootKeyOfTheFile(t *testing.T) {
	d, c := newStore(t)
	if err := writeCredentials(c.Data, Credentials{exampleID, secret.New(exampleSecret)}); err != nil {
		t.Fatal(err)
	}
	if err := ensureRootKey(t.Context(), c, d); err != nil {
		t.Fatal(err)
	}
	wantRootKey(t, d, exampleID, exampleSecret)
	d, c = newStore(t)
	if err := os.WriteFile(filepath.Join(c.Data, "root-credentials"), []byte("[default]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := ensureRootKey(t.Context(), c, d)
	if want := filepath.Join(c.Data, "root-credentials") + " holds no aws_access_key_id and aws_secret_access_key"; err == nil || err.Error() != want {
		t.Errorf("error is %v", err)
	}
}

func TestRootKeyOfTheEnvironment(t *testing.T) {
	d, c := newStore(t)
	adopt := func(id, text string) error {
		c.RootAccessKeyID, c.RootSecretAccessKey = id, secret.New(text)
		return ensureRootKey(t.Context(), c, d)
	}
	for _, key := range [][2]string{{exampleID, exampleSecret}, {exampleID, exampleSecret}, {exampleID, otherSecret}, {otherID, otherSecret}, {otherID, exampleSecret}} {
		if err := adopt(key[0], key[1]); err != nil {
			t.Fatal(err)
		}
		wantRootKey(t, d, key[0], key[1])
	}
	if _, err := d.AccessKey(t.Context(), exampleID); !errors.Is(err, iam.ErrUnknownKey) {
		t.Errorf("the replaced key: %v", err)
	}
	// It is nowhere in the folder but sealed.
	if _, err := ReadCredentials(c.Data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
	const badID = "COFFER_ROOT_ACCESS_KEY_ID must be 16 to 128 letters, digits or underscores"
	const badSecret = "COFFER_ROOT_SECRET_ACCESS_KEY must have 16 to 256 characters"
	for _, tt := range [][3]string{
		{"short", exampleSecret, badID}, {exampleID + "/", exampleSecret, badID}, {exampleID + "\n", exampleSecret, badID}, {strings.Repeat("A", 129), exampleSecret, badID},
		{exampleID, "short", badSecret}, {exampleID, strings.Repeat("s", 257), badSecret},
	} {
		if err := adopt(tt[0], tt[1]); err == nil || err.Error() != tt[2] {
			t.Errorf("%.30q: error is %v", tt[0], err)
		}
	}
	wantRootKey(t, d, otherID, exampleSecret)
}

func TestEndpointFile(t *testing.T) {
	data := t.TempDir()
	if _, err := ReadEndpoint(data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
	if err := removeEndpoint(data); err != nil {
		t.Error(err)
	}
	for _, want := range []Endpoint{{URL: "http://127.0.0.1:5000", Region: "us-east-1"}, {"https://[::1]:5000", "eu-central-1", "/srv/a b/ca.pem"}} {
		if err := writeEndpoint(data, want); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadEndpoint(data); err != nil || got != want {
			t.Errorf("%+v, error %v", got, err)
		}
	}
	if err := removeEndpoint(data); err != nil {
		t.Error(err)
	}
	if files, err := os.ReadDir(data); err != nil || len(files) != 0 {
		t.Errorf("%v, error %v", files, err)
	}
}

// writeFile replaces what is there, and leaves it when it can't.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := os.WriteFile(path, []byte("open to all, and longer"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(path, "new"); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "new" {
		t.Errorf("%q, error %v", text, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	folder := filepath.Join(dir, "folder")
	if err := os.MkdirAll(filepath.Join(folder, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(folder, "new"); err == nil {
		t.Error("it replaced a folder")
	}
	if err := writeFile(filepath.Join(dir, "missing", "a"), "new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 2 {
		t.Errorf("it left %v, error %v", files, err)
	}
}
