package blob_test

import (
	"bytes"
	"context"
	"crypto/fips140"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/blob/s3test"
)

const mib = 1 << 20

// randomBytes are bytes that only a seed knows.
func randomBytes(seed uint64, size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(seed), 7}).Read(b)
	return b
}

// readWhole reads an object in pieces, as it is done for a pull.
func readWhole(ctx context.Context, s blob.Store, key string) ([]byte, error) {
	o, err := s.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	var all bytes.Buffer
	_, err = io.CopyBuffer(struct{ io.Writer }{&all}, struct{ io.Reader }{io.NewSectionReader(o, 0, o.Size())}, make([]byte, 256<<10))
	return all.Bytes(), errors.Join(err, o.Close())
}

func wantBytes(t testing.TB, s blob.Store, key string, want []byte) {
	t.Helper()
	got, err := readWhole(t.Context(), s, key)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes of %d that were written, or others: %v", len(got), len(want), err)
	}
}

// names are those of all objects and multipart uploads in a bucket.
func names(t testing.TB, c *s3.Client, bucket string) (all []string) {
	t.Helper()
	objects, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects.Contents {
		all = append(all, *o.Key)
	}
	uploads, err := c.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range uploads.Uploads {
		all = append(all, *u.Key+" upload")
	}
	return all
}

// work writes a small and a large object, the second with a resume in another process, reads and deletes them.
func work(ctx context.Context, first, second *blob.S3, large []byte) error {
	small := blob.NewKey(time.Now())
	u, err := first.Create(ctx, small, nil)
	if err != nil {
		return err
	}
	defer u.Close()
	if err := errors.Join(u.WritePart(ctx, large[:100]), u.Commit(ctx)); err != nil {
		return fmt.Errorf("small object: %w", err)
	}
	key := blob.NewKey(time.Now())
	if u, err = first.Create(ctx, key, nil); err != nil {
		return err
	}
	defer u.Close()
	if err := errors.Join(u.WritePart(ctx, large[:len(large)/2]), u.Sync(ctx)); err != nil {
		return fmt.Errorf("first half: %w", err)
	}
	state := u.State()
	if err := u.Close(); err != nil {
		return err
	}
	if u, err = second.Create(ctx, key, state); err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	defer u.Close()
	if err := errors.Join(u.WritePart(ctx, large[len(large)/2:]), u.Commit(ctx)); err != nil {
		return fmt.Errorf("second half: %w", err)
	}
	for key, want := range map[string][]byte{small: large[:100], key: large} {
		if got, err := readWhole(ctx, second, key); err != nil || !bytes.Equal(got, want) {
			return fmt.Errorf("read %d of %d bytes: %w", len(got), len(want), err)
		}
		if err := first.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// TestS3EveryRequestFails lets each request in turn fail in each way that can be borne: the work is done nevertheless, and
// leaves nothing in the bucket.
func TestS3EveryRequestFails(t *testing.T) {
	server := s3test.Start(t)
	s3test.Environment(t)
	proxy := server.Proxy(t)
	bucket := server.Bucket(t)
	url := s3test.URL(proxy.Endpoint, bucket)
	first, second := openS3(t, url, blob.S3Options{}), openS3(t, url, blob.S3Options{})
	large := randomBytes(1, 11*mib)
	client := server.Client(t)
	for _, fault := range s3test.Retryable {
		t.Run(string(fault), func(t *testing.T) {
			for n := 1; ; n++ {
				proxy.Use(s3test.Nth(n, fault))
				if err := work(t.Context(), first, second, large); err != nil {
					t.Fatalf("request %d of %v: %v", n, proxy.Requests(), err)
				}
				hit, requests := proxy.Hit(), proxy.Requests()
				proxy.Use(nil)
				// A request to begin an upload whose answer was lost leaves one behind, as does one to delete.
				for range first.List(t.Context(), "") {
				}
				if left := names(t, client, bucket); len(left) > 0 && fault != s3test.Lost && fault != s3test.CutAnswer {
					t.Fatalf("request %d left %v", n, left)
				}
				if !hit {
					t.Logf("%d requests: %v", n-1, requests)
					return
				}
			}
		})
	}
}

// TestS3OpenFails lets each request of opening fail.
func TestS3OpenFails(t *testing.T) {
	server := s3test.Start(t)
	s3test.Environment(t)
	proxy := server.Proxy(t)
	bucket := server.Bucket(t)
	url := s3test.URL(proxy.Endpoint, bucket)
	for _, fault := range []s3test.Fault{s3test.Busy, s3test.Lost, s3test.Denied} {
		for n := 1; ; n++ {
			proxy.Use(s3test.Nth(n, fault))
			s, err := blob.OpenS3(t.Context(), url, blob.S3Options{})
			if err == nil {
				s.Close()
			}
			hit, requests := proxy.Hit(), proxy.Requests()
			if !hit {
				break
			}
			switch {
			case fault != s3test.Denied && err != nil:
				t.Errorf("%s of request %d: %v", fault, n, err)
			case fault == s3test.Denied && err != nil && !errors.Is(err, blob.ErrAccess):
				t.Errorf("%s of request %d of %v: %v", fault, n, requests, err)
			case fault == s3test.Denied && err != nil && (strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), bucket)):
				t.Errorf("not one clear line: %v", err)
			}
		}
	}
}

// TestS3Full fills the server up, makes room, and goes on from the last state.
func TestS3Full(t *testing.T) {
	server := s3test.Start(t)
	s3test.Environment(t)
	proxy := server.Proxy(t)
	s := openS3(t, s3test.URL(proxy.Endpoint, server.Bucket(t)), blob.S3Options{})
	key, want := blob.NewKey(time.Now()), randomBytes(2, 12*mib)
	u := start(t, s, key, nil, string(want[:mib]))
	if err := u.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	state := u.State()
	proxy.Use(func(_ int, r *http.Request) s3test.Fault {
		if r.Method == http.MethodPut {
			return s3test.Full
		}
		return s3test.None
	})
	err := u.WritePart(t.Context(), want[mib:])
	if err == nil {
		err = u.Sync(t.Context())
	}
	if !errors.Is(err, blob.ErrNoSpace) {
		t.Errorf("write to a full server: %v", err)
	}
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	small := start(t, s, blob.NewKey(time.Now()), nil, "small")
	if err := small.Commit(t.Context()); !errors.Is(err, blob.ErrNoSpace) {
		t.Errorf("commit to a full server: %v", err)
	}
	proxy.Use(nil)
	u = start(t, s, key, state, string(want[mib:]))
	if err := u.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantBytes(t, s, key, want)
}

// TestS3WriterReplaced lets two processes go on from one state: the parts of the second are those that count, and who
// committed parts of the first fails.
func TestS3WriterReplaced(t *testing.T) {
	server := s3test.Start(t)
	s3test.Environment(t)
	url := server.URL(server.Bucket(t))
	a, b := openS3(t, url, blob.S3Options{}), openS3(t, url, blob.S3Options{})
	key := blob.NewKey(time.Now())
	u := start(t, a, key, nil, "beginning ")
	if err := u.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	state := u.State()
	mine, others := randomBytes(3, 6*mib), randomBytes(4, 6*mib)
	if err := u.WritePart(t.Context(), mine); err != nil { // sends the first part
		t.Fatal(err)
	}
	if err := u.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	late := u.State()
	v := start(t, b, key, state, string(others))
	if err := v.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := u.Commit(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("commit with replaced parts: %v", err)
	}
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	if _, err := openS3(t, url, blob.S3Options{}).Create(t.Context(), key, late); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("resume with replaced parts: %v", err)
	}
	if err := v.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantBytes(t, a, key, append([]byte("beginning "), others...))
}

// TestS3TwoWriters lets two processes write one object at once: one of them wins, and the object is its.
func TestS3TwoWriters(t *testing.T) {
	server := s3test.Start(t)
	s3test.Environment(t)
	url := server.URL(server.Bucket(t))
	stores := []*blob.S3{openS3(t, url, blob.S3Options{}), openS3(t, url, blob.S3Options{})}
	for _, size := range []int{1000, 6 * mib} {
		key := blob.NewKey(time.Now())
		results := make(chan error, len(stores))
		contents := [][]byte{randomBytes(5, size), randomBytes(6, size)}
		won := make([]bool, len(stores))
		for i, s := range stores {
			u := start(t, s, key, nil, string(contents[i]))
			go func() {
				err := u.Commit(t.Context())
				won[i] = err == nil
				results <- err
			}()
		}
		winners := 0
		for range stores {
			if err := <-results; err == nil {
				winners++
			} else if !errors.Is(err, fs.ErrExist) {
				t.Errorf("the other: %v", err)
			}
		}
		if winners != 1 {
			t.Fatalf("%d won", winners)
		}
		for i := range stores {
			if won[i] {
				wantBytes(t, stores[1-i], key, contents[i])
			}
		}
	}
}

// TestS3Ends cancels each request in turn while it stalls: the call ends at once.
func TestS3Ends(t *testing.T) {
	server := s3test.Start(t)
	s3test.Environment(t)
	proxy := server.Proxy(t)
	url := s3test.URL(proxy.Endpoint, server.Bucket(t))
	first, second := openS3(t, url, blob.S3Options{}), openS3(t, url, blob.S3Options{})
	large := randomBytes(1, 6*mib)
	for n := 1; ; n++ {
		ctx, cancel := context.WithCancel(t.Context())
		var cancelled atomic.Pointer[time.Time]
		proxy.Use(func(i int, _ *http.Request) s3test.Fault {
			if i < n {
				return s3test.None
			}
			now := time.Now()
			cancelled.CompareAndSwap(nil, &now)
			cancel()
			return s3test.Stall
		})
		err := work(ctx, first, second, large)
		hit := proxy.Hit()
		cancel()
		if !hit {
			if err != nil {
				t.Fatal(err)
			}
			return
		}
		if took := time.Since(*cancelled.Load()); took > 5*time.Second {
			t.Errorf("request %d kept the call for %v", n, took)
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("request %d: %v", n, err)
		}
	}
}

// TestS3Unchecked is about servers that don't compare bytes with checksums, or don't tell those of parts: then bytes are signed. An
// upload that was begun with checksums is gone on with without, and the other way round.
func TestS3Unchecked(t *testing.T) {
	server := s3test.Start(t)
	s3test.Environment(t)
	proxy := server.Proxy(t)
	url := s3test.URL(proxy.Endpoint, server.Bucket(t))
	checked := openS3(t, url, blob.S3Options{})
	large := randomBytes(1, 11*mib)
	for what, plan := range map[string]s3test.Plan{
		"wrong checksums are taken": func(_ int, r *http.Request) s3test.Fault {
			if r.Header.Get("X-Amz-Checksum-Crc32c") != "" {
				return s3test.Ignored
			}
			return s3test.None
		},
		"checksums are not listed": func(_ int, r *http.Request) s3test.Fault {
			if r.Method == http.MethodGet && r.URL.Query().Has("uploadId") {
				return s3test.Denied
			}
			return s3test.None
		},
	} {
		proxy.Use(plan)
		unchecked := openS3(t, url, blob.S3Options{})
		if !unchecked.Conditional() {
			t.Errorf("where %s, the server is taken for one without conditional writes", what)
		}
		signed, summed := 0, 0
		count := func(_ int, r *http.Request) s3test.Fault {
			if r.Method == http.MethodPut && r.Header.Get("X-Amz-Content-Sha256") != "UNSIGNED-PAYLOAD" {
				signed++
			}
			if r.Method == http.MethodPut && r.Header.Get("X-Amz-Checksum-Crc32c") != "" {
				summed++
			}
			return s3test.None
		}
		for _, test := range []struct {
			first, second  *blob.S3
			signed, summed int
		}{{unchecked, unchecked, 5, 0}, {checked, unchecked, 0, 5}, {unchecked, checked, 5, 0}, {checked, checked, 0, 5}} {
			signed, summed = 0, 0
			proxy.Use(count)
			if err := work(t.Context(), test.first, test.second, large); err != nil {
				t.Errorf("where %s: %v", what, err)
			}
			if signed != test.signed || summed != test.summed {
				t.Errorf("where %s: %d bodies were signed and %d had a checksum, want %d and %d", what, signed, summed, test.signed, test.summed)
			}
		}
	}
}

// TestS3NotMade is about a server that was killed while it made an object of its parts: from then on it says that it has made it, and
// hasn't. Nobody must believe it.
func TestS3NotMade(t *testing.T) {
	server := s3test.Start(t)
	s3test.Environment(t)
	proxy, bucket := server.Proxy(t), server.Bucket(t)
	s := openS3(t, s3test.URL(proxy.Endpoint, bucket), blob.S3Options{})
	for what, later := range map[string]bool{"never": false, "a moment later": true} {
		key, p := blob.NewKey(time.Now()), randomBytes(8, 1000)
		u := start(t, s, key, nil, string(p))
		if err := u.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		var rename, back func() error
		asked := 0
		proxy.Use(func(_ int, r *http.Request) s3test.Fault {
			switch {
			case r.Method == http.MethodPost:
				rename, back = underWay(t, filepath.Join(server.Folder, bucket), p)
				if err := rename(); err != nil {
					t.Error(err)
				}
			case r.Method == http.MethodHead && later:
				if asked++; asked == 2 { // It goes on where it was, as a request that stalled does.
					if err := errors.Join(back(), complete(t, server.Client(t), bucket, "objects/"+key)); err != nil {
						t.Error(err)
					}
				}
			}
			return s3test.None
		})
		err := u.Commit(t.Context())
		proxy.Use(nil)
		if later && err != nil || !later && !errors.Is(err, blob.ErrUnreachable) {
			t.Errorf("an object that is made %s: %v", what, err)
		}
		if later {
			wantBytes(t, s, key, p)
		}
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	}
}

// underWay finds the only multipart upload of versitygw in a bucket, whose only part is p, and returns what gives it the name that it has
// while an object is made of it, and what takes that away.
func underWay(t *testing.T, bucket string, p []byte) (rename, back func() error) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(bucket, ".sgwtmp", "multipart", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	found = slices.DeleteFunc(found, func(name string) bool { return strings.HasSuffix(name, ".inprogress") })
	if len(found) != 1 {
		t.Fatalf("%d uploads: %v", len(found), found)
	}
	var all [md5.Size]byte
	fips140.WithoutEnforcement(func() {
		part := md5.Sum(p)
		all = md5.Sum(part[:])
	})
	name := fmt.Sprintf("%s.%x-1.inprogress", found[0], all)
	return func() error { return os.Rename(found[0], name) }, func() error { return os.Rename(name, found[0]) }
}

// complete makes an object of the parts of its only upload.
func complete(t *testing.T, c *s3.Client, bucket, name string) error {
	t.Helper()
	uploads, err := c.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &bucket, Prefix: &name})
	if err != nil || len(uploads.Uploads) != 1 {
		return fmt.Errorf("%v, %w", uploads, err)
	}
	id := uploads.Uploads[0].UploadId
	parts, err := c.ListParts(t.Context(), &s3.ListPartsInput{Bucket: &bucket, Key: &name, UploadId: id})
	if err != nil {
		return err
	}
	var list []types.CompletedPart
	for _, part := range parts.Parts {
		list = append(list, types.CompletedPart{ETag: part.ETag, PartNumber: part.PartNumber, ChecksumCRC32C: part.ChecksumCRC32C})
	}
	_, err = c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: &name, UploadId: id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: list}})
	return err
}
