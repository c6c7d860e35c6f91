package app_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/store"
)

// What a server made of real requests is without fault, and damage to it is named.
func TestCheckOfAHouse(t *testing.T) {
	h := build(t)
	h.MustQuery("iam", "AttachUserPolicy", map[string]any{"UserName": "ann", "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"})
	h.MustQuery("iam", "AddUserToGroup", map[string]any{"UserName": "ann", "GroupName": "devs"})
	h.MustQuery("iam", "TagUser", map[string]any{"UserName": "ann", "Tags": []map[string]string{{"Key": "team", "Value": "a"}}})
	h.MustQuery("iam", "CreateLoginProfile", map[string]any{"UserName": "ann", "Password": "Correct-1-horse"})
	h.Stop()
	check := func() (done app.Checked, faults []string) {
		t.Helper()
		done, err := app.Check(t.Context(), h.Config, func(text string) { faults = append(faults, text) }, func(app.Checked) {})
		if err != nil {
			t.Fatal(err)
		}
		return done, faults
	}
	done, faults := check()
	// The role that administrates the account which the organization made is one of them.
	want := iam.Checked{Identities: 7, Policies: 3, AccessKeys: 2, Passwords: 1, Devices: 1, Links: 4}
	if diff := cmp.Diff(want, done.Identity); diff != "" || len(faults) > 0 || done.Repositories != 2 || done.Records == 0 {
		t.Errorf("%+v, faults %q, of identities -want +got\n%s", done, faults, diff)
	}
	damage(t, h.Config.Data, `UPDATE iam_provider SET metadata = '<EntityDescriptor' WHERE kind = 'saml'`)
	_, faults = check()
	if len(faults) != 1 || !strings.HasPrefix(faults[0], "identity provider arn:aws:iam::123456789012:saml-provider/corp: its metadata can't be read: ") {
		t.Errorf("faults %q", faults)
	}
}

// damage changes the database of a server that isn't running.
func damage(t *testing.T, data, query string) {
	t.Helper()
	db, err := store.Open(t.Context(), data, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(query); return err }); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
