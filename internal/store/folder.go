package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	// FileName is the name of the database in the data folder.
	FileName = "coffer.db"
	lockName = "lock"
)

// LockDir makes the data folder if it is missing, but not its parent, and locks it against other processes until the
// result is closed or the process ends, however it ends. The error is ErrLocked when another process, or an earlier call,
// holds it.
func LockDir(dir string) (io.Closer, error) {
	if err := makeFolder(dir); err != nil {
		return nil, fmt.Errorf("lock the data folder %s: %w", dir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder %s: %w", dir, operatorError(err))
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("the data folder %s is %w", dir, ErrLocked)
	}
	return nil, fmt.Errorf("lock the data folder %s: %w", dir, err)
}

// prepareFolder makes the folder and an empty database file, readable by the owner alone; SQLite gives the files beside
// it the same rights. An existing file isn't opened here, because closing it would release SQLite's own locks on it.
func prepareFolder(dir string) (path string, err error) {
	if err := makeFolder(dir); err != nil {
		return "", err
	}
	path, err = filepath.Abs(filepath.Join(dir, FileName))
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, createFile(path)
	case err != nil:
		return "", operatorError(err)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%w: %s is no file", ErrCorrupt, FileName)
	}
	// SQLite would open a file that it can't write to for reading, and fail much later.
	const readWrite = 2 | 4 // R_OK | W_OK
	if err := syscall.Access(path, readWrite); err != nil {
		return "", operatorError(err)
	}
	return path, nil
}

func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return operatorError(err)
	}
	return errors.Join(f.Close(), syncFolder(filepath.Dir(path)))
}

func makeFolder(dir string) error {
	info, err := os.Stat(dir)
	if err == nil {
		if !info.IsDir() {
			return errors.New("it is not a folder")
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return operatorError(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("its parent folder is missing: %w", fs.ErrNotExist)
		}
		return operatorError(err)
	}
	return syncFolder(filepath.Dir(filepath.Clean(dir)))
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// operatorError says in this package's terms what the operating system refused.
func operatorError(err error) error {
	switch {
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return err
}
