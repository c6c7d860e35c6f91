package plantest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A package's statements are those that are listed, or the test fails; the lists of older schemas stay as they are.
func TestListed(t *testing.T) {
	dir := t.TempDir()
	migrations := filepath.Join(dir, "internal", "store", "migrations")
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "go.mod"), "module m\n")
	write(filepath.Join(migrations, "0001_a.sql"), "")
	in := func(name string, statements []string, write bool) (errors []string) {
		t.Helper()
		folder := filepath.Join(dir, "internal", name)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		t.Chdir(folder)
		r := &recorder{TB: t}
		listed(r, statements, write)
		return r.errors
	}
	want := func(errors []string, n int) {
		t.Helper()
		if len(errors) != n {
			t.Errorf("%d errors, want %d: %q", len(errors), n, errors)
		}
	}
	p, q := []string{"SELECT 2", "SELECT '\n\n\t' FROM t", "SELECT 2"}, []string{"DELETE FROM t"}
	want(in("p", p, false), 2)
	want(in("p", p, true), 0)
	want(in("q", q, true), 0)
	want(in("p", p, false), 0)
	want(in("q", q, false), 0)
	want(in("p", append(p, "SELECT 3"), false), 1)
	want(in("p", p[:1], false), 1)
	want(in("q", nil, false), 1)

	write(filepath.Join(migrations, "0002_b.sql"), "")
	want(in("q", q, false), 1)
	want(in("q", []string{"SELECT 4"}, true), 0)
	got := Listings(t)
	if diff := cmp.Diff(map[int64]Listing{
		1: {"internal/p": {"SELECT '\n\n\t' FROM t", "SELECT 2"}, "internal/q": q},
		2: {"internal/q": {"SELECT 4"}},
	}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"DELETE FROM t", "SELECT '\n\n\t' FROM t", "SELECT 2"}, got[1].All()); diff != "" {
		t.Error(diff)
	}
	want(in("q", nil, true), 0)
	if got := Listings(t)[2]; len(got) != 0 {
		t.Errorf("%v is listed of a package without statements", got)
	}
}

func TestParseListing(t *testing.T) {
	const head = "-- The statements of the program of schema 3, by package. This file is generated: make generate.\n"
	for name, text := range map[string]string{
		"empty": "", "of another schema": "-- The statements of the program of schema 4, by package. This file is generated: make generate.\n",
		"no package": head + "SELECT 1;\n", "cut off": head + "-- in p\nSELECT 1", "no statement": head + "-- in p\nDROP TABLE t;\n",
	} {
		if listing, err := parseListing(text, 3); err == nil {
			t.Errorf("%s: %v", name, listing)
		}
	}
	if listing, err := parseListing(head+"\n-- in p\nSELECT 1;\n", 3); err != nil || len(listing["p"]) != 1 {
		t.Errorf("%v, %v", listing, err)
	}
}

// Every folder of the program that has statements is found, and none of tests.
func TestPackages(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module m\n", "internal/a/a.go": "package a\n\nvar q = `SELECT 1`\n", "internal/b/b_test.go": "package b\n\nvar q = `SELECT 1`\n",
		"internal/c/c.go": "package c\n\nconst q = \"not SELECT 1\"\n", "internal/dtest/d.go": "package dtest\n\nconst q = `SELECT 1`\n",
		"cmd/e/e.go": "package main\n\nconst q = `DELETE FROM t`\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(filepath.Join(dir, "internal", "a"))
	if diff := cmp.Diff([]string{"cmd/e", "internal/a"}, Packages(t)); diff != "" {
		t.Error(diff)
	}
}
