package kms

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/coffer-registry/coffer/internal/store"
)

// MaxTags is how many tags a key may have.
const MaxTags = 50

// Tag is a name and a value that a user attached to a key.
type Tag struct{ Key, Value string }

// checkTags refuses tags that break a rule. The error is *Error.
func checkTags(tags []Tag) error {
	seen := map[string]bool{}
	for _, t := range tags {
		switch n := utf8.RuneCountInString(t.Key); {
		case n == 0 || n > 128 || utf8.RuneCountInString(t.Value) > 256:
			return Errorf(CodeTag, "Tag keys have 1 to 128 characters, and values at most 256")
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return Errorf(CodeTag, "Tags beginning with aws: are reserved")
		case seen[t.Key]:
			return Errorf(CodeTag, "Duplicate tag keys")
		}
		seen[t.Key] = true
	}
	if len(tags) > MaxTags {
		return Errorf(CodeTag, "Too many tags")
	}
	return nil
}

// Tag adds tags to a key and overwrites those with the same names. The error is *Error.
func (k *Keys) Tag(tx *store.Tx, key Key, tags []Tag) error {
	if _, err := k.allowed(tx, key, TagResource); err != nil {
		return err
	}
	if err := checkTags(tags); err != nil {
		return err
	}
	if err := putTags(tx, key, tags); err != nil {
		return err
	}
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM kms_tag WHERE key = $1`, key.ID).Scan(&n); err != nil {
		return fmt.Errorf("count the tags of key %s: %w", key.ID, err)
	}
	if n > MaxTags {
		return Errorf(CodeTag, "Too many tags")
	}
	return touchKey(tx, key.ID)
}

func putTags(tx *store.Tx, key Key, tags []Tag) error {
	for _, t := range tags {
		if _, err := tx.Exec(`INSERT INTO kms_tag (key, name, value) VALUES ($1, $2, $3)
			ON CONFLICT (key, name) DO UPDATE SET value = excluded.value`, key.ID, t.Key, t.Value); err != nil {
			return fmt.Errorf("tag key %s: %w", key.ID, err)
		}
	}
	return nil
}

// Untag removes tags by their names; those that aren't there are ignored. The error is *Error.
func (k *Keys) Untag(tx *store.Tx, key Key, names []string) error {
	if _, err := k.allowed(tx, key, UntagResource); err != nil {
		return err
	}
	for _, name := range names {
		if _, err := tx.Exec(`DELETE FROM kms_tag WHERE key = $1 AND name = $2`, key.ID, name); err != nil {
			return fmt.Errorf("untag key %s: %w", key.ID, err)
		}
	}
	return touchKey(tx, key.ID)
}

// Tags returns the tags of a key in the order of their names after one of them, and at most limit.
func (k *Keys) Tags(tx *store.Tx, key Key, after string, limit int) ([]Tag, error) {
	rows, err := tx.Query(`SELECT name, value FROM kms_tag WHERE key = $1 AND name > $2 ORDER BY name LIMIT $3`, key.ID, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list the tags of key %s: %w", key.ID, err)
	}
	return store.Collect(rows, func(row store.Scanner) (t Tag, err error) { return t, row.Scan(&t.Key, &t.Value) })
}
