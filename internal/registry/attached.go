package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/cache"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// epochs count the changes of each account, or of each of other things, that this process knows of. What was read in an epoch that is over is not
// believed any more.
type epochs struct {
	mu  sync.RWMutex
	all uint64 // how often those of all ended
	of  map[string]uint64
}

func (e *epochs) now(account string) uint64 {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.all + e.of[account]
}

// endAll begins new epochs of everything.
func (e *epochs) endAll() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all++
}

// end begins a new epoch of an account.
func (e *epochs) end(account string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.of == nil {
		e.of = map[string]uint64{}
	}
	e.of[account]++
}

// dated is a value that was read in an epoch of its account, or later.
type dated[V any] struct {
	value V
	epoch uint64
}

// recall returns the value of a key that belongs to an account, which load reads unless the cache has it from this epoch.
func recall[K comparable, V any](e *epochs, account string, c *cache.Cache[K, dated[V]], key K, load func() (V, int, error)) (V, error) {
	now := e.now(account)
	d, err := c.Current(key, func(d dated[V]) bool { return d.epoch == now }, func() (dated[V], int, error) {
		value, bytes, err := load()
		return dated[V]{value, now}, bytes, err
	})
	return d.value, err
}

// standing is what is to be known of a registry as a whole for each request.
type standing struct {
	// policies holds the registry's policy, if it has one.
	policies []*policy.Policy
	v1       bool
	mounting bool
}

// Attached finds what is attached to a resource of ECR and decides who may use it, from memory if it can: the policy and
// the tags of a repository, and the policy of its registry. A resource that is no repository is a registry's, in region;
// a repository that does not exist has nothing of its own.
func (r *Registry) Attached(ctx context.Context, region string, resource policy.Resource) (policy.ResourceSet, error) {
	if resource.ARN == "*" {
		s, err := r.standing(ctx, ID{resource.Account, region})
		return policy.ResourceSet{Policies: s.policies, RegistryV1: s.v1}, err
	}
	return recall(&r.epochs, resource.Account, r.attached, resource.ARN, func() (policy.ResourceSet, int, error) { return r.loadAttached(ctx, resource) })
}

// compiledBytes is about how many times its text a compiled policy takes.
const compiledBytes = 10

func (r *Registry) loadAttached(ctx context.Context, resource policy.Resource) (set policy.ResourceSet, bytes int, err error) {
	a, err := arn.Parse(resource.ARN)
	if err != nil {
		return set, 0, err
	}
	id := ID{resource.Account, a.Region}
	s, err := r.standing(ctx, id)
	if err != nil {
		return set, 0, err
	}
	name, _ := strings.CutPrefix(a.Resource, "repository/")
	err = r.db.View(ctx, func(tx *store.Tx) error {
		set, bytes = policy.ResourceSet{Policies: s.policies, RegistryV1: s.v1}, 512+len(resource.ARN)
		return r.addOwn(tx, id, name, &set, &bytes)
	})
	if err != nil {
		return set, 0, fmt.Errorf("look up what is attached to repository %s: %w", name, err)
	}
	return set, bytes, nil
}

// addOwn adds the policy and the tags of a repository, if it exists.
func (r *Registry) addOwn(tx *store.Tx, id ID, name string, set *policy.ResourceSet, bytes *int) error {
	var repository int64
	err := tx.QueryRow(`SELECT id FROM repository WHERE account = $1 AND region = $2 AND name = $3`, id.Account, id.Region, name).Scan(&repository)
	if errors.Is(err, store.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	document, err := policyDocument(tx, repository)
	switch {
	case err == nil:
		// What can't be read any more denies everything.
		own, _ := policy.Load(policy.KindRepository, []byte(document), policy.Options{Name: "repository policy"})
		set.Policies = append([]*policy.Policy{own}, set.Policies...)
		*bytes += compiledBytes * len(document)
	case !errors.Is(err, ErrPolicyNotFound):
		return err
	}
	tags, err := resourceTags(tx, repository)
	if err != nil || len(tags) == 0 {
		return err
	}
	set.Context = policy.Context{}
	for _, t := range tags {
		set.Context.Put("aws:ResourceTag/"+t.Key, t.Value)
		set.Context.Put("ecr:ResourceTag/"+t.Key, t.Value)
		*bytes += 4 * (64 + len(t.Key) + len(t.Value))
	}
	return nil
}

// standing finds what is to be known of a registry, from memory if it can.
func (r *Registry) standing(ctx context.Context, id ID) (standing, error) {
	return recall(&r.epochs, id.Account, r.standings, id, func() (s standing, bytes int, err error) {
		err = r.db.View(ctx, func(tx *store.Tx) error {
			s, bytes, err = r.loadStanding(tx, id)
			return err
		})
		return s, bytes, err
	})
}

func (r *Registry) loadStanding(tx *store.Tx, id ID) (s standing, bytes int, err error) {
	scope, err := r.Setting(tx, id, PolicyScope)
	if err != nil {
		return s, 0, err
	}
	mounting, err := r.Setting(tx, id, BlobMounting)
	if err != nil {
		return s, 0, err
	}
	s.v1, s.mounting = scope == scopeV1, mounting == enabled
	document, err := registryPolicyDocument(tx, id)
	if errors.Is(err, ErrRegistryPolicyNotFound) {
		return s, 256, nil
	}
	if err != nil {
		return s, 0, err
	}
	p, _ := policy.Load(policy.KindRegistry, []byte(document), policy.Options{Name: "registry policy"})
	s.policies = []*policy.Policy{p}
	return s, 256 + compiledBytes*len(document), nil
}

// Mounts reports whether layers may be mounted from one repository of a registry into another.
func (r *Registry) Mounts(ctx context.Context, id ID) (bool, error) {
	s, err := r.standing(ctx, id)
	return s.mounting, err
}
