package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/coffer-registry/coffer/internal/audit"
	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/organization"
	"github.com/coffer-registry/coffer/internal/rootkey"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/service/organizations"
	"github.com/coffer-registry/coffer/internal/store"
)

// state is what is kept in the data folder.
type state struct {
	lock         io.Closer
	db           *store.DB
	blobs        blobStore
	keys         *kms.Keyring
	keysFailed   atomic.Bool
	customer     *kms.Keys
	iam          *iam.Store
	organization *organization.Store
}

// openState locks the data folder and opens what is in it, making it at first.
func openState(ctx context.Context, c Config, o Options) (*state, error) {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, fmt.Errorf("data folder %s: %w", c.Data, err)
	}
	st := &state{}
	if err := st.open(ctx, c, o); err != nil {
		return nil, errors.Join(err, st.close())
	}
	return st, nil
}

// open fills the state. What it opened before it failed is there to be closed.
func (st *state) open(ctx context.Context, c Config, o Options) (err error) {
	if st.lock, err = store.LockDir(c.Data); err != nil {
		return err
	}
	if st.db, err = openDatabase(ctx, c, store.Options{Clock: o.MachineClock, BeforeCommit: o.BeforeCommit}); err != nil {
		return err
	}
	if err := checkMarks(ctx, c, st.db); err != nil {
		return err
	}
	if o.existing {
		if id, err := st.db.Installation(ctx); err != nil {
			return err
		} else if id == "" {
			return errNoInstallation(c)
		}
	}
	if o.Now == nil {
		o.Now = st.db.Now
	}
	if st.blobs, err = openBlobs(ctx, c, o); err != nil {
		return err
	}
	root, err := openRoot(ctx, c, st.db)
	if err != nil {
		return err
	}
	if st.keys, err = kms.Open(ctx, st.db, root, scopes(c)); err != nil {
		return err
	}
	secrets, err := st.keys.Key(kms.Scope{Purpose: kms.PurposeSecrets})
	if err != nil {
		return err
	}
	st.iam = iam.New(iam.Config{DB: st.db, Secrets: secrets, PasswordRounds: o.PasswordRounds, Now: o.Now})
	st.customer = kms.NewKeys(kms.Config{DB: st.db, Keyring: st.keys, Resolve: kms.PrincipalNames(st.iam.Resolve),
		PrincipalName: kms.PrincipalNames(st.iam.Name), Now: o.Now})
	st.organization = organization.New(organization.Config{DB: st.db, Now: o.Now})
	if err := st.ensureScopes(ctx, c); err != nil {
		return err
	}
	// Only once the root of trust has opened the database, which may be the wrong one.
	return st.blobs.Claim(ctx, st.keys.Installation())
}

// openDatabase opens the database of the configuration.
func openDatabase(ctx context.Context, c Config, o store.Options) (*store.DB, error) {
	if c.Database != "" {
		return store.OpenURL(ctx, c.Database, o)
	}
	return store.Open(ctx, c.Data, o)
}

// blobStore is an object store with what a server needs beside the objects.
type blobStore interface {
	blob.Store
	Claim(ctx context.Context, installation string) error
	Ping(ctx context.Context) error
}

// openBlobs opens the object store of the configuration.
func openBlobs(ctx context.Context, c Config, o Options) (blobStore, error) {
	if c.Blobs != "" {
		s3, err := blob.OpenS3(ctx, c.Blobs, blob.S3Options{Observe: o.blobs.observe, Cache: o.blobCache})
		if err != nil {
			return nil, err
		}
		return s3, nil
	}
	folder, err := blob.OpenFolder(filepath.Join(c.Data, "blobs"))
	if err != nil {
		return nil, err
	}
	return folder, nil
}

// ensureScopes makes the keys of the registries of all accounts, in the regions that are served now.
func (st *state) ensureScopes(ctx context.Context, c Config) error {
	accounts, err := st.iam.Accounts(ctx)
	if err != nil {
		return err
	}
	var scopes []kms.Scope
	for _, account := range accounts {
		scopes = append(scopes, organizations.Scopes(c.Region, account)...)
	}
	return st.db.Update(ctx, func(tx *store.Tx) error { return st.keys.Ensure(tx, scopes...) })
}

// ensureAccounts makes the first account with its root access key, and the organization that all accounts belong to.
func (st *state) ensureAccounts(ctx context.Context, c Config) error {
	if err := ensureRootKey(ctx, c, st.iam); err != nil {
		return err
	}
	return st.organization.Ensure(ctx, c.Account)
}

// accounts makes and closes accounts.
func (st *state) accounts(c Config) *organizations.Accounts {
	return &organizations.Accounts{IAM: st.iam, Organization: st.organization, Keyring: st.keys, Regions: c.Region}
}

// openRoot opens the root of trust, or makes a file if that is the root and no data depends on one yet.
func openRoot(ctx context.Context, c Config, db *store.DB) (kms.Root, error) {
	url := c.rootKey()
	// Of URLs the root's own name is told, which has no secrets; one of another kind is refused before it is asked.
	named, err := rootkey.Name(url)
	if err != nil {
		return nil, err
	}
	initialized, err := kms.CheckRoot(ctx, db, named)
	if err != nil {
		return nil, err
	}
	unused := filepath.Join(c.Data, "root-key")
	path, isFile := rootkey.FilePath(url)
	if !initialized && path != unused {
		if _, err := os.Stat(unused); err == nil {
			return nil, fmt.Errorf("there are two root keys for new data: %s and --root-key %s; remove the first, or start without --root-key", unused, named)
		}
	}
	if isFile && !initialized {
		if _, err := os.Stat(path); err != nil {
			return rootkey.CreateFile(path)
		}
	}
	return rootkey.Open(url, rootkey.Options{})
}

// scopes are those of the service keys that this configuration needs.
func scopes(c Config) []kms.Scope {
	out := []kms.Scope{{Purpose: kms.PurposeToken}, {Purpose: kms.PurposeSecrets}, {Purpose: kms.PurposeTrail}}
	return append(out, organizations.Scopes(c.Region, c.Account)...)
}

// fresh brings what is remembered up to what other servers had changed when it was called. Keys that can't be read, such as while
// the root of trust is away, are missed only by those who need them.
func (st *state) fresh(ctx context.Context) error {
	if err := st.db.Fresh(ctx); err != nil {
		return err
	}
	if st.keys.Stale() && !st.keysFailed.Load() {
		_ = st.refreshKeys(ctx)
	}
	return nil
}

// refreshKeys reads the service keys that other servers made. While that fails, it is tried by poll alone, so that requests don't wait
// for a root of trust that doesn't answer.
func (st *state) refreshKeys(ctx context.Context) error {
	err := st.keys.Refresh(ctx)
	st.keysFailed.Store(err != nil)
	return err
}

// poll does the same when there are no requests, and says what keeps it from doing so.
func (st *state) poll(ctx context.Context) error {
	if err := st.db.Fresh(ctx); err != nil {
		return err
	}
	return st.refreshKeys(ctx)
}

func (st *state) close() error {
	var errs []error
	if closer, ok := st.blobs.(io.Closer); ok {
		errs = append(errs, closer.Close())
	}
	if st.db != nil {
		errs = append(errs, st.db.Close())
	}
	if st.lock != nil {
		errs = append(errs, st.lock.Close())
	}
	return errors.Join(errs...)
}

func errNoInstallation(c Config) error {
	return fmt.Errorf("there is no installation in %s; start a server with it first: coffer serve", PublicPlace(c.databasePlace()))
}

// withState calls fn with the state of a server that isn't running. It makes no state where there is none.
func withState(ctx context.Context, c Config, fn func(*state) error) error {
	if err := c.Check(); err != nil {
		return err
	}
	if c.Database != "" {
		if schema, err := store.ReadSchema(ctx, c.Data, c.Database); err != nil {
			return err
		} else if schema.Have == 0 {
			return errNoInstallation(c)
		}
	} else if _, err := os.Stat(filepath.Join(c.Data, store.FileName)); err != nil {
		return fmt.Errorf("the data folder %s holds no database; start a server with it first: coffer serve --data %s", c.Data, c.Data)
	}
	st, err := openState(ctx, c, Options{existing: true})
	if err != nil {
		return err
	}
	return errors.Join(fn(st), st.close())
}

// trailReader opens the trail for reading. Close it.
func (st *state) trailReader() (*audit.Reader, error) {
	key, err := st.trailKey()
	if err != nil {
		return nil, err
	}
	return audit.NewReader(st.db, key)
}

// trailKey is the key that seals the trail.
func (st *state) trailKey() (seal.Key, error) {
	return st.keys.Key(kms.Scope{Purpose: kms.PurposeTrail})
}
