package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/secret"
)

// Credentials are an access key as the AWS credentials file has it.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey secret.Text
}

// credentialsPath is the file that the first start leaves the root access key in.
func credentialsPath(data string) string { return filepath.Join(data, "root-credentials") }

// ensureRootKey sees to it that the first account has its root access key: that of the environment, the one that it has,
// or a new one, which is in the credentials file before it is good for anything.
func ensureRootKey(ctx context.Context, c Config, s *iam.Store) error {
	if c.RootAccessKeyID != "" {
		return adoptRootKey(ctx, c, s)
	}
	has, err := s.HasRootKey(ctx, c.Account)
	if err != nil || has {
		return err
	}
	creds, err := ReadCredentials(c.Data)
	if errors.Is(err, fs.ErrNotExist) {
		creds.AccessKeyID, creds.SecretAccessKey = iam.NewAccessKey()
		err = writeCredentials(c.Data, creds)
	}
	if err != nil {
		return err
	}
	return s.PutRootKey(ctx, c.Account, creds.AccessKeyID, creds.SecretAccessKey)
}

func adoptRootKey(ctx context.Context, c Config, s *iam.Store) error {
	if !iam.ValidAccessKeyID(c.RootAccessKeyID) {
		return errors.New("COFFER_ROOT_ACCESS_KEY_ID must be 16 to 128 letters, digits or underscores")
	}
	if n := len(c.RootSecretAccessKey.Reveal()); n < 16 || n > 256 {
		return errors.New("COFFER_ROOT_SECRET_ACCESS_KEY must have 16 to 256 characters")
	}
	key, err := s.AccessKey(ctx, c.RootAccessKeyID)
	if err == nil && key.Secret.Equal(c.RootSecretAccessKey) && key.Owner == c.Account {
		return nil
	}
	if err != nil && !errors.Is(err, iam.ErrUnknownKey) {
		return err
	}
	return s.PutRootKey(ctx, c.Account, c.RootAccessKeyID, c.RootSecretAccessKey)
}

// ReadCredentials reads the root access key from the data folder. The error is fs.ErrNotExist if there is none.
func ReadCredentials(data string) (Credentials, error) {
	f, err := os.Open(credentialsPath(data))
	if err != nil {
		return Credentials{}, fmt.Errorf("read the root credentials: %w", err)
	}
	defer f.Close()
	var c Credentials
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), "=")
		switch strings.TrimSpace(name) {
		case "aws_access_key_id":
			c.AccessKeyID = strings.TrimSpace(value)
		case "aws_secret_access_key":
			c.SecretAccessKey = secret.New(strings.TrimSpace(value))
		}
	}
	if c.AccessKeyID == "" || c.SecretAccessKey.Reveal() == "" {
		return Credentials{}, fmt.Errorf("%s holds no aws_access_key_id and aws_secret_access_key", credentialsPath(data))
	}
	return c, nil
}

func writeCredentials(data string, c Credentials) error {
	text := "[default]\naws_access_key_id = " + c.AccessKeyID + "\naws_secret_access_key = " + c.SecretAccessKey.Reveal() + "\n"
	if err := writeFile(credentialsPath(data), text); err != nil {
		return fmt.Errorf("write the root credentials: %w", err)
	}
	return nil
}

// writeFile writes a file that only its owner can read, durably, and whole or not at all.
func writeFile(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
