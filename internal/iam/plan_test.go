package iam

import (
	"maps"
	"slices"
	"testing"

	"github.com/coffer-registry/coffer/internal/store/plantest"
)

// computed are the parts of statements that the source computes.
func computed(expr string) []string {
	return map[string][]string{
		"table": {tables[KindUser], tables[KindGroup], tables[KindRole], tables[KindPolicy]},
		// Groups, which have no boundary, have the same indexes.
		"tables[kind]":     {tables[KindUser], tables[KindRole]},
		"tables[use.Kind]": {tables[KindUser], tables[KindRole]},
		"columns":          {"id"},
		"usersOf[e.Kind]":  slices.Collect(maps.Values(usersOf)),
		"actions":          {"", "AND action = ''"},
		// What attachedParts and attachedQuery make.
		"from": {}, "part": {}, "strings.Join(parts, ` UNION `)": {},
	}[expr]
}

func statements(t *testing.T) []string {
	t.Helper()
	all := plantest.Statements(t, computed)
	for _, usage := range []string{"", UsedAsPermissions, UsedAsBoundary} {
		all = append(all, attachedQuery(attachedParts(usage, "")))
	}
	return all
}

// excused are the statements that read a whole table, or sort, and why they may.
var excused = plantest.Excused{Scans: map[string]string{
	"SELECT id FROM account ORDER BY id": "the start reads all",
}, Sorts: map[string]string{
	"SELECT g.name FROM iam_membership m JOIN iam_group g":            "a user is in ten groups at most",
	"SELECT principal, id, active, created_at, used_at, used_service": "the credential report is about all keys of an account",
	"SELECT owner AS id FROM iam_attachment WHERE account = $2":       "who has a policy is told once, whether by a group or not",
	"SELECT entity, action, at, region, entities FROM (":              "who used an action last is found among all who may",
	"SELECT id, used FROM (":                                          "who may use a service is listed by when, of which there is no index for what only some have",
	"SELECT kind, id, name, path FROM (":                              "of each kind no more than a page is read",
}}

// Every statement finds its rows by an index, and in their order, however many there are beside them.
func TestPlans(t *testing.T) {
	all := statements(t)
	if len(all) < 100 {
		t.Fatalf("only %d statements were found in the source", len(all))
	}
	explained := plantest.Open(t)
	plantest.FindByIndex(t, explained, all, excused)
	plantest.TakeIndexes(t, explained, all, map[string]string{
		"iam_user e WHERE e.account = $1 AND e.boundary": "iam_user_boundary (account=? AND boundary=? AND id>?)",
		"iam_role e WHERE e.account = $1 AND e.boundary": "iam_role_boundary (account=? AND boundary=? AND id>?)",
		"a.policy = $2 AND a.owner > $3":                 "iam_attachment_policy (account=? AND policy=? AND owner>?)",
		"(path, name_key) > ($2, $3)":                    "_path (account=? AND (path,name_key)>(?,?) AND path<?)",
		"WHERE alias = $1":                               "account_alias",
		"FROM iam_mfa WHERE owner = $1":                  "iam_mfa_owner (owner=?",
		"FROM access_key WHERE principal = $1":           "access_key_principal (principal=?",
	})
}

func TestStatementsAreListed(t *testing.T) { plantest.Listed(t, statements(t)) }

func TestStatementsForPostgreSQL(t *testing.T) { plantest.ForPostgreSQL(t, statements(t)) }

// PostgreSQL finds its rows as SQLite does.
func TestPlansOfPostgreSQL(t *testing.T) {
	plantest.OpenPostgreSQL(t).FindByIndex(t, statements(t), excused, plantest.Excused{})
}
