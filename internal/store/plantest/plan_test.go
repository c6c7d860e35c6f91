package plantest

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/store"
)

// recorder keeps the errors of a test that is meant to fail.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Errorf(format string, args ...any) { r.errors = append(r.errors, format) }

const program = "package p\n\n" +
	"const query = `SELECT ` + columns\n" +
	"const columns = `a, b`\n\n" +
	"func f(table string) {\n" +
	"	run(`DELETE FROM t`, `not a statement`)\n" +
	"	run(query + ` FROM t`)\n" +
	"	run(`SELECT c FROM ` + tables[table])\n" +
	"	run(`SELECT d FROM ` + mine + ` WHERE e = $1`)\n" +
	"	run(`SELECT f FROM ` + unknown(table))\n" +
	"}\n"

// Statements are put together of literals, constants, and what is computed; what isn't known fails.
func TestStatements(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"p.go": program, "p_test.go": "package p\n\nconst inTest = `SELECT x`\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := &recorder{TB: t}
	got := Statements(r, func(expr string) []string {
		return map[string][]string{"tables[table]": {"t1", "t2"}, "mine": {}}[expr]
	})
	want := []string{"DELETE FROM t", "SELECT a, b FROM t", "SELECT c FROM t1", "SELECT c FROM t2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(r.errors) != 1 {
		t.Errorf("%q; what unknown returns is the one thing that isn't known", r.errors)
	}
}

func TestFaults(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(t.Context(), dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	db := Open(t)
	for query, want := range map[string]string{
		"SELECT name FROM account WHERE id = $1":                                                           "",
		"SELECT id FROM account WHERE id > $1 ORDER BY id LIMIT $2":                                        "",
		"SELECT id FROM account WHERE name = $1":                                                           "scans",
		"SELECT id FROM access_key WHERE account = $1 ORDER BY created_at":                                 "sorts",
		"SELECT id FROM account ORDER BY name":                                                             "scans sorts",
		"SELECT count(*) FROM (SELECT 1 AS one FROM access_key WHERE account = $1 LIMIT 1) AS made":        "",
		"SELECT count(*) FROM (SELECT 1 AS one FROM access_key WHERE created_at = $1 LIMIT 1) AS made":     "scans",
		"UPDATE account SET name = $1 WHERE email = $2":                                                    "scans",
		"INSERT INTO account (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING":       "",
		"INSERT INTO garbage (object, since) SELECT object, $1 FROM layer WHERE idle_since < $2 LIMIT $10": "",
	} {
		scans, sorts := faults(Plan(t, db, query))
		var got []string
		if len(scans) > 0 {
			got = append(got, "scans")
		}
		if len(sorts) > 0 {
			got = append(got, "sorts")
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q and %q, want %q", query, scans, sorts, want)
		}
	}
}
