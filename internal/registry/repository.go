package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/store"
)

// Repository holds images and layers under one name, settings and key.
type Repository struct {
	Registry   ID
	Name       string
	CreatedAt  time.Time
	Mutability Mutability
	// Filters are the exclusion filters of a mutability with exclusion, nil otherwise.
	Filters    []string
	ScanOnPush bool
	Encryption Encryption

	id      int64
	counted int64 // images, and those that are counted ahead
	wrapped wrappedKey
}

// ARN is the repository's Amazon resource name.
func (r Repository) ARN() string {
	return arn.Repository(r.Registry.Region, r.Registry.Account, r.Name).String()
}

// NewRepository is what a repository is made from.
type NewRepository struct {
	Name       string
	Mutability Mutability
	Filters    []string
	ScanOnPush bool
	Encryption Encryption
	Tags       []ResourceTag
}

// CreateRepository makes a repository. The error is ErrRepositoryExists, *LimitError, *ResourceTagError,
// *KeyError, ErrFiltersMissing or ErrFiltersUnexpected.
func (r *Registry) CreateRepository(tx *store.Tx, id ID, n NewRepository) (Repository, error) {
	if err := checkMutability(n.Mutability, n.Filters, r.limits); err != nil {
		return Repository{}, err
	}
	if _, err := r.repository(tx, id, n.Name); err == nil {
		return Repository{}, ErrRepositoryExists
	} else if !errors.Is(err, ErrRepositoryNotFound) {
		return Repository{}, err
	}
	if err := r.countRepository(tx, id); err != nil {
		return Repository{}, err
	}
	encryption, err := checkEncryption(n.Encryption)
	if err != nil {
		return Repository{}, err
	}
	repo := Repository{
		Registry: id, Name: n.Name, CreatedAt: r.now(), Mutability: n.Mutability, Filters: n.Filters,
		ScanOnPush: n.ScanOnPush, Encryption: encryption, id: r.db.NewID(),
	}
	if repo.wrapped, err = r.newRepositoryKey(repo); err != nil {
		return Repository{}, err
	}
	if err := insertRepository(tx, repo); err != nil {
		return Repository{}, fmt.Errorf("create repository %s: %w", n.Name, err)
	}
	if err := r.TagRepository(tx, repo, n.Tags); err != nil {
		return Repository{}, err
	}
	touchRepository(tx, id, n.Name)
	return repo, changed(tx, id.Account)
}

func insertRepository(tx *store.Tx, repo Repository) error {
	filters, err := json.Marshal(repo.Filters)
	if err != nil {
		return err
	}
	grants, err := json.Marshal(repo.Encryption.Grants)
	if err != nil {
		return err
	}
	err = tx.Send(`INSERT INTO repository (id, account, region, name, created_at, tag_mutability, mutability_filters,
		scan_on_push, encryption_type, data_key, images, kms_key, kms_material, outer_key, grants)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11, $12, $13, $14)`,
		repo.id, repo.Registry.Account, repo.Registry.Region, repo.Name, repo.CreatedAt.UnixMicro(), string(repo.Mutability), string(filters),
		boolean(repo.ScanOnPush), repo.Encryption.Type, repo.wrapped.inner, repo.Encryption.Key, repo.wrapped.material, repo.wrapped.outer, string(grants))
	return err
}

func (r *Registry) countRepository(tx *store.Tx, id ID) error {
	var n int64
	err := tx.QueryRow(`SELECT repositories FROM registry WHERE account = $1 AND region = $2`, id.Account, id.Region).Scan(&n)
	if err != nil && !errors.Is(err, store.ErrNoRows) {
		return err
	}
	if limit := r.limits.Get(RepositoriesPerRegistry); n >= limit {
		return &LimitError{Limit: RepositoriesPerRegistry, Value: limit}
	}
	err = tx.Send(`INSERT INTO registry (account, region, repositories) VALUES ($1, $2, 1)
		ON CONFLICT (account, region) DO UPDATE SET repositories = registry.repositories + 1`, id.Account, id.Region)
	return err
}

const repositoryColumns = `id, account, region, name, created_at, tag_mutability, mutability_filters, scan_on_push,
	encryption_type, data_key, images, kms_key, kms_material, outer_key, grants`

// Repository finds a repository by name, as of the transaction. The error is ErrRepositoryNotFound.
func (r *Registry) Repository(tx *store.Tx, id ID, name string) (Repository, error) {
	return r.repository(tx, id, name)
}

func (r *Registry) repository(tx *store.Tx, id ID, name string) (Repository, error) {
	return readRepository(repositoryRow(tx, id, name), name)
}

// current reads a repository that was found before the transaction, in one round trip with other rows, which the caller scans. The error
// is ErrRepositoryNotFound if it is not there any more, also if there is another of its name.
func (r *Registry) current(tx *store.Tx, repo Repository, others ...*store.Row) (Repository, error) {
	row := repositoryRow(tx, repo.Registry, repo.Name)
	if err := tx.Prefetch(append(others, &row)...); errors.Is(err, store.ErrReference) { // by a row that was to be inserted into it
		return Repository{}, ErrRepositoryNotFound
	} else if err != nil {
		return Repository{}, fmt.Errorf("look up repository %s: %w", repo.Name, err)
	}
	now, err := readRepository(row, repo.Name)
	if err == nil && now.id != repo.id {
		err = ErrRepositoryNotFound
	}
	return now, err
}

func repositoryRow(tx *store.Tx, id ID, name string) store.Row {
	return tx.QueryRow(`SELECT `+repositoryColumns+` FROM repository WHERE account = $1 AND region = $2 AND name = $3`,
		id.Account, id.Region, name)
}

func readRepository(row store.Scanner, name string) (Repository, error) {
	repo, err := scanRepository(row)
	if errors.Is(err, store.ErrNoRows) {
		return Repository{}, ErrRepositoryNotFound
	}
	if err != nil {
		return Repository{}, fmt.Errorf("look up repository %s: %w", name, err)
	}
	return repo, nil
}

// Find finds a repository by name, from memory if it can. The error is ErrRepositoryNotFound.
func (r *Registry) Find(ctx context.Context, id ID, name string) (Repository, error) {
	return r.repositories.Get(repositoryKey{id, name}, func() (repo Repository, bytes int, err error) {
		err = r.db.View(ctx, func(tx *store.Tx) error {
			repo, err = r.repository(tx, id, name)
			return err
		})
		return repo, 1024, err
	})
}

func scanRepository(row store.Scanner) (Repository, error) {
	var repo Repository
	var created, scanOnPush int64
	var mutability, filters, grants string
	err := row.Scan(&repo.id, &repo.Registry.Account, &repo.Registry.Region, &repo.Name, &created, &mutability, &filters,
		&scanOnPush, &repo.Encryption.Type, &repo.wrapped.inner, &repo.counted, &repo.Encryption.Key, &repo.wrapped.material,
		&repo.wrapped.outer, &grants)
	if err != nil {
		return Repository{}, err
	}
	repo.CreatedAt, repo.Mutability, repo.ScanOnPush = time.UnixMicro(created), Mutability(mutability), scanOnPush != 0
	if err := json.Unmarshal([]byte(filters), &repo.Filters); err != nil {
		return Repository{}, fmt.Errorf("read the filters of repository %s: %w", repo.Name, err)
	}
	if err := json.Unmarshal([]byte(grants), &repo.Encryption.Grants); err != nil {
		return Repository{}, fmt.Errorf("read the grants of repository %s: %w", repo.Name, err)
	}
	return repo, nil
}

// Repositories returns up to limit repositories of a registry, in the order of names, from the first name above after.
func (r *Registry) Repositories(tx *store.Tx, id ID, after string, limit int) ([]Repository, error) {
	rows, err := tx.Query(`SELECT `+repositoryColumns+` FROM repository
		WHERE account = $1 AND region = $2 AND name > $3 AND deleted_at IS NULL ORDER BY name LIMIT $4`,
		id.Account, id.Region, max(after, tombstoneEnd), limit)
	if err != nil {
		return nil, fmt.Errorf("list repositories: %w", err)
	}
	return store.Collect(rows, scanRepository)
}

// SetMutability changes whether existing tags may be pushed again; it leaves the tags that exist alone. The error is
// ErrRepositoryNotFound, ErrFiltersMissing, ErrFiltersUnexpected or *LimitError.
func (r *Registry) SetMutability(tx *store.Tx, id ID, name string, m Mutability, filters []string) (Repository, error) {
	if err := checkMutability(m, filters, r.limits); err != nil {
		return Repository{}, err
	}
	repo, err := r.repository(tx, id, name)
	if err != nil {
		return Repository{}, err
	}
	encoded, err := json.Marshal(filters)
	if err != nil {
		return Repository{}, err
	}
	if err := tx.Send(`UPDATE repository SET tag_mutability = $1, mutability_filters = $2 WHERE id = $3`,
		string(m), string(encoded), repo.id); err != nil {
		return Repository{}, fmt.Errorf("set the mutability of %s: %w", name, err)
	}
	repo.Mutability, repo.Filters = m, filters
	touchRepository(tx, id, name)
	return repo, nil
}

// Deleted repositories keep their rows for a moment under names that no repository can have, and that sort before all
// that one can.
const (
	tombstonePrefix = "#"
	tombstoneEnd    = "$"
)

// DeleteRepository deletes a repository, and with force also what is in it. Its name is free at once; the sweeper removes
// the rows and bytes. The error is ErrRepositoryNotFound or ErrRepositoryNotEmpty.
func (r *Registry) DeleteRepository(tx *store.Tx, id ID, name string, force bool) (Repository, error) {
	repo, err := r.repository(tx, id, name)
	if err != nil {
		return Repository{}, err
	}
	if !force {
		if empty, err := isEmpty(tx, repo.id); err != nil {
			return Repository{}, err
		} else if !empty {
			return Repository{}, ErrRepositoryNotEmpty
		}
	}
	if err := tx.Send(`UPDATE repository SET name = $1, deleted_at = $2 WHERE id = $3`,
		fmt.Sprintf("%s%d", tombstonePrefix, repo.id), r.now().UnixMicro(), repo.id); err != nil {
		return Repository{}, fmt.Errorf("delete repository %s: %w", name, err)
	}
	if err := tx.Send(`UPDATE registry SET repositories = repositories - 1 WHERE account = $1 AND region = $2`,
		id.Account, id.Region); err != nil {
		return Repository{}, err
	}
	touchRepository(tx, id, name)
	return repo, changed(tx, id.Account)
}

// isEmpty reports whether a repository has no images.
func isEmpty(tx *store.Tx, repository int64) (bool, error) {
	var found int64
	err := tx.QueryRow(`SELECT 1 FROM image WHERE repository = $1 LIMIT 1`, repository).Scan(&found)
	if errors.Is(err, store.ErrNoRows) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for images: %w", err)
	}
	return false, nil
}

func boolean(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
