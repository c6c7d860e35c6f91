package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"sync"

	"github.com/coffer-registry/coffer/internal/blob"
)

// Transferred counts what was copied or compared.
type Transferred struct {
	// Step says what is being done.
	Step string
	// Objects and Bytes are done, out of all of them where those are known.
	Objects, AllObjects, Bytes, AllBytes int64
	// Copied is how many objects were not there already.
	Copied int64
	// Rows are rows of the database.
	Rows int64
	// Table is the table that is at work.
	Table string
}

const (
	// transferWorkers is how many objects are copied at once, and pieceBytes how much of each is in memory.
	transferWorkers = 8
	pieceBytes      = 1 << 20
)

// transfer copies objects, bytes as they are, from one store to another.
type transfer struct {
	from, to blob.Store
	tell     func(Transferred)

	mu   sync.Mutex
	done Transferred
}

// note counts and tells.
func (t *transfer) note(change func(*Transferred)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.done)
	t.tell(t.done)
}

// begin begins a step, whose counts begin at 0.
func (t *transfer) begin(step string) {
	t.note(func(d *Transferred) { *d = Transferred{Step: step, Rows: d.Rows} })
}

// committed leaves out unfinished uploads.
func committed(ctx context.Context, s blob.Store) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		for info, err := range s.List(ctx, "") {
			if err != nil {
				yield(info, fmt.Errorf("list objects: %w", err))
				return
			}
			if !info.Partial && !yield(info, nil) {
				return
			}
		}
	}
}

// total counts what is to be done.
func (t *transfer) total(wanted iter.Seq2[blob.Info, error]) error {
	var objects, size int64
	for info, err := range wanted {
		if err != nil {
			return err
		}
		objects, size = objects+1, size+info.Size
	}
	t.note(func(d *Transferred) { d.AllObjects, d.AllBytes = objects, size })
	return nil
}

// pair is an object that is wanted, and what the other store has under its key.
type pair struct {
	blob.Info
	// there says that the other store has it, and size how large it is there.
	there bool
	size  int64
}

// pairs holds wanted objects, in the order of their keys, against the objects of a store.
func pairs(ctx context.Context, wanted iter.Seq2[blob.Info, error], s blob.Store) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		next, stop := iter.Pull2(committed(ctx, s))
		defer stop()
		var other blob.Info
		for info, err := range wanted {
			if err != nil {
				yield(pair{}, err)
				return
			}
			for more := true; more && other.Key < info.Key; {
				if other, err, more = next(); err != nil {
					yield(pair{}, err)
					return
				}
			}
			if !yield(pair{Info: info, there: other.Key == info.Key, size: other.Size}, nil) {
				return
			}
		}
	}
}

// copy copies the wanted objects that aren't in the other store with their size. One that is gone when it is to be read was
// swept, and is left out.
func (t *transfer) copy(ctx context.Context, wanted iter.Seq2[blob.Info, error]) error {
	return t.each(ctx, pairs(ctx, wanted, t.to), func(ctx context.Context, p pair) error {
		if !p.there || p.size != p.Size {
			if err := t.one(ctx, p); err != nil {
				return err
			}
		}
		t.note(func(d *Transferred) { d.Objects, d.Bytes = d.Objects+1, d.Bytes+p.Size })
		return nil
	})
}

// each works on pairs, several at once, up to the first error.
func (t *transfer) each(ctx context.Context, list iter.Seq2[pair, error], work func(context.Context, pair) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan pair)
	var workers sync.WaitGroup
	for range transferWorkers {
		workers.Go(func() {
			for p := range queue {
				if err := work(ctx, p); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	for p, err := range list {
		if err != nil {
			cancel(err)
			break
		}
		select {
		case queue <- p:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
	}
	close(queue)
	workers.Wait()
	return context.Cause(ctx)
}

// one copies an object.
func (t *transfer) one(ctx context.Context, p pair) error {
	source, err := t.from.Open(ctx, p.Key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer source.Close()
	if source.Size() != p.Size {
		return fmt.Errorf("object %s has %d bytes in place of the %d that were expected", p.Key, source.Size(), p.Size)
	}
	if p.there {
		// Only what no copy made as a whole can have another size.
		if err := t.to.Delete(ctx, p.Key); err != nil {
			return err
		}
	}
	u, err := t.to.Create(ctx, p.Key, nil)
	if err != nil {
		return err
	}
	defer u.Close()
	if err := write(ctx, u, source); err != nil {
		return errors.Join(fmt.Errorf("copy object %s: %w", p.Key, err), u.Abort(context.WithoutCancel(ctx)))
	}
	if err := u.Commit(ctx); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	t.note(func(d *Transferred) { d.Copied++ })
	return nil
}

// write writes all bytes of an object.
func write(ctx context.Context, u blob.Upload, source blob.Object) error {
	piece := make([]byte, min(pieceBytes, source.Size()))
	for offset := int64(0); offset < source.Size(); {
		p := piece[:min(int64(len(piece)), source.Size()-offset)]
		if err := fillFrom(source, p, offset); err != nil {
			return err
		}
		if err := u.WritePart(ctx, p); err != nil {
			return err
		}
		offset += int64(len(p))
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// fillFrom reads as many bytes as p has.
func fillFrom(o blob.Object, p []byte, offset int64) error {
	n, err := o.ReadAt(p, offset)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// compare tells fault of each wanted object that the other store hasn't, has in another size or, if all bytes are to be compared,
// has with other bytes.
func (t *transfer) compare(ctx context.Context, wanted iter.Seq2[blob.Info, error], full bool, fault func(string)) error {
	var mu sync.Mutex
	report := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fault(fmt.Sprintf(format, args...))
	}
	return t.each(ctx, pairs(ctx, wanted, t.to), func(ctx context.Context, p pair) error {
		switch {
		case !p.there:
			report("object %s is missing", p.Key)
		case p.size != p.Size:
			report("object %s has %d bytes in place of %d", p.Key, p.size, p.Size)
		case full:
			same, err := t.sameBytes(ctx, p)
			if err != nil {
				return err
			}
			if !same {
				report("object %s has other bytes", p.Key)
			}
		}
		t.note(func(d *Transferred) { d.Objects, d.Bytes = d.Objects+1, d.Bytes+p.Size })
		return nil
	})
}

func (t *transfer) sameBytes(ctx context.Context, p pair) (bool, error) {
	a, err := t.from.Open(ctx, p.Key)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil // It was swept meanwhile.
		}
		return false, err
	}
	defer a.Close()
	b, err := t.to.Open(ctx, p.Key)
	if err != nil {
		return false, err
	}
	defer b.Close()
	pieceA, pieceB := make([]byte, min(pieceBytes, p.Size)), make([]byte, min(pieceBytes, p.Size))
	for offset := int64(0); offset < p.Size; offset += int64(len(pieceA)) {
		n := min(int64(len(pieceA)), p.Size-offset)
		if err := errors.Join(fillFrom(a, pieceA[:n], offset), fillFrom(b, pieceB[:n], offset), ctx.Err()); err != nil {
			return false, fmt.Errorf("compare object %s: %w", p.Key, err)
		}
		if !bytes.Equal(pieceA[:n], pieceB[:n]) {
			return false, nil
		}
	}
	return true, nil
}
