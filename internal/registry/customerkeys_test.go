package registry

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

// customerKeys are customer keys in the memory of a test.
type customerKeys struct {
	mu   sync.Mutex
	keys map[string]*customerKey
	// look reads the database, as KMS does; nil doesn't.
	look func(context.Context)
	// refused are the ARNs of repositories without grants.
	refused map[string]bool
	// wraps and unwraps count the operations.
	wraps, unwraps int
}

type customerKey struct {
	materials []seal.Key // the last is the current one
	refusal   *KeyError
}

// The customer keys of tests.
const (
	keyOne = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000001"
	keyTwo = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000002"
)

func newCustomerKeys() *customerKeys {
	c := &customerKeys{keys: map[string]*customerKey{}}
	for _, arn := range []string{keyOne, keyTwo} {
		c.keys[arn] = &customerKey{materials: []seal.Key{seal.NewKey()}}
	}
	return c
}

func aadOf(use KeyUse) []byte {
	var aad []byte
	for _, name := range slices.Sorted(maps.Keys(use.Context)) {
		aad = fmt.Appendf(aad, "%s=%s;", name, use.Context[name])
	}
	return aad
}

func (c *customerKeys) find(arn string) (*customerKey, error) {
	k := c.keys[arn]
	switch {
	case k == nil:
		return nil, &KeyError{Code: "NotFoundException", Message: "Key '" + arn + "' does not exist"}
	case k.refusal != nil:
		return nil, k.refusal
	}
	return k, nil
}

// Wrap is as in CustomerKeys.
func (c *customerKeys) Wrap(_ context.Context, use KeyUse, key []byte) ([]byte, string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wraps++
	k, err := c.find(use.Key)
	if err != nil {
		return nil, "", err
	}
	n := len(k.materials) - 1
	sealed, err := seal.SealBytes(k.materials[n], aadOf(use), key)
	return append([]byte{byte(n)}, sealed...), fmt.Sprintf("material-%d", n), err
}

// Unwrap is as in CustomerKeys.
func (c *customerKeys) Unwrap(ctx context.Context, use KeyUse, wrapped []byte) ([]byte, error) {
	if c.look != nil {
		c.look(ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unwraps++
	if c.refused[use.Context["aws:ecr:arn"]] {
		return nil, &KeyError{Code: "AccessDeniedException", Message: "the grants are gone"}
	}
	k, err := c.find(use.Key)
	if err != nil {
		return nil, err
	}
	if len(wrapped) == 0 || int(wrapped[0]) >= len(k.materials) {
		return nil, &KeyError{Code: "InvalidCiphertextException"}
	}
	raw, err := seal.OpenBytes(k.materials[wrapped[0]], aadOf(use), wrapped[1:])
	if err != nil {
		return nil, &KeyError{Code: "InvalidCiphertextException"}
	}
	return raw, nil
}

// Material is as in CustomerKeys.
func (c *customerKeys) Material(_ context.Context, key string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, err := c.find(key)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("material-%d", len(k.materials)-1), nil
}

// refuse takes back the grants of a repository.
func (c *customerKeys) refuse(repository string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused == nil {
		c.refused = map[string]bool{}
	}
	c.refused[repository] = true
}

// counts returns how many operations there were.
func (c *customerKeys) counts() (wraps, unwraps int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wraps, c.unwraps
}

// setKey changes a customer key as KMS does: a transaction touches its topic.
func (e *env) setKey(arn string, change func(*customerKey)) {
	e.t.Helper()
	e.update(func(tx *store.Tx) error {
		tx.OnCommit(func() {
			e.customer.mu.Lock()
			defer e.customer.mu.Unlock()
			change(e.customer.keys[arn])
		})
		return tx.Touch("kms/key/" + arn[strings.LastIndexByte(arn, '/')+1:])
	})
}

func disable(k *customerKey) {
	k.refusal = &KeyError{Code: "DisabledException", Message: "it is disabled."}
}

func enable(k *customerKey) { k.refusal = nil }

func rotate(k *customerKey) { k.materials = append(k.materials, seal.NewKey()) }
