package tlsconfig

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
)

// maxFile bounds a file of certificates or keys, in bytes.
const maxFile = 1 << 20

// watched is a value that is made of files, and made anew when they change. Files are compared by what is in them, so that it
// doesn't matter whether they are written, renamed or reached by links that are changed.
type watched[T any] struct {
	paths []string
	parse func(contents [][]byte) (T, error)

	current atomic.Pointer[T]
	mu      sync.Mutex
	seen    [sha256.Size]byte
	failure error
	// told is set once failure was returned.
	told bool
	// stale is set while the files are not what is used.
	stale atomic.Bool
}

// open makes the first value.
func (w *watched[T]) open() error {
	_, err := w.make()
	w.told = true
	return err
}

func (w *watched[T]) value() T { return *w.current.Load() }

// Stale reports whether the files are broken, so that what was read from them before is still in use.
func (w *watched[T]) Stale() bool { return w.stale.Load() }

// Refresh looks at the files. What is broken changes nothing, and is told once, when it has been so for two looks: who
// replaces two files does so one after the other. changed says whether there is a new value.
func (w *watched[T]) Refresh(context.Context) (changed bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.seen
	changed, err = w.make()
	if err == nil {
		return changed, nil
	}
	if w.seen != before {
		w.told = false
		return false, nil
	}
	w.stale.Store(true)
	if w.told {
		return false, nil
	}
	w.told = true
	return false, err
}

// make reads the files, and makes a value of them unless they are those of the current one.
func (w *watched[T]) make() (changed bool, err error) {
	contents, err := w.read()
	sum := fingerprint(contents, err)
	if sum == w.seen && w.failure == nil && err == nil {
		return false, nil
	}
	w.seen = sum
	var v T
	if err == nil {
		v, err = w.parse(contents)
	}
	w.failure = err
	if err != nil {
		return false, err
	}
	w.current.Store(&v)
	w.stale.Store(false)
	return true, nil
}

func (w *watched[T]) read() ([][]byte, error) {
	var contents [][]byte
	for _, path := range w.paths {
		text, err := readFile(path)
		if err != nil {
			return nil, err
		}
		contents = append(contents, text)
	}
	return contents, nil
}

// fingerprint tells contents from others, and errors of reading from others.
func fingerprint(contents [][]byte, err error) [sha256.Size]byte {
	h := sha256.New()
	if err != nil {
		fmt.Fprint(h, err)
	}
	for _, text := range contents {
		sum := sha256.Sum256(text)
		h.Write(sum[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// readFile reads a small file. The error is of one line and names the file.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	defer f.Close()
	var text bytes.Buffer
	n, err := text.ReadFrom(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fileError(path, err)
	}
	if n > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return text.Bytes(), nil
}

func fileError(path string, err error) error {
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		err = failed.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}
