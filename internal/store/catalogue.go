package store

import (
	"fmt"
	"slices"
	"strings"
)

// table is a table of the schema, as the database itself describes it.
type table struct {
	name    string
	columns []string
	// key is the columns of the primary key.
	key []string
}

// notCopied are the tables that say something about one database, and nothing about the installation in it.
var notCopied = map[string]string{
	"schema_version": "each database has its own way to its schema",
	"change":         "numbers of transactions mean something to one PostgreSQL server alone",
	"job":            "who does which work until when is settled anew",
}

// tables are those whose rows belong to the installation, each after those that it refers to.
func (db *DB) tables(tx *Tx) ([]table, error) {
	columns, references := db.engine.catalogue()
	all, err := readColumns(tx, columns)
	if err != nil {
		return nil, fmt.Errorf("read the catalogue of tables: %w", err)
	}
	rows, err := tx.Query(references)
	if err != nil {
		return nil, fmt.Errorf("read the catalogue of references: %w", err)
	}
	pairs, err := Collect(rows, func(row Scanner) (p [2]string, err error) { return p, row.Scan(&p[0], &p[1]) })
	if err != nil {
		return nil, err
	}
	needs := map[string][]string{}
	for _, p := range pairs {
		if p[0] != p[1] {
			needs[p[0]] = append(needs[p[0]], p[1])
		}
	}
	return inOrder(all, needs)
}

// readColumns makes tables of rows of table, column, and place in the primary key.
func readColumns(tx *Tx, query string) ([]table, error) {
	rows, err := tx.Query(query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []table
	places := map[string]int64{} // of the columns of the last table
	for rows.Next() {
		var name, column string
		var place int64
		if err := rows.Scan(&name, &column, &place); err != nil {
			return nil, err
		}
		if _, out := notCopied[name]; out {
			continue
		}
		if len(all) == 0 || all[len(all)-1].name != name {
			all, places = append(all, table{name: name}), map[string]int64{}
		}
		t := &all[len(all)-1]
		t.columns = append(t.columns, column)
		if place > 0 {
			places[column] = place
			t.key = append(t.key, column)
			slices.SortFunc(t.key, func(a, b string) int { return int(places[a] - places[b]) })
		}
	}
	return all, rows.Err()
}

// inOrder puts each table behind those that it needs, and else keeps the order of names.
func inOrder(all []table, needs map[string][]string) ([]table, error) {
	sorted := make([]table, 0, len(all))
	done := map[string]bool{}
	for len(sorted) < len(all) {
		before := len(sorted)
		for _, t := range all {
			if done[t.name] || slices.ContainsFunc(needs[t.name], func(other string) bool { return !done[other] }) {
				continue
			}
			if len(t.key) == 0 {
				return nil, fmt.Errorf("table %s has no primary key", t.name)
			}
			sorted, done[t.name] = append(sorted, t), true
		}
		if len(sorted) == before {
			return nil, fmt.Errorf("tables refer to each other in a circle, or to one that is not copied; in order are only %d of %d", len(sorted), len(all))
		}
	}
	return sorted, nil
}

// selection is the query for all rows in the order of the primary key, which is the same with every engine.
func (t table) selection() string {
	return "SELECT " + strings.Join(t.columns, ", ") + " FROM " + t.name + " ORDER BY " + strings.Join(t.key, ", ")
}
