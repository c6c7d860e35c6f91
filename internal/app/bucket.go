package app

import (
	"context"
	"errors"

	"github.com/coffer-registry/coffer/internal/blob"
)

// openBucket opens a store of objects in S3.
func openBucket(context.Context, string) (blob.Store, error) {
	return nil, errors.New("s3:// is not available yet")
}
