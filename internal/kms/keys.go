package kms

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/cache"
	"github.com/coffer-registry/coffer/internal/store"
)

// Config is what Keys work with.
type Config struct {
	DB      *store.DB
	Keyring *Keyring
	// Resolve finds unique ids by ARNs for the principals of policies and grants that are made, and PrincipalName ARNs by
	// unique ids for those that are shown; nil knows nobody.
	Resolve, PrincipalName PrincipalNames
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// PrincipalNames finds the unique ids of users and roles by their ARNs, or the ARNs by the ids. A failure to look is noted
// in *failure.
type PrincipalNames func(tx *store.Tx, failure *error) func(principal string) (other string, ok bool)

// Keys are the keys of KMS of all accounts and regions: their material, policies, grants, aliases and tags. What they refuse
// is an *Error. They hold what was read until something changes it, and are safe for concurrent use.
type Keys struct {
	db      *store.DB
	keyring *Keyring
	now     func() time.Time

	resolve, principalName PrincipalNames

	known   *cache.Cache[string, *standing]
	aliases *cache.Cache[aliasKey, string]
	grants  *cache.Cache[string, *grantSet]
	used    usage
	// stale says that bytes that were deleted may still be on the disk.
	stale scrubbing
	// generating lets only so many at once make material of RSA, which takes seconds of a processor.
	generating chan struct{}
}

// maxGenerating is how many make material at once.
const maxGenerating = 2

// Bounds of what is kept in memory, in bytes, estimated. A key with its grants may take most of it, so it is not divided.
const (
	standingBytes = 32 << 20
	aliasBytes    = 8 << 20
	grantBytes    = 64 << 20
)

// NewKeys returns the keys kept in c.DB.
func NewKeys(c Config) *Keys {
	k := &Keys{
		generating: make(chan struct{}, maxGenerating),
		db:         c.DB, keyring: c.Keyring, now: c.Now, resolve: c.Resolve, principalName: c.PrincipalName,
		known:   cache.New[string, *standing](standingBytes, 1),
		aliases: cache.New[aliasKey, string](aliasBytes, 1),
		grants:  cache.New[string, *grantSet](grantBytes, 1),
	}
	if k.now == nil {
		k.now = time.Now
	}
	if k.resolve == nil {
		k.resolve = nobody
	}
	if k.principalName == nil {
		k.principalName = nobody
	}
	c.DB.Subscribe(k.forget)
	return k
}

// nobody knows no user and no role.
func nobody(*store.Tx, *error) func(string) (string, bool) {
	return func(string) (string, bool) { return "", false }
}

// View runs a read of several rows in one snapshot.
func (k *Keys) View(ctx context.Context, fn func(*store.Tx) error) error { return k.db.View(ctx, fn) }

// The topics of changes: of a key by its id, of the grants of a key by its id, and of an alias by account, region and name.
const (
	topicKey    = "kms/key/"
	topicGrants = "kms/grants/"
	topicAlias  = "kms/alias/"
)

// forget drops what a topic stands for.
func (k *Keys) forget(topic string) {
	if topic == store.Everything {
		k.known.Clear()
		k.grants.Clear()
		k.aliases.Clear()
		return
	}
	if id, ok := strings.CutPrefix(topic, topicKey); ok {
		k.known.Drop(id)
	}
	if id, ok := strings.CutPrefix(topic, topicGrants); ok {
		k.grants.Drop(id)
	}
	if rest, ok := strings.CutPrefix(topic, topicAlias); ok {
		account, rest, _ := strings.Cut(rest, "/")
		region, name, _ := strings.Cut(rest, "/")
		k.aliases.Drop(aliasKey{account, region, name})
	}
}

// keyScope is that of the service key that seals the material of an account's keys in a region.
func keyScope(account, region string) Scope {
	return Scope{Purpose: PurposeKMS, Account: account, Region: region}
}

// touchKey notes in the transaction that something of a key changes.
func touchKey(tx *store.Tx, id string) error { return tx.Touch(topicKey + id) }

// update changes one row of a key.
func update(tx *store.Tx, key Key, what, statement string, args ...any) error {
	if _, err := tx.Exec(statement, args...); err != nil {
		return fmt.Errorf("%s key %s: %w", what, key.ID, err)
	}
	return touchKey(tx, key.ID)
}
