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

// CreateRoot makes a new root key in a file that only its owner can read, durably, and never overwrites one. The file is
// there as a whole or not at all. The error is fs.ErrExist if there is one already.
func CreateRoot(path string) (*Root, error) {
	var raw [32]byte
	rand.Read(raw[:])
	if err := writeRoot(path, rootPrefix+hex.EncodeToString(raw[:])+"\n"); err != nil {
		return nil, fmt.Errorf("create the root key: %w", err)
	}
	return newRoot(raw[:])
}

func writeRoot(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Link(f.Name(), path) // which, other than a rename, replaces nothing
	}
	if err = errors.Join(err, os.Remove(f.Name())); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
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

func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
