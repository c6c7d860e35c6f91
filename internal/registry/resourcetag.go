package registry

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/coffer-registry/coffer/internal/store"
)

// ResourceTag is a name and a value that a user attached to a repository; not to be confused with the tag of an image.
type ResourceTag struct{ Key, Value string }

// Bounds of resource tags, in characters.
const (
	maxTagKey   = 128
	maxTagValue = 256
)

// TagRepository adds resource tags to a repository, and overwrites those with the same key. The error is
// *ResourceTagError or *LimitError.
func (r *Registry) TagRepository(tx *store.Tx, repo Repository, tags []ResourceTag) error {
	if err := checkResourceTags(tags); err != nil {
		return err
	}
	for _, t := range tags {
		if _, err := tx.Exec(`INSERT INTO resource_tag (repository, name, value) VALUES ($1, $2, $3)
			ON CONFLICT (repository, name) DO UPDATE SET value = excluded.value`, repo.id, t.Key, t.Value); err != nil {
			return fmt.Errorf("tag repository %s: %w", repo.Name, err)
		}
	}
	if len(tags) == 0 {
		return nil
	}
	var n int64
	if err := tx.QueryRow(`SELECT count(*) FROM resource_tag WHERE repository = $1`, repo.id).Scan(&n); err != nil {
		return err
	}
	if limit := r.limits.Get(ResourceTags); n > limit {
		return &LimitError{Limit: ResourceTags, Value: limit}
	}
	return changed(tx, repo.Registry.Account)
}

// UntagRepository removes resource tags by their keys; keys that aren't there are ignored.
func (r *Registry) UntagRepository(tx *store.Tx, repo Repository, keys []string) error {
	for _, key := range keys {
		if _, err := tx.Exec(`DELETE FROM resource_tag WHERE repository = $1 AND name = $2`, repo.id, key); err != nil {
			return fmt.Errorf("untag repository %s: %w", repo.Name, err)
		}
	}
	return changed(tx, repo.Registry.Account)
}

// ResourceTags returns the resource tags of a repository in the order of their keys.
func (r *Registry) ResourceTags(tx *store.Tx, repo Repository) ([]ResourceTag, error) {
	tags, err := resourceTags(tx, repo.id)
	if err != nil {
		return nil, fmt.Errorf("list the tags of repository %s: %w", repo.Name, err)
	}
	return tags, nil
}

func resourceTags(tx *store.Tx, repository int64) ([]ResourceTag, error) {
	rows, err := tx.Query(`SELECT name, value FROM resource_tag WHERE repository = $1 ORDER BY name`, repository)
	if err != nil {
		return nil, err
	}
	return store.Collect(rows, func(row store.Scanner) (t ResourceTag, err error) {
		err = row.Scan(&t.Key, &t.Value)
		return t, err
	})
}

func checkResourceTags(tags []ResourceTag) error {
	seen := map[string]bool{}
	for _, t := range tags {
		switch n := utf8.RuneCountInString(t.Key); {
		case n == 0:
			return &ResourceTagError{"Tag keys must not be empty"}
		case n > maxTagKey:
			return &ResourceTagError{fmt.Sprintf("Tag keys must have at most %d characters", maxTagKey)}
		case utf8.RuneCountInString(t.Value) > maxTagValue:
			return &ResourceTagError{fmt.Sprintf("The value of tag '%s' must have at most %d characters", t.Key, maxTagValue)}
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return &ResourceTagError{fmt.Sprintf("Tag key '%s' is invalid: the prefix aws: is reserved", t.Key)}
		case seen[t.Key]:
			return &ResourceTagError{fmt.Sprintf("Tag key '%s' is given more than once", t.Key)}
		case !tagText(t.Key), !tagText(t.Value):
			return &ResourceTagError{fmt.Sprintf("Tag '%s' has a character other than letters, digits, spaces and + - = . _ : / @", t.Key)}
		}
		seen[t.Key] = true
	}
	return nil
}

func tagText(s string) bool {
	for _, c := range s {
		if !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.Is(unicode.Zs, c) && !strings.ContainsRune("+-=._:/@", c) {
			return false
		}
	}
	return true
}
