package plantest

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var writeStatements = flag.Bool("write-statements", false, "list the statements of the package anew among those of the newest schema")

// Listing is the statements of the program of one schema, by the package that has them, as a path from the module's root.
type Listing map[string][]string

const (
	listingHead  = "-- The statements of the program of schema %d, by package. This file is generated: make generate.\n"
	packageHead  = "-- in "
	statementEnd = ";\n"
)

// Listings are those of all schemas that have one, which are the newest and those whose programs may still run.
func Listings(t testing.TB) map[int64]Listing {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(listingFolder(t), "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[int64]Listing{}
	for _, name := range names {
		schema, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(name), ".txt"), 10, 64)
		if err != nil {
			t.Fatalf("%s has no schema for its name", name)
		}
		all[schema] = readListing(t, schema)
	}
	return all
}

// All are the statements of all packages, each once.
func (l Listing) All() []string {
	var all []string
	for _, statements := range l {
		all = append(all, statements...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Listed wants the statements of the package whose folder the test runs in to be those that are listed for the newest schema. Later
// programs are held to that list as long as this one may run beside them. With -write-statements it lists them.
func Listed(t testing.TB, statements []string) {
	t.Helper()
	listed(t, statements, *writeStatements)
}

func listed(t testing.TB, statements []string, write bool) {
	t.Helper()
	statements = slices.Compact(slices.Sorted(slices.Values(statements)))
	for _, query := range statements {
		if strings.Contains(query, ";") {
			t.Fatalf("%s\n\thas a semicolon, which ends it in the list", query)
		}
	}
	schema, name := newestSchema(t), packageName(t)
	listing := readListing(t, schema)
	if write {
		if listing[name] = statements; len(statements) == 0 {
			delete(listing, name)
		}
		writeListing(t, schema, listing)
		return
	}
	for _, query := range statements {
		if !slices.Contains(listing[name], query) {
			t.Errorf("%s\n\tis not listed for schema %d: make generate", query, schema)
		}
	}
	for _, query := range listing[name] {
		if !slices.Contains(statements, query) {
			t.Errorf("%s\n\tis listed for schema %d, and the package doesn't have it: make generate", query, schema)
		}
	}
}

// readListing gives an empty one for a schema that has none.
func readListing(t testing.TB, schema int64) Listing {
	t.Helper()
	text, err := os.ReadFile(listingFile(t, schema))
	if errors.Is(err, fs.ErrNotExist) {
		return Listing{}
	}
	if err != nil {
		t.Fatal(err)
	}
	listing, err := parseListing(string(text), schema)
	if err != nil {
		t.Fatalf("the statements of schema %d: %v", schema, err)
	}
	return listing
}

func parseListing(text string, schema int64) (Listing, error) {
	rest, ok := strings.CutPrefix(text, fmt.Sprintf(listingHead, schema))
	if !ok {
		return nil, errors.New("the first line is another")
	}
	listing, name := Listing{}, ""
	for rest = strings.TrimLeft(rest, "\n"); rest != ""; rest = strings.TrimLeft(rest, "\n") {
		if line, after, _ := strings.Cut(rest, "\n"); strings.HasPrefix(line, packageHead) {
			name, rest = strings.TrimPrefix(line, packageHead), after
			continue
		}
		query, after, ok := strings.Cut(rest, statementEnd)
		if !ok || name == "" || !startsStatement.MatchString(query) {
			return nil, fmt.Errorf("no statement in a package: %.80s", rest)
		}
		listing[name], rest = append(listing[name], query), after
	}
	return listing, nil
}

func (l Listing) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(l)) {
		fmt.Fprintf(&b, "\n%s%s\n", packageHead, name)
		for _, query := range l[name] {
			b.WriteString(query + statementEnd)
		}
	}
	return b.String()
}

func writeListing(t testing.TB, schema int64, listing Listing) {
	t.Helper()
	file := listingFile(t, schema)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(fmt.Sprintf(listingHead, schema)+listing.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// root is the folder of the module that the test belongs to.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		above := filepath.Dir(dir)
		if above == dir {
			t.Fatal("the test runs in no module")
		}
		dir = above
	}
}

func packageName(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	name, err := filepath.Rel(root(t), dir)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.ToSlash(name)
}

func migrationFolder(t testing.TB) string {
	return filepath.Join(root(t), "internal", "store", "migrations")
}

func listingFolder(t testing.TB) string { return filepath.Join(migrationFolder(t), "statements") }

func listingFile(t testing.TB, schema int64) string {
	return filepath.Join(listingFolder(t), fmt.Sprintf("%04d.txt", schema))
}

// newestSchema is as many as there are migrations, which have no gap.
func newestSchema(t testing.TB) int64 {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(migrationFolder(t), "*.sql"))
	if err != nil || len(names) == 0 {
		t.Fatalf("there are no migrations: %v", err)
	}
	return int64(len(names))
}

// Packages are those of the program whose source has a text that begins as a statement does, as paths from the module's root.
func Packages(t testing.TB) []string {
	t.Helper()
	var found []string
	for _, below := range []string{"cmd", "internal"} {
		err := fs.WalkDir(os.DirFS(root(t)), below, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && strings.HasSuffix(name, "test") {
				return fs.SkipDir // tests that several packages run
			}
			folder := path.Dir(name)
			if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || slices.Contains(found, folder) {
				return nil
			}
			has, err := hasStatement(filepath.Join(root(t), filepath.FromSlash(name)))
			if has {
				found = append(found, folder)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}
