package kms

import (
	"testing"

	"github.com/coffer-registry/coffer/internal/store/plantest"
)

func statements(t *testing.T) []string {
	t.Helper()
	return plantest.Statements(t, func(expr string) []string {
		return map[string][]string{"keyColumns": {keyColumns}, "aliasColumns": {aliasColumns}, "grantColumns": {grantColumns}}[expr]
	})
}

// excused are the statements that read a whole table, and why they may.
var excused = plantest.Excused{Scans: map[string]string{
	"SELECT id, purpose, account, region, wrapped FROM service_key": "the start reads all service keys",
	"SELECT (SELECT count(*) FROM service_key)":                     "once, when an installation is made, when the table should be empty",
}}

// Every statement finds its rows by an index, and in their order, however many there are beside them.
func TestPlans(t *testing.T) {
	all := statements(t)
	if len(all) < 40 {
		t.Fatalf("only %d statements were found in the source", len(all))
	}
	explained := plantest.Open(t)
	plantest.FindByIndex(t, explained, all, excused)
	plantest.TakeIndexes(t, explained, all, map[string]string{
		"FROM kms_key WHERE account = $1 AND region = $2 AND id": "kms_key_account (account=? AND region=? AND id>?)",
		"deletion_at <= $1":         "kms_key_deletion",
		"AND grantee = $4":          "kms_grant_grantee (key=? AND grantee=? AND id>?)",
		"WHERE retiring = $1":       "kms_grant_retiring (retiring=? AND account=? AND region=? AND (key,id)>(?,?))",
		"AND name = $2 AND name <>": "kms_grant_name (key=? AND name=?)",
		"service = $3":              "kms_key_service",
	})
}

func TestStatementsAreListed(t *testing.T) { plantest.Listed(t, statements(t)) }

func TestStatementsForPostgreSQL(t *testing.T) { plantest.ForPostgreSQL(t, statements(t)) }

// PostgreSQL finds its rows as SQLite does.
func TestPlansOfPostgreSQL(t *testing.T) {
	plantest.OpenPostgreSQL(t).FindByIndex(t, statements(t), excused, plantest.Excused{})
}
