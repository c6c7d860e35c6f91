package iam

import (
	"context"
	"errors"
	"strings"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// tagsPerOwner is IAM's quota.
const tagsPerOwner = 50

// Tags returns the tags of what owns them, by key.
func (s *Store) Tags(tx *store.Tx, owner string) ([]Tag, error) {
	rows, err := tx.Query(`SELECT name, value FROM iam_tag WHERE owner = $1 ORDER BY name_key`, owner)
	if err != nil {
		return nil, err
	}
	return store.Collect(rows, scanTag)
}

func scanTag(row store.Scanner) (t Tag, err error) { return t, row.Scan(&t.Key, &t.Value) }

// TagPage returns at most n tags of what owns them, by key, that come after a key; an empty one is the beginning. more
// says that there are further ones.
func (s *Store) TagPage(tx *store.Tx, owner, after string, n int) (tags []Tag, more bool, err error) {
	rows, err := tx.Query(`SELECT name, value FROM iam_tag WHERE owner = $1 AND name_key > $2 ORDER BY name_key LIMIT $3`,
		owner, nameKey(after), n+1)
	if err != nil {
		return nil, false, err
	}
	return cut(rows, n, scanTag)
}

// KeysOf finds the condition keys that a managed policy, MFA device or identity provider has, which are its tags, by its
// ARN. Those of users and roles are in their Standing.
func (s *Store) KeysOf(ctx context.Context, arn string) (keys policy.Context, err error) {
	kind, _, _, _, ok := splitARN(arn)
	if !ok {
		return nil, nil
	}
	err = s.db.View(ctx, func(tx *store.Tx) error {
		owner := arn
		if kind == KindPolicy {
			err := tx.QueryRow(`SELECT id FROM iam_policy WHERE arn = $1`, arn).Scan(&owner)
			if errors.Is(err, store.ErrNoRows) {
				return nil
			}
			if err != nil {
				return err
			}
		}
		tags, err := s.Tags(tx, owner)
		keys = resourceKeys(tags)
		return err
	})
	return keys, err
}

// PutTags gives tags to something of an account: owner is its unique id, or the ARN of a provider or device. A tag takes
// the place of one whose key is the same without regard to case, key and all. The error is of code InvalidInput or
// LimitExceeded.
func (s *Store) PutTags(tx *store.Tx, account, owner string, tags []Tag) error {
	if len(tags) == 0 {
		return nil
	}
	if err := checkTags(tags); err != nil {
		return err
	}
	if err := s.changed(tx, account); err != nil {
		return err
	}
	for _, t := range tags {
		_, err := tx.Exec(`INSERT INTO iam_tag (owner, name_key, name, value) VALUES ($1, $2, $3, $4)
			ON CONFLICT (owner, name_key) DO UPDATE SET name = excluded.name, value = excluded.value`, owner, nameKey(t.Key), t.Key, t.Value)
		if err != nil {
			return err
		}
	}
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM iam_tag WHERE owner = $1`, owner).Scan(&n); err != nil {
		return err
	}
	if n > tagsPerOwner {
		// IAM's sentence is not known.
		return Errorf(LimitExceeded, "The number of tags has reached the maximum limit of %d.", tagsPerOwner)
	}
	return nil
}

// checkTags judges tags among themselves.
func checkTags(tags []Tag) error {
	seen := map[string]bool{}
	for _, t := range tags {
		key := nameKey(t.Key)
		if strings.HasPrefix(key, "aws:") {
			// IAM's sentence is not known.
			return Errorf(InvalidInput, "Tag keys that begin with aws: are reserved for the system.")
		}
		if seen[key] {
			return Errorf(InvalidInput, "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		seen[key] = true
	}
	return nil
}

// DeleteTags takes away the tags with these keys, without regard to case, from what owns them. Those that it doesn't have
// are no error.
func (s *Store) DeleteTags(tx *store.Tx, account, owner string, keys []string) error {
	if err := s.changed(tx, account); err != nil {
		return err
	}
	for _, key := range keys {
		if _, err := tx.Exec(`DELETE FROM iam_tag WHERE owner = $1 AND name_key = $2`, owner, nameKey(key)); err != nil {
			return err
		}
	}
	return nil
}
