package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
)

const (
	// partsInFlight is how many parts of an upload are sent at once.
	partsInFlight = 3
	// embeddedTail is how long a tail may be, in bytes, to be a part of the state.
	embeddedTail = 128 << 10
)

// s3Upload is an object that is being written. What came last lies in a buffer; full parts are sent when more comes.
type s3Upload struct {
	s    *S3
	key  string
	over bool
	// id is that of the multipart upload; it is empty until the object is synced or larger than a part.
	id string
	// summed says that its parts go with their checksums.
	summed bool
	slots  chan struct{} // one for each part in flight
	tasks  sync.WaitGroup

	state     []byte // of the last sync
	synced    int    // how much of the buffer that sync made durable
	syncedAll int    // how many parts there were then
	tailID    string // of the temporary object that holds the tail, if one does
	// replaced are the temporary objects whose states have been followed by others, which nobody may have recorded yet.
	// garbage are those of which that is known.
	replaced, garbage []string

	mu     sync.Mutex
	buf    *buffer
	busy   bool     // the buffer is in use without the lock
	parts  []s3Part // without etags while they are in flight
	failed error
	stops  []context.CancelFunc
}

// Create begins or resumes an object.
func (s *S3) Create(ctx context.Context, key string, resume []byte) (Upload, error) {
	if !ValidKey(key) {
		return nil, ErrKey
	}
	if !s.begin(key) {
		return nil, fmt.Errorf("write object %s: %w", key, ErrBusy)
	}
	u := &s3Upload{s: s, key: key, slots: make(chan struct{}, partsInFlight)}
	if resume != nil {
		if err := u.resume(ctx, resume); err != nil {
			u.release()
			return nil, fmt.Errorf("write object %s: %w", key, err)
		}
	}
	return u, nil
}

// resume goes on from a state. What another process wrote is looked up; what this one has in memory is not.
func (u *s3Upload) resume(ctx context.Context, resume []byte) error {
	state, err := decodeState(resume)
	if err != nil {
		return err
	}
	if state.key != u.key {
		return u.s.otherState(ctx, u.key)
	}
	var tail []byte
	var known bool
	if u.parts, tail, known = u.s.tails.take(u.key, resume); !known {
		if u.parts, err = u.s.partsOf(ctx, state); err != nil {
			return err
		}
		tail = state.tail
		if state.tailID != "" {
			if tail, err = u.s.readTail(ctx, state); err != nil {
				return err
			}
		}
	}
	u.id, u.summed, u.state, u.syncedAll, u.synced = state.id, state.summed, bytes.Clone(resume), state.parts, len(tail)
	u.tailID, u.garbage = state.tailID, state.old
	return u.append(ctx, tail)
}

// otherState is the error for a state of another key.
func (s *S3) otherState(ctx context.Context, key string) error {
	for info, err := range s.List(ctx, before(key)) {
		if err != nil {
			return err
		}
		if info.Key == key {
			return ErrState
		}
		break
	}
	return fs.ErrNotExist
}

// before is a text that sorts before a key, and behind the keys before that.
func before(key string) string { return key[:len(key)-1] }

// WritePart appends p. Parts that fill up are sent beside, until ctx ends or the upload is closed; if one of them fails,
// a later call tells.
func (u *s3Upload) WritePart(ctx context.Context, p []byte) error {
	if u.over {
		return errOver
	}
	if err := u.append(ctx, p); err != nil {
		return fmt.Errorf("write object %s: %w", u.key, err)
	}
	return nil
}

func (u *s3Upload) append(ctx context.Context, p []byte) error {
	for len(p) > 0 {
		n, full, err := u.fill(ctx, p)
		if err != nil {
			return err
		}
		if p = p[n:]; full && len(p) > 0 {
			if err := u.send(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill copies what it can of p to the buffer, and tells whether this holds a part then.
func (u *s3Upload) fill(ctx context.Context, p []byte) (n int, full bool, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.failed != nil {
		return 0, false, u.failed
	}
	part := partSize(len(u.parts) + 1)
	if u.buf == nil {
		var f *buffer
		f = u.s.memory.first(func() { u.lose(f) })
		u.buf = f
	}
	if f := u.buf; f.n+len(p) > len(f.bytes) && len(f.bytes) < part {
		need := min(f.n+len(p), part)
		if len(u.parts) > 0 {
			need = part
		}
		u.busy = true
		u.mu.Unlock()
		err := u.s.memory.grow(ctx, f, need, part)
		u.mu.Lock()
		u.busy = false
		if err != nil {
			u.failed = err
			return 0, false, err
		}
	}
	n = copy(u.buf.bytes[u.buf.n:], p)
	u.buf.n += n
	return n, u.buf.n == part, nil
}

// lose gives up a buffer that others wait for, and with it what was written since the last sync.
func (u *s3Upload) lose(f *buffer) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.buf != f || u.busy {
		return
	}
	u.buf, u.failed = nil, ErrSlow
	u.s.memory.put(f)
}

// take takes the buffer out of the upload.
func (u *s3Upload) take() *buffer {
	u.mu.Lock()
	defer u.mu.Unlock()
	f := u.buf
	u.buf = nil
	return f
}

// send sends the buffer as the next part, beside the caller.
func (u *s3Upload) send(ctx context.Context) error {
	if err := u.start(ctx); err != nil {
		return u.fail(err)
	}
	select {
	case u.slots <- struct{}{}:
	case <-ctx.Done():
		return u.fail(context.Cause(ctx))
	}
	f := u.take()
	if f == nil { // it was lost
		<-u.slots
		return u.failure()
	}
	u.s.memory.filled(f)
	part, cancel := context.WithCancel(ctx)
	u.mu.Lock()
	u.parts = append(u.parts, s3Part{})
	number := len(u.parts)
	u.stops = append(u.stops, cancel)
	u.mu.Unlock()
	u.tasks.Go(func() {
		defer func() { <-u.slots }()
		defer cancel()
		sent, err := u.s.putPart(part, u.key, u.id, number, f.bytes[:f.n], u.summed)
		u.s.memory.put(f)
		u.mu.Lock()
		defer u.mu.Unlock()
		u.parts[number-1] = sent
		if err != nil && u.failed == nil {
			u.failed = err
		}
	})
	return nil
}

// start begins the multipart upload if that has not been done.
func (u *s3Upload) start(ctx context.Context) (err error) {
	if u.id == "" {
		u.summed = u.s.checks
		u.id, err = u.s.startMultipart(ctx, u.key, u.summed)
	}
	return err
}

func (u *s3Upload) fail(err error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.failed == nil {
		u.failed = err
	}
	return u.failed
}

func (u *s3Upload) failure() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.failed
}

// settle waits for the parts in flight, no longer than ctx lasts.
func (u *s3Upload) settle(ctx context.Context) error {
	stop := context.AfterFunc(ctx, u.stop)
	defer stop()
	u.tasks.Wait()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stops = nil
	return u.failed
}

// stop ends what is in flight.
func (u *s3Upload) stop() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, cancel := range u.stops {
		cancel()
	}
}

// hold keeps the buffer from being lost, and gives what is in it. Call letGo afterwards.
func (u *s3Upload) hold() ([]byte, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.failed != nil {
		return nil, u.failed
	}
	u.busy = true
	if u.buf == nil {
		return nil, nil
	}
	return u.buf.bytes[:u.buf.n], nil
}

func (u *s3Upload) letGo() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.busy = false
}

// Sync makes what was written durable: full parts in the multipart upload, and the rest in the state or beside.
func (u *s3Upload) Sync(ctx context.Context) error {
	if u.over {
		return errOver
	}
	if err := u.sync(ctx); err != nil {
		return fmt.Errorf("make object %s durable: %w", u.key, u.fail(err))
	}
	return nil
}

func (u *s3Upload) sync(ctx context.Context) error {
	if u.full() {
		if err := u.send(ctx); err != nil {
			return err
		}
	}
	if err := u.settle(ctx); err != nil {
		return err
	}
	if err := u.start(ctx); err != nil {
		return err
	}
	tail, err := u.hold()
	if err != nil {
		return err
	}
	defer u.letGo()
	if u.state != nil && u.syncedAll == len(u.parts) && u.synced == len(tail) {
		return nil // as it was at the last sync
	}
	state := s3State{key: u.key, id: u.id, summed: u.summed, parts: len(u.parts), chain: chainOf(u.parts)}
	replaced := u.replaced
	if u.tailID != "" {
		replaced = append(replaced, u.tailID)
	}
	replaced = replaced[max(0, len(replaced)-maxOldTails):]
	state.old = replaced
	if len(tail) > embeddedTail {
		state.tailID, state.tailSize = randomID(tailIDSize), len(tail)
		if err := u.s.putTail(ctx, u.key, state.tailID, tail); err != nil {
			return err
		}
	} else {
		state.tail = tail
	}
	u.s.dropTails(ctx, u.key, u.garbage)
	u.garbage, u.replaced, u.tailID = nil, replaced, state.tailID
	u.state, u.syncedAll, u.synced = state.encode(), state.parts, len(tail)
	return nil
}

// full reports whether the buffer holds a whole part.
func (u *s3Upload) full() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.buf != nil && u.buf.n == partSize(len(u.parts)+1)
}

// State is that of the last Sync.
func (u *s3Upload) State() []byte { return u.state }

// Commit writes the object in one request, or puts the parts together. If a part was replaced by another writer after
// this one resumed, the error is fs.ErrNotExist: the upload can't be gone on with.
func (u *s3Upload) Commit(ctx context.Context) error {
	if u.over {
		return errOver
	}
	if err := u.commit(ctx); err != nil {
		return fmt.Errorf("make object %s durable: %w", u.key, err)
	}
	u.s.dropTails(ctx, u.key, u.allTails())
	u.release()
	return nil
}

func (u *s3Upload) commit(ctx context.Context) error {
	if err := u.settle(ctx); err != nil {
		return err
	}
	last, err := u.hold()
	if err != nil {
		return err
	}
	defer u.letGo()
	if u.id == "" {
		return u.s.putObject(ctx, u.key, last)
	}
	parts := u.parts[:len(u.parts):len(u.parts)]
	if len(last) > 0 || len(parts) == 0 {
		part, err := u.s.putPart(ctx, u.key, u.id, len(parts)+1, last, u.summed)
		if errors.Is(err, fs.ErrNotExist) {
			return u.s.gone(ctx, u.key)
		}
		if err != nil {
			return err
		}
		parts = append(parts, part)
	}
	size := partsSize(len(u.parts)) + int64(len(last))
	return u.s.complete(ctx, u.key, u.id, parts, size)
}

func (u *s3Upload) allTails() []string {
	all := append(append([]string{}, u.garbage...), u.replaced...)
	if u.tailID != "" {
		all = append(all, u.tailID)
	}
	return all
}

// Abort removes the parts and temporary objects that this upload wrote.
func (u *s3Upload) Abort(ctx context.Context) error {
	if u.over {
		return nil
	}
	u.stop()
	u.tasks.Wait()
	u.s.tails.drop(u.key)
	var err error
	if u.id != "" {
		err = u.s.abortMultipart(ctx, u.key, u.id)
	}
	for _, id := range u.allTails() {
		err = errors.Join(err, u.s.remove(ctx, tailName(u.key, id)))
	}
	u.release()
	if err != nil {
		return fmt.Errorf("remove what was written of object %s: %w", u.key, err)
	}
	return nil
}

// Close releases the upload. The tail of its last state stays in memory for who goes on with it.
func (u *s3Upload) Close() error {
	if u.over {
		return nil
	}
	u.stop()
	u.tasks.Wait()
	if u.state != nil && u.failure() == nil && u.syncedAll == len(u.parts) {
		tail, err := u.hold()
		if err == nil && len(tail) >= u.synced {
			u.s.tails.put(u.key, u.state, u.parts, tail[:u.synced])
		}
	}
	u.release()
	return nil
}

// release ends the upload in this process.
func (u *s3Upload) release() {
	u.s.memory.put(u.take())
	u.over = true
	u.s.end(u.key)
}
