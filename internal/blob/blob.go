// Package blob keeps objects: sequences of bytes with a key, which never change once they are committed.
//
// Invariants: an object is there as a whole or not at all; Commit returns only when object and name are durable; a key is
// used for one object only. The bytes mean nothing to the package; they are sealed before they get here. It is not its
// job to know which objects are in use: what nobody refers to is found by List and removed by Delete.
package blob

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"iter"
	"strings"
	"time"
)

// Errors of this package. A missing object is fs.ErrNotExist.
var (
	// ErrNoSpace means that the disk is full. What was written of the object stays resumable from its last state.
	ErrNoSpace = errors.New("no space left for objects")
	// ErrBusy means that the upload is being written to by someone else.
	ErrBusy = errors.New("the upload is being written to")
	// ErrKey means that a text is not a key that NewKey made.
	ErrKey = errors.New("not the key of an object")
	// ErrState means that a state is not one of this upload.
	ErrState = errors.New("not a state of this upload")
)

// Store is a store of objects. It is safe for concurrent use.
type Store interface {
	// Open opens a committed object. The error is fs.ErrNotExist if there is none.
	Open(ctx context.Context, key string) (Object, error)
	// Create begins an object, or goes on with one from a state that Upload.State gave after Sync; what was written after
	// that is dropped. The error is ErrBusy, fs.ErrNotExist if there is nothing to go on with, fs.ErrExist if that was
	// committed, which is durable then, or ErrNoSpace.
	Create(ctx context.Context, key string, resume []byte) (Upload, error)
	// Delete removes an object or an unfinished upload. It is no error if there is neither.
	Delete(ctx context.Context, key string) error
	// List gives all objects and unfinished uploads whose keys are above after, in the order of keys.
	List(ctx context.Context, after string) iter.Seq2[Info, error]
}

// Object is a committed object.
type Object interface {
	io.ReaderAt
	io.Closer
	// Size is in bytes.
	Size() int64
}

// Upload is an object that is being written. One goroutine uses it at a time. Close it in any case: after Commit and
// Abort that does nothing more than to release it, and otherwise the upload can be resumed.
type Upload interface {
	// WritePart appends p. After an error the upload can only be aborted or closed.
	WritePart(ctx context.Context, p []byte) error
	// Sync makes what was written durable, after which State is good for Create, in any process.
	Sync(ctx context.Context) error
	State() []byte
	// Commit makes the object durable and visible. The error is fs.ErrExist if the object was committed before, which
	// stays as it is and is durable then, and fs.ErrNotExist if the upload was deleted meanwhile.
	Commit(ctx context.Context) error
	// Abort removes what was written. After Commit it does nothing.
	Abort(ctx context.Context) error
	io.Closer
}

// Info is what List tells of an object.
type Info struct {
	Key string
	// Size is in bytes, or -1 for an unfinished upload of which the store doesn't know it.
	Size     int64
	Modified time.Time
	// Partial is set for an unfinished upload. One that was begun anew may have left another behind, which is listed until
	// Delete, or until the object is committed. What is left when there is an object need not be listed, nor stay.
	Partial bool
}

const (
	folderDigits = 8
	idDigits     = 32
	keyLength    = folderDigits + 1 + idDigits
	// folderSpan is how long new objects go into the same folder. Folders of an hour stay small, and the fsyncs of a folder
	// can be shared by those who write at the same time.
	folderSpan = time.Hour
)

// NewKey makes a key for an object that is begun now: a folder, which tells the hour, and a random id.
func NewKey(now time.Time) string {
	var folder [folderDigits / 2]byte
	binary.BigEndian.PutUint32(folder[:], uint32(now.Unix()/int64(folderSpan/time.Second)))
	var id [idDigits / 2]byte
	rand.Read(id[:])
	return hex.EncodeToString(folder[:]) + "/" + hex.EncodeToString(id[:])
}

// ValidKey reports whether NewKey could have made a key.
func ValidKey(key string) bool {
	return len(key) == keyLength && key[folderDigits] == '/' && isHex(key[:folderDigits]) && isHex(key[folderDigits+1:])
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }
