package blob

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// upload is a file that is being written.
type upload struct {
	store  *Folder
	folder *folder
	key    string
	path   string
	file   *os.File // nil once the upload is over
	size   int64
	named  bool // the file's name is durable
}

// goOn continues at a size that was durable. A shorter file is not the one of that state.
func (u *upload) goOn(size int64) error {
	info, err := u.file.Stat()
	if err != nil {
		return err
	}
	if size < 0 || info.Size() < size {
		return ErrState
	}
	if info.Size() > size {
		if err := u.file.Truncate(size); err != nil {
			return err
		}
	}
	u.size = size
	_, err = u.file.Seek(size, io.SeekStart)
	return err
}

var errOver = errors.New("the upload is over")

// WritePart appends p.
func (u *upload) WritePart(_ context.Context, p []byte) error {
	if u.file == nil {
		return errOver
	}
	n, err := u.file.Write(p)
	u.size += int64(n)
	if err != nil {
		return fmt.Errorf("write object %s: %w", u.key, spaceError(err))
	}
	return nil
}

// Sync makes the bytes durable, and the file's name the first time.
func (u *upload) Sync(context.Context) error {
	if u.file == nil {
		return errOver
	}
	if err := syncData(u.file); err != nil {
		return fmt.Errorf("make object %s durable: %w", u.key, spaceError(err))
	}
	if !u.named {
		if err := u.folder.sync(); err != nil {
			return fmt.Errorf("make object %s durable: %w", u.key, spaceError(err))
		}
		u.named = true
	}
	return nil
}

// State is the length that can be gone on from.
func (u *upload) State() []byte { return binary.BigEndian.AppendUint64(nil, uint64(u.size)) }

// Commit gives the file its object's name.
func (u *upload) Commit(context.Context) error {
	if u.file == nil {
		return errOver
	}
	if err := u.commit(); err != nil {
		return fmt.Errorf("make object %s durable: %w", u.key, spaceError(err))
	}
	return nil
}

func (u *upload) commit() error {
	if err := syncData(u.file); err != nil {
		return err
	}
	if err := u.committed(); err != nil {
		return err
	}
	if err := os.Rename(u.path, u.final()); err != nil {
		return err
	}
	if err := u.folder.sync(); err != nil {
		return err
	}
	return u.Close()
}

func (u *upload) final() string { return strings.TrimSuffix(u.path, partial) }

// committed finds the object that an earlier attempt committed, whose caller may not have learnt of it, and makes its name
// durable. The error is then fs.ErrExist, and nil if there is none.
func (u *upload) committed() error {
	_, err := os.Lstat(u.final())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = u.folder.sync()
	}
	if err == nil {
		err = fs.ErrExist
	}
	return err
}

// Abort removes the file.
func (u *upload) Abort(context.Context) error {
	if u.file == nil {
		return nil
	}
	err := os.Remove(u.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, u.Close())
}

// Close releases the upload.
func (u *upload) Close() error {
	if u.file == nil {
		return nil
	}
	err := u.file.Close()
	u.file = nil
	u.store.end(u.key)
	return err
}
