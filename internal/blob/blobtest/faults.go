package blobtest

import (
	"context"
	"errors"
	"iter"
	"sync"

	"github.com/coffer-registry/coffer/internal/blob"
)

// ErrInjected is the error of a call that a plan made fail.
var ErrInjected = errors.New("injected fault of the object store")

// Fault is what happens to a call.
type Fault int

const (
	// None lets the call through.
	None Fault = iota
	// Before fails the call before it had any effect, but for WritePart, which writes the first half.
	Before
	// After lets the call have its whole effect, and then says that it failed.
	After
)

// Call is a call that may be made to fail.
type Call struct {
	// N counts calls from 1, over the store and all that came of it.
	N int
	// Method is "Open", "Create", "Delete" and "List" of the store, "ReadAt" of an object, and "WritePart", "Sync",
	// "Commit" and "Abort" of an upload. Close never fails and isn't counted.
	Method string
	Key    string
}

// Plan decides about each call. It is asked for one call at a time.
type Plan func(Call) Fault

// Nth fails one call.
func Nth(n int, fault Fault) Plan {
	return func(c Call) Fault {
		if c.N == n {
			return fault
		}
		return None
	}
}

// From fails one call and all that come later, as if the store were gone: uploads stay as they are, since Abort fails too.
func From(n int, fault Fault) Plan {
	return func(c Call) Fault {
		switch {
		case c.N < n:
			return None
		case c.N == n:
			return fault
		}
		return Before
	}
}

// NthOf fails one of the calls of a method.
func NthOf(method string, n int, fault Fault) Plan {
	seen := 0
	return func(c Call) Fault {
		if c.Method == method {
			seen++
		}
		if c.Method == method && seen == n {
			return fault
		}
		return None
	}
}

// Faulty is a store that passes calls on to another, unless its plan makes them fail. It is safe for concurrent use.
//
// To fail every call of a piece of work in turn: run it with Nth(n, …) for n = 1, 2, …, until Hit reports false.
type Faulty struct {
	store blob.Store

	mu    sync.Mutex
	plan  Plan
	calls int
	hit   bool
}

// NewFaulty returns a store that fails nothing yet.
func NewFaulty(store blob.Store) *Faulty { return &Faulty{store: store} }

// Use sets the plan, and counts calls from 1 again. A nil plan fails nothing.
func (f *Faulty) Use(plan Plan) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan, f.calls, f.hit = plan, 0, false
}

// Calls is how many calls were made since Use.
func (f *Faulty) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// Hit reports whether a call was made to fail since Use.
func (f *Faulty) Hit() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hit
}

func (f *Faulty) next(method, key string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.plan == nil {
		return None
	}
	fault := f.plan(Call{N: f.calls, Method: method, Key: key})
	f.hit = f.hit || fault != None
	return fault
}

// do runs a call, or the part of it that its fault leaves.
func (f *Faulty) do(method, key string, call func() error) error {
	fault := f.next(method, key)
	if fault == Before {
		return ErrInjected
	}
	if err := call(); err != nil {
		return err
	}
	if fault == After {
		return ErrInjected
	}
	return nil
}

// Open opens an object whose reads may fail.
func (f *Faulty) Open(ctx context.Context, key string) (blob.Object, error) {
	var inner blob.Object
	err := f.do("Open", key, func() (err error) {
		inner, err = f.store.Open(ctx, key)
		return err
	})
	if err != nil {
		if inner != nil {
			err = errors.Join(err, inner.Close())
		}
		return nil, err
	}
	return faultyObject{inner, f, key}, nil
}

type faultyObject struct {
	blob.Object
	store *Faulty
	key   string
}

func (o faultyObject) ReadAt(p []byte, at int64) (n int, err error) {
	switch o.store.next("ReadAt", o.key) {
	case Before:
		return 0, ErrInjected
	case After:
		n, _ = o.Object.ReadAt(p, at)
		return n, ErrInjected
	}
	return o.Object.ReadAt(p, at)
}

// Create begins an upload whose calls may fail.
func (f *Faulty) Create(ctx context.Context, key string, resume []byte) (blob.Upload, error) {
	var inner blob.Upload
	err := f.do("Create", key, func() (err error) {
		inner, err = f.store.Create(ctx, key, resume)
		return err
	})
	if err != nil {
		if inner != nil {
			err = errors.Join(err, inner.Close())
		}
		return nil, err
	}
	return &faultyUpload{inner, f, key}, nil
}

type faultyUpload struct {
	blob.Upload
	store *Faulty
	key   string
}

func (u *faultyUpload) WritePart(ctx context.Context, p []byte) error {
	switch u.store.next("WritePart", u.key) {
	case Before:
		return errors.Join(ErrInjected, u.Upload.WritePart(ctx, p[:len(p)/2]))
	case After:
		return errors.Join(ErrInjected, u.Upload.WritePart(ctx, p))
	}
	return u.Upload.WritePart(ctx, p)
}

func (u *faultyUpload) Sync(ctx context.Context) error {
	return u.store.do("Sync", u.key, func() error { return u.Upload.Sync(ctx) })
}

func (u *faultyUpload) Commit(ctx context.Context) error {
	return u.store.do("Commit", u.key, func() error { return u.Upload.Commit(ctx) })
}

func (u *faultyUpload) Abort(ctx context.Context) error {
	return u.store.do("Abort", u.key, func() error { return u.Upload.Abort(ctx) })
}

// Delete removes an object or an upload.
func (f *Faulty) Delete(ctx context.Context, key string) error {
	return f.do("Delete", key, func() error { return f.store.Delete(ctx, key) })
}

// List gives the error in the place of the first item, or after the last.
func (f *Faulty) List(ctx context.Context, after string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		fault := f.next("List", "")
		if fault == Before {
			yield(blob.Info{}, ErrInjected)
			return
		}
		for info, err := range f.store.List(ctx, after) {
			if !yield(info, err) {
				return
			}
		}
		if fault == After {
			yield(blob.Info{}, ErrInjected)
		}
	}
}
