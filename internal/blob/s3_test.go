package blob_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/blob/blobtest"
	"github.com/coffer-registry/coffer/internal/blob/s3test"
)

func TestS3(t *testing.T) {
	server := s3test.Start(t)
	s3test.Environment(t)
	runS3(t, server)
}

// By TLS, the bytes of requests are not signed.
func TestS3ByTLS(t *testing.T) { runS3(t, s3test.StartTLS(t)) }

// A server whose certificate can't be verified is not asked again and again before that is said.
func TestS3Untrusted(t *testing.T) {
	server := s3test.StartTLS(t)
	bucket := server.Bucket(t)
	for text, host := range map[string]string{"unknown authority": "127.0.0.1", "for other names": "store.invalid"} {
		t.Run(text, func(t *testing.T) {
			if text == "unknown authority" {
				t.Setenv("AWS_CA_BUNDLE", "")
			}
			attempts := 0
			endpoint := strings.Replace(server.Endpoint, "127.0.0.1", host, 1)
			_, err := blob.OpenS3(t.Context(), s3test.URL(endpoint, bucket), blob.S3Options{
				Observe: func(op blob.S3Operation) { attempts += op.Attempts },
				Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(server.Endpoint, "https://"))
				},
			})
			if !errors.Is(err, blob.ErrUnreachable) || !strings.Contains(fmt.Sprint(err), text) {
				t.Errorf("error is %v", err)
			}
			if attempts != 1 {
				t.Errorf("it was asked %d times", attempts)
			}
		})
	}
}

func runS3(t *testing.T, server *s3test.Server) {
	blobtest.Run(t, func(t *testing.T) func() blob.Store {
		url := server.URL(server.Bucket(t))
		return func() blob.Store { return openS3(t, url, blob.S3Options{Cache: 4 * mib}) }
	})
}

// openS3 opens a store, and closes it when the test is over.
func openS3(t testing.TB, url string, o blob.S3Options) *blob.S3 {
	t.Helper()
	s, err := blob.OpenS3(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
