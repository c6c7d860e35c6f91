package blob_test

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/blob/s3test"
)

// cached opens a store that keeps objects in memory and speaks to the server by way of the proxy, and one that keeps none.
func cached(t *testing.T) (kept, plain *blob.S3, proxy *s3test.Proxy) {
	t.Helper()
	server := s3test.Start(t)
	s3test.Environment(t)
	proxy = server.Proxy(t)
	url := s3test.URL(proxy.Endpoint, server.Bucket(t))
	return openS3(t, url, blob.S3Options{Cache: 8 * mib}), openS3(t, url, blob.S3Options{}), proxy
}

// gets is how many requests read an object since the proxy was told what to do.
func gets(p *s3test.Proxy) (n int) {
	for _, request := range p.Requests() {
		if request == http.MethodGet {
			n++
		}
	}
	return n
}

// TestS3CacheKeeps reads objects twice: the small ones come from memory, in any range, until they are deleted, and a store
// that keeps nothing reads what the server has.
func TestS3CacheKeeps(t *testing.T) {
	kept, plain, proxy := cached(t)
	for _, test := range []struct{ size, again int }{{0, 0}, {1, 0}, {100_000, 0}, {512 << 10, 0}, {512<<10 + 1, 2}, {2 * mib, 2}} {
		key, want := blob.NewKey(time.Now()), randomBytes(1, test.size)
		put(t, kept, key, want)
		wantBytes(t, kept, key, want)
		proxy.Use(nil)
		wantBytes(t, kept, key, want)
		if n := gets(proxy); n != test.again {
			t.Errorf("%d bytes were read again by %d requests: %v", test.size, n, proxy.Requests())
		}
		o, err := kept.Open(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		part := make([]byte, test.size/3)
		if n, err := o.ReadAt(part, int64(test.size/2)); err != nil && test.size > 0 || !bytes.Equal(part, want[test.size/2:][:n]) {
			t.Errorf("a range of %d bytes: %d, %v, or other bytes", test.size, n, err)
		}
		if err := errors.Join(o.Close(), kept.Delete(t.Context(), key)); err != nil {
			t.Error(err)
		}
		if _, err := kept.Open(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a deleted object of %d bytes: %v", test.size, err)
		}
		key = blob.NewKey(time.Now())
		put(t, plain, key, want)
		proxy.Use(nil)
		wantBytes(t, plain, key, want)
		wantBytes(t, plain, key, want)
		if n := gets(proxy); n < 2 {
			t.Errorf("%d bytes were read twice by %d requests, where nothing is kept", test.size, n)
		}
	}
}

// TestS3CacheShares has many read one object at the same moment, small or large: each gets all of it, wherever its beginning
// comes from.
func TestS3CacheShares(t *testing.T) {
	kept, _, _ := cached(t)
	for _, size := range []int{60_000, 3 * mib} {
		key, want := blob.NewKey(time.Now()), randomBytes(1, size)
		put(t, kept, key, want)
		var readers sync.WaitGroup
		for range 20 {
			readers.Go(func() { wantBytes(t, kept, key, want) })
		}
		readers.Wait()
	}
}

// TestS3CacheKeepsNoFailure lets the first read of an object fail in each way: then it is read as if nobody had tried.
func TestS3CacheKeepsNoFailure(t *testing.T) {
	kept, _, proxy := cached(t)
	for _, fault := range append([]s3test.Fault{s3test.Denied}, s3test.Retryable...) {
		key, want := blob.NewKey(time.Now()), randomBytes(2, 90_000)
		if _, err := kept.Open(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("an object that isn't there: %v", err)
		}
		put(t, kept, key, want)
		proxy.Use(s3test.Nth(1, fault))
		if _, err := kept.Open(t.Context(), key); (err != nil) != (fault == s3test.Denied) {
			t.Errorf("%s: %v", fault, err)
		}
		if !proxy.Hit() {
			t.Errorf("%s did not happen", fault)
		}
		proxy.Use(nil)
		wantBytes(t, kept, key, want)
		wantBytes(t, kept, key, want)
		if n := gets(proxy); n > 1 {
			t.Errorf("after %s it was read %d times", fault, n)
		}
	}
}
