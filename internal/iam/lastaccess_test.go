package iam

import (
	"regexp"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/store"
)

func TestTimedUUID(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 123e6, time.UTC)
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for range 100 {
		id := timedUUID(at)
		if !form.MatchString(id) || id == timedUUID(at) {
			t.Errorf("%s is no UUID of version 7, or not the only one", id)
		}
		if id < firstUUID(at) || id >= firstUUID(at.Add(time.Millisecond)) || id <= timedUUID(at.Add(-time.Millisecond)) {
			t.Errorf("%s doesn't sort by time", id)
		}
	}
}

// However many reports are asked for, an account keeps so many, the newest.
func TestJobsAreBounded(t *testing.T) {
	s := newStore(t)
	put(t, s, account, exampleID, exampleSecret)
	err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := s.CreateUser(tx, account, "", "ann"); err != nil {
			return err
		}
		for i := range maxJobs {
			at := s.now().Add(-time.Hour).Add(time.Duration(i) * time.Millisecond)
			if _, err := tx.Exec(`INSERT INTO iam_task (account, kind, id, created_at, body) VALUES ($1, $2, $3, $4, '{}')`,
				account, taskAccess, timedUUID(at), at.UnixMicro()); err != nil {
				return err
			}
		}
		var oldest, next string
		if err := tx.QueryRow(`SELECT min(id) FROM iam_task`).Scan(&oldest); err != nil {
			return err
		}
		j, err := s.CreateAccessJob(tx, account, AccessJob{ARN: "arn:aws:iam::123456789012:user/ann", For: account})
		if err != nil {
			return err
		}
		if _, err := s.AccessJob(tx, account, j.ID, account); err != nil {
			t.Errorf("the new one: %v", err)
		}
		var n int
		if err := tx.QueryRow(`SELECT count(*) FROM iam_task`).Scan(&n); err != nil {
			return err
		}
		if err := tx.QueryRow(`SELECT min(id) FROM iam_task`).Scan(&next); err != nil {
			return err
		}
		if n != maxJobs || next <= oldest {
			t.Errorf("%d jobs, and the oldest is %s", n, next)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
