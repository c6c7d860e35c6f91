package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
)

func (e *sqliteDB) check(ctx context.Context, fault func(string)) error {
	c, err := e.readers.take(ctx)
	if err != nil {
		return err
	}
	defer e.readers.put(c)
	integrity, err := c.texts("PRAGMA integrity_check")
	if err != nil {
		return fmt.Errorf("check the database: %w", translate(err))
	}
	for _, text := range integrity {
		if text != "ok" {
			fault("database: " + text)
		}
	}
	references, err := c.texts("PRAGMA foreign_key_check")
	if err != nil {
		return fmt.Errorf("check the database: %w", translate(err))
	}
	for _, table := range references {
		fault("database: a row of table " + table + " refers to one that is missing")
	}
	return nil
}

// texts runs a statement and returns the first column of its rows.
func (c *conn) texts(query string) (list []string, err error) {
	rows, err := c.raw.(driver.QueryerContext).QueryContext(context.Background(), query, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	row := make([]driver.Value, len(rows.Columns()))
	for {
		if err := rows.Next(row); err == io.EOF {
			return list, nil
		} else if err != nil {
			return list, err
		}
		list = append(list, fmt.Sprint(row[0]))
	}
}
