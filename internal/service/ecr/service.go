// Package ecr is the API of Amazon ECR: each operation is a value that turns the API's input into calls of the registry
// and their outcome into the API's output. It contains no rule of the registry and no authorisation.
package ecr

import (
	"context"
	"time"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/ecr"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/store"
)

// Config is what the service works with.
type Config struct {
	Registry  *registry.Registry
	Directory *identity.Directory
	// IAM keeps the settings of accounts that have to do with credentials.
	IAM *iam.Store
	// Keys are the customer keys that repositories may be encrypted under.
	Keys *kms.Keys
	// Domain is the suffix of registry hosts; empty for path style, in which the server's own address is the registry's.
	Domain string
	// DownloadURL makes the address of a layer's bytes.
	DownloadURL func(c awsapi.Call, id registry.ID, repository, digest string) (string, error)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// service holds the operations' dependencies.
type service struct{ Config }

// New returns the service.
func New(c Config) *awsapi.Service {
	s := &service{c}
	if s.Now == nil {
		s.Now = time.Now
	}
	out := &awsapi.Service{Model: api.Model, EventSource: "ecr.amazonaws.com", Problem: problem}
	for _, add := range []func(*awsapi.Service){
		s.addRepositories, s.addRepositoryPolicies, s.addResourceTags, s.addRegistry, s.addRegistryPolicy, s.addAccountSettings, s.addLayers,
		s.addUploads, s.addImages, s.addImageLists, s.addReferrers,
	} {
		add(out)
	}
	return out
}

// registryID is the registry that a call concerns: that of the account that it names, or the caller's own.
func registryID(c awsapi.Call, account string) registry.ID {
	if account == "" {
		account = c.Caller.Principal.Account
	}
	return registry.ID{Account: account, Region: c.Region}
}

// onRepository is the resource of an operation on one repository.
func onRepository(c awsapi.Call, account, name string) []policy.Resource {
	id := registryID(c, account)
	return []policy.Resource{policy.Repository(id.Region, id.Account, name)}
}

// onRegistry is the resource of an operation on the caller's registry as a whole.
func onRegistry(c awsapi.Call) []policy.Resource {
	return []policy.Resource{policy.Registry(c.Caller.Principal.Account)}
}

// onARN is the resource of an operation that names a repository by ARN. With what names none, the question is about the
// caller's registry, and the operation itself refuses.
func onARN(c awsapi.Call, text string) []policy.Resource {
	id, name, err := repositoryOf(c, text)
	if err != nil {
		return onRegistry(c)
	}
	return onRepository(c, id.Account, name)
}

// failed says which repository a problem concerns.
type failed struct {
	id         registry.ID
	repository string
	err        error
}

func (f *failed) Error() string { return f.err.Error() }
func (f *failed) Unwrap() error { return f.err }

// about adds to an error which repository it concerns, for its sentence.
func about(id registry.ID, repository string, err error) error {
	if err == nil {
		return nil
	}
	return &failed{id, repository, err}
}

// view runs a read of a repository in one snapshot.
func (s *service) view(ctx context.Context, id registry.ID, name string, fn func(*store.Tx, registry.Repository) error) error {
	return about(id, name, s.Registry.View(ctx, func(tx *store.Tx) error {
		repo, err := s.Registry.Repository(tx, id, name)
		if err != nil {
			return err
		}
		return fn(tx, repo)
	}))
}

// onNamed runs a change of a repository.
func (s *service) onNamed(tx *store.Tx, id registry.ID, name string, fn func(registry.Repository) error) error {
	repo, err := s.Registry.Repository(tx, id, name)
	if err != nil {
		return about(id, name, err)
	}
	return about(id, name, fn(repo))
}

// page is what a nextToken holds: where the list goes on, and which list it is.
type page struct {
	List  string `json:"l"`
	After string `json:"a"`
	Tag   string `json:"t,omitempty"`
}

var errPageToken = &awsapi.Error{Code: "InvalidParameterException", Status: 400,
	Message: "Invalid parameter at 'nextToken' failed to satisfy constraint: 'Invalid token'"}

func (p page) token() string { return awsapi.PageToken(p) }

// parsePage reads a nextToken, which must be one of the same list.
func parsePage(token, list string) (page, error) {
	p := page{List: list}
	if token == "" {
		return p, nil
	}
	if !awsapi.ReadPageToken(token, &p) || p.List != list {
		return page{}, errPageToken
	}
	return p, nil
}

// pageSize is how many entries the client wants; the validation has bounded it.
func pageSize(wanted *int64, otherwise int) int {
	if wanted == nil {
		return otherwise
	}
	return int(*wanted)
}

// refusePaging refuses a call that names what it wants and also asks for a page.
func refusePaging(named bool, maxResults *int64, nextToken string) error {
	if !named || maxResults == nil && nextToken == "" {
		return nil
	}
	field := "maxResults"
	if maxResults == nil {
		field = "nextToken"
	}
	return invalid(field, "Pagination is not supported when specific items are requested")
}
