package store

import (
	"context"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
		list = append(list, migration{version, name, string(text)})
	}
	return list, nil
}

// migrate brings the schema up to date. The error is ErrNewerSchema when it is ahead of the files.
func migrate(c *conn, files fs.FS) error {
	list, err := readMigrations(files)
	if err != nil {
		return err
	}
	if err := c.script(`CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL)`); err != nil {
		return fmt.Errorf("prepare the schema: %w", translate(err))
	}
	have, err := schemaVersion(c)
	if err != nil {
		return fmt.Errorf("read the version of the schema: %w", translate(err))
	}
	if have > int64(len(list)) {
		return fmt.Errorf("%w: it has schema %d, and this one knows up to %d", ErrNewerSchema, have, len(list))
	}
	for _, m := range list[have:] {
		if err := m.apply(c); err != nil {
			return fmt.Errorf("change the schema by %s: %w", m.name, translate(err))
		}
	}
	return nil
}

func (m migration) apply(c *conn) error {
	if err := c.run(stmtBeginWrite); err != nil {
		return err
	}
	err := c.script(m.text)
	if err == nil {
		err = c.script(fmt.Sprintf(`INSERT INTO schema_version (version, applied_at) VALUES (%d, %d)`, m.version, time.Now().UnixMicro()))
	}
	if err == nil {
		err = c.run(stmtCommit)
	}
	if err != nil {
		c.run(stmtRollback)
	}
	return err
}

func schemaVersion(c *conn) (int64, error) {
	rows, err := c.raw.(driver.QueryerContext).QueryContext(context.Background(), `SELECT coalesce(max(version), 0) FROM schema_version`, nil)
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
	var version int64
	return version, assign(&version, row[0])
}
