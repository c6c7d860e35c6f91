package kms

import (
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/store"
)

// faults are what Check finds.
func (e *keysEnv) faults() string {
	e.t.Helper()
	var all []string
	_, err := e.Check(e.t.Context(), func(text string) { all = append(all, text) })
	e.must(err)
	return strings.Join(all, "\n")
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		damage, fault string
		args          []any
	}{
		{damage: ``},
		{`UPDATE kms_material SET wrapped = $1`, "the wrapped data key does not open", []any{make([]byte, 100)}},
		{`UPDATE kms_material SET wrapped = (SELECT wrapped FROM kms_material m WHERE m.key <> kms_material.key)`, "it was altered or belongs to other data", nil},
		{`DELETE FROM kms_material`, "is missing", nil},
		{`UPDATE kms_key SET current_material = 'x'`, "its current material \"x\" is missing", nil},
		{`UPDATE kms_key SET current_material = NULL`, "its current material \"\" is missing", nil},
		{`UPDATE kms_key SET policy = 'x'`, "its policy can't be read", nil},
		{`UPDATE kms_key SET state = 'PendingDeletion'`, "its date of deletion", nil},
		{`UPDATE kms_key SET deletion_at = 1`, "its date of deletion", nil},
	} {
		e := newKeysEnv(t)
		e.create(NewKey{})
		e.create(NewKey{})
		if tt.damage != "" {
			e.must(e.change(func(tx *store.Tx) error { _, err := tx.Exec(tt.damage, tt.args...); return err }))
		}
		if got := e.faults(); (tt.fault == "") != (got == "") || !strings.Contains(got, tt.fault) {
			t.Errorf("%s: %q, want %q", tt.damage, got, tt.fault)
		}
	}
}
