package registry

import (
	"database/sql"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/store"
)

// statements are all SQL texts of the package, as its source spells them, so that one that is added is tested too.
func statements(t *testing.T) []string {
	t.Helper()
	fset := token.NewFileSet()
	var files []*ast.File
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	constants := constantsOf(files)
	var all []string
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			expr, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			texts := texts(expr, constants)
			if len(texts) == 0 {
				return true
			}
			for _, text := range texts {
				if startsStatement.MatchString(text) {
					all = append(all, text)
				}
			}
			return false
		})
	}
	slices.Sort(all)
	return slices.Compact(all)
}

var startsStatement = regexp.MustCompile(`^(SELECT|INSERT|UPDATE|DELETE|WITH) `)

// constantsOf are the texts of the package's constants.
func constantsOf(files []*ast.File) map[string][]string {
	constants := map[string][]string{}
	for _, file := range files {
		for _, decl := range file.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok || group.Tok != token.CONST {
				continue
			}
			for _, spec := range group.Specs {
				value := spec.(*ast.ValueSpec)
				for i, name := range value.Names {
					if i < len(value.Values) {
						constants[name.Name] = texts(value.Values[i], constants)
					}
				}
			}
		}
	}
	return constants
}

// texts are the values that an expression of texts can have: none if it is no such expression.
func texts(expr ast.Expr, constants map[string][]string) []string {
	switch e := expr.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return []string{text}
		}
	case *ast.Ident:
		return constants[e.Name]
	case *ast.CallExpr:
		if sel, ok := e.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "where" {
			return []string{AnyStatus.where(), Tagged.where(), Untagged.where()}
		}
	case *ast.BinaryExpr:
		var all []string
		for _, left := range texts(e.X, constants) {
			for _, right := range texts(e.Y, constants) {
				all = append(all, left+right)
			}
		}
		return all
	}
	return nil
}

// fill puts thousands of rows into every table.
func (e *env) fill() {
	e.t.Helper()
	const numbers = `WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 4000) `
	repo := e.create("app")
	e.must(e.deleteRepository(home, "app", true))
	for _, query := range []string{
		`INSERT INTO repository (id, account, region, name, created_at, tag_mutability, mutability_filters, scan_on_push, encryption_type, data_key, images)
			SELECT i, '123456789012', 'us-east-1', 'repository-' || i, 0, 'MUTABLE', '[]', 0, 'AES256', 'key', 0 FROM n`,
		`INSERT INTO upload (id, repository, object, data_key, size, parts, last_part, short_part, state, revision, updated_at)
			SELECT 'upload' || i, i, 'object' || i, 'key', 0, 0, 0, 0, 'state', 0, i FROM n`,
		`INSERT INTO layer (repository, digest, size, media_type, domain, object, data_key, created_at, idle_since)
			SELECT $1, 'layer' || i, 1, '', 'domain', 'object' || i, 'key', 0, CASE WHEN i % 3 = 0 THEN i END FROM n`,
		`INSERT INTO image (repository, digest, media_type, artifact_type, subject, manifest_size, image_size, tags, pushed_at, doomed_at)
			SELECT $1, 'image' || i, '', '', CASE WHEN i % 7 = 0 THEN 'image1' END, 1, 1, CASE WHEN i % 100 = 0 THEN 0 ELSE 1 END, i, CASE WHEN i % 70 = 0 THEN 1 END FROM n`,
		`INSERT INTO manifest (repository, digest, body) SELECT $1, 'image' || i, 'body' FROM n`,
		`INSERT INTO tag (repository, name, digest, updated_at) SELECT $1, 'tag' || i, 'image' || i, 0 FROM n`,
		`INSERT INTO image_layer (repository, image, layer) SELECT $1, 'image' || i, 'layer' || i FROM n`,
		`INSERT INTO image_child (repository, parent, child) SELECT $1, 'image' || i, 'image' || i + 1 FROM n`,
		`INSERT INTO resource_tag (repository, name, value) SELECT i, 'name', '' FROM n`,
		`INSERT INTO repository_policy (repository, document) SELECT i, '{}' FROM n`,
		`INSERT INTO registry_policy (account, region, document) SELECT '123456789012', 'region-' || i, '{}' FROM n`,
		`INSERT INTO garbage (object, since) SELECT 'garbage' || i, 0 FROM n`,
	} {
		e.update(func(tx *store.Tx) error {
			args := []any{repo.id}[:strings.Count(query, "$1")]
			n, err := tx.Exec(numbers+query, args...)
			if err == nil && n != 4000 {
				err = fmt.Errorf("%d rows", n)
			}
			return err
		})
	}
}

// scans are the statements that go over a whole table, and why they may.
var scans = map[string]string{
	"SELECT account, region, repositories, (SELECT count(*) FROM repository":                                "the check reads all; there is a row a registry",
	"SELECT account, region, document FROM registry_policy":                                                 "the check reads all; there is a row a registry",
	"SELECT object FROM garbage WHERE EXISTS":                                                               "the check reads all",
	"SELECT object FROM layer WHERE object = $1 UNION ALL":                                                  "uploads under way are few",
	"SELECT object FROM garbage WHERE object > $1":                                                          "all garbage is to be swept",
	"SELECT repository, digest, size, media_type, domain, object, data_key, idle_since FROM layer AS owned": "the check reads all, in pages",
	"SELECT id, repository, object, data_key, size, state FROM upload AS owned":                             "the check reads all, in pages",
	"SELECT id FROM repository WHERE id > $1 AND deleted_at IS NULL":                                        "the check reads all, in pages",
}

// mayScan reports whether a statement may go over a whole table.
func mayScan(query string) bool {
	for beginning := range scans {
		if strings.HasPrefix(query, beginning) {
			return true
		}
	}
	return false
}

// Every statement finds its rows by an index, and in their order, however many there are beside them.
func TestPlans(t *testing.T) {
	e := newEnv(t, nil)
	e.fill()
	db := e.explainer()
	defer db.Close()
	all := statements(t)
	if len(all) < 60 {
		t.Fatalf("only %d statements were found in the source", len(all))
	}
	for _, query := range all {
		for _, step := range plan(t, db, query) {
			words := strings.Fields(step)
			switch {
			case strings.HasPrefix(step, "SCAN") && words[1] != "other" && words[1] != "CONSTANT" && !mayScan(query):
				t.Errorf("%s\n\tgoes over a table: %s", query, step)
			case strings.Contains(step, "TEMP B-TREE"), strings.Contains(step, "AUTOMATIC"):
				t.Errorf("%s\n\tsorts: %s", query, step)
			}
		}
	}
}

// Where more than one index would do, that is taken which leads past what isn't wanted.
func TestPlansTakeTheNarrowIndex(t *testing.T) {
	e := newEnv(t, nil)
	e.fill()
	db := e.explainer()
	defer db.Close()
	found := map[string]bool{}
	for _, query := range statements(t) {
		for part, index := range map[string]string{
			"AND subject = $2 AND digest > $3":        "image_subject (subject=? AND digest>?)",
			"SET doomed_at = $1 WHERE +repository":    "image_subject (subject=?)",
			"image.doomed_at IS NOT NULL":             "image_doomed",
			"idle_since < $1":                         "layer_idle",
			"updated_at < $1":                         "upload_updated",
			"deleted_at IS NOT NULL ORDER BY":         "repository_deleted",
			"layer.domain = $1 AND layer.digest = $2": "layer_domain (domain=? AND digest=?)",
			"digest = $2 AND name > $3":               "tag_digest (repository=? AND digest=? AND name>?)",
			"(object, repository, digest) > ":         "layer_object",
		} {
			if !strings.Contains(query, part) {
				continue
			}
			found[part] = true
			if steps := strings.Join(plan(t, db, query), "\n"); !strings.Contains(steps, index) {
				t.Errorf("%s\n\tdoesn't use %s:\n%s", query, index, steps)
			}
		}
	}
	if len(found) != 9 {
		t.Errorf("of the statements only these were found: %v", found)
	}
}

// explainer opens the database beside the store, which explains nothing.
func (e *env) explainer() *sql.DB {
	e.t.Helper()
	location := url.URL{Scheme: "file", Path: e.databasePath(), RawQuery: "vfs=unix-excl"}
	db, err := sql.Open("sqlite", location.String())
	e.must(err)
	return db
}

func plan(t *testing.T, db *sql.DB, query string) (steps []string) {
	t.Helper()
	args := make([]any, strings.Count(query, "$"))
	for i := 1; i <= len(args); i++ {
		if !strings.Contains(query, "$"+strconv.Itoa(i)) {
			args = args[:i-1]
		}
	}
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

// PostgreSQL reserves words that SQLite takes as names (its manual, appendix C), and knows no OR IGNORE or rowid.
func TestStatementsForPostgreSQL(t *testing.T) {
	reserved := regexp.MustCompile(`(?i)\b(AS|FROM|JOIN) (row|user|order|end|all|any|array|table|column|references|window|limit|offset|default|check|primary)\b`)
	foreign := regexp.MustCompile(`(?i)\b(rowid|ifnull|OR IGNORE|OR REPLACE|GLOB|strftime|json_each|printf|unixepoch)\b`)
	number := regexp.MustCompile(`\?[0-9]*`)
	for _, query := range statements(t) {
		for what, pattern := range map[string]*regexp.Regexp{"a reserved word": reserved, "what only SQLite knows": foreign, "SQLite's parameters": number} {
			if found := pattern.FindString(query); found != "" {
				t.Errorf("%s\n\tuses %s: %s", query, what, found)
			}
		}
	}
}

// The columns of the statements are those of the migrations, which the store applies: no file but theirs makes tables.
func TestNoTablesButTheStores(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), "CREATE TABLE") {
			t.Errorf("%s makes a table", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
