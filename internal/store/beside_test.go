package store_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/pgtest"
	"github.com/coffer-registry/coffer/internal/store/plantest"
)

// firstShared is the first schema whose program knows PostgreSQL. One before it never has others beside it there.
const firstShared = 8

// catalogued opens databases of an engine, each empty but for the schema; 0 is the newest.
type catalogued struct {
	name string
	open func(t *testing.T, schema int64) *store.DB
	// columns gives the query for table, column, type, whether it can't be NULL, and whether the database fills it if an INSERT doesn't;
	// uniques that for table, index and column of what is unique.
	columns, uniques string
}

var catalogues = []catalogued{{
	name: "SQLite",
	open: func(t *testing.T, schema int64) *store.DB {
		return opened(t)(store.Open(t.Context(), t.TempDir(), store.Options{Schema: schema}))
	},
	columns: `SELECT t.name, c.name, upper(c.type), c."notnull", CASE WHEN c.dflt_value IS NOT NULL OR c.hidden <> 0 THEN 1
			WHEN upper(c.type) = 'INTEGER' AND c.pk = 1 AND t.sql NOT LIKE '%WITHOUT ROWID%'
				AND (SELECT count(*) FROM pragma_table_info(t.name) AS k WHERE k.pk > 0) = 1 THEN 1 ELSE 0 END
		FROM sqlite_schema AS t JOIN pragma_table_xinfo(t.name) AS c WHERE t.type = 'table'`,
	uniques: `SELECT t.name, i.name, c.name FROM sqlite_schema AS t JOIN pragma_index_list(t.name) AS i JOIN pragma_index_info(i.name) AS c
		WHERE t.type = 'table' AND i."unique" = 1 AND c.name IS NOT NULL ORDER BY t.name, i.name, c.name`,
}, {
	name: "PostgreSQL",
	open: func(t *testing.T, schema int64) *store.DB {
		return opened(t)(store.OpenURL(t.Context(), pgtest.Start(t).Database(t), store.Options{Schema: schema}))
	},
	columns: `SELECT CAST(t.relname AS TEXT), CAST(c.attname AS TEXT), format_type(c.atttypid, c.atttypmod),
			CAST(CAST(c.attnotnull AS INTEGER) AS BIGINT), CAST(CAST(c.atthasdef OR c.attidentity <> '' AS INTEGER) AS BIGINT)
		FROM pg_class AS t JOIN pg_attribute AS c ON c.attrelid = t.oid
		WHERE t.relnamespace = CAST(current_schema() AS regnamespace) AND t.relkind = 'r' AND c.attnum > 0 AND NOT c.attisdropped`,
	uniques: `SELECT CAST(t.relname AS TEXT), CAST(i.relname AS TEXT), CAST(c.attname AS TEXT)
		FROM pg_index AS x JOIN pg_class AS t ON t.oid = x.indrelid JOIN pg_class AS i ON i.oid = x.indexrelid
		JOIN pg_attribute AS c ON c.attrelid = t.oid AND c.attnum = ANY(CAST(x.indkey AS SMALLINT[]))
		WHERE x.indisunique AND t.relnamespace = CAST(current_schema() AS regnamespace) ORDER BY t.relname, i.relname, c.attname`,
}}

func opened(t *testing.T) func(*store.DB, error) *store.DB {
	return func(db *store.DB, err error) *store.DB {
		t.Helper()
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
}

// column is one of a table, as far as statements can tell.
type column struct {
	kind string
	// required means that it can't be NULL, and filled that the database gives it a value if an INSERT doesn't.
	required, filled bool
}

// shape is the tables of a schema.
type shape struct {
	tables map[string]map[string]column
	// unique are the sets of columns of each table that no two rows have alike, or of which some index says so for some rows.
	unique map[string][]string
}

func (e catalogued) shape(t *testing.T, db *store.DB) shape {
	t.Helper()
	s := shape{map[string]map[string]column{}, map[string][]string{}}
	err := db.View(t.Context(), func(tx *store.Tx) error {
		columns, err := tx.Query(e.columns)
		if err != nil {
			return err
		}
		defer columns.Close()
		for columns.Next() {
			var table, name string
			var c column
			if err := columns.Scan(&table, &name, &c.kind, &c.required, &c.filled); err != nil {
				return err
			}
			if s.tables[table] == nil {
				s.tables[table] = map[string]column{}
			}
			s.tables[table][name] = c
		}
		if err := columns.Err(); err != nil {
			return err
		}
		uniques, err := tx.Query(e.uniques)
		if err != nil {
			return err
		}
		defer uniques.Close()
		last := ""
		for uniques.Next() {
			var table, index, name string
			if err := uniques.Scan(&table, &index, &name); err != nil {
				return err
			}
			if index != last {
				s.unique[table], last = append(s.unique[table], name), index
			} else {
				s.unique[table][len(s.unique[table])-1] += " " + name
			}
		}
		return uniques.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// insertion finds the table and columns that a statement inserts into.
var insertion = regexp.MustCompile(`\bINSERT INTO (\w+)(?: AS \w+)? *(?:\(([\w, \n\t]+)\))?`)

// newest is a database that programs of older schemas are to work with.
type newest struct {
	db    *store.DB
	shape shape
	// answers are what it said of statements that it was asked about already.
	answers map[string]error
}

// understands asks for a plan, since to make one finds more than to parse the statement does, such as that ON CONFLICT has no index.
func (n newest) understands(t *testing.T, query string) error {
	err, ok := n.answers[query]
	if !ok {
		_, err = n.db.Explain(t.Context(), query)
		n.answers[query] = err
	}
	return err
}

// faults are what keeps a program of a schema of the shape old from working on in the database: a sentence each. A condition (CHECK) or
// a reference that is new is not found.
func (n newest) faults(t *testing.T, old shape, statements []string) (found []string) {
	t.Helper()
	now := n.shape
	for _, query := range statements {
		say := func(format string, args ...any) { found = append(found, query+"\n\t"+fmt.Sprintf(format, args...)) }
		if err := n.understands(t, query); err != nil {
			say("%v", err)
			continue
		}
		for _, change := range changes(old, now, query) {
			say("%s", change)
		}
		for _, insert := range insertion.FindAllStringSubmatch(query, -1) {
			for _, fault := range omitted(old, now, insert[1], insert[2]) {
				say("%s", fault)
			}
		}
	}
	return found
}

// changes are what isn't any more as it was in the columns that a statement may use.
func changes(old, now shape, query string) (found []string) {
	words := word.FindAllString(query, -1)
	for table, columns := range old.tables {
		if !slices.Contains(words, table) {
			continue
		}
		for name, was := range columns {
			is, ok := now.tables[table][name]
			switch {
			case !ok || !slices.Contains(words, name):
			case is.kind != was.kind:
				found = append(found, fmt.Sprintf("%s.%s is %s, and was %s", table, name, is.kind, was.kind))
			case is.required != was.required:
				found = append(found, fmt.Sprintf("%s.%s can be NULL: %t, and could: %t", table, name, !is.required, !was.required))
			}
		}
	}
	slices.Sort(found)
	return found
}

var word = regexp.MustCompile(`\w+`)

// omitted are the values that a table needs and an INSERT doesn't give, and the rows that are not taken any more.
func omitted(old, now shape, table, list string) (found []string) {
	named := word.FindAllString(list, -1)
	if len(named) == 0 {
		return []string{"names no columns, and so needs all of a later schema"}
	}
	for name, c := range now.tables[table] {
		if c.required && !c.filled && !slices.Contains(named, name) {
			found = append(found, fmt.Sprintf("gives no %s.%s, which can't be NULL", table, name))
		}
	}
	for _, unique := range now.unique[table] {
		isOld := !slices.ContainsFunc(strings.Fields(unique), func(name string) bool { _, ok := old.tables[table][name]; return !ok })
		if isOld && len(old.tables[table]) > 0 && !slices.Contains(old.unique[table], unique) {
			found = append(found, fmt.Sprintf("needs to know that rows of %s have no two alike in (%s)", table, unique))
		}
	}
	slices.Sort(found)
	return found
}

// oldestOf is the first schema whose programs may run beside the newest, and the newest, which this program knows.
func oldestOf(t *testing.T) (oldest, know int64) {
	t.Helper()
	dir := t.TempDir()
	db, err := store.Open(t.Context(), dir, store.Options{})
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.ReadSchema(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	return s.Oldest, s.Know
}

// Programs of each schema that the migrations say may go on beside the newest can.
func TestOlderProgramsGoOn(t *testing.T) {
	oldest, know := oldestOf(t)
	listings := plantest.Listings(t)
	for _, e := range catalogues {
		t.Run(e.name, func(t *testing.T) {
			db := e.open(t, 0)
			n := newest{db, e.shape(t, db), map[string]error{}}
			for schema := oldest; schema <= know; schema++ {
				if e.name == "PostgreSQL" && schema < firstShared {
					continue
				}
				all := slices.DeleteFunc(listings[schema].All(), func(query string) bool {
					return e.name == "SQLite" && strings.Contains(query, "pg_current_")
				})
				if len(all) < 400 {
					t.Errorf("of the program of schema %d only %d statements are listed", schema, len(all))
				}
				for _, fault := range n.faults(t, e.shape(t, e.open(t, schema)), all) {
					t.Errorf("schema %d: %s", schema, fault)
				}
			}
		})
	}
}

// A migration that takes something away, or asks for more, is found.
func TestBreakingMigrationsAreFound(t *testing.T) {
	_, know := oldestOf(t)
	all := plantest.Listings(t)[know].All()
	const garbage = `CREATE TABLE garbage (object TEXT NOT NULL PRIMARY KEY, since BIGINT NOT NULL`
	for _, test := range []struct {
		name    string
		only    string // the engine, if it isn't all
		changes []string
		want    string // in the sentence about a statement; empty for none
	}{
		{name: "nothing"},
		{name: "table added", changes: []string{`CREATE TABLE other (id BIGINT NOT NULL PRIMARY KEY)`}},
		{name: "column added that may be NULL", changes: []string{`ALTER TABLE garbage ADD COLUMN why TEXT`}},
		{name: "column added with a default", changes: []string{`ALTER TABLE garbage ADD COLUMN why TEXT NOT NULL DEFAULT ''`}},
		{name: "unique of what is new", changes: []string{`ALTER TABLE garbage ADD COLUMN why TEXT`, `CREATE UNIQUE INDEX garbage_why ON garbage (since, why)`}},
		{name: "key by itself", only: "SQLite", changes: []string{`DROP TABLE garbage`, `CREATE TABLE garbage (number INTEGER NOT NULL PRIMARY KEY, object TEXT NOT NULL UNIQUE, since BIGINT NOT NULL)`}},
		{name: "key by itself", only: "PostgreSQL", changes: []string{`ALTER TABLE garbage ADD COLUMN number BIGINT GENERATED ALWAYS AS IDENTITY`}},
		{name: "column dropped", changes: []string{`ALTER TABLE iam_user DROP COLUMN password_history`}, want: "password_history"},
		{name: "column renamed", changes: []string{`ALTER TABLE garbage RENAME COLUMN since TO first`}, want: "since"},
		{name: "table renamed", changes: []string{`ALTER TABLE garbage RENAME TO rubbish`}, want: "garbage"},
		{name: "table dropped", changes: []string{`DROP TABLE garbage`}, want: "garbage"},
		{name: "value needed", changes: []string{`DROP TABLE garbage`, garbage + `, why TEXT NOT NULL)`}, want: "gives no garbage.why"},
		{name: "may be NULL", changes: []string{`DROP TABLE garbage`, `CREATE TABLE garbage (object TEXT NOT NULL PRIMARY KEY, since BIGINT)`}, want: "garbage.since can be NULL"},
		{name: "other type", changes: []string{`DROP TABLE garbage`, `CREATE TABLE garbage (object BYTEA NOT NULL PRIMARY KEY, since BIGINT NOT NULL)`}, want: "garbage.object is BYTEA"},
		{name: "unique now", changes: []string{`CREATE UNIQUE INDEX garbage_since ON garbage (since)`}, want: "alike in (since)"},
		{name: "unique no more", changes: []string{`DROP TABLE garbage`, `CREATE TABLE garbage (object TEXT NOT NULL, since BIGINT NOT NULL)`}, want: "ON CONFLICT"},
	} {
		for _, e := range catalogues {
			if test.only != "" && test.only != e.name {
				continue
			}
			t.Run(test.name+" in "+e.name, func(t *testing.T) {
				db := e.open(t, 0)
				old := e.shape(t, db)
				err := db.Update(t.Context(), func(tx *store.Tx) error {
					for _, change := range test.changes {
						if _, err := tx.Exec(change); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				about := slices.DeleteFunc(slices.Clone(all), func(query string) bool {
					return !strings.Contains(query, "garbage") && !strings.Contains(query, "password_history")
				})
				found := newest{db, e.shape(t, db), map[string]error{}}.faults(t, old, about)
				if test.want == "" && len(found) > 0 || test.want != "" && !slices.ContainsFunc(found, func(fault string) bool {
					why := fault[strings.LastIndex(fault, "\n\t"):]
					return strings.Contains(strings.ToLower(why), strings.ToLower(test.want))
				}) {
					t.Errorf("want %q, found %d:\n%s", test.want, len(found), strings.Join(found, "\n"))
				}
			})
		}
	}
}
