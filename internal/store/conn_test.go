package store

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func openTest(t *testing.T, o Options) *DB {
	t.Helper()
	db, err := Open(t.Context(), t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestStatementCacheIsBounded(t *testing.T) {
	db := openTest(t, Options{Readers: 1})
	query := func(i int) string { return fmt.Sprintf("SELECT $1 + %d", i) }
	const count = statementCache + 50
	for i := range 2 * count {
		err := db.View(t.Context(), func(tx *Tx) error {
			var n int
			outer, err := tx.Query(query(0), 1) // in use all the time, and so never dropped
			if err != nil {
				return err
			}
			defer outer.Close()
			if err := tx.QueryRow(query(i%count), 1).Scan(&n); err != nil {
				return err
			}
			if n != 1+i%count {
				t.Errorf("query %d gives %d", i%count, n)
			}
			if !outer.Next() {
				t.Error("the outer query lost its row")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	c, err := embeddedIn(db).readers.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer embeddedIn(db).readers.put(c)
	if len(c.cache) != statementCache {
		t.Errorf("%d statements kept, want %d", len(c.cache), statementCache)
	}
}

// TestStatementsAreReused counts how many statements a connection has after many runs of the same.
func TestStatementsAreReused(t *testing.T) {
	db := openTest(t, Options{})
	const query = `SELECT count(*) FROM schema_version`
	var first *stmt
	for range 10 {
		err := db.Update(t.Context(), func(tx *Tx) error {
			if err := tx.QueryRow(query).Scan(new(int)); err != nil {
				return err
			}
			s := tx.session.(*conn).cache[query]
			if s == nil || (first != nil && s != first) {
				t.Error("the statement was prepared again")
			}
			first = s
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestDurabilitySettings(t *testing.T) {
	db := openTest(t, Options{})
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		err := db.Update(t.Context(), func(tx *Tx) error {
			return tx.QueryRow(`SELECT CAST(` + pragma + ` AS TEXT) FROM pragma_` + pragma).Scan(&got)
		})
		if err != nil || got != want {
			t.Errorf("%s is %q, want %q: %v", pragma, got, want, err)
		}
	}
}

// TestLogIsBounded writes many times more than the log may hold.
func TestLogIsBounded(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Update(t.Context(), func(tx *Tx) error { _, err := tx.Exec(crashTable); return err }); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, 400_000) // about 100 pages
	for range 4 * logLimitPages / 100 {
		err := db.Update(t.Context(), func(tx *Tx) error {
			_, err := tx.Exec(`INSERT INTO ack (id, body) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET body = excluded.body`, body)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, FileName+"-wal"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 2*logKeepBytes {
		t.Errorf("the log has %d bytes", info.Size())
	}
}

// embeddedIn is the engine of a database in a folder.
func embeddedIn(db *DB) *sqliteDB { return db.engine.(*sqliteDB) }
