package iam

import "github.com/coffer-registry/coffer/internal/store"

// Place is where a list by path and name goes on: after the entity of that path and name. The zero value is the beginning.
type Place struct{ Path, Name string }

// afterPaths sorts after all that a path can consist of, which are characters of ASCII.
const afterPaths = "\u0080"

// byPath lists at most n entities of an account whose path has a prefix, from a table with an index by account, path and
// name. more says that there are further ones.
func byPath[T any](tx *store.Tx, table, columns, account, prefix string, after Place, n int, scan func(store.Scanner) (T, error)) (page []T, more bool, err error) {
	if after.Path < prefix {
		after = Place{Path: prefix}
	}
	rows, err := tx.Query(`SELECT `+columns+` FROM `+table+` WHERE account = $1 AND (path, name_key) > ($2, $3) AND path < $4
		ORDER BY path, name_key LIMIT $5`, account, after.Path, nameKey(after.Name), prefix+afterPaths, n+1)
	if err != nil {
		return nil, false, err
	}
	return cut(rows, n, scan)
}

// cut collects a page of at most n from the rows of a query for one more, by which it knows whether the list goes on.
func cut[T any](rows *store.Rows, n int, scan func(store.Scanner) (T, error)) (page []T, more bool, err error) {
	all, err := store.Collect(rows, scan)
	if err != nil || len(all) <= n {
		return all, false, err
	}
	return all[:n], true, nil
}
