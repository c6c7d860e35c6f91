// Package kms is the API of AWS KMS: each operation is a value that turns the API's input into calls of the keys and their
// outcome into the API's output. It contains no rule of the keys and no authorisation.
package kms

import (
	"context"
	"errors"
	"strconv"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/kms"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// Config is what the service works with.
type Config struct {
	Keys *kms.Keys
	// Rotated leaves the service's own record of a rotation, beside that of the request; nil leaves none.
	Rotated func(*store.Tx, kms.KeyRotation) error
}

// service holds the operations' dependencies.
type service struct{ Config }

// New returns the service.
func New(c Config) *awsapi.Service {
	s := &service{c}
	out := &awsapi.Service{Model: api.Model, EventSource: "kms.amazonaws.com", Problem: problem}
	for _, add := range []func(*awsapi.Service){
		s.addKeys, s.addStates, s.addPolicies, s.addAliases, s.addGrants, s.addTags, s.addEncryption, s.addDataKeys, s.addRotation,
		s.addImport, s.addSigning, s.addMacs, s.addUnsupported,
	} {
		add(out)
	}
	return out
}

// problem turns a refusal of the keys into what the client is told; nil for an error that no client can bring about.
func problem(err error) *awsapi.Error {
	var refused *kms.Error
	if errors.Is(err, kms.ErrRootUnavailable) {
		return api.Model.Error(kms.CodeKeyUnavailable, "The keys can't be opened at the moment. Try again later.")
	}
	if !errors.As(err, &refused) {
		return nil
	}
	return api.Model.Error(refused.Code, refused.Message)
}

// found is the key that a request is about.
type found struct {
	key kms.Key
	// alias is the name by which the request calls it, such as alias/app; empty for none.
	alias string
	// resource is what the policies are asked about.
	resource policy.Resource
	// err is why there is no such key, for those who may know.
	err error
}

// find finds the key that a KeyId stands for. The error is *kms.Error if it can't stand for any; that there is none is
// in what it returns.
func (s *service) find(ctx context.Context, c awsapi.Call, keyID string, aliases bool) (f found, err error) {
	r, err := kms.ParseReference(c.Caller.Principal.Account, c.Region, keyID)
	if err != nil {
		return f, err
	}
	if r.Alias != "" && !aliases {
		return f, kms.Errorf(kms.CodeNotFound, "Invalid keyId '%s'", keyID)
	}
	if r.Alias != "" {
		f.alias = "alias/" + r.Alias
	}
	f.key, err = s.Keys.Refer(ctx, r)
	var refused *kms.Error
	switch {
	case errors.As(err, &refused):
		f.err, f.resource = refused, missing(r)
		return f, nil
	case err != nil:
		return f, err
	}
	f.resource = policy.Resource{ARN: f.key.ARN, Account: f.key.Account}
	return f, nil
}

// missing is what the policies are asked about in place of a key that does not exist: of an alias, any key.
func missing(r kms.Reference) policy.Resource {
	id := r.ID
	if r.Alias != "" {
		id = "*"
	}
	return policy.Resource{ARN: kms.KeyARN(r.Account, r.Region, id), Account: r.Account}
}

// anyKey is the resource of what concerns no key that exists.
func anyKey(c awsapi.Call) policy.Resource {
	return policy.Resource{ARN: "*", Account: c.Caller.Principal.Account}
}

// keyOf is the key that Ask found for a call. The error is *kms.Error if there is none.
func keyOf(c awsapi.Call) (kms.Key, error) {
	f := c.Found.(found)
	return f.key, f.err
}

// about is what an operation on one key has.
type about[I any] struct {
	// key is the KeyId of the input.
	key func(*I) string
	// aliases says that it may be an alias.
	aliases bool
	// context adds the operation's own condition keys; nil for none.
	context func(*I, policy.Context)
	// encryption is the encryption context of the input; nil for none.
	encryption func(*I) map[string]string
}

// onKey makes an operation one on the key that its input names.
func onKey[I, O any](s *service, about about[I], op awsapi.Op[I, O]) awsapi.Op[I, O] {
	op.Ask = func(ctx context.Context, c awsapi.Call, in *I) (awsapi.Asked, error) {
		f, err := s.find(ctx, c, about.key(in), about.aliases)
		if err != nil {
			return awsapi.Asked{}, err
		}
		a := awsapi.Asked{Questions: policy.Ask([]string{op.Action}, f.resource), Context: requestContext(c, f), Found: f}
		if about.encryption != nil {
			a.EncryptionContext = about.encryption(in)
			kms.Context(a.EncryptionContext).PutKeys(a.Context)
		}
		if about.context != nil {
			about.context(in, a.Context)
		}
		return a, nil
	}
	return op
}

// requestContext are the condition keys that every request for a key has.
func requestContext(c awsapi.Call, f found) policy.Context {
	context := policy.Context{"kms:calleraccount": {c.Caller.Principal.Account}}
	if f.alias != "" {
		context.Put("kms:RequestAlias", f.alias)
	}
	return context
}

// requestTags adds the condition keys of the tags in a request.
func requestTags(to policy.Context, tags []api.Tag) {
	var names []string
	for _, t := range tags {
		to.Put("aws:RequestTag/"+t.TagKey, t.TagValue)
		names = append(names, t.TagKey)
	}
	if names != nil {
		to["aws:tagkeys"] = names
	}
}

// isSet reports whether an optional boolean is there and true.
func isSet(p *bool) bool { return p != nil && *p }

// rehearse ends a request that only asks whether it would succeed.
func rehearse(dryRun *bool) error {
	if !isSet(dryRun) {
		return nil
	}
	return kms.Errorf(kms.CodeDryRun, "The request would have succeeded, but the DryRun option is set.")
}

// checkTokens refuses what is no grant token. Grants count as soon as they are made, so a token has nothing more to say.
func (s *service) checkTokens(tokens []string) error {
	for _, token := range tokens {
		if _, _, err := s.Keys.ReadGrantToken(token); err != nil {
			return err
		}
	}
	return nil
}

// change runs a change of the key that a call is about.
func change(c awsapi.Call, fn func(kms.Key) error) error {
	key, err := keyOf(c)
	if err != nil {
		return err
	}
	return fn(key)
}

// view runs a read about the key that a call is about.
func view[O any](ctx context.Context, s *service, c awsapi.Call, fn func(*store.Tx, kms.Key) (*O, error)) (out *O, err error) {
	key, err := keyOf(c)
	if err != nil {
		return nil, err
	}
	err = s.Keys.View(ctx, func(tx *store.Tx) error {
		out, err = fn(tx, key)
		return err
	})
	return out, err
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// page is what a marker holds: where the list goes on, and which list it is.
type page struct {
	List  string `json:"l"`
	After string `json:"a"`
	Then  string `json:"t,omitempty"`
}

// readPage reads a marker, which must be one of the same list.
func readPage(marker, list string) (page, error) {
	p := page{List: list}
	if marker == "" {
		return p, nil
	}
	if !awsapi.ReadPageToken(marker, &p) || p.List != list {
		return page{}, &kms.Error{Code: kms.CodeInvalidMarker}
	}
	return p, nil
}

// size is how many entries of a list the client gets: as many as it wants, and at most so many.
func size(wanted *int64, otherwise, most int) int {
	if wanted == nil {
		return otherwise
	}
	return min(int(*wanted), most)
}

// paged cuts a list that was read with one entry too many, if there are so many, and returns the marker with which it goes on.
func paged[T any](all []T, size int, at func(last T) page) (cut []T, marker string, truncated *bool) {
	more := len(all) > size
	if more {
		all = all[:size]
		marker = awsapi.PageToken(at(all[size-1]))
	}
	return all, marker, &more
}

// rootOf is the ARN of an account.
func rootOf(account string) string { return arn.Root(account).String() }
