package blob

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"time"
)

// s3Stream reads a range of an object by one request, and by another from where it is if that breaks off or stalls.
type s3Stream struct {
	at, to int64
	// open asks for a range.
	open func(ctx context.Context, from, to int64) (io.ReadCloser, error)
	// context makes the context of a request.
	context func() (context.Context, context.CancelFunc)
	// wait waits before another request.
	wait func(time.Duration) error

	body     io.ReadCloser
	cancel   context.CancelFunc
	watchdog *time.Timer
	failures int // since bytes came
}

// waiter waits until ctx ends.
func waiter(ctx context.Context) func(time.Duration) error {
	return func(d time.Duration) error {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
			return nil
		}
	}
}

// begin makes the request.
func (s *s3Stream) begin() error {
	get, cancel := s.context()
	body, err := s.open(get, s.at, s.to)
	if err != nil {
		cancel()
		return err
	}
	s.body, s.cancel = body, cancel
	s.watchdog = time.AfterFunc(readStall, cancel)
	s.watchdog.Stop()
	return nil
}

// Read reads on.
func (s *s3Stream) Read(p []byte) (int, error) {
	for s.at < s.to {
		if s.body == nil {
			if err := s.begin(); err != nil {
				return 0, err
			}
		}
		s.watchdog.Reset(readStall)
		n, err := s.body.Read(p[:min(int64(len(p)), s.to-s.at)])
		s.watchdog.Stop()
		if s.at += int64(n); n > 0 {
			s.failures = 0
			return n, nil
		}
		if err != nil {
			if err := s.again(err); err != nil {
				return 0, err
			}
		}
	}
	return 0, io.EOF
}

// again ends a request that broke off, and waits before the next.
func (s *s3Stream) again(err error) error {
	s.Close()
	if s.failures++; s.failures >= attempts || errors.Is(err, fs.ErrNotExist) || statusOf(err) == http.StatusPreconditionFailed {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	return s.wait(backoff(s.failures))
}

// Close ends the request.
func (s *s3Stream) Close() {
	if s.body == nil {
		return
	}
	s.watchdog.Stop()
	s.cancel()
	_ = s.body.Close() // what was read was checked by its length
	s.body = nil
}
