package blob_test

import (
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
