package seal

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
)

// Reader reads an object. ReadAt may be called from many goroutines.
type Reader struct {
	source io.ReaderAt
	aead   cipher.AEAD
	chunk  int64 // bytes of a sealed chunk that is full
	layers int
	id     ObjectID
	size   int64
	last   []byte // the plaintext of the last chunk
	memory *[ChunkSize]byte
}

// Open opens a sealed object of sealedSize bytes and checks its header and its last chunk, so that an object that was cut
// short gives out nothing. The errors are ErrAltered, ErrFormat and those of reading.
func Open(source io.ReaderAt, sealedSize int64, key Key, id ObjectID) (*Reader, error) {
	aead, err := key.cipher()
	if err != nil {
		return nil, err
	}
	overhead := int64(aead.Overhead())
	size, ok := plainSize(sealedSize, overhead)
	if !ok {
		return nil, fmt.Errorf("%w: no object has %d bytes", ErrAltered, sealedSize)
	}
	r := &Reader{source: source, aead: aead, chunk: ChunkSize + overhead, layers: key.Layers(), id: id, size: size, memory: pending.Get().(*[ChunkSize]byte)}
	if err := r.readEnds(sealedSize); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// readEnds reads the header and the last chunk, in one go if the object has no others.
func (r *Reader) readEnds(sealedSize int64) error {
	batch := batches.Get().(*[batchSize]byte)
	defer batches.Put(batch)
	index := chunks(r.size) - 1
	start := headerSize + index*r.chunk
	head, tail := batch[:headerSize], batch[headerSize:headerSize+sealedSize-start]
	if index == 0 {
		if err := readAt(r.source, batch[:sealedSize], 0); err != nil {
			return err
		}
	} else {
		if err := readAt(r.source, head, 0); err != nil {
			return err
		}
		if err := readAt(r.source, tail, start); err != nil {
			return err
		}
	}
	if err := checkHeader(head, r.id, r.layers); err != nil {
		return err
	}
	place := newPlace(r.id)
	var err error
	if r.last, err = r.aead.Open(r.memory[:0], nil, tail, place.at(index, true)); err != nil {
		return fmt.Errorf("%w: its last chunk does not open", ErrAltered)
	}
	return nil
}

// readAt fills p or fails: an object never ends where the caller doesn't expect it.
func readAt(source io.ReaderAt, p []byte, offset int64) error {
	n, err := source.ReadAt(p, offset)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		return fmt.Errorf("%w: it ends at byte %d", ErrAltered, offset+int64(n))
	}
	return err
}

// Size is the length of the plaintext in bytes.
func (r *Reader) Size() int64 { return r.size }

// ReadAt reads as io.ReaderAt does.
func (r *Reader) ReadAt(p []byte, offset int64) (n int, err error) {
	switch {
	case r.memory == nil:
		return 0, errReaderClosed
	case offset < 0:
		return 0, errors.New("negative offset")
	case offset >= r.size:
		return 0, io.EOF
	}
	wanted := min(int64(len(p)), r.size-offset)
	err = r.each(offset, wanted, func(text []byte) error {
		n += copy(p[n:], text)
		return nil
	})
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

var errReaderClosed = errors.New("the reader is closed")

// each gives fn the plaintext of n bytes from offset on, in pieces that it may use until it returns.
func (r *Reader) each(offset, n int64, fn func(text []byte) error) error {
	final := chunks(r.size) - 1
	place := newPlace(r.id)
	var batch *[batchSize]byte
	var text *[batchChunks * ChunkSize]byte
	for n > 0 {
		index, skip := offset/ChunkSize, offset%ChunkSize
		if index == final {
			return fn(r.last[skip : skip+n])
		}
		if batch == nil {
			batch, text = batches.Get().(*[batchSize]byte), texts.Get().(*[batchChunks * ChunkSize]byte)
			defer batches.Put(batch)
			defer texts.Put(text)
		}
		count := min((skip+n+ChunkSize-1)/ChunkSize, final-index, batchChunks)
		sealed := batch[:count*r.chunk]
		if err := readAt(r.source, sealed, headerSize+index*r.chunk); err != nil {
			return err
		}
		for i := range count {
			_, err := r.aead.Open(text[i*ChunkSize:i*ChunkSize], nil, sealed[i*r.chunk:(i+1)*r.chunk], place.at(index+i, false))
			if err != nil {
				return fmt.Errorf("%w: chunk %d does not open", ErrAltered, index+i)
			}
		}
		given := min(count*ChunkSize-skip, n)
		if err := fn(text[skip : skip+given]); err != nil {
			return err
		}
		offset, n = offset+given, n-given
	}
	return nil
}

// Close releases the reader's memory, but not its source.
func (r *Reader) Close() error {
	if r.memory != nil {
		pending.Put(r.memory)
	}
	r.memory, r.last = nil, nil
	return nil
}

// Stream is a place in an object from which it is read on.
type Stream struct {
	r      *Reader
	offset int64
}

// NewReadSeeker returns a stream at the object's start.
func (r *Reader) NewReadSeeker() *Stream { return &Stream{r: r} }

// Read reads on.
func (s *Stream) Read(p []byte) (int, error) {
	n, err := s.r.ReadAt(p, s.offset)
	s.offset += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

// Seek moves the stream, as io.Seeker does.
func (s *Stream) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.offset
	case io.SeekEnd:
		offset += s.r.size
	}
	if offset < 0 || whence < io.SeekStart || whence > io.SeekEnd {
		return 0, errors.New("seek to no place in the object")
	}
	s.offset = offset
	return offset, nil
}

// WriteRangeTo writes the next n bytes to w, in large pieces and without a copy between.
func (s *Stream) WriteRangeTo(w io.Writer, n int64) (written int64, err error) {
	if s.r.memory == nil {
		return 0, errReaderClosed
	}
	available := max(0, s.r.size-s.offset)
	err = s.r.each(s.offset, min(n, available), func(text []byte) error {
		m, err := w.Write(text)
		written += int64(m)
		return err
	})
	s.offset += written
	if err == nil && written < n {
		err = io.ErrUnexpectedEOF
	}
	return written, err
}
