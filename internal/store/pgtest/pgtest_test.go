package pgtest_test

import (
	"testing"

	"github.com/coffer-registry/coffer/internal/store/pgtest"
)

// TestDatabases makes two databases on the shared server, of which neither shows in the other.
func TestDatabases(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t)
	if pgtest.Start(t) != s {
		t.Error("the server is not shared")
	}
	one, two := s.Database(t), s.Database(t)
	s.Query(t, one, `CREATE TABLE item (id BIGINT)`)
	s.Query(t, two, `CREATE TABLE item (id BIGINT)`)
	s.Query(t, one, `INSERT INTO item VALUES (7)`)
	if got := s.Query(t, one, `SELECT id FROM item`) + s.Query(t, two, `SELECT id FROM item`); got != "7" {
		t.Errorf("the databases have %q", got)
	}
}

// TestEnds ends a server in all ways and starts it again: what was committed is there each time.
func TestEnds(t *testing.T) {
	t.Parallel()
	s := pgtest.StartOwn(t, pgtest.Options{Disk: true})
	database := s.Database(t)
	s.Query(t, database, `CREATE TABLE item (id BIGINT)`)
	for i, end := range []func(testing.TB){s.Stop, s.StopAtOnce, s.Kill} {
		s.Query(t, database, `INSERT INTO item VALUES (7)`)
		address := s.Address()
		end(t)
		s.Restart(t)
		if got, want := s.Query(t, database, `SELECT count(*) FROM item`), string(rune('1'+i)); got != want {
			t.Errorf("after end %d there are %s rows", i, got)
		}
		if s.Address() != address {
			t.Error("the address changed")
		}
	}
}
