package blob

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// S3Options are what a store on S3 can be told besides its URL.
type S3Options struct {
	// Memory is how many bytes the buffers of all uploads together may take, 48 MiB if it is 0, and at least 32 MiB.
	Memory int64
	// Cache is how many bytes of small objects that were read may stay in memory, for who reads them next: none if it is 0,
	// when all that is read is what the server has.
	Cache int
	// Observe is told of each call of the server when it is over, from many goroutines.
	Observe func(S3Operation)
	// Dial opens the connections to the server; by default those of the network.
	Dial Dialer
}

const (
	defaultMemory = 48 << 20
	leastMemory   = 32 << 20
)

// S3Operation is a call of the server, with all its attempts.
type S3Operation struct {
	// Name is S3's, such as PutObject.
	Name     string
	Duration time.Duration
	// Class is empty for a success, and else exists, missing, refused, full, throttled, timeout, cancelled, connection,
	// server or client.
	Class string
	// Bytes is how many bytes of an object were sent, or are about to come.
	Bytes    int64
	Attempts int
}

// S3 keeps objects in a bucket of a server that speaks S3, each under the prefix and its key.
//
// An object of one part is written by one request. A larger one is a multipart upload, whose parts are sent while more
// comes. What an upload holds beyond full parts when it is synced lies in its state, or in a temporary object beside the
// key if it is long. The last request of each object carries If-None-Match, so that of two writers one wins, where the
// server knows it; where it doesn't, the key is looked for before.
type S3 struct {
	place     s3Place
	region    string
	client    *s3.Client
	transport *http.Transport
	memory    *budget
	// conditionalPut and conditionalComplete say which requests the server takes If-None-Match with.
	conditionalPut, conditionalComplete bool
	// checks says that the server compares bytes with their checksum, and keeps that of parts.
	checks bool
	tails  tailCache
	cache  *openCache // nil if nothing is kept

	mu      sync.Mutex
	writing map[string]bool // keys that are being written to
}

// OpenS3 opens the store that a URL names, as CheckS3URL describes it. It writes and removes an object, so that a bucket
// that is missing, elsewhere, full or read-only is found now. The errors are those of this package.
func OpenS3(ctx context.Context, url string, o S3Options) (*S3, error) {
	place, err := parseS3URL(url)
	if err != nil {
		return nil, err
	}
	if o.Memory == 0 {
		o.Memory = defaultMemory
	}
	if o.Memory < leastMemory {
		return nil, fmt.Errorf("the buffers of the object store need %d MiB of memory", leastMemory>>20)
	}
	s := &S3{place: place, memory: newBudget(o.Memory - tailCacheSize), writing: map[string]bool{}}
	if o.Cache > 0 {
		s.cache = newOpenCache(o.Cache)
	}
	if s.client, s.transport, err = newClient(ctx, place, o); err != nil {
		return nil, fmt.Errorf("open %s: %w", place, err)
	}
	s.region = s.client.Options().Region
	if err := s.probe(ctx); err != nil {
		s.transport.CloseIdleConnections()
		return nil, fmt.Errorf("open %s: %w", place, err)
	}
	return s, nil
}

// Close closes the connections that are not in use, and releases memory. The store can still be used.
func (s *S3) Close() error {
	s.transport.CloseIdleConnections()
	s.memory.release()
	return nil
}

// Conditional reports whether the server refuses to overwrite an object when it is asked to. Where it doesn't, of two that
// write an object at the same moment the later may win.
func (s *S3) Conditional() bool { return s.conditionalPut && s.conditionalComplete }

// Ping asks the server for the bucket, as cheaply as can be.
func (s *S3) Ping(ctx context.Context) error {
	_, err := s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.place.bucket}, func(o *s3.Options) { o.RetryMaxAttempts = 1 }, within(pingTime))
	if err != nil {
		if statusOf(err) == http.StatusNotFound {
			err = &types.NoSuchBucket{}
		}
		return fmt.Errorf("ping %s: %w", s.place, s.s3Error(err))
	}
	return nil
}

// pingTime is less than probes of a load balancer wait.
const pingTime = 3 * time.Second

func (s *S3) name(key string) *string { return aws.String(s.place.prefix + key) }

func (s *S3) bucket() *string { return &s.place.bucket }

// signing is the options of a request with a body. Bytes are signed only if nothing else tells when they change on the way: not by TLS,
// nor if they are summed. To sign them would keep out nobody who changes them on purpose, since the server's answers are not signed;
// that is for the seal that they have, which is looked at whenever they are read.
func (s *S3) signing(summed bool) func(*s3.Options) {
	if summed || !strings.HasPrefix(s.place.endpoint, "http://") {
		return unsigned
	}
	return func(*s3.Options) {}
}

func (s *S3) begin(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writing[key] {
		return false
	}
	s.writing[key] = true
	return true
}

func (s *S3) end(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.writing, key)
}

// randomID is so many random bytes as hexadecimal digits.
func randomID(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b)
	return hex.EncodeToString(b)
}
