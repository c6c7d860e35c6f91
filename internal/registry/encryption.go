package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coffer-registry/coffer/internal/cache"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
	"golang.org/x/sync/singleflight"
)

// The types of encryption.
const (
	EncryptionAES256 = "AES256"   // under a service key, which the installation owns
	EncryptionKMS    = "KMS"      // under a customer key
	EncryptionDSSE   = "KMS_DSSE" // in two layers: under a customer key, and that again under a service key
)

// Encryption says how what is in a repository is encrypted. It never changes.
type Encryption struct {
	// Type is one of the constants; empty is EncryptionAES256.
	Type string
	// Key is the ARN of the customer key; empty for EncryptionAES256.
	Key string
	// Grants are the ids of the grants of the customer key by which it may be used for the repository.
	Grants []string
}

// CustomerKeys uses customer keys for repositories, as far as the keys' policies and grants let it. It waits for nothing but
// the database, and may be used within a transaction. Its errors are *KeyError.
type CustomerKeys interface {
	// Wrap encrypts a repository's key, and names the material that it was encrypted with. It asks for no grant: whoever makes
	// a repository, or has unwrapped its key, was let.
	Wrap(ctx context.Context, use KeyUse, key []byte) (wrapped []byte, material string, err error)
	// Unwrap opens what Wrap made for the same use.
	Unwrap(ctx context.Context, use KeyUse, wrapped []byte) ([]byte, error)
	// Material names the material that Wrap would use now.
	Material(ctx context.Context, key string) (string, error)
}

// KeyUse is what a customer key is used for.
type KeyUse struct {
	// Registry is the one that the repository belongs to.
	Registry ID
	// Key is the ARN of the customer key, and Grants are the ids of those by which it may be used.
	Key    string
	Grants []string
	// Context is the encryption context.
	Context kms.Context
}

// KeyError means that the customer key of a repository can't be used.
type KeyError struct {
	// Code is the error of KMS, such as "DisabledException".
	Code string
	// Message is the sentence of KMS.
	Message string
}

func (e *KeyError) Error() string { return e.Code + ": " + e.Message }

// noCustomerKeys is for registries without KMS.
type noCustomerKeys struct{}

var errNoCustomerKeys = &KeyError{Code: "NotFoundException", Message: "there are no customer keys here"}

func (noCustomerKeys) Wrap(context.Context, KeyUse, []byte) ([]byte, string, error) {
	return nil, "", errNoCustomerKeys
}
func (noCustomerKeys) Unwrap(context.Context, KeyUse, []byte) ([]byte, error) {
	return nil, errNoCustomerKeys
}
func (noCustomerKeys) Material(context.Context, string) (string, error) { return "", errNoCustomerKeys }

// wrappedKey is the key of a repository as it is kept in its row.
type wrappedKey struct {
	inner    []byte // under the customer key, or the service key if there is none
	material string
	outer    []byte // of the second layer, under the service key; nil if there is none
}

// objectWrap begins a data key of an object that is sealed under the key of its repository. Those that begin otherwise are
// wrapped under a service key directly.
const objectWrap = 2

// keyTTL bounds how long the key of a repository is kept open, whether or not it is heard of changes of the customer key.
const keyTTL = 5 * time.Minute

// openKeys holds the keys of repositories under customer keys, until the customer key changes in any way.
type openKeys struct {
	cache  *cache.Cache[int64, openKey]
	flight singleflight.Group
	// epochs are those of the customer keys, by their ids.
	epochs epochs
	// changes counts the changes of all customer keys.
	changes atomic.Uint64
	// rewrapped is one more than what changes was when all keys were last found to be wrapped with the current material.
	rewrapped atomic.Uint64
}

type openKey struct {
	key     seal.Key
	epoch   uint64
	expires time.Time
}

const openKeyCacheBytes = 8 << 20

// newRepositoryKey makes the key of a new repository. The error is *KeyError or kms.ErrNoKey.
func (r *Registry) newRepositoryKey(repo Repository) (w wrappedKey, err error) {
	if repo.Encryption.Type == EncryptionAES256 {
		_, w.inner, err = r.keys.GenerateDataKey(repo.Registry.keyScope(), repositoryContext(repo.Registry, repo.Name))
		return w, aboutKey(repo, err)
	}
	if repo.Encryption.Type == EncryptionDSSE {
		if _, w.outer, err = r.keys.GenerateDataKey(repo.Registry.keyScope(), outerContext(repo)); err != nil {
			return w, aboutKey(repo, err)
		}
	}
	w.inner, w.material, err = r.customer.Wrap(store.Within(context.Background()), repo.keyUse(), seal.NewKey().Bytes())
	return w, err
}

// keyID is the id of the customer key.
func (r Repository) keyID() string {
	return r.Encryption.Key[strings.LastIndexByte(r.Encryption.Key, '/')+1:]
}

// outerContext binds the key of the second layer to its place.
func outerContext(repo Repository) kms.Context {
	c := repositoryContext(repo.Registry, repo.Name)
	c["coffer:layer"] = "outer"
	return c
}

// keyUse is what the customer key of a repository is used for. As ECR does, its encryption context names the repository and
// what is encrypted.
func (r Repository) keyUse() KeyUse {
	c := repositoryContext(r.Registry, r.Name)
	c["aws:s3:arn"] = fmt.Sprintf("arn:aws:s3:::%s-coffer-repository-key/%s/%s/%d", r.Registry.Region, r.Registry.Account, r.Name, r.id)
	return KeyUse{Registry: r.Registry, Key: r.Encryption.Key, Grants: r.Encryption.Grants, Context: c}
}

// key opens the key of a repository, which opens all that is in it. It takes no context, since it waits for nothing but
// memory and at most a read of the database, and is used within transactions. The error is *KeyError or kms.ErrUnwrap.
func (r *Registry) key(repo Repository) (seal.Key, error) {
	if repo.Encryption.Type == EncryptionAES256 {
		key, err := r.keys.Unwrap(repo.wrapped.inner, repositoryContext(repo.Registry, repo.Name))
		return key, aboutKey(repo, err)
	}
	// What is open already is not to be used either while the root of trust is away for too long.
	if err := r.keys.Ready(); err != nil {
		return seal.Key{}, aboutKey(repo, err)
	}
	inner, err := r.innerKey(repo)
	if err != nil || repo.Encryption.Type == EncryptionKMS {
		return inner, aboutKey(repo, err)
	}
	outer, err := r.keys.Unwrap(repo.wrapped.outer, outerContext(repo))
	if err != nil {
		return seal.Key{}, aboutKey(repo, err)
	}
	return seal.Pair(inner, outer)
}

func aboutKey(repo Repository, err error) error {
	var refused *KeyError
	if err == nil || errors.As(err, &refused) {
		return err
	}
	if errors.Is(err, kms.ErrRootUnavailable) {
		return &KeyError{Code: kms.CodeKeyUnavailable, Message: err.Error()}
	}
	return fmt.Errorf("unwrap the key of repository %s: %w", repo.Name, err)
}

// errCold means that a key is not open.
var errCold = errors.New("the key is not open")

// innerKey opens the key under the customer key, once for all who ask at the same moment.
func (r *Registry) innerKey(repo Repository) (seal.Key, error) {
	now, epoch := r.now(), r.open.epochs.now(repo.keyID())
	current := func(k openKey) bool {
		return k.epoch == epoch && now.Before(k.expires) && !now.Before(k.expires.Add(-keyTTL))
	}
	k, err := r.open.cache.Current(repo.id, current, func() (openKey, int, error) { return openKey{}, 0, errCold })
	if !errors.Is(err, errCold) {
		return k.key, err
	}
	opened, err, _ := r.open.flight.Do(fmt.Sprintf("%d/%d", repo.id, epoch), func() (any, error) {
		// Who came too late for the last flight finds what it brought.
		k, err := r.open.cache.Current(repo.id, current, func() (openKey, int, error) {
			key, err := r.unwrapInner(repo)
			return openKey{key, epoch, now.Add(keyTTL)}, 1024, err
		})
		return k.key, err
	})
	return opened.(seal.Key), err
}

func (r *Registry) unwrapInner(repo Repository) (seal.Key, error) {
	raw, err := r.customer.Unwrap(store.Within(context.Background()), repo.keyUse(), repo.wrapped.inner)
	if err != nil {
		return seal.Key{}, err
	}
	defer clear(raw)
	return seal.KeyFromBytes(raw)
}

// Usable reports whether the bytes in a repository can be read and written now. The error is *KeyError, or says that the
// key does not open.
func (r *Registry) Usable(repo Repository) error {
	_, err := r.key(repo)
	return err
}

// newObjectKey makes the data key of an object of a repository, and wraps it.
func (r *Registry) newObjectKey(repo Repository, object string) ([]byte, error) {
	under, err := r.key(repo)
	if err != nil {
		return nil, err
	}
	key := seal.NewKey()
	if under.Layers() > 1 {
		key = seal.NewPair()
	}
	return wrapObjectKey(under, repo, object, key)
}

func wrapObjectKey(under seal.Key, repo Repository, object string, key seal.Key) ([]byte, error) {
	sealed, err := seal.SealBytes(under, rowContext("object", repo.id, object), key.Bytes())
	return append([]byte{objectWrap}, sealed...), err
}

// objectKey opens the data key of an object of a repository. The error is *KeyError or kms.ErrUnwrap.
func (r *Registry) objectKey(repo Repository, object string, wrapped []byte) (seal.Key, error) {
	if repo.Encryption.Type == EncryptionAES256 && len(wrapped) > 0 && wrapped[0] != objectWrap {
		return r.keys.Unwrap(wrapped, objectContext(repo, object))
	}
	under, err := r.key(repo)
	if err != nil {
		return seal.Key{}, err
	}
	if len(wrapped) == 0 || wrapped[0] != objectWrap {
		return seal.Key{}, fmt.Errorf("%w: unknown format", kms.ErrUnwrap)
	}
	raw, err := seal.OpenBytes(under, rowContext("object", repo.id, object), wrapped[1:])
	if err != nil {
		return seal.Key{}, fmt.Errorf("%w: it was altered or belongs to other data", kms.ErrUnwrap)
	}
	return seal.KeyFromBytes(raw)
}

// domain names the encryption domain of a repository, within which repositories share bytes: its account and region, with
// its customer key and the type of its encryption if it has one.
func (r *Registry) domain(repo Repository) (string, error) {
	service, err := r.keys.Domain(repo.Registry.keyScope())
	if err != nil || repo.Encryption.Type == EncryptionAES256 {
		return service, err
	}
	return service + "/" + repo.Encryption.Type + "/" + repo.Encryption.Key, nil
}

// checkEncryption completes an encryption, and refuses one that makes no sense.
func checkEncryption(e Encryption) (Encryption, error) {
	if e.Type == "" {
		e.Type = EncryptionAES256
	}
	if !slices.Contains([]string{EncryptionAES256, EncryptionKMS, EncryptionDSSE}, e.Type) || (e.Type == EncryptionAES256) != (e.Key == "") {
		return e, fmt.Errorf("encryption %s with the key %q", e.Type, e.Key)
	}
	return e, nil
}
