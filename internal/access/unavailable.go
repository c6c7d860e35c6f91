package access

import (
	"errors"
	"time"

	"github.com/coffer-registry/coffer/internal/audit"
	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/store"
)

// Unavailable says what a client is told of an error of what the server depends on, its disk, database or object store, and after
// how long it may try again. The message is empty if the error is none of those.
func Unavailable(err error) (message string, retryAfter time.Duration) {
	switch {
	case errors.Is(err, store.ErrDiskFull), errors.Is(err, blob.ErrNoSpace), errors.Is(err, audit.ErrBacklog):
		return "The server can't write to its disk at the moment. Try again later.", 5 * time.Second
	case errors.Is(err, store.ErrUnavailable):
		return "The server can't reach its database at the moment. Try again later.", time.Second
	case errors.Is(err, blob.ErrUnreachable):
		return "The server can't reach its object store at the moment. Try again later.", 5 * time.Second
	case errors.Is(err, blob.ErrSlow):
		return "The bytes of the upload came too slowly while others waited. Try again later.", 5 * time.Second
	}
	return "", 0
}
