package organization

import (
	"context"
	"errors"
	"strings"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// Tag is a tag of the root, a unit, an account or a policy.
type Tag struct{ Key, Value string }

// maxTags is AWS's quota of tags of one resource.
const maxTags = 50

// checkTagged looks whether there is such a root, unit, account or policy. The error is of code TargetNotFoundException.
func (s *Store) checkTagged(tx *store.Tx, id string) error {
	if !strings.HasPrefix(id, "p-") {
		return s.CheckTarget(tx, id)
	}
	_, err := s.Policy(tx, id)
	if e := (*Error)(nil); errors.As(err, &e) {
		return Errorf(TargetNotFound, targetNotFound)
	}
	return err
}

// Tags lists the tags of the root, a unit, an account or a policy, by key. The error is of code TargetNotFoundException.
func (s *Store) Tags(tx *store.Tx, id string) ([]Tag, error) {
	if err := s.checkTagged(tx, id); err != nil {
		return nil, err
	}
	return s.tags(tx, id)
}

func (s *Store) tags(tx *store.Tx, id string) ([]Tag, error) {
	rows, err := tx.Query(`SELECT name, value FROM organization_tag WHERE owner = $1 ORDER BY name_key`, id)
	if err != nil {
		return nil, err
	}
	return store.Collect(rows, func(row store.Scanner) (t Tag, err error) { return t, row.Scan(&t.Key, &t.Value) })
}

// Tag gives the root, a unit, an account or a policy tags, in place of those with the same keys. The error is of code
// TargetNotFoundException, InvalidInputException or ConstraintViolationException.
func (s *Store) Tag(tx *store.Tx, id string, tags []Tag) error {
	if err := s.checkTagged(tx, id); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, t := range tags {
		key := strings.ToLower(t.Key)
		switch {
		case strings.HasPrefix(key, "aws:"):
			return &Error{InvalidInput, "INVALID_SYSTEM_TAGS_PARAMETER", "You specified a tag key that is a system tag. You can't add, edit, or delete system tag keys because they're reserved for AWS use."}
		case seen[key]:
			return &Error{InvalidInput, "DUPLICATE_TAG_KEY", "Tag keys must be unique among the tags attached to the same entity."}
		}
		seen[key] = true
		_, err := tx.Exec(`INSERT INTO organization_tag (owner, name_key, name, value) VALUES ($1, $2, $3, $4)
			ON CONFLICT (owner, name_key) DO UPDATE SET name = excluded.name, value = excluded.value`, id, key, t.Key, t.Value)
		if err != nil {
			return err
		}
	}
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM organization_tag WHERE owner = $1`, id).Scan(&n); err != nil {
		return err
	}
	if n > maxTags {
		return violated("MAX_TAG_LIMIT_EXCEEDED", "You have exceeded the number of tags allowed on this resource.")
	}
	return nil
}

// Untag removes tags. One that isn't there is as good as removed. The error is of code TargetNotFoundException.
func (s *Store) Untag(tx *store.Tx, id string, keys []string) error {
	if err := s.checkTagged(tx, id); err != nil {
		return err
	}
	for _, key := range keys {
		if _, err := tx.Exec(`DELETE FROM organization_tag WHERE owner = $1 AND name_key = $2`, id, strings.ToLower(key)); err != nil {
			return err
		}
	}
	return nil
}

// Keys are the condition keys that the root, a unit, an account or a policy has as a resource: its tags.
func (s *Store) Keys(ctx context.Context, id string) (policy.Context, error) {
	keys := policy.Context{}
	err := s.db.View(ctx, func(tx *store.Tx) error {
		tags, err := s.tags(tx, id)
		for _, t := range tags {
			keys.Put("aws:ResourceTag/"+t.Key, t.Value)
		}
		return err
	})
	return keys, err
}
