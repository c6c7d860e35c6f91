package kms

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/coffer-registry/coffer/internal/seal"
)

// rootPrefix begins a root key file, so that no other file is taken for one.
const rootPrefix = "coffer-root-key-1:"

// Root is the key that wraps all service keys. It never touches data.
type Root struct{ key seal.Key }

// CreateRoot makes a new root key in a file that only its owner can read, durably, and never overwrites one.
func CreateRoot(path string) (*Root, error) {
	var raw [32]byte
	rand.Read(raw[:])
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create the root key: %w", err)
	}
	defer f.Close()
	if _, err := f.WriteString(rootPrefix + hex.EncodeToString(raw[:]) + "\n"); err != nil {
		return nil, errors.Join(fmt.Errorf("write the root key: %w", err), os.Remove(path))
	}
	if err := syncFileAndFolder(f, path); err != nil {
		return nil, errors.Join(fmt.Errorf("make the root key durable: %w", err), os.Remove(path))
	}
	return newRoot(raw[:])
}

// OpenRoot reads a root key file. The error is one line for the operator: the file is missing (fs.ErrNotExist),
// readable by others, or not a root key.
func OpenRoot(path string) (*Root, error) {
	info, err := os.Stat(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("root key %s is missing, and this data can't be read without it; restore it from your backup: %w", path, fs.ErrNotExist)
		}
		return nil, fmt.Errorf("read the root key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("root key %s can be read by others (mode %04o); run: chmod 600 %s", path, mode, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the root key: %w", err)
	}
	encoded, ok := strings.CutPrefix(strings.TrimSpace(string(text)), rootPrefix)
	raw, err := hex.DecodeString(encoded)
	if !ok || err != nil || len(raw) != 32 {
		return nil, fmt.Errorf("root key %s is damaged: it is not %s and 64 hexadecimal digits", path, rootPrefix)
	}
	return newRoot(raw)
}

func newRoot(raw []byte) (*Root, error) {
	key, err := seal.KeyFromBytes(raw)
	if err != nil {
		return nil, err
	}
	return &Root{key: key}, nil
}

func syncFileAndFolder(f *os.File, path string) error {
	if err := f.Sync(); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
