// Package registry is the domain: repositories, layers, uploads, images, tags and referrers of the registries of all
// accounts and regions, and the sweeping of what nothing refers to any more.
//
// Invariants:
//   - A row never refers to bytes that aren't durable: an object is committed before the transaction that names it.
//   - An image exists only with all the layers and child images that it refers to, in its own repository.
//   - A digest is always that of the bytes: it was computed while they came in, and is checked by nothing later.
//   - Bytes are shared between repositories only within an encryption domain, and never by taking a client's word.
//
// What changes something takes a *store.Tx, so that the edge can write the audit record in the same transaction; what
// moves bytes does so before, and hands over a value whose Save takes the transaction. The package contains no
// authorisation and knows no protocol.
package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/cache"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// ID names a registry: every account has one in every region.
type ID struct{ Account, Region string }

// Config is what a Registry works with.
type Config struct {
	DB      *store.DB
	Blobs   blob.Store
	Keyring *kms.Keyring
	// Customer uses the customer keys of repositories; nil knows none. It is to hear of a change before the Registry does, which
	// it does if it subscribed to DB before New is called.
	Customer CustomerKeys
	Limits   Limits
	// Resolve finds unique ids by ARNs for the policies that are put, and PrincipalName ARNs by unique ids for those that are
	// shown; nil knows nobody.
	Resolve, PrincipalName PrincipalNames
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Registry serves all registries of an installation. It is safe for concurrent use.
type Registry struct {
	db     *store.DB
	blobs  blob.Store
	keys   *kms.Keyring
	limits Limits
	now    func() time.Time

	customer CustomerKeys
	open     openKeys

	resolve, principalName PrincipalNames

	busy         busySet
	slots        chan struct{}
	pulls        pullTimes
	repositories *cache.Cache[repositoryKey, Repository]
	tags         *cache.Cache[tagKey, oci.Digest]
	manifests    *cache.Cache[imageKey, *Manifest]
	layers       *cache.Cache[imageKey, Layer]
	epochs       epochs
	attached     *cache.Cache[string, dated[policy.ResourceSet]]
	standings    *cache.Cache[ID, dated[standing]]
}

type repositoryKey struct {
	ID
	name string
}

type tagKey struct {
	repository int64
	tag        string
}

type imageKey struct {
	repository int64
	digest     oci.Digest
}

// Bounds of the caches, in bytes of what they hold, estimated, and into how many parts each is divided.
const (
	cacheShards          = 32
	repositoryCacheBytes = 4 << 20
	tagCacheBytes        = 16 << 20
	manifestCacheBytes   = 24 << 20
	layerCacheBytes      = 8 << 20
	attachedCacheBytes   = 32 << 20
	standingCacheBytes   = 16 << 20
)

// New returns the registries kept in c.DB and c.Blobs.
func New(c Config) *Registry {
	now := c.Now
	if now == nil {
		now = time.Now
	}
	r := &Registry{
		db: c.DB, blobs: c.Blobs, keys: c.Keyring, customer: c.Customer, limits: c.Limits, now: now,
		slots:        make(chan struct{}, max(1, c.Limits.Get(ConcurrentUploads))),
		repositories: cache.New[repositoryKey, Repository](repositoryCacheBytes, cacheShards),
		tags:         cache.New[tagKey, oci.Digest](tagCacheBytes, cacheShards),
		manifests:    cache.New[imageKey, *Manifest](manifestCacheBytes, cacheShards),
		layers:       cache.New[imageKey, Layer](layerCacheBytes, cacheShards),
		attached:     cache.New[string, dated[policy.ResourceSet]](attachedCacheBytes, cacheShards),
		standings:    cache.New[ID, dated[standing]](standingCacheBytes, cacheShards),
		resolve:      c.Resolve, principalName: c.PrincipalName,
	}
	if r.resolve == nil {
		r.resolve = nobody
	}
	if r.principalName == nil {
		r.principalName = nobody
	}
	if r.customer == nil {
		r.customer = noCustomerKeys{}
	}
	r.open.cache = cache.New[int64, openKey](openKeyCacheBytes, cacheShards)
	c.DB.Subscribe(r.heard)
	return r
}

// Limits are the quotas in force.
func (r *Registry) Limits() Limits { return r.limits }

// View runs a read of several rows in one snapshot.
func (r *Registry) View(ctx context.Context, fn func(*store.Tx) error) error {
	return r.db.View(ctx, fn)
}

func (id ID) keyScope() kms.Scope {
	return kms.Scope{Purpose: kms.PurposeECR, Account: id.Account, Region: id.Region}
}

// repositoryContext is the encryption context of what belongs to a repository.
func repositoryContext(id ID, name string) kms.Context {
	return kms.Context{"aws:ecr:arn": arn.Repository(id.Region, id.Account, name).String()}
}

// objectContext is the encryption context of an object of a repository.
func objectContext(repo Repository, object string) kms.Context {
	c := repositoryContext(repo.Registry, repo.Name)
	c["coffer:object"] = object
	return c
}

// rowContext binds sealed bytes to the row that holds them.
func rowContext(table string, repository int64, key string) []byte {
	return fmt.Appendf(nil, "%s\x00%d\x00%s", table, repository, key)
}
