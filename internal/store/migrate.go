package store

import (
	"context"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The migrations are files named 0001_what.sql, 0002_what.sql and so on, without a gap. One that was ever released never
// changes. Each runs in a transaction of its own, together with the row in schema_version that says so.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

func embedded() fs.FS {
	sub, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err) // The path is a constant.
	}
	return sub
}

type migration struct {
	version int64
	name    string
	text    string
	// oldest is the first schema whose programs can go on working after this migration.
	oldest int64
}

func readMigrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	var list []migration
	for i, name := range names { // Glob sorts them.
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil || version != int64(i+1) {
			return nil, fmt.Errorf("migration %s isn't number %d", name, i+1)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read migration: %w", err)
		}
		m := migration{version: version, name: name, text: string(text), oldest: version}
		if found := oldestPattern.FindStringSubmatch(m.text); found != nil {
			if m.oldest, err = strconv.ParseInt(found[1], 10, 64); err != nil {
				return nil, fmt.Errorf("migration %s: %w", name, err)
			}
		}
		list = append(list, m)
	}
	return list, nil
}

// upTo leaves out the migrations after one; 0 is none.
type upTo struct {
	fs.FS
	last int64
}

// Glob lists those that are left.
func (u upTo) Glob(pattern string) ([]string, error) {
	names, err := fs.Glob(u.FS, pattern)
	if u.last > 0 && int(u.last) < len(names) {
		names = names[:u.last]
	}
	return names, err
}

// oldestPattern finds the line of a migration that only adds to the schema: programs that know no more than the schema it names
// work on beside it, so that replicas can be brought up to date one by one. What takes something away waits for a later migration,
// without that line, for when no such program runs any more.
var oldestPattern = regexp.MustCompile(`(?m)^-- oldest: ([0-9]+)$`)

// Schema says how far the schema of a database is.
type Schema struct {
	// Have is the schema that the database has, 0 for none, and Know the newest that this program knows.
	Have, Know int64
	// Oldest is the first schema whose programs can use the database.
	Oldest int64
	// Pending are the names of the migrations that this program would make.
	Pending []string
}

// migrated is a connection that the schema is looked at and changed by.
type migrated interface {
	// script runs SQL text of any number of statements, in a transaction of its own if it is one.
	script(text string) error
	// number runs a statement that gives one whole number.
	number(query string) (int64, error)
	// apply runs the text of a migration in a transaction, with the statement that notes it.
	apply(text, note string) error
}

// readSchema finds out how far the schema is.
func readSchema(c migrated, list []migration) (Schema, error) {
	if err := c.script(`CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL)`); err != nil {
		return Schema{}, fmt.Errorf("prepare the schema: %w", translate(err))
	}
	s := Schema{Know: int64(len(list))}
	var err error
	if s.Have, err = c.number(`SELECT coalesce(max(version), 0) FROM schema_version`); err != nil {
		return Schema{}, fmt.Errorf("read the version of the schema: %w", translate(err))
	}
	s.Oldest = s.Have
	if s.Have >= schemaWithOldest {
		if s.Oldest, err = c.number(`SELECT coalesce(max(oldest), 0) FROM schema_version`); err != nil {
			return Schema{}, fmt.Errorf("read the version of the schema: %w", translate(err))
		}
	}
	for _, m := range list[min(s.Have, s.Know):] {
		s.Pending = append(s.Pending, m.name)
	}
	return s, nil
}

// schemaWithOldest is the schema from which on each migration notes its oldest.
const schemaWithOldest = 8

// ReadSchema finds out how far the schema of a database is, which is PostgreSQL's if address is not empty, and else SQLite's in a folder,
// whose lock the caller holds. It changes no schema. Errors are those of Open and OpenURL.
func ReadSchema(ctx context.Context, folder, address string) (s Schema, err error) {
	list, err := readMigrations(embedded())
	if err != nil {
		return s, err
	}
	look := func(c migrated) error {
		s, err = readSchema(c, list)
		return err
	}
	if address == "" {
		path, err := prepareFolder(folder)
		if err != nil {
			return s, err
		}
		c, err := connect(path, roleWriter, 0)
		if err != nil {
			return s, err
		}
		return s, errors.Join(look(c), c.close())
	}
	config, _, err := parseURL(address)
	if err != nil {
		return s, fmt.Errorf("the database's URL %w", err)
	}
	e := &postgres{config: config}
	if err := e.prepare(ctx, func(c *pgConn) error { return look(c) }); err != nil {
		return s, e.openError(err)
	}
	return s, nil
}

// Usable tells whether this program can use the database once it has made what is pending. The error is ErrNewerSchema.
func (s Schema) Usable() error {
	if s.Have > s.Know && s.Oldest > s.Know {
		return fmt.Errorf("%w: it has schema %d, and this one knows up to %d", ErrNewerSchema, s.Have, s.Know)
	}
	return nil
}

// migrate brings the schema up to date. The error is ErrNewerSchema when it is so far ahead of the files that a program with
// these can't use it.
func migrate(ctx context.Context, c migrated, files fs.FS) error {
	list, err := readMigrations(files)
	if err != nil {
		return err
	}
	s, err := readSchema(c, list)
	if err != nil {
		return err
	}
	if err := s.Usable(); err != nil {
		return err
	}
	for _, m := range list[min(s.Have, s.Know):] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.apply(m.text, m.note()); err != nil {
			return fmt.Errorf("change the schema by %s: %w", m.name, translate(err))
		}
	}
	return nil
}

// note is the statement that notes that a migration was made.
func (m migration) note() string {
	now := time.Now().UnixMicro()
	if m.version < schemaWithOldest {
		return fmt.Sprintf(`INSERT INTO schema_version (version, applied_at) VALUES (%d, %d)`, m.version, now)
	}
	return fmt.Sprintf(`INSERT INTO schema_version (version, applied_at, oldest) VALUES (%d, %d, %d)`, m.version, now, m.oldest)
}

func (c *conn) apply(text, note string) error {
	if err := c.run(stmtBeginWrite); err != nil {
		return err
	}
	err := c.script(text)
	if err == nil {
		err = c.script(note)
	}
	if err == nil {
		err = c.run(stmtCommit)
	}
	if err != nil {
		c.run(stmtRollback)
	}
	return err
}

func (c *conn) number(query string) (n int64, err error) {
	rows, err := c.raw.(driver.QueryerContext).QueryContext(context.Background(), query, nil)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	row := make([]driver.Value, 1)
	if err := rows.Next(row); err != nil {
		if err == io.EOF {
			return 0, errors.New("it has none")
		}
		return 0, err
	}
	return n, assign(&n, row[0])
}
