// Package plantest holds the statements of a package against what its tables will hold one day: each finds its rows by an
// index, and in their order, however many there are beside them, and means the same to SQLite and PostgreSQL. A test of the
// package that has the statements runs it; the store's schema is all that it needs, since SQLite, of which nobody asks for
// statistics, plans alike for one row and for a million.
package plantest

import (
	"database/sql"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/storetest"
)

// Open opens a database of the store's schema beside the store, which explains nothing.
func Open(t testing.TB) *sql.DB {
	t.Helper()
	folder := t.TempDir()
	s, err := store.Open(t.Context(), folder, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	location := url.URL{Scheme: "file", Path: filepath.Join(folder, store.FileName), RawQuery: "vfs=unix-excl"}
	db, err := sql.Open("sqlite", location.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// Plan is how SQLite runs a statement, step by step.
func Plan(t testing.TB, db *sql.DB, query string) (steps []string) {
	t.Helper()
	highest := 0
	for _, found := range parameter.FindAllStringSubmatch(query, -1) {
		n, _ := strconv.Atoi(found[1])
		highest = max(highest, n)
	}
	args := make([]any, highest)
	for i := range args {
		args[i] = "1"
	}
	rows, err := db.Query("EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}

var parameter = regexp.MustCompile(`\$([0-9]+)`)

// Excused are the statements that need not find their rows by an index, or in their order, by how they begin, and why.
type Excused struct{ Scans, Sorts map[string]string }

// FindByIndex wants every statement to find its rows by an index, and in their order. What is excused must need it.
func FindByIndex(t *testing.T, db *sql.DB, statements []string, excused Excused) {
	t.Helper()
	needed := map[string]bool{}
	for _, query := range statements {
		scans, sorts := faults(Plan(t, db, query))
		for _, found := range []struct {
			what    string
			steps   []string
			excuses map[string]string
		}{{"goes over a table", scans, excused.Scans}, {"sorts", sorts, excused.Sorts}} {
			if len(found.steps) == 0 {
				continue
			}
			if excuse, ok := beginning(query, found.excuses); ok {
				needed[found.what+excuse] = true
			} else {
				t.Errorf("%s\n\t%s: %s", query, found.what, strings.Join(found.steps, "\n\t"))
			}
		}
	}
	for what, excuses := range map[string]map[string]string{"goes over a table": excused.Scans, "sorts": excused.Sorts} {
		for excuse := range excuses {
			if !needed[what+excuse] {
				t.Errorf("no statement that begins like this %s, so it needs no excuse: %s", what, excuse)
			}
		}
	}
}

// faults are the steps of a plan that go over a whole table, and those that sort. What the statement itself makes on the way
// is no table: the steps that made it are in the plan too.
func faults(steps []string) (scans, sorts []string) {
	made := []string{"CONSTANT"}
	for _, step := range steps {
		if name, ok := strings.CutPrefix(step, "CO-ROUTINE "); ok {
			made = append(made, name)
		} else if name, ok := strings.CutPrefix(step, "MATERIALIZE "); ok {
			made = append(made, name)
		}
	}
	for _, step := range steps {
		switch {
		case strings.HasPrefix(step, "SCAN") && !slices.Contains(made, strings.Fields(step)[1]):
			scans = append(scans, step)
		case strings.Contains(step, "TEMP B-TREE"), strings.Contains(step, "AUTOMATIC"):
			sorts = append(sorts, step)
		}
	}
	return scans, sorts
}

func beginning(query string, excuses map[string]string) (string, bool) {
	for excuse := range excuses {
		if strings.HasPrefix(query, excuse) {
			return excuse, true
		}
	}
	return "", false
}

// TakeIndexes wants the statements that contain a text to use an index, as the plan spells it: where more than one would do,
// that is to be taken which leads past what isn't wanted. Each text must be found.
func TakeIndexes(t *testing.T, db *sql.DB, statements []string, indexes map[string]string) {
	t.Helper()
	found := map[string]bool{}
	for _, query := range statements {
		for part, index := range indexes {
			if !strings.Contains(query, part) {
				continue
			}
			found[part] = true
			if steps := strings.Join(Plan(t, db, query), "\n"); !strings.Contains(steps, index) {
				t.Errorf("%s\n\tdoesn't use %s:\n%s", query, index, steps)
			}
		}
	}
	for part := range indexes {
		if !found[part] {
			t.Errorf("no statement contains this: %s", part)
		}
	}
}

var foreign = map[string]*regexp.Regexp{
	// Its manual, appendix C.
	"a reserved word":       regexp.MustCompile(`(?i)\b(AS|FROM|JOIN) (row|user|order|end|all|any|array|table|column|references|window|limit|offset|default|check|primary)\b`),
	"what only SQLite does": regexp.MustCompile(`(?i)\b(rowid|ifnull|OR IGNORE|OR REPLACE|GLOB|strftime|json_each|printf|unixepoch)\b`),
	"SQLite's parameters":   regexp.MustCompile(`\?[0-9]*`),
}

// ForPostgreSQL wants PostgreSQL to take every statement, and none to use what it reserves or takes for something else.
func ForPostgreSQL(t *testing.T, statements []string) {
	t.Helper()
	db := storetest.OpenShared(t, t.TempDir(), store.Options{})
	defer db.Close()
	for _, query := range statements {
		if err := db.Prepare(t.Context(), query); err != nil {
			t.Errorf("%s\n\t%v", query, err)
		}
	}
	for _, query := range statements {
		for what, pattern := range foreign {
			if found := pattern.FindString(query); found != "" {
				t.Errorf("%s\n\tuses %s: %s", query, what, found)
			}
		}
	}
}
