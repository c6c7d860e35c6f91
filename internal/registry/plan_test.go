package registry

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/store/plantest"
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

// scans are the statements that go over a whole table, and why they may.
var scans = map[string]string{
	"SELECT account, region, repositories, (SELECT count(*) FROM repository": "the check reads all; there is a row a registry",
	"SELECT account, region, document FROM registry_policy":                  "the check reads all; there is a row a registry",
	"SELECT object FROM garbage WHERE EXISTS":                                "the check reads all",
	"SELECT object FROM layer WHERE object = $1 UNION ALL":                   "uploads under way are few",
}

// Every statement finds its rows by an index, and in their order, however many there are beside them.
func TestPlans(t *testing.T) {
	all := statements(t)
	if len(all) < 60 {
		t.Fatalf("only %d statements were found in the source", len(all))
	}
	plantest.FindByIndex(t, plantest.Open(t), all, plantest.Excused{Scans: scans, Sorts: map[string]string{
		"SELECT id FROM (SELECT id FROM repository WHERE kms_key": "as many as were wrapped with older material, once after a rotation",
	}})
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
