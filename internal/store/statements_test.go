package store_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/store/plantest"
)

//go:generate go test -count=1 -p 1 -run ^TestStatementsAreListed$ . ../app ../audit ../iam ../job ../kms ../organization ../registry -args -write-statements

// ofEngine are texts of statements about an engine's own catalogue, which no migration changes.
var ofEngine = regexp.MustCompile(`\b(sqlite_schema|pg_class|pg_index|pg_constraint|pg_stat_activity|current_setting)\b`)

func TestStatementsAreListed(t *testing.T) {
	all := plantest.Statements(t, func(expr string) []string {
		return map[string][]string{
			// What is made of the catalogue fits every schema.
			`strings.Join(t.columns, ", ")`: {}, "l.table.name": {}, "t.name": {},
			"setting.name":                  {"fsync"},
			"strconv.FormatInt(before, 10)": {"1"},
		}[expr]
	})
	plantest.Listed(t, slices.DeleteFunc(all, func(query string) bool {
		// Only who changes the schema notes it, by the last form, and finds it as the program knows it.
		return ofEngine.MatchString(query) || strings.HasPrefix(query, "INSERT INTO schema_version")
	}))
}

// The statements of every package that has some are listed.
func TestAllPackagesAreListed(t *testing.T) {
	listings := plantest.Listings(t)
	newest := listings[slices.Max(slices.Collect(maps.Keys(listings)))]
	packages := plantest.Packages(t)
	for _, name := range packages {
		if newest[name] == nil {
			t.Errorf("the statements of %s are not listed: it needs a test that calls plantest.Listed, and to be named in the line that generates", name)
		}
	}
	for name := range newest {
		if !slices.Contains(packages, name) {
			t.Errorf("%s has no statements any more: delete the newest list, and make generate", name)
		}
	}
}
