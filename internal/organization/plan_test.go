package organization

import (
	"testing"

	"github.com/coffer-registry/coffer/internal/store/plantest"
)

func statements(t *testing.T) []string {
	t.Helper()
	return plantest.Statements(t, func(expr string) []string {
		return map[string][]string{"table": {`organization WHERE root`, `organization_unit WHERE id`, `organization_account WHERE account`}}[expr]
	})
}

// excused are the statements that read a whole table, or sort, and why they may.
var excused = plantest.Excused{Scans: map[string]string{
	"SELECT id, root, management FROM organization":                                                              "there is one row",
	"SELECT count(*) FROM organization WHERE root = $1":                                                          "there is one row",
	"SELECT (SELECT count(*) FROM organization WHERE root = $1)":                                                 "there is one row",
	"SELECT count(*) FROM organization_account":                                                                  "it counts for a quota, and accounts are made seldom",
	"SELECT count(*) FROM organization_unit":                                                                     "it counts for a quota, and units are made seldom",
	"INSERT INTO organization_attachment (target, type, policy) SELECT":                                          "all there is gets the policy",
	"DELETE FROM organization_attachment WHERE type = $1":                                                        "a type of policies is taken off all there is",
	"SELECT id FROM account WHERE id NOT IN (SELECT account FROM organization_account)":                          "the start looks at all accounts",
	"SELECT a.id, coalesce(o.parent, '') FROM account a LEFT JOIN organization_account":                          "the check reads all, which a quota bounds",
	"SELECT DISTINCT target FROM organization_attachment WHERE target NOT IN":                                    "the check reads all, which a quota bounds",
	"SELECT t.id FROM (SELECT root AS id FROM organization UNION ALL":                                            "the check reads all, which a quota bounds",
	"SELECT p.id, p.type, p.name, p.description, p.document, p.managed FROM organization_policy p ORDER BY p.id": "the check reads all, which a quota bounds",
}, Sorts: map[string]string{
	"SELECT t.id FROM (SELECT root AS id FROM organization UNION ALL": "the check tells faults in their order",
}}

// Every statement finds its rows by an index, and in their order, however many there are beside them.
func TestPlans(t *testing.T) {
	dir := t.TempDir()
	openAt(t, dir, nil)
	all := statements(t)
	if len(all) < 50 {
		t.Fatalf("only %d statements were found in the source", len(all))
	}
	db := plantest.Open(t)
	plantest.FindByIndex(t, db, all, excused)
	plantest.TakeIndexes(t, db, all, map[string]string{
		"lower(a.email) = lower($1)":              "account_email",
		"WHERE o.parent = $1 AND o.account > $2":  "organization_account_parent (parent=? AND account>?)",
		"WHERE a.policy = $1 AND a.target > $2":   "organization_attachment_policy (policy=? AND target>?)",
		"WHERE a.target = $1 AND a.type = $2 AND": "(target=? AND type=? AND policy>?)",
	})
}

func TestStatementsAreListed(t *testing.T) { plantest.Listed(t, statements(t)) }

func TestStatementsForPostgreSQL(t *testing.T) { plantest.ForPostgreSQL(t, statements(t)) }

// PostgreSQL finds its rows as SQLite does.
func TestPlansOfPostgreSQL(t *testing.T) {
	plantest.OpenPostgreSQL(t).FindByIndex(t, statements(t), excused, plantest.Excused{})
}
