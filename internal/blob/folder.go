package blob

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// Folder keeps each object in a file of its own. A file that is being written has a name of its own until it is
// committed, so that a name that looks like an object is one.
type Folder struct {
	root string
	// syncFolder makes the names in a folder durable.
	syncFolder func(path string) error

	mu      sync.Mutex
	folders map[string]*folder // those written to by this process
	writing map[string]bool    // keys that are being written to
}

const partial = ".part"

// OpenFolder opens a folder of objects, and makes it if it is missing, but not its parent.
func OpenFolder(dir string) (*Folder, error) {
	f := &Folder{root: dir, syncFolder: syncFolder, folders: map[string]*folder{}, writing: map[string]bool{}}
	if err := f.makeFolder(dir); err != nil {
		return nil, fmt.Errorf("open the objects in %s: %w", dir, spaceError(err))
	}
	return f, nil
}

// makeFolder makes a folder if it is missing. Its name is made durable even if it is there: who made it may have been
// killed before.
func (f *Folder) makeFolder(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return errors.New("it is not a folder")
	}
	return f.syncFolder(filepath.Dir(path))
}

func (f *Folder) path(key string) string { return filepath.Join(f.root, filepath.FromSlash(key)) }

// object is an open file.
type object struct {
	*os.File
	size int64
}

// Size is in bytes.
func (o object) Size() int64 { return o.size }

// Open opens a committed object.
func (f *Folder) Open(_ context.Context, key string) (Object, error) {
	if !ValidKey(key) {
		return nil, ErrKey
	}
	file, err := os.Open(f.path(key))
	if err != nil {
		return nil, fmt.Errorf("open object %s: %w", key, err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return object{file, info.Size()}, nil
}

// Create begins or resumes an object.
func (f *Folder) Create(_ context.Context, key string, resume []byte) (Upload, error) {
	if !ValidKey(key) {
		return nil, ErrKey
	}
	if !f.begin(key) {
		return nil, fmt.Errorf("write object %s: %w", key, ErrBusy)
	}
	u, err := f.create(key, resume)
	if err != nil {
		f.end(key)
		return nil, fmt.Errorf("write object %s: %w", key, spaceError(err))
	}
	return u, nil
}

func (f *Folder) begin(key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.writing[key] {
		return false
	}
	f.writing[key] = true
	return true
}

func (f *Folder) end(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.writing, key)
}

func (f *Folder) create(key string, resume []byte) (*upload, error) {
	if resume != nil && len(resume) != 8 {
		return nil, ErrState
	}
	shared, err := f.folder(key[:folderDigits])
	if err != nil {
		return nil, err
	}
	u := &upload{store: f, key: key, folder: shared, path: f.path(key) + partial}
	if resume == nil {
		u.file, err = os.OpenFile(u.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		return u, err
	}
	if u.file, err = os.OpenFile(u.path, os.O_WRONLY, 0); err != nil {
		if committed := u.committed(); committed != nil {
			err = committed
		}
		return nil, err
	}
	if err := u.goOn(int64(binary.BigEndian.Uint64(resume))); err != nil {
		return nil, errors.Join(err, u.file.Close())
	}
	u.named = true
	return u, nil
}

// folder returns a folder of objects, which it makes if it is missing.
func (f *Folder) folder(name string) (*folder, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if known := f.folders[name]; known != nil {
		return known, nil
	}
	shared := &folder{path: filepath.Join(f.root, name), syncFolder: f.syncFolder}
	if err := f.makeFolder(shared.path); err != nil {
		return nil, err
	}
	f.folders[name] = shared
	return shared, nil
}

// Delete removes an object or an upload. Its folder stays: others may be about to write there.
func (f *Folder) Delete(_ context.Context, key string) error {
	if !ValidKey(key) {
		return ErrKey
	}
	for _, path := range [...]string{f.path(key), f.path(key) + partial} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete object %s: %w", key, err)
		}
	}
	return nil
}

// List walks over the folders in the order of their names.
func (f *Folder) List(ctx context.Context, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		folders, err := os.ReadDir(f.root)
		if err != nil {
			yield(Info{}, fmt.Errorf("list the objects: %w", err))
			return
		}
		for _, entry := range folders {
			name := entry.Name()
			if !entry.IsDir() || len(name) != folderDigits || !isHex(name) || after != "" && name < after[:min(len(after), folderDigits)] {
				continue
			}
			if !f.listFolder(ctx, name, after, yield) {
				return
			}
		}
	}
}

func (f *Folder) listFolder(ctx context.Context, name, after string, yield func(Info, error) bool) bool {
	if err := ctx.Err(); err != nil {
		yield(Info{}, err)
		return false
	}
	files, err := os.ReadDir(filepath.Join(f.root, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return yield(Info{}, fmt.Errorf("list the objects: %w", err))
	}
	for _, file := range files {
		id, isPartial := strings.CutSuffix(file.Name(), partial)
		key := name + "/" + id
		if !ValidKey(key) || key <= after {
			continue
		}
		info, err := file.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			if !yield(Info{}, fmt.Errorf("look at object %s: %w", key, err)) {
				return false
			}
			continue
		}
		if !yield(Info{Key: key, Size: info.Size(), Modified: info.ModTime(), Partial: isPartial}, nil) {
			return false
		}
	}
	return true
}

// folder is one that is written to. Its fsyncs are shared: one that begins after a caller asked serves that caller.
type folder struct {
	path       string
	syncFolder func(path string) error

	mu      sync.Mutex
	running *folderSync // the one under way
	next    *folderSync // the one that those who ask now wait for
}

type folderSync struct {
	done chan struct{}
	err  error
}

// sync makes the names in the folder durable that were there when it was called.
func (f *folder) sync() error {
	f.mu.Lock()
	if f.next != nil {
		s := f.next
		f.mu.Unlock()
		<-s.done
		return s.err
	}
	s := &folderSync{done: make(chan struct{})}
	f.next = s
	running := f.running
	f.mu.Unlock()
	if running != nil {
		<-running.done
	}
	f.mu.Lock()
	f.running, f.next = s, nil
	f.mu.Unlock()
	s.err = f.syncFolder(f.path)
	close(s.done)
	return s.err
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// spaceError makes a full disk known as ErrNoSpace.
func spaceError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}
