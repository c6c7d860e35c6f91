package plantest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/pgtest"
)

// Shared is a database of PostgreSQL, as the store uses it.
type Shared struct {
	server *pgtest.Server
	url    string
	db     *store.DB
}

// OpenPostgreSQL makes a database of the store's schema.
func OpenPostgreSQL(t testing.TB) *Shared {
	t.Helper()
	s := &Shared{server: pgtest.Start(t)}
	s.url = s.server.Database(t)
	var err error
	if s.db, err = store.OpenURL(t.Context(), s.url, store.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.db.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Fill runs SQL that fills tables, without regard to references, and has PostgreSQL count what is there.
func (s *Shared) Fill(t testing.TB, statements ...string) {
	t.Helper()
	// Tables that nothing refers to needn't be written to the log.
	const quick = `SET session_replication_role = replica; SET synchronous_commit = off; SET maintenance_work_mem = '256MB'; DO $$ DECLARE name TEXT; BEGIN
		FOR name IN SELECT CAST(oid::regclass AS TEXT) FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
			AND oid NOT IN (SELECT confrelid FROM pg_constraint) LOOP EXECUTE 'ALTER TABLE ' || name || ' SET UNLOGGED'; END LOOP; END $$`
	s.server.Query(t, s.url, quick+"; "+strings.Join(statements, "; "))
	s.server.Query(t, s.url, "ANALYZE")
}

// Query runs SQL, and returns its rows as pgtest does.
func (s *Shared) Query(t testing.TB, sql string) string {
	t.Helper()
	return s.server.Query(t, s.url, sql)
}

// node is a step of a plan, as PostgreSQL's EXPLAIN (FORMAT JSON) has it.
type node struct {
	Type      string  `json:"Node Type"`
	Relation  string  `json:"Relation Name"`
	Index     string  `json:"Index Name"`
	Cond      string  `json:"Index Cond"`
	Filter    string  `json:"Filter"`
	Strategy  string  `json:"Strategy"`
	Parent    string  `json:"Parent Relationship"`
	TotalCost float64 `json:"Total Cost"`
	Rows      float64 `json:"Plan Rows"`
	Plans     []node  `json:"Plans"`
}

func (n node) String() string {
	text := n.Type
	for _, part := range []struct{ name, value string }{{"on", n.Relation}, {"by", n.Index}, {"where", n.Cond}, {"filter", n.Filter}} {
		if part.value != "" {
			text += " " + part.name + " " + part.value
		}
	}
	return fmt.Sprintf("%s (%.0f rows)", text, n.Rows)
}

// explain is the plan of a statement that fits all arguments.
func (s *Shared) explain(t testing.TB, query string) node {
	t.Helper()
	text, err := s.db.Explain(t.Context(), query)
	if err != nil {
		t.Errorf("%s\n\t%v", query, err)
		return node{}
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal([]byte(text), &plans); err != nil || len(plans) != 1 {
		t.Fatalf("%s: %v", text, err)
	}
	return plans[0].Plan
}

// FindByIndex wants every statement to find its rows by an index, and in their order, as that of the package does of SQLite. The
// excuses are those that SQLite needs; more are those that only PostgreSQL does.
func (s *Shared) FindByIndex(t *testing.T, statements []string, excused, more Excused) {
	t.Helper()
	needed := map[string]bool{}
	partial := strings.Fields(s.Query(t, `SELECT indexrelid::regclass FROM pg_index WHERE indpred IS NOT NULL`))
	for _, query := range statements {
		scans, sorts := s.explain(t, query).faults(partial)
		for _, found := range []struct {
			what          string
			steps         []string
			excuses, more map[string]string
		}{{"goes over a table", scans, excused.Scans, more.Scans}, {"sorts", sorts, excused.Sorts, more.Sorts}} {
			if len(found.steps) == 0 {
				continue
			}
			if _, ok := beginning(query, found.excuses); ok {
				continue
			}
			if excuse, ok := beginning(query, found.more); ok {
				needed[found.what+excuse] = true
				continue
			}
			t.Errorf("%s\n\t%s: %s", query, found.what, strings.Join(found.steps, "\n\t"))
		}
	}
	for what, excuses := range map[string]map[string]string{"goes over a table": more.Scans, "sorts": more.Sorts} {
		for excuse := range excuses {
			if !needed[what+excuse] {
				t.Errorf("no statement that begins like this %s, so it needs no excuse: %s", what, excuse)
			}
		}
	}
}

// faults are the steps of a plan that go over a whole table or index, and those that take in all their rows before they give one, but for
// aggregates that give one row. Indexes that are partial hold few rows: those are meant which a statement goes over.
func (n node) faults(partial []string) (scans, sorts []string) {
	switch n.Type {
	case "Seq Scan", "Bitmap Heap Scan", "Bitmap Index Scan":
		scans = append(scans, n.String())
	case "Index Scan", "Index Only Scan":
		if n.Cond == "" && !slices.Contains(partial, n.Index) {
			scans = append(scans, n.String())
		}
	case "Sort", "Incremental Sort", "Hash", "Hash Join", "Merge Join", "Materialize", "Memoize":
		sorts = append(sorts, n.String())
	case "Aggregate":
		if n.Strategy == "Hashed" || n.Strategy == "Mixed" {
			sorts = append(sorts, n.String())
		}
	}
	for _, below := range n.Plans {
		a, b := below.faults(partial)
		scans, sorts = append(scans, a...), append(sorts, b...)
	}
	return slices.Compact(scans), slices.Compact(sorts)
}
