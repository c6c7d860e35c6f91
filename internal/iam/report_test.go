package iam

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/store"
)

func TestReportOfPasswords(t *testing.T) {
	set := time.Date(2020, 1, 31, 9, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, test := range []struct {
		name     string
		of       credentials
		root     bool
		rotation time.Duration
		want     []string
	}{
		{"the root", credentials{}, true, 90 * day, []string{"not_supported", "no_information", "not_supported", "not_supported"}},
		{"none", credentials{}, false, 90 * day, []string{"false", "N/A", "N/A", "N/A"}},
		{"never used", credentials{hasPassword: true, passwordSetAt: set}, false, 0, []string{"true", "no_information", "2020-01-31T09:00:00+00:00", "N/A"}},
		{"used", credentials{hasPassword: true, passwordSetAt: set, passwordUsedAt: set.Add(day)}, false, 30 * day,
			[]string{"true", "2020-02-01T09:00:00+00:00", "2020-01-31T09:00:00+00:00", "2020-03-01T09:00:00+00:00"}},
	} {
		if diff := cmp.Diff(test.want, test.of.password(test.root, test.rotation)); diff != "" {
			t.Errorf("%s: -want +got\n%s", test.name, diff)
		}
	}
}

// What the rows of a report are made of: whose keys are whose, and who has a second factor.
func TestReportTellsPasswordRotationAndMFA(t *testing.T) {
	s := newStore(t)
	put(t, s, account, exampleID, exampleSecret)
	err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		u, err := s.CreateUser(tx, account, "", "ann")
		if err != nil {
			return err
		}
		d, _, err := createDevice(s, tx, "", "phone")
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE iam_mfa SET owner = $1 WHERE serial = $2`, u.ID, d.Serial()); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE iam_user SET password = $1, password_set_at = 1580461200000000 WHERE id = $2`, []byte("hash"), u.ID); err != nil {
			return err
		}
		if err := s.PutPasswordPolicy(tx, account, PasswordPolicy{MaxPasswordAge: 30}); err != nil {
			return err
		}
		r, err := s.MakeReport(tx, account)
		if err != nil {
			return err
		}
		created := reportTime(u.CreatedAt, "")
		want := "ann,arn:aws:iam::123456789012:user/ann," + created + ",true,no_information,2020-01-31T09:00:00+00:00,2020-03-01T09:00:00+00:00,true," +
			"false,N/A,N/A,N/A,N/A,false,N/A,N/A,N/A,N/A,false,N/A,false,N/A\n"
		if got := r.Content[len(r.Content)-len(want):]; got != want {
			t.Errorf("got %s\nwant %s", r.Content, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
