package store

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"io/fs"
)

func scripts(texts ...string) fstest.MapFS {
	files := fstest.MapFS{}
	for i, text := range texts {
		files["000"+string(rune('1'+i))+"_step.sql"] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

func openWith(t *testing.T, dir string, files fs.FS) (*DB, error) {
	t.Helper()
	db, err := open(t.Context(), dir, Options{}, files)
	if err == nil {
		t.Cleanup(func() { db.Close() })
	}
	return db, err
}

func tables(t *testing.T, db *DB) []string {
	t.Helper()
	var names []string
	err := db.View(t.Context(), func(tx *Tx) error {
		rows, err := tx.Query(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			names = append(names, name)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestMigrations(t *testing.T) {
	dir := t.TempDir()
	const (
		one = "-- a comment\nCREATE TABLE a (id BIGINT); INSERT INTO a VALUES (1);\n"
		two = "CREATE TABLE b (id BIGINT);\nINSERT INTO b SELECT id FROM a;"
		bad = "CREATE TABLE c (id BIGINT); INSERT INTO nowhere VALUES (1);"
	)
	step := func(want []string, texts ...string) {
		t.Helper()
		db, err := openWith(t, dir, scripts(texts...))
		if err != nil {
			t.Fatal(err)
		}
		if got := tables(t, db); !slices.Equal(got, want) {
			t.Errorf("tables %v, want %v", got, want)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	step([]string{"schema_version"})
	step([]string{"a", "schema_version"}, one)
	step([]string{"a", "schema_version"}, one)

	_, err := openWith(t, dir, scripts(one, bad))
	if err == nil || !strings.Contains(err.Error(), "0002_step.sql") {
		t.Errorf("a bad migration: %v", err)
	}
	step([]string{"a", "schema_version"}, one)
	step([]string{"a", "b", "schema_version"}, one, two)

	_, err = openWith(t, dir, scripts(one))
	if !errors.Is(err, ErrNewerSchema) || !strings.Contains(err.Error(), "schema 2") || !strings.Contains(err.Error(), dir) {
		t.Errorf("a database that is ahead: %v", err)
	}
}

func TestMigrationsAreNumbered(t *testing.T) {
	for _, names := range [][]string{{"0002_b.sql"}, {"0001_a.sql", "0003_c.sql"}, {"a.sql"}, {"0001_a.sql", "0001_b.sql"}} {
		files := fstest.MapFS{}
		for _, name := range names {
			files[name] = &fstest.MapFile{}
		}
		if _, err := readMigrations(files); err == nil {
			t.Errorf("%v: no error", names)
		}
	}
	if _, err := readMigrations(embedded()); err != nil {
		t.Error(err)
	}
}
