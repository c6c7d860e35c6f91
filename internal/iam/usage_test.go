package iam

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/store"
)

// clock is a clock that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// accesses are the rows of what an identity called.
func accesses(t *testing.T, s *Store, entity string) (all []string) {
	t.Helper()
	s.mustView(t, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT service, action, at, region FROM iam_access WHERE entity = $1 ORDER BY service, action`, entity)
		if err != nil {
			return err
		}
		all, err = store.Collect(rows, func(row store.Scanner) (string, error) {
			var service, action, region string
			var at int64
			err := row.Scan(&service, &action, &at, &region)
			return fmt.Sprintf("%s:%s %s %s", service, action, time.UnixMicro(at).UTC().Format(time.TimeOnly), region), err
		})
		return err
	})
	return all
}

func (u *Usage) mustFlush(t *testing.T) {
	t.Helper()
	if err := u.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestUsage(t *testing.T) {
	s := newStore(t)
	put(t, s, account, exampleID, exampleSecret)
	var ann User
	var key string
	s.mustUpdate(t, func(tx *store.Tx) (err error) {
		if ann, err = s.CreateUser(tx, account, "", "ann"); err == nil {
			key, _, err = s.CreateAccessKey(tx, account, &ann)
		}
		return err
	})
	c := &clock{time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)}
	u := &Usage{db: s.db, now: c.now}
	info := func() (k KeyInfo) {
		t.Helper()
		s.mustView(t, func(tx *store.Tx) (err error) { k, err = s.Key(tx, account, &ann, key); return err })
		return k
	}
	if k := info(); !k.UsedAt.IsZero() || k.Service != "" || k.Region != "" {
		t.Errorf("before the first use: %+v", k)
	}
	use := Use{Key: key, Entity: ann.ID, Kind: KindUser, Service: "ecr", Action: "PutImage", Region: "us-east-1"}
	epoch := s.Epoch()
	u.Note(use)
	c.at = c.at.Add(time.Second)
	u.Note(Use{Key: key, Entity: ann.ID, Kind: KindUser, Service: "sts", Region: "us-east-1"})
	u.Note(Use{Key: "AKIAGONE", Entity: "AIDAGONE", Kind: KindUser, Service: "ecr", Action: "PutImage"})
	u.Note(Use{Service: "ecr", Action: "PutImage"})
	u.mustFlush(t)
	want := []string{"ecr: 10:00:00 us-east-1", "ecr:PutImage 10:00:00 us-east-1", "sts: 10:00:01 us-east-1"}
	if diff := cmp.Diff(want, accesses(t, s, ann.ID)); diff != "" {
		t.Error(diff)
	}
	if gone := accesses(t, s, "AIDAGONE"); len(gone) != 0 {
		t.Errorf("of who is gone: %q", gone)
	}
	if k := info(); !k.UsedAt.Equal(c.at) || k.Service != "sts" || k.Region != "us-east-1" {
		t.Errorf("after two uses: %+v", k)
	}
	if s.Epoch() != epoch {
		t.Error("the use of a key makes everybody look up everything again")
	}
	// The same within a minute is not written again, afterwards it is.
	c.at = c.at.Add(usePrecision - 2*time.Second)
	u.Note(use)
	if len(u.pending) != 0 {
		t.Error("it is written again within a minute")
	}
	c.at = c.at.Add(2 * time.Second)
	u.Note(use)
	u.mustFlush(t)
	if k := info(); !k.UsedAt.Equal(c.at) || k.Service != "ecr" {
		t.Errorf("after a minute: %+v", k)
	}
	// What another server noted before does not count any more.
	earlier := &Usage{db: s.db, now: func() time.Time { return c.at.Add(-time.Hour) }}
	earlier.Note(Use{Key: key, Entity: ann.ID, Kind: KindUser, Service: "ecr", Action: "PutImage", Region: "eu-west-1"})
	earlier.mustFlush(t)
	if k := info(); !k.UsedAt.Equal(c.at) || k.Region != "us-east-1" {
		t.Errorf("after an earlier use: %+v", k)
	}
	want = []string{"ecr: 10:01:01 us-east-1", "ecr:PutImage 10:01:01 us-east-1", "sts: 10:00:01 us-east-1"}
	if diff := cmp.Diff(want, accesses(t, s, ann.ID)); diff != "" {
		t.Error(diff)
	}
}

func TestUsageIsBounded(t *testing.T) {
	u := newStore(t).Usage()
	for i := range maxUses + 10 {
		u.Note(Use{Entity: fmt.Sprint(i)})
	}
	if len(u.pending) != maxUses || len(u.noted) > maxUses {
		t.Errorf("%d wait, %d are remembered", len(u.pending), len(u.noted))
	}
	u.pending = nil
	u.Note(Use{Entity: "another"})
	if len(u.pending) != 1 || len(u.noted) > maxUses {
		t.Errorf("%d wait, %d are remembered", len(u.pending), len(u.noted))
	}
}

func TestUsageOfRole(t *testing.T) {
	s := newStore(t)
	put(t, s, account, exampleID, exampleSecret)
	exec(t, s.db, `INSERT INTO iam_role (id, account, name, name_key, path, created_at, boundary, trust, description, max_session, linked_service, used_region)
		VALUES ('AROA1', $1, 'r', 'r', '/', 0, '', '', '', 3600, '', '')`, account)
	c := &clock{time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)}
	u := &Usage{db: s.db, now: c.now}
	u.Note(Use{Entity: "AROA1", Kind: KindRole, Service: "ecr", Action: "PutImage", Region: "eu-west-1"})
	u.mustFlush(t)
	s.mustView(t, func(tx *store.Tx) error {
		r, err := s.Role(tx, account, "r")
		if !r.UsedAt.Equal(c.at) || r.UsedRegion != "eu-west-1" {
			t.Errorf("%+v", r)
		}
		return err
	})
	if diff := cmp.Diff([]string{"ecr: 10:00:00 eu-west-1", "ecr:PutImage 10:00:00 eu-west-1"}, accesses(t, s, "AROA1")); diff != "" {
		t.Error(diff)
	}
}
