package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const (
	// headWindow is how much of an object Open reads: a small object is read by one request.
	headWindow = 512 << 10
	// endWindow is how much the first read of an object's end may take: an object of no more than both is read by two.
	endWindow = 1 << 20
	// readStall is how long a read waits for bytes before it begins again from where it is.
	readStall = 30 * time.Second
)

// s3Object is a committed object. What Open read stays in memory, and so does the end, which is asked for first. Reads
// that follow each other come from one request, whose answer flows as fast as it is taken, and which begins anew where it
// breaks off. Others get a request each for just what they want.
type s3Object struct {
	size int64
	head []byte
	// stream gives a stream of a range. It lasts no longer than the context of Open.
	stream func(from, to int64) *s3Stream

	mu      sync.Mutex // held while the stream moves
	flowing *s3Stream
	next    int64 // where a read would go on
	ends    sync.RWMutex
	end     []byte // the last bytes, once they were read
}

// opened is what the first request for an object finds. It doesn't change: many may read it.
type opened struct {
	size int64
	etag string
	head []byte
}

// Open opens a committed object and reads its beginning, unless it is in memory. Reads end when ctx does.
func (s *S3) Open(ctx context.Context, key string) (Object, error) {
	if !ValidKey(key) {
		return nil, ErrKey
	}
	find := func() (*opened, error) { return s.find(ctx, key) }
	var found *opened
	var err error
	if s.cache == nil {
		found, err = find()
	} else {
		found, err = s.cache.open(ctx, key, find)
	}
	if err != nil {
		return nil, fmt.Errorf("open object %s: %w", key, err)
	}
	return s.object(ctx, key, found), nil
}

func cancellable(ctx context.Context) func() (context.Context, context.CancelFunc) {
	return func() (context.Context, context.CancelFunc) { return context.WithCancel(ctx) }
}

// find asks for the beginning of an object.
func (s *S3) find(ctx context.Context, name string) (*opened, error) {
	first := &s3Stream{to: headWindow, wait: waiter(ctx), context: cancellable(ctx)}
	found := &opened{}
	first.open = func(get context.Context, from, to int64) (io.ReadCloser, error) {
		in := &s3.GetObjectInput{Bucket: s.bucket(), Key: s.name(name), Range: byteRange(from, to)}
		if found.etag != "" {
			in.IfMatch = &found.etag
		}
		out, err := s.client.GetObject(get, in)
		if err != nil {
			return nil, err
		}
		found.etag = aws.ToString(out.ETag)
		if found.size, err = totalSize(out); err != nil {
			return nil, errors.Join(err, out.Body.Close())
		}
		first.to = min(found.size, headWindow)
		return out.Body, nil
	}
	defer first.Close()
	switch err := first.begin(); {
	case statusOf(err) == http.StatusRequestedRangeNotSatisfiable:
		size, _, _, err := s.head(ctx, name)
		if err == nil && size > 0 {
			err = errors.New("its beginning can't be read")
		}
		if err != nil {
			return nil, err
		}
		return &opened{}, nil
	case err != nil:
		return nil, s.s3Error(err)
	}
	found.head = make([]byte, first.to)
	if _, err := io.ReadFull(first, found.head); err != nil && len(found.head) > 0 {
		return nil, s.s3Error(err)
	}
	return found, nil
}

// object reads an object on from what was found of it.
func (s *S3) object(ctx context.Context, name string, found *opened) *s3Object {
	o := &s3Object{size: found.size, head: found.head, next: int64(len(found.head))}
	if o.next == o.size {
		return o
	}
	o.stream = func(from, to int64) *s3Stream {
		return &s3Stream{at: from, to: to, wait: waiter(ctx), context: cancellable(ctx),
			open: func(get context.Context, from, to int64) (io.ReadCloser, error) {
				out, err := s.client.GetObject(get, &s3.GetObjectInput{Bucket: s.bucket(), Key: s.name(name), Range: byteRange(from, to), IfMatch: &found.etag})
				if err != nil {
					return nil, s.s3Error(err)
				}
				return out.Body, nil
			}}
	}
	return o
}

// readAll reads an object of len(p) bytes. The error is io.ErrUnexpectedEOF for one of another size.
func (s *S3) readAll(ctx context.Context, name string, p []byte) error {
	found, err := s.find(ctx, name)
	if err != nil {
		return err
	}
	o := s.object(ctx, name, found)
	defer o.Close()
	if o.size != int64(len(p)) {
		return io.ErrUnexpectedEOF
	}
	if _, err := o.ReadAt(p, 0); err != io.EOF {
		return err
	}
	return nil
}

func byteRange(from, to int64) *string {
	return aws.String("bytes=" + strconv.FormatInt(from, 10) + "-" + strconv.FormatInt(to-1, 10))
}

// totalSize is the size of an object of which an answer holds a range, or all.
func totalSize(out *s3.GetObjectOutput) (int64, error) {
	if out.ContentRange == nil {
		return aws.ToInt64(out.ContentLength), nil
	}
	_, total, _ := strings.Cut(*out.ContentRange, "/")
	size, err := strconv.ParseInt(total, 10, 64)
	if err != nil || size < 0 {
		return 0, fmt.Errorf("the answer has the range %q", *out.ContentRange)
	}
	return size, nil
}

// Size is in bytes.
func (o *s3Object) Size() int64 { return o.size }

var errClosed = errors.New("the object is closed")

// ReadAt reads as io.ReaderAt does.
func (o *s3Object) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	if off >= o.size {
		return 0, io.EOF
	}
	want := int(min(int64(len(p)), o.size-off))
	for n < want {
		m, err := o.read(p[n:want], off+int64(n))
		n += m
		if err != nil {
			return n, fmt.Errorf("read an object: %w", err)
		}
	}
	if n < len(p) {
		err = io.EOF
	}
	return n, err
}

// read reads some bytes, from memory if they are there.
func (o *s3Object) read(p []byte, off int64) (int, error) {
	if off < int64(len(o.head)) {
		return copy(p, o.head[off:]), nil
	}
	o.ends.RLock()
	end := o.end
	o.ends.RUnlock()
	endAt := o.size - int64(len(end))
	if off >= endAt {
		return copy(p, end[off-endAt:]), nil
	}
	p = p[:min(int64(len(p)), endAt-off)]
	if !o.mu.TryLock() {
		return readFrom(o.stream(off, off+int64(len(p))), p)
	}
	defer o.mu.Unlock()
	if o.stream == nil {
		return 0, errClosed
	}
	return o.readOn(p, off, endAt)
}

// readOn reads from the stream, or makes one if a read follows another.
func (o *s3Object) readOn(p []byte, off, endAt int64) (int, error) {
	switch {
	case o.flowing != nil && o.flowing.at == off && o.flowing.to >= off+int64(len(p)):
	case off+int64(len(p)) == o.size && len(p) <= endWindow && len(o.end) == 0:
		return o.readEnd(p, off)
	case off == o.next:
		o.stop()
		o.flowing = o.stream(off, endAt)
	default:
		o.next = off + int64(len(p))
		return readFrom(o.stream(off, o.next), p)
	}
	n, err := io.ReadFull(o.flowing, p)
	o.next = off + int64(n)
	if err != nil || o.flowing.at == o.flowing.to {
		o.stop()
	}
	return n, err
}

// readEnd reads the end of the object, with all before it that isn't in memory if that is little, and keeps it.
func (o *s3Object) readEnd(p []byte, off int64) (int, error) {
	from := off
	if o.size-int64(len(o.head)) <= endWindow {
		from = int64(len(o.head))
	}
	end := make([]byte, o.size-from)
	if _, err := readFrom(o.stream(from, o.size), end); err != nil {
		return 0, err
	}
	o.ends.Lock()
	o.end = end
	o.ends.Unlock()
	return copy(p, end[off-from:]), nil
}

func (o *s3Object) stop() {
	if o.flowing != nil {
		o.flowing.Close()
		o.flowing = nil
	}
}

// Close ends the stream.
func (o *s3Object) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stop()
	return nil
}

func readFrom(s *s3Stream, p []byte) (int, error) {
	defer s.Close()
	return io.ReadFull(s, p)
}
