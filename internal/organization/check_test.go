package organization

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/store"
)

// Check finds each damage, and nothing in what the store itself does.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name, damage string
		want         []string
	}{
		{"nothing", `DELETE FROM organization_tag`, nil},
		{"account without a place", `DELETE FROM organization_account WHERE account = '111122223333'`,
			[]string{"111122223333 does not hang in the root", "policies are attached to 111122223333, which does not exist"}},
		{"account in what is gone", `UPDATE organization_account SET parent = 'ou-none-00000000' WHERE account = '111122223333'`,
			[]string{"111122223333 does not hang in the root"}},
		{"units in a ring", `UPDATE organization_unit SET parent = id`, []string{"UNIT does not hang in the root"}},
		{"unreadable document", `UPDATE organization_policy SET document = '{' WHERE name = 'p'`, []string{"policy POLICY can't be read and denies everything"}},
		{"no policy", `DELETE FROM organization_attachment WHERE target = '999999999999'`, []string{"999999999999 has no policy of a type that is enabled"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := build(t)
			u, p := h.unit(h.info.Root, "u"), h.policy(ServiceControl, "p", denyDeletes)
			h.attached(p.ID, u.ID)
			h.must(func(tx *store.Tx) error { return h.EnablePolicyType(tx, h.info.Root, ResourceControl) })
			h.must(func(tx *store.Tx) error { _, err := tx.Exec(c.damage); return err })
			var found []string
			if err := h.Check(t.Context(), func(text string) { found = append(found, text) }); err != nil {
				t.Fatal(err)
			}
			for i, want := range c.want {
				want = strings.NewReplacer("UNIT", u.ID, "POLICY", p.ID).Replace(want)
				if i < len(found) && strings.HasPrefix(found[i], "organization: "+want) {
					c.want[i] = found[i]
				}
			}
			found = slices.Compact(found) // what lacks policies of both types
			if diff := cmp.Diff(c.want, found); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// A data folder of an earlier version has no organization until it is started.
func TestCheckBeforeTheFirstStart(t *testing.T) {
	s := openAt(t, t.TempDir(), nil)
	if err := s.Check(t.Context(), func(text string) { t.Error(text) }); err != nil {
		t.Error(err)
	}
}
