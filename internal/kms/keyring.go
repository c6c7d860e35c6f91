// Package kms keeps the keys: the root of trust wraps the installation key, the installation key wraps service keys, a
// service key wraps the data keys of one purpose, account and region, and a data key encrypts one repository's rows or one
// object.
//
// The installation key and the service keys are unwrapped at start or when they are made, and stay in memory; data keys are
// wrapped and unwrapped without I/O, so that this can be done inside a transaction. A wrapped data key is bound to its
// encryption context: what belongs to one repository or object opens nothing else. While the root of trust is away, data
// keys open for a grace period only (Run). The package doesn't decide who may use a key.
package kms

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

// Errors of this package.
var (
	// ErrUnwrap means that a wrapped key was altered, belongs to other data, or its service key is gone.
	ErrUnwrap = errors.New("the wrapped data key does not open")
	// ErrNoKey means that no service key exists for that purpose, account and region.
	ErrNoKey = errors.New("no service key")
)

// Purpose separates keys that must never stand in for each other.
type Purpose string

// The purposes of service keys.
const (
	PurposeECR     Purpose = "ecr"     // data keys of repositories and layers, by account and region
	PurposeToken   Purpose = "token"   // registry tokens, download addresses and page tokens
	PurposeSecrets Purpose = "secrets" // secret access keys
	PurposeTrail   Purpose = "trail"   // records of the trail
	PurposeKMS     Purpose = "kms"     // material of the keys of KMS, by account and region
)

// Context is the encryption context of a wrapped key: it must be given again, equal, to unwrap.
type Context map[string]string

// KeyID names a service key.
type KeyID [16]byte

// String is the id as 32 hexadecimal digits.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// Scope says what a service key is for. Account and Region are empty for keys of the whole installation.
type Scope struct {
	Purpose         Purpose
	Account, Region string
}

// Keyring holds the service keys of an installation. Keys come and never go. It is safe for concurrent use.
type Keyring struct {
	db           *store.DB
	installation string
	// made counts how often keys were made that may not be in memory, and read what that was when they were last read; reading is
	// held while they are.
	made    atomic.Int64
	read    atomic.Int64
	reading sync.Mutex
	// asking is held while the root is asked for the sake of what is kept, so that one asks at a time.
	asking sync.Mutex
	health health

	mu       sync.RWMutex
	root     Root
	record   record              // of the installation key in use
	wrapping map[string]seal.Key // installation keys by their ids: the one in use, and one that is about to be
	byID     map[KeyID]service
	byScope  map[Scope]KeyID
}

// service is a service key in memory.
type service struct {
	seal.Key
	purpose Purpose
}

// topic is that of changes to the service keys.
const topic = "keys"

// Open reads the keys, on first use of the database makes it an installation of this root, and makes the service keys that
// the scopes ask for and that don't exist yet. Data of before there were installation keys is brought over. The error is
// ErrWrongRoot when the root is not the one that this database was made with, ErrRootUnavailable or ErrRootRefused when it
// gives no key, and seal.ErrAltered when a service key was altered or moved.
func Open(ctx context.Context, db *store.DB, root Root, scopes []Scope) (*Keyring, error) {
	k := &Keyring{db: db, root: root, wrapping: map[string]seal.Key{}, byID: map[KeyID]service{}, byScope: map[Scope]KeyID{}}
	db.Subscribe(func(changed string) {
		if changed == topic || changed == store.Everything {
			k.made.Add(1)
		}
	})
	err := k.openInstallation(ctx)
	if err == nil {
		err = db.Update(ctx, func(tx *store.Tx) error {
			if err := k.load(tx); err != nil {
				return err
			}
			return k.Ensure(tx, scopes...)
		})
	}
	if err != nil {
		return nil, fmt.Errorf("open the keys: %w", err)
	}
	return k, nil
}

// Ensure makes the service keys of scopes that have none yet. They can be used once the transaction is committed.
func (k *Keyring) Ensure(tx *store.Tx, scopes ...Scope) error {
	made := false
	for _, scope := range scopes {
		if _, _, ok := k.find(scope); ok {
			continue
		}
		fresh, err := k.ensure(tx, scope)
		if err != nil {
			return fmt.Errorf("make a service key: %w", err)
		}
		made = made || fresh
	}
	if !made {
		return nil
	}
	return tx.Touch(topic)
}

// Stale reports whether keys were made that Refresh has not read.
func (k *Keyring) Stale() bool { return k.read.Load() != k.made.Load() }

// Refresh reads the service keys that other processes made. It returns when those are in memory that it was told of before.
func (k *Keyring) Refresh(ctx context.Context) error {
	if !k.Stale() {
		return nil
	}
	k.reading.Lock()
	defer k.reading.Unlock()
	if !k.Stale() {
		return nil
	}
	made := k.made.Load()
	err := k.db.View(ctx, k.load)
	if errors.Is(err, errChanged) {
		if err = k.Beat(ctx); err == nil {
			err = k.db.View(ctx, k.load)
		}
	}
	if err != nil {
		return fmt.Errorf("read the new service keys: %w", err)
	}
	k.read.Store(made)
	return nil
}

// find returns the service key of a scope.
func (k *Keyring) find(scope Scope) (KeyID, seal.Key, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	id, ok := k.byScope[scope]
	return id, k.byID[id].Key, ok
}

// put adds a service key.
func (k *Keyring) put(id KeyID, scope Scope, key seal.Key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.byID[id], k.byScope[scope] = service{key, scope.Purpose}, id
}

// Installation is the id that was given to the installation when it was made.
func (k *Keyring) Installation() string { return k.installation }

// load reads the service keys that aren't in memory.
func (k *Keyring) load(tx *store.Tx) error {
	key, err := k.wrappingKey(tx)
	if err != nil {
		return err
	}
	rows, err := serviceRows(tx)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if _, _, known := k.find(row.scope); known {
			continue
		}
		if err := k.unwrap(key, row); err != nil {
			return err
		}
	}
	return nil
}

// unwrap opens a service key and keeps it.
func (k *Keyring) unwrap(installation seal.Key, row serviceRow) error {
	key, err := row.open(installation)
	if err != nil {
		return err
	}
	decoded, err := hex.DecodeString(row.id)
	if err != nil || len(decoded) != len(KeyID{}) {
		return fmt.Errorf("service key %q has no valid id", row.id)
	}
	k.put(KeyID(decoded), row.scope, key)
	return nil
}

// ensure makes the service key of a scope, unless somebody else just did.
func (k *Keyring) ensure(tx *store.Tx, scope Scope) (made bool, err error) {
	var n int
	err = tx.QueryRow(`SELECT count(*) FROM service_key WHERE purpose = $1 AND account = $2 AND region = $3`,
		string(scope.Purpose), scope.Account, scope.Region).Scan(&n)
	if err != nil || n > 0 {
		return false, err
	}
	installation, err := k.wrappingKey(tx)
	if err != nil {
		return false, err
	}
	var id KeyID
	rand.Read(id[:])
	key := seal.NewKey()
	wrapped, err := seal.SealBytes(installation, serviceRow{id: id.String(), scope: scope}.context(), key.Bytes())
	if err != nil {
		return false, err
	}
	_, err = tx.Exec(`INSERT INTO service_key (id, purpose, account, region, wrapped, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		id.String(), string(scope.Purpose), scope.Account, scope.Region, wrapped, time.Now().UnixMicro())
	if err != nil {
		return false, err
	}
	tx.OnCommit(func() { k.put(id, scope, key) })
	return true, nil
}

// Key returns the service key of a scope itself, for data that is sealed under it directly. The error is ErrNoKey, or
// ErrRootUnavailable for a purpose of data keys.
func (k *Keyring) Key(scope Scope) (seal.Key, error) {
	if err := k.guard(scope.Purpose); err != nil {
		return seal.Key{}, err
	}
	_, key, ok := k.find(scope)
	if !ok {
		return seal.Key{}, noKey(scope)
	}
	return key, nil
}

// Domain names the encryption domain of a scope: objects may be shared only within one. The error is ErrNoKey.
func (k *Keyring) Domain(scope Scope) (string, error) {
	id, _, ok := k.find(scope)
	if !ok {
		return "", noKey(scope)
	}
	return id.String(), nil
}

func noKey(s Scope) error {
	return fmt.Errorf("%w for %s in account %s, region %s", ErrNoKey, s.Purpose, s.Account, s.Region)
}

// GenerateDataKey makes a data key and wraps it under the service key of the scope. The error is ErrNoKey or
// ErrRootUnavailable.
func (k *Keyring) GenerateDataKey(scope Scope, c Context) (seal.Key, []byte, error) {
	key := seal.NewKey()
	wrapped, err := k.Wrap(scope, key, c)
	if err != nil {
		return seal.Key{}, nil, err
	}
	return key, wrapped, nil
}

// Wrap wraps a data key under the service key of the scope. The error is ErrNoKey or
// ErrRootUnavailable.
func (k *Keyring) Wrap(scope Scope, key seal.Key, c Context) ([]byte, error) {
	raw := key.Bytes()
	if raw == nil {
		return nil, errors.New("there is no data key to wrap")
	}
	return k.seal(wrapVersion, scope, raw, c)
}

// Unwrap opens a wrapped data key. The error is ErrUnwrap or ErrRootUnavailable.
func (k *Keyring) Unwrap(wrapped []byte, c Context) (seal.Key, error) {
	raw, err := k.open(wrapVersion, wrapped, c)
	if err != nil {
		return seal.Key{}, err
	}
	return seal.KeyFromBytes(raw)
}

// Ready reports whether data keys open now, for what was opened before and is kept. The error is ErrRootUnavailable.
func (k *Keyring) Ready() error { return k.guard(PurposeECR) }

// Encode appends the context to prefix as the additional data of a cipher: contexts that differ never encode alike.
func (c Context) Encode(prefix []byte) []byte { return encodeContext(prefix, c) }

// encodeContext appends the context to prefix so that different contexts never encode alike: each name and value, in the
// order of names, after its length.
func encodeContext(prefix []byte, c Context) []byte {
	out := slices.Clone(prefix)
	for _, name := range slices.Sorted(maps.Keys(c)) {
		for _, part := range []string{name, c[name]} {
			out = binary.BigEndian.AppendUint32(out, uint32(len(part)))
			out = append(out, part...)
		}
	}
	return out
}

func setting(tx *store.Tx, name string) ([]byte, error) {
	var value []byte
	err := tx.QueryRow(`SELECT value FROM setting WHERE name = $1`, name).Scan(&value)
	if errors.Is(err, store.ErrNoRows) {
		return nil, nil
	}
	return value, err
}

func putSetting(tx *store.Tx, name string, value []byte) error {
	_, err := tx.Exec(`INSERT INTO setting (name, value) VALUES ($1, $2)`, name, value)
	return err
}
