package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/store"
)

// engines open an empty database each.
var engines = []struct {
	name string
	open func(t *testing.T) *store.DB
}{
	{"sqlite", func(t *testing.T) *store.DB {
		db, err := store.Open(t.Context(), t.TempDir(), store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}},
	{"postgresql", func(t *testing.T) *store.DB {
		db := postgreSQL(t)()
		t.Cleanup(func() { db.Close() })
		return db
	}},
}

// fill writes rows of all kinds of values, which depend on each other, and one into every table that Copy is about.
func fill(t *testing.T, db *store.DB, layers int) {
	t.Helper()
	update := func(fn func(tx *store.Tx) error) {
		t.Helper()
		if err := db.Update(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	update(func(tx *store.Tx) error {
		for _, s := range []struct {
			query string
			args  []any
		}{
			{`INSERT INTO setting (name, value) VALUES ('installation', $1), ('empty', $2)`, []any{[]byte("ID\x00\xff"), []byte{}}},
			{`INSERT INTO account (id, name, created_at, email) VALUES ('123456789012', $1, 7, '')`, []any{"Zürich ☂ \u00a0"}},
			{`INSERT INTO iam_user (id, account, name, name_key, path, created_at, boundary, password, password_reset, password_history)
				VALUES ('AIDA1', '123456789012', 'Ann', 'ann', '/', -5, '', NULL, 0, '[]'), ('AIDA2', '123456789012', 'Bob', 'bob', '/', 9, '', $1, 1, '[]')`, []any{[]byte("hash")}},
			{`INSERT INTO repository (id, account, region, name, created_at, tag_mutability, mutability_filters, scan_on_push, encryption_type, data_key, images)
				VALUES (42, '123456789012', 'us-east-1', 'app', $1, 'MUTABLE', '[]', 1, 'AES256', $2, 0)`, []any{int64(1) << 62, []byte{1, 2, 3}}},
			{`INSERT INTO upload (id, repository, object, data_key, size, parts, last_part, short_part, state, revision, updated_at)
				VALUES ('u', 42, 'o', $1, 0, 0, 0, 0, $1, 0, 0)`, []any{[]byte{9}}},
			{`INSERT INTO job (name, due_at, holder, held_until, fault) VALUES ('sweep', 1, 'me', 2, '')`, nil},
		} {
			if _, err := tx.Exec(s.query, s.args...); err != nil {
				return err
			}
		}
		return store.PutMark(tx, store.MarkMoved, &store.Mark{Installation: "x", What: "test", At: time.UnixMicro(1)})
	})
	for from := 0; from < layers; from += 1000 {
		update(func(tx *store.Tx) error {
			for i := from; i < min(from+1000, layers); i++ {
				// The keys of lists are compared byte by byte, whatever the language of the database.
				digest := fmt.Sprintf("%s-%07d", []string{"sha256", "SHA256", "é", "~"}[i%4], i)
				_, err := tx.Exec(`INSERT INTO layer (repository, digest, size, media_type, domain, object, data_key, created_at, idle_since)
					VALUES (42, $1, $2, '', 'd', $3, $4, 1, NULL)`, digest, i, digest, bytes.Repeat([]byte{byte(i)}, 200))
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func contents(t *testing.T, db *store.DB, o store.CopyOptions) store.Contents {
	t.Helper()
	c, err := db.Contents(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCopy(t *testing.T) {
	for _, from := range engines {
		for _, to := range engines {
			t.Run(from.name+" to "+to.name, func(t *testing.T) {
				source, target := from.open(t), to.open(t)
				fill(t, source, 2500)
				o := store.CopyOptions{Without: []string{"upload"}}
				var told int64
				o.Tell = func(table string, rows int64) {
					if table == "layer" {
						told = rows
					}
				}
				copied, err := store.Copy(t.Context(), source, target, o)
				if err != nil {
					t.Fatal(err)
				}
				if told != 2500 {
					t.Errorf("told of %d layers", told)
				}
				if faults := copied.Differences(contents(t, target, store.CopyOptions{})); len(faults) > 0 {
					t.Error(faults)
				}
				// What is about one database alone stays behind.
				want := []string{"table upload has 0 rows in place of 1"}
				if diff := cmp.Diff(want, contents(t, source, store.CopyOptions{}).Differences(contents(t, target, store.CopyOptions{}))); diff != "" {
					t.Error(diff)
				}
				if err := target.View(t.Context(), func(tx *store.Tx) error {
					if m, err := store.GetMark(tx, store.MarkMoved); m != nil || err != nil {
						t.Errorf("the mark was copied: %v, %v", m, err)
					}
					var jobs int
					if err := tx.QueryRow(`SELECT count(*) FROM job`).Scan(&jobs); err != nil || jobs != 0 {
						t.Errorf("%d jobs, %v", jobs, err)
					}
					var value []byte
					var name string
					if err := tx.QueryRow(`SELECT value, (SELECT name FROM account) FROM setting WHERE name = 'empty'`).Scan(&value, &name); err != nil {
						return err
					}
					if value == nil || len(value) > 0 || name != "Zürich ☂ \u00a0" {
						t.Errorf("%v, %q", value, name)
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				testSecondCopy(t, source, target, o)
			})
		}
	}
}

// testSecondCopy copies into a database that an earlier copy filled in part.
func testSecondCopy(t *testing.T, source, target *store.DB, o store.CopyOptions) {
	if _, err := store.Copy(t.Context(), source, target, o); !errors.Is(err, store.ErrUnique) {
		t.Errorf("a copy into rows: %v", err)
	}
	mark := &store.Mark{Installation: "i", What: "coffer move"}
	if err := target.Update(t.Context(), func(tx *store.Tx) error { return store.PutMark(tx, store.MarkIncomplete, mark) }); err != nil {
		t.Fatal(err)
	}
	if vacant, err := target.Vacant(t.Context()); vacant || err != nil {
		t.Errorf("vacant %v, %v", vacant, err)
	}
	if err := target.Empty(t.Context()); err != nil {
		t.Fatal(err)
	}
	if vacant, err := target.Vacant(t.Context()); !vacant || err != nil {
		t.Errorf("vacant %v, %v", vacant, err)
	}
	if _, err := store.Copy(t.Context(), source, target, o); err != nil {
		t.Fatal(err)
	}
	if err := target.View(t.Context(), func(tx *store.Tx) error {
		m, err := store.GetMark(tx, store.MarkIncomplete)
		if err == nil && (m == nil || m.Installation != "i") {
			t.Errorf("the mark is %v", m)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// A table of a later migration is copied without a word about it: every table is either copied or named with a reason.
func TestCopyMissesNoTable(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			db := engine.open(t)
			if err := db.Update(t.Context(), func(tx *store.Tx) error {
				if _, err := tx.Exec(`CREATE TABLE aa_new (id BIGINT NOT NULL, part TEXT NOT NULL, weight DOUBLE PRECISION, PRIMARY KEY (part, id))`); err != nil {
					return err
				}
				_, err := tx.Exec(`INSERT INTO aa_new (id, part, weight) VALUES (1, 'p', 0.1), (2, 'p', NULL)`)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			found := map[string]int64{}
			for _, c := range contents(t, db, store.CopyOptions{}) {
				found[c.Name] = c.Rows
			}
			if found["aa_new"] != 2 {
				t.Errorf("%v", found)
			}
			for _, left := range []string{"schema_version", "change", "job"} {
				if _, ok := found[left]; ok {
					t.Errorf("table %s is copied", left)
				}
			}
			// Both engines have the same tables.
			if len(found) < 40 {
				t.Errorf("only %d tables", len(found))
			}
		})
	}
	a, b := contents(t, engines[0].open(t), store.CopyOptions{}), contents(t, engines[1].open(t), store.CopyOptions{})
	if diff := cmp.Diff(a, b); diff != "" {
		t.Error(diff)
	}
}

// A dump with one byte changed, or without its end, fills no database.
func TestLoadDamaged(t *testing.T) {
	source, target := engines[0].open(t), engines[0].open(t)
	fill(t, source, 3)
	var dump bytes.Buffer
	if err := source.Snapshot(t.Context(), func(tx *store.Tx) error {
		_, err := source.Dump(t.Context(), tx, &dump, store.CopyOptions{})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for at := 0; at < dump.Len(); at += 37 {
		damaged := bytes.Clone(dump.Bytes())
		damaged[at] ^= 0x11
		if _, err := target.Load(t.Context(), bytes.NewReader(damaged), store.CopyOptions{}); err == nil {
			t.Fatalf("byte %d was changed, and nobody noticed", at)
		}
		if _, err := target.Load(t.Context(), bytes.NewReader(dump.Bytes()[:at]), store.CopyOptions{}); err == nil {
			t.Fatalf("cut at byte %d, and nobody noticed", at)
		}
		if err := target.Empty(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := target.Load(t.Context(), &dump, store.CopyOptions{}); err != nil {
		t.Error(err)
	}
}

// Fifty thousand rows go through a few MiB of memory.
func TestCopyInBoundedMemory(t *testing.T) {
	const rows, mostBytes = 50_000, 32 << 20
	for i, from := range engines {
		to := engines[(i+1)%len(engines)]
		t.Run(from.name+" to "+to.name, func(t *testing.T) {
			source, target := from.open(t), to.open(t)
			fill(t, source, rows)
			runtime.GC()
			var before runtime.MemStats
			runtime.ReadMemStats(&before)
			var peak atomic.Uint64
			_, err := store.Copy(t.Context(), source, target, store.CopyOptions{Tell: func(_ string, n int64) {
				var now runtime.MemStats
				if n%4000 == 0 && n > 0 {
					runtime.GC()
					runtime.ReadMemStats(&now)
					peak.Store(max(peak.Load(), now.HeapAlloc))
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			if peak.Load() == 0 || peak.Load() > before.HeapAlloc+mostBytes {
				t.Errorf("%d bytes on the heap while it was copied, %d before", peak.Load(), before.HeapAlloc)
			}
			if got := contents(t, target, store.CopyOptions{}).Rows(); got < rows {
				t.Errorf("%d rows", got)
			}
		})
	}
}
