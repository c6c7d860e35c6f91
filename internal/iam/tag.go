package iam

import "github.com/coffer-registry/coffer/internal/store"

// Tags returns the tags of what owns them, by key.
func (s *Store) Tags(tx *store.Tx, owner string) ([]Tag, error) {
	rows, err := tx.Query(`SELECT name, value FROM iam_tag WHERE owner = $1 ORDER BY name_key`, owner)
	if err != nil {
		return nil, err
	}
	return store.Collect(rows, func(row store.Scanner) (t Tag, err error) { return t, row.Scan(&t.Key, &t.Value) })
}
