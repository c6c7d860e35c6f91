package ecr

import (
	"context"
	"fmt"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/ecr"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addRepositories(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.CreateRepositoryRequest, api.CreateRepositoryResponse]{
		Action: "ecr:CreateRepository",
		Also: func(in *api.CreateRepositoryRequest) []string {
			if len(in.Tags) == 0 {
				return nil
			}
			return []string{"ecr:TagResource"}
		},
		Resources: func(c awsapi.Call, in *api.CreateRepositoryRequest) []policy.Resource {
			return onRepository(c, in.RegistryID, in.RepositoryName)
		},
		Context:  func(_ awsapi.Call, in *api.CreateRepositoryRequest) policy.Context { return creationTags(in.Tags) },
		Response: func(out *api.CreateRepositoryResponse) any { return shownRepository(out.Repository) },
		Stage:    s.createRepository,
	})
	awsapi.Add(out, awsapi.Op[api.DescribeRepositoriesRequest, api.DescribeRepositoriesResponse]{
		Action:    "ecr:DescribeRepositories",
		Resources: describedRepositories,
		Read:      s.describeRepositories,
	})
	awsapi.Add(out, awsapi.Op[api.DeleteRepositoryRequest, api.DeleteRepositoryResponse]{
		Action: "ecr:DeleteRepository",
		Resources: func(c awsapi.Call, in *api.DeleteRepositoryRequest) []policy.Resource {
			return onRepository(c, in.RegistryID, in.RepositoryName)
		},
		Response: func(out *api.DeleteRepositoryResponse) any { return shownRepository(out.Repository) },
		Stage:    s.deleteRepository,
	})
	awsapi.Add(out, awsapi.Op[api.PutImageTagMutabilityRequest, api.PutImageTagMutabilityResponse]{
		Action: "ecr:PutImageTagMutability",
		Resources: func(c awsapi.Call, in *api.PutImageTagMutabilityRequest) []policy.Resource {
			return onRepository(c, in.RegistryID, in.RepositoryName)
		},
		Write: s.putImageTagMutability,
	})
}

// repository is the API's view of a repository.
func (s *service) repository(c awsapi.Call, r registry.Repository) *api.Repository {
	scanOnPush := r.ScanOnPush
	created := awsapi.NewTime(r.CreatedAt)
	return &api.Repository{
		RepositoryARN: r.ARN(), RegistryID: r.Registry.Account, RepositoryName: r.Name,
		RepositoryURI: s.registryHost(c, r.Registry) + "/" + r.Name, CreatedAt: &created,
		ImageTagMutability: string(r.Mutability), ImageTagMutabilityExclusionFilters: filtersOf(r.Filters),
		ImageScanningConfiguration: &api.ImageScanningConfiguration{ScanOnPush: &scanOnPush},
		EncryptionConfiguration:    &api.EncryptionConfiguration{EncryptionType: r.Encryption.Type, KmsKey: r.Encryption.Key},
	}
}

// shownRepository is what the trail shows of an answer with a repository, in which CloudTrail writes the time for people.
func shownRepository(r *api.Repository) any {
	type shown struct {
		*api.Repository
		CreatedAt string `json:"createdAt"`
	}
	return map[string]shown{"repository": {r, r.CreatedAt.Time().Format("Jan 2, 2006 3:04:05 PM")}}
}

func filtersOf(filters []string) []api.ImageTagMutabilityExclusionFilter {
	var out []api.ImageTagMutabilityExclusionFilter
	for _, f := range filters {
		out = append(out, api.ImageTagMutabilityExclusionFilter{FilterType: "WILDCARD", Filter: f})
	}
	return out
}

func (s *service) createRepository(ctx context.Context, c awsapi.Call, in *api.CreateRepositoryRequest) (staged awsapi.Staged[api.CreateRepositoryResponse], err error) {
	id := registryID(c, in.RegistryID)
	n, err := newRepository(in)
	if err != nil {
		return staged, err
	}
	if _, err := s.Registry.Find(ctx, id, in.RepositoryName); err == nil {
		return staged, about(id, in.RepositoryName, registry.ErrRepositoryExists)
	}
	var key *chosenKey
	if n.Encryption, key, err = s.encryption(ctx, c, id, in.RepositoryName, in.EncryptionConfiguration); err != nil {
		return staged, about(id, in.RepositoryName, err)
	}
	staged.Save = func(tx *store.Tx) (*api.CreateRepositoryResponse, error) {
		if key != nil {
			if n.Encryption.Grants, err = s.makeGrants(tx, c, key); err != nil {
				return nil, about(id, in.RepositoryName, err)
			}
		}
		repo, err := s.Registry.CreateRepository(tx, id, n)
		if err != nil {
			return nil, about(id, in.RepositoryName, err)
		}
		return &api.CreateRepositoryResponse{Repository: s.repository(c, repo)}, nil
	}
	return staged, nil
}

// newRepository is what the input says of a repository, but for its encryption.
func newRepository(in *api.CreateRepositoryRequest) (n registry.NewRepository, err error) {
	n = registry.NewRepository{Name: in.RepositoryName, Mutability: registry.Mutability(in.ImageTagMutability), Tags: resourceTags(in.Tags)}
	if n.Mutability == "" {
		n.Mutability = registry.Mutable
	}
	if scanning := in.ImageScanningConfiguration; scanning != nil && scanning.ScanOnPush != nil {
		n.ScanOnPush = *scanning.ScanOnPush
	}
	n.Filters, err = exclusionFilters(string(n.Mutability), in.ImageTagMutabilityExclusionFilters)
	return n, err
}

// exclusionFilters checks what the model can't: filters come exactly with the mutabilities that take them.
func exclusionFilters(mutability string, filters []api.ImageTagMutabilityExclusionFilter) ([]string, error) {
	takes := mutability == string(registry.MutableWithExclusion) || mutability == string(registry.ImmutableWithExclusion)
	const field = "imageTagMutabilityExclusionFilters"
	switch {
	case takes && len(filters) == 0:
		return nil, invalid(field, "ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as "+mutability)
	case !takes && len(filters) > 0:
		return nil, invalid(field, "ImageTagMutabilityExclusionFilters must be null when imageTagMutability is set as "+mutability)
	}
	var out []string
	for _, f := range filters {
		out = append(out, f.Filter)
	}
	return out, nil
}

func describedRepositories(c awsapi.Call, in *api.DescribeRepositoriesRequest) []policy.Resource {
	if len(in.RepositoryNames) == 0 {
		return onRepository(c, in.RegistryID, "*")
	}
	var resources []policy.Resource
	for _, name := range in.RepositoryNames {
		resources = append(resources, onRepository(c, in.RegistryID, name)...)
	}
	return resources
}

func (s *service) describeRepositories(ctx context.Context, c awsapi.Call, in *api.DescribeRepositoriesRequest) (*api.DescribeRepositoriesResponse, error) {
	if err := refusePaging(len(in.RepositoryNames) > 0, in.MaxResults, in.NextToken); err != nil {
		return nil, err
	}
	id := registryID(c, in.RegistryID)
	out := &api.DescribeRepositoriesResponse{Repositories: []api.Repository{}}
	if len(in.RepositoryNames) > 0 {
		for _, name := range in.RepositoryNames {
			repo, err := s.Registry.Find(ctx, id, name)
			if err != nil {
				return nil, about(id, name, err)
			}
			out.Repositories = append(out.Repositories, *s.repository(c, repo))
		}
		return out, nil
	}
	p, err := parsePage(in.NextToken, fmt.Sprintf("repositories/%s/%s", id.Account, id.Region))
	if err != nil {
		return nil, err
	}
	n := pageSize(in.MaxResults, 100)
	err = s.Registry.View(ctx, func(tx *store.Tx) error {
		repos, err := s.Registry.Repositories(tx, id, p.After, n+1)
		if err != nil {
			return err
		}
		out = &api.DescribeRepositoriesResponse{Repositories: []api.Repository{}}
		for _, repo := range repos[:min(n, len(repos))] {
			out.Repositories = append(out.Repositories, *s.repository(c, repo))
		}
		if len(repos) > n {
			p.After = repos[n-1].Name
			out.NextToken = p.token()
		}
		return nil
	})
	return out, err
}

func (s *service) deleteRepository(ctx context.Context, c awsapi.Call, in *api.DeleteRepositoryRequest) (staged awsapi.Staged[api.DeleteRepositoryResponse], err error) {
	id := registryID(c, in.RegistryID)
	found, err := s.Registry.Find(ctx, id, in.RepositoryName)
	if err != nil {
		return staged, about(id, in.RepositoryName, err)
	}
	key, err := s.retirable(ctx, c, found)
	if err != nil {
		return staged, err
	}
	staged.Save = func(tx *store.Tx) (*api.DeleteRepositoryResponse, error) {
		repo, err := s.Registry.DeleteRepository(tx, id, in.RepositoryName, in.Force != nil && *in.Force)
		if err != nil {
			return nil, about(id, in.RepositoryName, err)
		}
		if err := s.retireGrants(tx, c, key, repo); err != nil {
			return nil, err
		}
		return &api.DeleteRepositoryResponse{Repository: s.repository(c, repo)}, nil
	}
	return staged, nil
}

func (s *service) putImageTagMutability(tx *store.Tx, c awsapi.Call, in *api.PutImageTagMutabilityRequest) (*api.PutImageTagMutabilityResponse, error) {
	filters, err := exclusionFilters(in.ImageTagMutability, in.ImageTagMutabilityExclusionFilters)
	if err != nil {
		return nil, err
	}
	id := registryID(c, in.RegistryID)
	repo, err := s.Registry.SetMutability(tx, id, in.RepositoryName, registry.Mutability(in.ImageTagMutability), filters)
	if err != nil {
		return nil, about(id, in.RepositoryName, err)
	}
	return &api.PutImageTagMutabilityResponse{
		RegistryID: id.Account, RepositoryName: repo.Name, ImageTagMutability: string(repo.Mutability),
		ImageTagMutabilityExclusionFilters: filtersOf(repo.Filters),
	}, nil
}
