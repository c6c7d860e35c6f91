package registry

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/store/plantest"
	"github.com/coffer-registry/coffer/internal/store/storetest"
)

// statements are all SQL texts of the package.
func statements(t *testing.T) []string {
	t.Helper()
	return plantest.Statements(t, func(expr string) []string {
		if strings.HasSuffix(expr, ".where()") {
			return []string{AnyStatus.where(), Tagged.where(), Untagged.where()}
		}
		return nil
	})
}

// excused are the statements that go over a whole table, or sort, and why they may.
var excused = plantest.Excused{Scans: map[string]string{
	"SELECT account, region, repositories, (SELECT count(*) FROM repository": "the check reads all; there is a row a registry",
	"SELECT account, region, document FROM registry_policy":                  "the check reads all; there is a row a registry",
	"SELECT object FROM garbage WHERE EXISTS":                                "the check reads all",
	"SELECT object FROM layer WHERE object = $1 UNION ALL":                   "uploads under way are few",
}, Sorts: map[string]string{
	"SELECT id FROM (SELECT id FROM repository WHERE kms_key": "as many as were wrapped with older material, once after a rotation",
}}

// Every statement finds its rows by an index, and in their order, however many there are beside them.
func TestPlans(t *testing.T) {
	all := statements(t)
	if len(all) < 60 {
		t.Fatalf("only %d statements were found in the source", len(all))
	}
	plantest.FindByIndex(t, plantest.Open(t), all, excused)
}

// Where more than one index would do, that is taken which leads past what isn't wanted.
func TestPlansTakeTheNarrowIndex(t *testing.T) {
	db := plantest.Open(t)
	plantest.TakeIndexes(t, db, statements(t), map[string]string{
		"AND subject = $2 AND digest > $3":        "image_subject (subject=? AND digest>?)",
		"SET doomed_at = $1 WHERE +repository":    "image_subject (subject=?)",
		"image.doomed_at IS NOT NULL":             "image_doomed",
		"idle_since < $1":                         "layer_idle",
		"updated_at < $1":                         "upload_updated",
		"deleted_at IS NOT NULL ORDER BY":         "repository_deleted",
		"layer.domain = $1 AND layer.digest = $2": "layer_domain (domain=? AND digest=?)",
		"digest = $2 AND name > $3":               "tag_digest (repository=? AND digest=? AND name>?)",
		"(object, repository, digest) > ":         "layer_object",
	})
}

func TestStatementsAreListed(t *testing.T) { plantest.Listed(t, statements(t)) }

func TestStatementsForPostgreSQL(t *testing.T) { plantest.ForPostgreSQL(t, statements(t)) }

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

// many fills the tables: a million images in 100,000 repositories, 300,000 of them in one.
var many = []string{
	`INSERT INTO account (id, name, created_at) VALUES ('123456789012', 'account', 0)`,
	`INSERT INTO repository (id, account, region, name, created_at, tag_mutability, mutability_filters, scan_on_push, encryption_type, data_key, images, deleted_at)
		SELECT i, '123456789012', 'us-east-1', 'repository-' || i, 0, 'MUTABLE', '[]', 0, 'AES256', 'key', 0, CASE WHEN i % 1000 = 0 THEN i END FROM generate_series(1, 100000) AS i`,
	`INSERT INTO image (repository, digest, media_type, artifact_type, subject, manifest_size, image_size, tags, pushed_at, doomed_at)
		SELECT CASE WHEN i <= 300000 THEN 1 ELSE i / 10 END, 'sha256:' || lpad(CAST(i AS TEXT), 64, '0'), 'type', '', CASE WHEN i % 10 = 0 THEN 'sha256:' || lpad(CAST(i % 1000 AS TEXT), 64, '0') END,
			1000, 100000, CASE WHEN i % 100 = 0 THEN 0 ELSE 1 END, i, CASE WHEN i % 100000 = 0 THEN i END FROM generate_series(1, 1000000) AS i`,
	`INSERT INTO manifest (repository, digest, body) SELECT repository, digest, convert_to(repeat('b', 700), 'UTF8') FROM image`,
	`INSERT INTO tag (repository, name, digest, updated_at) SELECT repository, 'v' || pushed_at, digest, 0 FROM image WHERE tags > 0`,
	`INSERT INTO layer (repository, digest, size, media_type, domain, object, data_key, created_at, idle_since)
		SELECT repository, digest, 1, '', 'domain', digest, convert_to(repeat('k', 90), 'UTF8'), 0, CASE WHEN pushed_at % 10000 = 0 THEN pushed_at END FROM image`,
	`INSERT INTO image_layer (repository, image, layer) SELECT repository, digest, digest FROM image`,
	`INSERT INTO image_child (repository, parent, child) SELECT repository, digest, digest FROM image WHERE pushed_at % 10 = 0`,
	`INSERT INTO upload (id, repository, object, data_key, size, parts, last_part, short_part, state, revision, updated_at)
		SELECT 'upload' || i, i, 'object' || i, 'key', 0, 0, 0, 0, 'state', 0, i FROM generate_series(1, 1000) AS i`,
	`INSERT INTO resource_tag (repository, name, value) SELECT i, 'name', '' FROM generate_series(1, 100000) AS i`,
	`INSERT INTO repository_policy (repository, document) SELECT i, '{}' FROM generate_series(1, 100000) AS i`,
	`INSERT INTO garbage (object, since) SELECT 'garbage' || i, 0 FROM generate_series(1, 10000) AS i`,
}

// PostgreSQL too finds rows by an index, and in their order, whether it never looked at the tables or knows that there are many.
func TestPlansOfPostgreSQL(t *testing.T) {
	db := plantest.OpenPostgreSQL(t)
	all := statements(t)
	t.Run("empty", func(t *testing.T) {
		db.FindByIndex(t, all, excused, plantest.Excused{Scans: map[string]string{
			"SELECT image.repository, image.digest, repository.account":     "it is planned anew once PostgreSQL has counted repositories",
			"SELECT p.repository, p.document, r.account, r.region, r.name ": "it is planned anew once PostgreSQL has counted repositories",
		}})
	})
	if !storetest.OnPostgreSQL() && os.Getenv("COFFER_TEST_LONG") == "" {
		t.Skip("a million images are left to make test-postgresql and make test-long")
	}
	db.Fill(t, many...)
	t.Logf("the database has %s bytes", db.Query(t, `SELECT pg_database_size(current_database())`))
	t.Run("full", func(t *testing.T) { db.FindByIndex(t, all, excused, plantest.Excused{}) })
}
