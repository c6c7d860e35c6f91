package rootkey

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/storetest"
)

// crashing is a file root whose process ends at a step of a rotation.
type crashing struct {
	*File
	wrap, finish bool
}

var errCrash = errors.New("crash")

func (c crashing) Renew(ctx context.Context) (kms.Root, func(context.Context) error, error) {
	next, finish, err := c.File.Renew(ctx)
	if c.finish {
		finish = func(context.Context) error { return errCrash }
	}
	if c.wrap {
		next = crashingNext{next}
	}
	return next, finish, err
}

type crashingNext struct{ kms.Root }

func (crashingNext) Wrap(context.Context, []byte, kms.Context) ([]byte, error) { return nil, errCrash }

// After a crash at each step of a rotation the root opens the data, with one file in the end, and rotates again.
func TestRotationCrashes(t *testing.T) {
	scope := kms.Scope{Purpose: kms.PurposeToken}
	for name, tt := range map[string]struct {
		root   crashing
		record func(*store.Tx) error
		left   bool // a next key is left beside the file, in use or not
	}{
		"before it is wrapped":     {root: crashing{wrap: true}, left: true},
		"before the commit":        {record: func(*store.Tx) error { return errCrash }, left: true},
		"before the file's switch": {root: crashing{finish: true}, left: true},
		"after it":                 {},
	} {
		t.Run(name, func(t *testing.T) {
			db := storetest.Open(t, t.TempDir(), store.Options{})
			defer func() {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			}()
			file, path := newFile(t)
			tt.root.File = file
			open := func(root kms.Root) (*kms.Keyring, seal.Key) {
				t.Helper()
				k, err := kms.Open(t.Context(), db, root, []kms.Scope{scope})
				if err != nil {
					t.Fatal(err)
				}
				key, err := k.Key(scope)
				if err != nil {
					t.Fatal(err)
				}
				return k, key
			}
			k, want := open(tt.root)
			if err := k.Rotate(t.Context(), kms.Rotation{Record: tt.record}); (err != nil) != tt.left {
				t.Fatal(err)
			}
			if _, err := os.Stat(path + nextSuffix); (err == nil) != tt.left {
				t.Errorf("the next key: %v", err)
			}
			for range 3 {
				again, err := OpenFile(path)
				if err != nil {
					t.Fatal(err)
				}
				k, got := open(again)
				if !got.Equal(want) {
					t.Fatal("it opens another key")
				}
				if err := k.Rotate(t.Context(), kms.Rotation{}); err != nil {
					t.Fatal(err)
				}
				if _, err := os.Stat(path + nextSuffix); err == nil {
					t.Error("the next key is still beside the file")
				}
				info, err := os.Stat(path)
				if err != nil || info.Mode() != 0o600 {
					t.Errorf("the file is %v, error %v", info, err)
				}
			}
		})
	}
}
