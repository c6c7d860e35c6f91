package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"sync"

	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

// Transfer takes the bytes of one request into an upload. Nothing that it does is visible until one of its Save methods
// has run in a transaction that commits; Close it in any case.
type Transfer struct {
	r      *Registry
	repo   Repository
	upload Upload
	stored bool // the upload has a row
	key    seal.Key
	hash   hash.Hash
	writer *seal.Writer
	state  []byte      // of the blob upload that this one goes on with
	bytes  blob.Upload // nil until sealed bytes had to be written
	// unknown is a digest that neither the repository nor another of its encryption domain had when the transfer began.
	unknown oci.Digest
	// committed is set when an earlier attempt to finish the upload committed its object and could not record the layer.
	committed bool
	sum       oci.Digest
}

// Resume goes on with an upload of the repository. Who means to finish it says under which digests. The error is ErrUploadNotFound,
// ErrUploadBusy if another request of this process writes to it, or ErrTooBusy.
func (r *Registry) Resume(ctx context.Context, repo Repository, id string, digests ...oci.Digest) (*Transfer, error) {
	return r.transfer(ctx, repo, id, true, func(t *Transfer) error {
		// Only who holds the upload may look where it ended: going on from an older state would cut off what another request
		// has made durable since.
		return r.db.View(ctx, func(tx *store.Tx) error {
			row := uploadRow(tx, repo, id)
			if err := t.lookAround(tx, digests, &row); err != nil {
				return err
			}
			u, err := readUpload(row, id)
			if err == nil {
				t.upload = u
			}
			return err
		})
	})
}

// Begin takes a whole layer of one of the digests in one request, without an upload that could be resumed. The error is ErrTooBusy.
func (r *Registry) Begin(ctx context.Context, repo Repository, digests ...oci.Digest) (*Transfer, error) {
	u, err := r.newUpload(repo)
	if err != nil {
		return nil, err
	}
	return r.transfer(ctx, repo, u.ID, false, func(t *Transfer) error {
		t.upload = u
		if len(digests) == 0 {
			return nil
		}
		return r.db.View(ctx, func(tx *store.Tx) error { return t.lookAround(tx, digests) })
	})
}

func (r *Registry) transfer(ctx context.Context, repo Repository, id string, stored bool, load func(*Transfer) error) (*Transfer, error) {
	select {
	case r.slots <- struct{}{}:
	default:
		return nil, ErrTooBusy
	}
	if !r.busy.add(id) {
		<-r.slots
		return nil, ErrUploadBusy
	}
	t := &Transfer{r: r, repo: repo, upload: Upload{ID: id}, stored: stored, hash: sha256.New()}
	err := load(t)
	if err == nil {
		err = t.restore(func(sealed []byte) error { return t.write(ctx, sealed) })
	}
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func (t *Transfer) restore(sink func([]byte) error) (err error) {
	t.key, err = t.r.objectKey(t.repo, t.upload.object, t.upload.wrapped)
	if err != nil {
		return fmt.Errorf("unwrap the key of upload %s: %w", t.upload.ID, err)
	}
	p, err := t.r.openProgress(t.upload, t.repo)
	if err != nil {
		return err
	}
	if p.Writer == nil {
		t.writer = seal.NewWriter(t.key, objectID(t.upload.object), sink)
		return nil
	}
	t.state = p.Blob
	if t.writer, err = seal.ResumeWriter(t.key, objectID(t.upload.object), p.Writer, sink); err != nil {
		return fmt.Errorf("resume upload %s: %w", t.upload.ID, err)
	}
	if err := t.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(p.Hash); err != nil {
		return fmt.Errorf("resume the digest of upload %s: %w", t.upload.ID, err)
	}
	return nil
}

// write is the sink of the sealed bytes. The object is made only when there are some, so that a small layer costs
// nothing until it is finished.
func (t *Transfer) write(ctx context.Context, sealed []byte) error {
	if t.bytes == nil && !t.committed {
		if err := t.create(ctx); err != nil {
			return err
		}
	}
	if t.committed {
		return nil // confirm compares the whole
	}
	return t.bytes.WritePart(ctx, sealed)
}

func (t *Transfer) create(ctx context.Context) error {
	u, err := t.r.blobs.Create(ctx, t.upload.object, t.state)
	switch {
	case err == nil:
		t.bytes = u
		return nil
	case errors.Is(err, fs.ErrExist):
		t.committed = true
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w any more: %w", ErrUploadNotFound, err)
	case errors.Is(err, blob.ErrBusy):
		return fmt.Errorf("%w: %w", ErrUploadBusy, err)
	}
	return fmt.Errorf("write an object: %w", err)
}

// Size is how many bytes the upload holds with those of this transfer.
func (t *Transfer) Size() int64 { return t.writer.Offset() }

// Upload is the upload as it was before the transfer.
func (t *Transfer) Upload() Upload { return t.upload }

// pieceSize is how many bytes are read, hashed and sealed at once.
const pieceSize = 256 << 10

var pieces = sync.Pool{New: func() any { b := make([]byte, pieceSize); return &b }}

// Append takes all of body, of which size bytes are announced, or -1. The error is *LimitError, ErrSizeMismatch, or what
// reading or writing gave.
func (t *Transfer) Append(body io.Reader, size int64) error {
	limit := t.r.limits.Get(LayerBytes)
	if size >= 0 && t.Size()+size > limit {
		return &LimitError{Limit: LayerBytes, Value: limit}
	}
	start := t.Size()
	if err := t.pump(body, limit); err != nil {
		return err
	}
	if size >= 0 && t.Size()-start != size {
		return fmt.Errorf("%w: %d of %d bytes", ErrSizeMismatch, t.Size()-start, size)
	}
	t.upload.shortPart = t.upload.shortPart || t.upload.Parts > 0 && t.upload.lastPart < t.r.limits.Get(PartBytesMin)
	t.upload.lastPart = t.Size() - start
	t.upload.Parts++
	return nil
}

// AppendPart takes a part of UploadLayerPart, whose bytes first to last it says they are. The error is *RangeError,
// *LimitError, ErrSizeMismatch, or what writing gave.
func (t *Transfer) AppendPart(part []byte, first, last int64) error {
	if first != t.Size() {
		return &RangeError{Size: t.Size()}
	}
	if last-first+1 != int64(len(part)) {
		return fmt.Errorf("%w: %d bytes came for the range %d to %d", ErrSizeMismatch, len(part), first, last)
	}
	if limit := t.r.limits.Get(LayerParts); t.upload.Parts >= limit {
		return &LimitError{Limit: LayerParts, Value: limit}
	}
	if limit := t.r.limits.Get(PartBytesMax); int64(len(part)) > limit {
		return &LimitError{Limit: PartBytesMax, Value: limit}
	}
	return t.Append(bytes.NewReader(part), int64(len(part)))
}

// pump reads body piece by piece. While one piece is hashed on another goroutine and sealed on this one, the memory of
// two is in use, not more. A body of one piece is not worth another goroutine.
func (t *Transfer) pump(body io.Reader, limit int64) error {
	first := pieces.Get().(*[]byte)
	defer pieces.Put(first)
	n, err := readFull(body, *first)
	if err == nil {
		return t.pumpOn(body, limit, first)
	}
	if n > 0 {
		t.hash.Write((*first)[:n])
		if err := t.seal((*first)[:n], limit); err != nil {
			return err
		}
	}
	return readEnd(err)
}

// pumpOn goes on when the first piece is full.
func (t *Transfer) pumpOn(body io.Reader, limit int64, first *[]byte) error {
	second := pieces.Get().(*[]byte)
	defer pieces.Put(second)
	buffers := [2][]byte{*first, *second}
	hashing := make(chan []byte)
	hashed := make(chan struct{}, len(buffers))
	var done sync.WaitGroup
	done.Go(func() {
		for p := range hashing {
			t.hash.Write(p)
			hashed <- struct{}{}
		}
	})
	defer done.Wait()
	defer close(hashing)
	piece := buffers[0]
	for turn := 0; ; {
		hashing <- piece
		if err := t.seal(piece, limit); err != nil {
			return err
		}
		turn++
		if turn >= len(buffers) {
			<-hashed
		}
		n, err := readFull(body, buffers[turn%len(buffers)])
		piece = buffers[turn%len(buffers)][:n]
		if err == nil {
			continue
		}
		if n > 0 {
			hashing <- piece
			if err := t.seal(piece, limit); err != nil {
				return err
			}
		}
		return readEnd(err)
	}
}

func (t *Transfer) seal(piece []byte, limit int64) error {
	if t.Size()+int64(len(piece)) > limit {
		return &LimitError{Limit: LayerBytes, Value: limit}
	}
	if _, err := t.writer.Write(piece); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return nil
}

func readEnd(err error) error {
	if err == io.EOF {
		return nil
	}
	return &ReadError{err}
}

// ReadError means that the client's bytes could not be read to their end.
type ReadError struct{ Err error }

func (e *ReadError) Error() string { return "read the client's bytes: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *ReadError) Unwrap() error { return e.Err }

// readFull fills p as far as it can. io.EOF means that the end was reached, with or without bytes before it, unlike with
// io.ReadFull, whose io.ErrUnexpectedEOF can't be told from that of a body cut short.
func readFull(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	if n == len(p) && err == io.EOF {
		return n, nil
	}
	return n, err
}

// Pause makes what came so far durable, after which SaveProgress may record it. The error is ErrUploadNotFound if the
// upload was finished before, and only its layer not recorded.
func (t *Transfer) Pause(ctx context.Context) error {
	if err := t.writer.Flush(); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	if t.committed {
		return fmt.Errorf("%w: its object is committed", ErrUploadNotFound)
	}
	var p progress
	var err error
	if t.bytes != nil {
		if err := t.bytes.Sync(ctx); err != nil {
			return fmt.Errorf("make upload %s durable: %w", t.upload.ID, err)
		}
		t.state = t.bytes.State()
	}
	p.Blob = t.state
	if p.Writer, err = t.writer.State(); err != nil {
		return err
	}
	if p.Hash, err = t.hash.(encoding.BinaryMarshaler).MarshalBinary(); err != nil {
		return err
	}
	t.upload.sealed, err = t.r.sealProgress(t.repo, t.upload.ID, p)
	return err
}

// SaveProgress records what Pause made durable, and returns the upload as it is then. The error is ErrUploadNotFound if
// another request ended the upload meanwhile, and ErrUploadBusy if one wrote to it.
func (t *Transfer) SaveProgress(tx *store.Tx) (Upload, error) {
	u := t.upload
	u.Size = t.Size()
	if err := t.r.saveUpload(tx, u); err != nil {
		return Upload{}, err
	}
	u.revision++
	return u, nil
}

// Finish makes the whole layer durable under the one of the digests that its bytes have. SaveLayer may record it then;
// if that fails, the upload can be finished again with the same bytes. The error is ErrUploadEmpty, ErrPartTooSmall (only
// if parts have a minimum size), ErrDigestMismatch, or ErrUploadNotFound if another request ended the upload meanwhile.
func (t *Transfer) Finish(ctx context.Context, digests []oci.Digest, minimumParts bool) error {
	if minimumParts && t.upload.Parts == 0 {
		return ErrUploadEmpty
	}
	if minimumParts && t.upload.shortPart {
		return ErrPartTooSmall
	}
	t.sum = oci.Digest("sha256:" + hex.EncodeToString(t.hash.Sum(nil)))
	for _, d := range digests {
		if d == t.sum {
			return t.commit(ctx)
		}
	}
	return fmt.Errorf("%w: they have %s", ErrDigestMismatch, t.sum)
}

func (t *Transfer) commit(ctx context.Context) error {
	t.upload.Size = t.Size()
	if err := t.writer.Finish(); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	if t.committed {
		return t.confirm(ctx)
	}
	err := t.bytes.Commit(ctx)
	switch {
	case errors.Is(err, fs.ErrExist):
		if err := t.bytes.Abort(ctx); err != nil {
			return fmt.Errorf("drop what was written twice of layer %s: %w", t.sum, err)
		}
		return t.confirm(ctx)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w any more: %w", ErrUploadNotFound, err)
	case err != nil:
		return fmt.Errorf("make layer %s durable: %w", t.sum, err)
	}
	return nil
}

// confirm holds the object that an earlier attempt to finish the upload committed against the bytes of this attempt. The
// error is ErrUploadNotFound if they differ: then the upload can't be gone on with.
func (t *Transfer) confirm(ctx context.Context) error {
	digest, size, err := t.r.objectDigest(ctx, t.upload.object, t.key, func(int64) {})
	if err != nil {
		return fmt.Errorf("read layer %s again: %w", t.sum, err)
	}
	if digest != t.sum || size != t.upload.Size {
		return fmt.Errorf("%w: it was finished as layer %s", ErrUploadNotFound, digest)
	}
	return nil
}

// Discard ends an upload that is not to become a layer, such as one whose layer the repository has already, and leaves
// its bytes to the sweeper.
func (t *Transfer) Discard(ctx context.Context) error {
	err := t.r.db.Update(ctx, func(tx *store.Tx) error {
		if !t.stored {
			return t.r.discard(tx, t.upload.object)
		}
		if err := t.upload.unchanged(revisionRow(tx, t.upload.ID)); err != nil {
			return err
		}
		return t.r.removeUpload(tx, t.upload, true)
	})
	if errors.Is(err, ErrUploadNotFound) || errors.Is(err, ErrUploadBusy) {
		return nil
	}
	return err
}

// Close ends the transfer. What was saved stays; the bytes of what was not are dropped when the upload is resumed or
// discarded, and at once if they are all that there is, so that broken pushes don't fill the disk.
func (t *Transfer) Close() error {
	defer func() { <-t.r.slots }()
	defer t.r.busy.remove(t.upload.ID)
	if t.writer != nil {
		t.writer.Close()
	}
	if t.bytes == nil {
		return nil
	}
	if t.state == nil {
		// The request may be over, and its context with it. Of a committed object, this leaves everything.
		return errors.Join(t.bytes.Abort(context.Background()), t.bytes.Close())
	}
	return t.bytes.Close()
}

// busySet holds the ids of the uploads that are being written to by this process.
type busySet struct {
	mu  sync.Mutex
	ids map[string]bool
}

func (b *busySet) add(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ids[id] {
		return false
	}
	if b.ids == nil {
		b.ids = map[string]bool{}
	}
	b.ids[id] = true
	return true
}

func (b *busySet) has(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ids[id]
}

func (b *busySet) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.ids)
}

func (b *busySet) remove(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.ids, id)
}
