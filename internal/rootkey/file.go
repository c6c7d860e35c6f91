package rootkey

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/seal"
)

// filePrefix begins a root key file, so that no other file is taken for one.
const filePrefix = "coffer-root-key-1:"

// nextSuffix ends the name of a key that is about to take a file's place.
const nextSuffix = ".next"

// wrappedByFile begins what a file's key wrapped, and is part of what it is bound to.
const wrappedByFile = "coffer-wrapped-1\x00"

// File is a root key in a file. It is read each time, so that a file that is taken away is noticed, and one that is put
// back is found.
type File struct{ path string }

// CreateFile makes a new root key in a file that only its owner can read, durably, and never overwrites one. The file is
// there as a whole or not at all. The error is fs.ErrExist if there is one already.
func CreateFile(path string) (*File, error) {
	if err := writeFile(path); err != nil {
		return nil, fmt.Errorf("create the root key: %w", err)
	}
	return &File{path: path}, nil
}

func writeFile(path string) error {
	var raw [seal.KeySize]byte
	rand.Read(raw[:])
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(filePrefix + hex.EncodeToString(raw[:]) + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Link(f.Name(), path) // which, other than a rename, replaces nothing
	}
	if err = errors.Join(err, os.Remove(f.Name())); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// OpenFile opens a root key file. The error is one line for the operator: the file is missing (fs.ErrNotExist),
// readable by others, or not a root key.
func OpenFile(path string) (*File, error) {
	f := &File{path: path}
	_, err := readFile(path)
	return f, err
}

// readFile reads the key of a file.
func readFile(path string) (seal.Key, error) {
	info, err := os.Stat(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return seal.Key{}, fmt.Errorf("root key %s is missing, and this data can't be read without it; restore it from your backup: %w", path, fs.ErrNotExist)
		}
		return seal.Key{}, fmt.Errorf("read the root key: %w", err)
	}
	if mode := info.Mode().Perm(); exposed(mode, owner(info), os.Geteuid()) {
		return seal.Key{}, fmt.Errorf("root key %s can be read by others (mode %04o); run: chmod 600 %s", path, mode, path)
	}
	if info.Size() > maxFile {
		return seal.Key{}, damaged(path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return seal.Key{}, fmt.Errorf("read the root key: %w", err)
	}
	encoded, ok := strings.CutPrefix(strings.TrimSpace(string(text)), filePrefix)
	raw, err := hex.DecodeString(encoded)
	if !ok || err != nil || len(raw) != seal.KeySize {
		return seal.Key{}, damaged(path)
	}
	return seal.KeyFromBytes(raw)
}

// exposed reports whether others than a user can read or write a file. A secret that Kubernetes or systemd hands to a program
// belongs to root, and the program reads it by its group, which is made for that; so that is no exposure.
func exposed(mode fs.FileMode, owner, user int) bool {
	if owner == 0 && user != 0 {
		mode &^= 0o040
	}
	return mode&0o077 != 0
}

// owner is the number of the user that a file belongs to; -1 if the system has none.
func owner(info fs.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return -1
}

// maxFile bounds how long a root key file may be, in bytes.
const maxFile = 64 << 10

func damaged(path string) error {
	return fmt.Errorf("root key %s is damaged: it is not %s and 64 hexadecimal digits", path, filePrefix)
}

// String is the URL of the file.
func (f *File) String() string { return kindFile + ":" + f.path }

// Wrap encrypts a key under that of the file.
func (f *File) Wrap(_ context.Context, plaintext []byte, c kms.Context) ([]byte, error) {
	key, err := readFile(f.path)
	if err != nil {
		return nil, unavailable(f.String(), err)
	}
	sealed, err := seal.SealBytes(key, c.Encode([]byte(wrappedByFile)), plaintext)
	if err != nil {
		return nil, err
	}
	return append([]byte(wrappedByFile), sealed...), nil
}

// Unwrap decrypts what Wrap made. A rotation that was cut short after the new key came into use is finished by that.
func (f *File) Unwrap(_ context.Context, wrapped []byte, c kms.Context) ([]byte, error) {
	key, err := readFile(f.path)
	if err != nil {
		return nil, unavailable(f.String(), err)
	}
	if plaintext, err := openWrapped(key, wrapped, c); err == nil {
		return plaintext, nil
	}
	next, err := readFile(f.path + nextSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		// It may have been put into its place between the two reads.
		if key, err = readFile(f.path); err != nil {
			return nil, unavailable(f.String(), err)
		}
		return openWrapped(key, wrapped, c)
	}
	if err != nil {
		return nil, unavailable(f.String(), err)
	}
	plaintext, err := openWrapped(next, wrapped, c)
	if err != nil {
		return nil, err
	}
	return plaintext, f.replace()
}

// openWrapped opens what a file's key wrapped. The error is ErrWrongRoot.
func openWrapped(key seal.Key, wrapped []byte, c kms.Context) ([]byte, error) {
	sealed, ok := strings.CutPrefix(string(wrapped), wrappedByFile)
	if !ok {
		return nil, kms.ErrWrongRoot
	}
	plaintext, err := seal.OpenBytes(key, c.Encode([]byte(wrappedByFile)), []byte(sealed))
	if err != nil {
		return nil, kms.ErrWrongRoot
	}
	return plaintext, nil
}

// OpenDirect opens a short text that was sealed under the file's key itself. The error is seal.ErrAltered.
func (f *File) OpenDirect(_ context.Context, aad, sealed []byte) ([]byte, error) {
	key, err := readFile(f.path)
	if err != nil {
		return nil, unavailable(f.String(), err)
	}
	return seal.OpenBytes(key, aad, sealed)
}

// Renew makes the key that is to take this one's place, beside it. What an earlier rotation left there opens nothing, or
// Unwrap would have put it into its place.
func (f *File) Renew(context.Context) (kms.Root, func(context.Context) error, error) {
	next := f.path + nextSuffix
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	if err := writeFile(next); err != nil {
		return nil, nil, err
	}
	return &File{path: next}, func(context.Context) error { return f.replace() }, nil
}

// replace puts the next key into its place, unless somebody else just did.
func (f *File) replace() error {
	err := os.Rename(f.path+nextSuffix, f.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, syncFolder(filepath.Dir(f.path)))
}

func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
