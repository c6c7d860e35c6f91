package seal

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
)

// Writer seals an object. It keeps up to one chunk back, since only Finish knows which is the last. After an error it
// returns that error for good. One goroutine uses it at a time.
type Writer struct {
	aead   cipher.AEAD
	layers int
	id     ObjectID
	place  place
	sink   func([]byte) error

	index int64 // of the next chunk
	plain *[ChunkSize]byte
	kept  int // bytes in plain
	batch *[batchSize]byte
	out   []byte // sealed bytes in batch that the sink has not got
	err   error
}

var (
	errClosed   = errors.New("the writer is closed or finished")
	errBadState = errors.New("not the state of a writer")
)

// NewWriter begins an object. sink takes the sealed bytes in order and may use them only until it returns. Close the
// writer.
func NewWriter(key Key, id ObjectID, sink func([]byte) error) *Writer {
	w := &Writer{layers: key.Layers(), id: id, place: newPlace(id), sink: sink, plain: pending.Get().(*[ChunkSize]byte)}
	w.aead, w.err = key.cipher()
	return w
}

const stateVersion = 1

// ResumeWriter goes on where State was taken. The sink has had what it was given then.
func ResumeWriter(key Key, id ObjectID, state []byte, sink func([]byte) error) (*Writer, error) {
	const fixed = 1 + 8
	if len(state) < fixed || state[0] != stateVersion || len(state) > fixed+ChunkSize {
		return nil, errBadState
	}
	index := binary.BigEndian.Uint64(state[1:])
	if index > 1<<47 || index > 0 && len(state) == fixed {
		return nil, errBadState
	}
	w := NewWriter(key, id, sink)
	w.index = int64(index)
	w.kept = copy(w.plain[:], state[fixed:])
	return w, nil
}

// State is what ResumeWriter needs. It holds up to one chunk of plaintext, so it must be sealed where it is kept. Call
// Flush before.
func (w *Writer) State() ([]byte, error) {
	switch {
	case w.err != nil:
		return nil, w.err
	case len(w.out) > 0:
		return nil, errors.New("the writer was not flushed")
	}
	b := append(make([]byte, 0, 9+w.kept), stateVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(w.index))
	return append(b, w.plain[:w.kept]...), nil
}

// Offset is how many bytes of plaintext were written to the object.
func (w *Writer) Offset() int64 { return w.index*ChunkSize + int64(w.kept) }

// Write seals p.
func (w *Writer) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && w.err == nil {
		switch {
		case w.kept == ChunkSize:
			w.chunk(w.plain[:], false)
			w.kept = 0
		case w.kept == 0 && len(p) > ChunkSize:
			w.chunk(p[:ChunkSize], false)
			p = p[ChunkSize:]
		default:
			taken := copy(w.plain[w.kept:], p)
			w.kept += taken
			p = p[taken:]
		}
	}
	if w.err != nil {
		return n - len(p), w.err
	}
	return n, nil
}

// chunk seals one chunk into the batch.
func (w *Writer) chunk(plain []byte, final bool) {
	if w.batch == nil {
		w.batch = batches.Get().(*[batchSize]byte)
		w.out = w.batch[:0]
	}
	if w.index == 0 {
		w.out = appendHeader(w.out, w.id, w.layers)
	}
	if len(w.out)+len(plain)+w.aead.Overhead() > batchSize {
		if w.Flush() != nil {
			return
		}
	}
	w.out = w.aead.Seal(w.out, nil, plain, w.place.at(w.index, final))
	w.index++
}

// Flush gives the sink all that is sealed.
func (w *Writer) Flush() error {
	if w.err != nil || len(w.out) == 0 {
		return w.err
	}
	w.err = w.sink(w.out)
	w.out = w.out[:0]
	return w.err
}

// Finish seals the last chunk and gives the sink the rest. Nothing can be written afterwards.
func (w *Writer) Finish() error {
	if w.err != nil {
		return w.err
	}
	w.chunk(w.plain[:w.kept], true)
	err := w.Flush()
	w.err = errClosed
	return err
}

// Close releases the writer's memory, whether it is finished or not.
func (w *Writer) Close() {
	if w.plain != nil {
		clear(w.plain[:w.kept])
		pending.Put(w.plain)
	}
	if w.batch != nil {
		batches.Put(w.batch)
	}
	w.plain, w.batch, w.out, w.kept, w.err = nil, nil, nil, 0, errClosed
}

// Format shows no secrets.
func (w *Writer) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "writer of object %x", w.id) }
