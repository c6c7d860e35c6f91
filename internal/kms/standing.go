package kms

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// standing is a key with all that decides about it but its grants, as of its last change.
type standing struct {
	key    Key
	policy *policy.Policy
	// context are the condition keys of the key as a resource.
	context policy.Context

	mu sync.Mutex
	// materials are those that were opened.
	materials map[string]expiring
}

// compiledBytes is about how many times its text a compiled policy takes.
const compiledBytes = 10

// standing finds a key by its id, from memory if it can. The error is *Error if there is none.
func (k *Keys) standing(ctx context.Context, id string) (*standing, error) {
	return k.known.Get(id, func() (s *standing, bytes int, err error) {
		err = k.View(ctx, func(tx *store.Tx) error {
			s, bytes, err = k.load(tx, id)
			return err
		})
		return s, bytes, err
	})
}

func (k *Keys) load(tx *store.Tx, id string) (s *standing, bytes int, err error) {
	s = &standing{context: policy.Context{}, materials: map[string]expiring{}}
	if s.key, err = k.Key(tx, id); err != nil {
		return nil, 0, err
	}
	document, err := policyDocument(tx, s.key)
	if err != nil {
		return nil, 0, err
	}
	// What can't be read any more denies everything.
	s.policy, _ = policy.Load(policy.KindKey, []byte(document), policy.Options{Name: "key policy"})
	bytes = 4096 + compiledBytes*len(document)
	put := s.context.Put
	put("kms:KeySpec", s.key.Spec)
	put("kms:KeyUsage", s.key.Usage)
	put("kms:KeyOrigin", s.key.Origin)
	put("kms:MultiRegion", "false")
	aliases, err := k.AliasesOf(tx, s.key, "", MaxAliases)
	if err != nil {
		return nil, 0, err
	}
	var names []string
	for _, a := range aliases {
		names = append(names, aliasPrefix+a.Name)
		bytes += 64 + len(a.Name)
	}
	if names != nil {
		put("kms:ResourceAliases", names...)
	}
	tags, err := k.Tags(tx, s.key, "", MaxTags)
	for _, t := range tags {
		put("aws:ResourceTag/"+t.Key, t.Value)
		bytes += 4 * (64 + len(t.Key) + len(t.Value))
	}
	return s, bytes, err
}

// Attached finds what is attached to a key and decides who may use it, from memory if it can: its policy, its grants and its
// condition keys. A key that does not exist leaves it to the policies of its account who is told so; to anything else nothing
// is attached.
func (k *Keys) Attached(ctx context.Context, _ string, r policy.Resource) (policy.ResourceSet, error) {
	set, id, err := k.attached(ctx, r)
	if err != nil || id == "" {
		return set, err
	}
	grants, err := k.granted(ctx, id)
	if err != nil {
		return set, err
	}
	set.Grants = grants.all
	return set, nil
}

// AttachedFor is what of Attached has a say in a question.
func (k *Keys) AttachedFor(ctx context.Context, q policy.Question) (policy.ResourceSet, error) {
	set, id, err := k.attached(ctx, q.Resource)
	if err != nil || id == "" {
		return set, err
	}
	_, operation, _ := strings.Cut(strings.ToLower(q.Action), ":")
	if operation == "retiregrant" { // which depends on the grant that is to be retired
		set.Policies = []*policy.Policy{accountDecides(q.Resource.Account)}
		return set, nil
	}
	if operation == "creategrant" { // where they depend on the grant that is to be made; see Delegated
		return set, nil
	}
	grants, err := k.granted(ctx, id)
	if err != nil {
		return set, err
	}
	set.Grants = grants.byOperation[operation]
	return set, nil
}

// attached finds the policy and the condition keys of a key; id is empty for what is no key that exists.
func (k *Keys) attached(ctx context.Context, r policy.Resource) (set policy.ResourceSet, id string, err error) {
	a, err := arn.Parse(r.ARN)
	if err != nil || a.Service != "kms" {
		return policy.ResourceSet{}, "", nil
	}
	id, ok := strings.CutPrefix(a.Resource, "key/")
	if !ok {
		return policy.ResourceSet{}, "", nil
	}
	s, err := k.standing(ctx, id)
	switch {
	case isNotFound(err), err == nil && s.key.ARN != r.ARN:
		return policy.ResourceSet{Policies: []*policy.Policy{accountDecides(a.Account)}}, "", nil
	case err != nil:
		return policy.ResourceSet{}, "", fmt.Errorf("look up what is attached to key %s: %w", id, err)
	}
	return policy.ResourceSet{Policies: []*policy.Policy{s.policy}, Context: s.context}, id, nil
}

// accountDecides is the policy that leaves it to the policies of an account who may do what.
func accountDecides(account string) *policy.Policy {
	p, _ := policy.Load(policy.KindKey, []byte(defaultPolicy(account, "")), policy.Options{Name: "key policy"})
	return p
}
