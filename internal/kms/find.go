package kms

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/store"
)

// Reference is what a KeyId of the API stands for.
type Reference struct {
	Account, Region string
	// ID is that of a key; empty for an alias.
	ID string
	// Alias is the name of an alias without the alias/ before it; empty for a key.
	Alias string
}

// ARN is what the reference names, which need not exist.
func (r Reference) ARN() string {
	if r.Alias != "" {
		return AliasARN(r.Account, r.Region, r.Alias)
	}
	return KeyARN(r.Account, r.Region, r.ID)
}

var keyID = regexp.MustCompile(`^(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$`)

// ParseReference reads a KeyId: the id or ARN of a key, or the name or ARN of an alias. What is not said of account and
// region is the caller's. The error is *Error.
func ParseReference(account, region, text string) (Reference, error) {
	r := Reference{Account: account, Region: region}
	resource := text
	if strings.HasPrefix(text, "arn:") {
		a, err := arn.Parse(text)
		if err != nil || a.Service != "kms" || len(a.Account) != 12 || a.Partition != arn.Key(a.Region, a.Account, "").Partition {
			return r, Errorf(CodeInvalidArn, "Invalid arn %s", text)
		}
		if a.Region != region {
			return r, Errorf(CodeNotFound, "Invalid arn %s", a.Region)
		}
		r.Account, resource = a.Account, a.Resource
		if id, ok := strings.CutPrefix(resource, "key/"); ok && keyID.MatchString(id) {
			r.ID = id
			return r, nil
		}
	}
	if name, ok := strings.CutPrefix(resource, "alias/"); ok && aliasName.MatchString(name) {
		r.Alias = name
		return r, nil
	}
	switch {
	case resource != text:
		return r, Errorf(CodeInvalidArn, "Invalid arn %s", text)
	case !keyID.MatchString(text):
		return r, Errorf(CodeNotFound, "Invalid keyId '%s'", text)
	}
	r.ID = text
	return r, nil
}

// Find finds a key by its id or ARN, or by the name or ARN of an alias; account and region are the caller's, which those
// forms mean that name none. The error is *Error if there is no such key.
func (k *Keys) Find(ctx context.Context, account, region, keyID string) (Key, error) {
	r, err := ParseReference(account, region, keyID)
	if err != nil {
		return Key{}, err
	}
	return k.Refer(ctx, r)
}

// Refer finds the key that a reference stands for. The error is *Error if there is none.
func (k *Keys) Refer(ctx context.Context, r Reference) (Key, error) {
	id := r.ID
	if r.Alias != "" {
		var err error
		if id, err = k.target(ctx, aliasKey{r.Account, r.Region, r.Alias}); err != nil {
			return Key{}, err
		}
	}
	s, err := k.standing(ctx, id)
	var refused *Error
	switch {
	case errors.As(err, &refused), err == nil && (s.key.Account != r.Account || s.key.Region != r.Region):
		return Key{}, NoSuchKey(KeyARN(r.Account, r.Region, id))
	case err != nil:
		return Key{}, err
	}
	return s.key, nil
}

// aliasKey names an alias.
type aliasKey struct{ account, region, name string }

// target finds the id of the key that an alias stands for, from memory if it can. The error is *Error.
func (k *Keys) target(ctx context.Context, a aliasKey) (string, error) {
	return k.aliases.Get(a, func() (id string, bytes int, err error) {
		err = k.View(ctx, func(tx *store.Tx) error {
			found, err := k.Alias(tx, a.account, a.region, a.name)
			id = found.KeyID
			return err
		})
		return id, 256 + len(a.name), err
	})
}

// ByID finds a key by its id, in whatever account and region it is. The error is *Error if there is none.
func (k *Keys) ByID(ctx context.Context, id string) (Key, error) {
	s, err := k.standing(ctx, id)
	if err != nil {
		return Key{}, err
	}
	return s.key, nil
}
