package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The marks are settings that say something about this one database, not about the installation in it: they are not copied.
const (
	markPrefix = "here:"
	// MarkIncomplete is there while a database is being filled, so that nobody works with half of it.
	MarkIncomplete = markPrefix + "incomplete"
	// MarkMoved is there once the installation goes on in another database.
	MarkMoved = markPrefix + "moved"
	// MarkObjects is there once the objects were moved while the database stayed.
	MarkObjects = markPrefix + "objects"
)

// Mark says for the operator what was done with a database.
type Mark struct {
	// Installation is the id of the installation that it is about.
	Installation string `json:"installation"`
	// What did it, such as "coffer move".
	What string `json:"what"`
	// From and To name places, without passwords. They may be empty.
	From string    `json:"from,omitempty"`
	To   string    `json:"to,omitempty"`
	At   time.Time `json:"at"`
}

// GetMark reads a mark; nil if there is none.
func GetMark(tx *Tx, name string) (*Mark, error) {
	var value []byte
	err := tx.QueryRow(`SELECT value FROM setting WHERE name = $1`, name).Scan(&value)
	if errors.Is(err, ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var m Mark
	if err := json.Unmarshal(value, &m); err != nil {
		return nil, fmt.Errorf("the mark %s is stored in an unknown form: %w", name, err)
	}
	return &m, nil
}

// PutMark sets a mark, and removes it if m is nil.
func PutMark(tx *Tx, name string, m *Mark) error {
	if m == nil {
		_, err := tx.Exec(`DELETE FROM setting WHERE name = $1`, name)
		return err
	}
	value, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	return err
}

// isMark reports whether a row of a table is a mark.
func isMark(t string, row []any) bool {
	name, _ := row[0].(string)
	return t == settingTable && strings.HasPrefix(name, markPrefix)
}

const settingTable = "setting"

// Installation is the id of the installation in the database; empty if there is none.
func (db *DB) Installation(ctx context.Context) (id string, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		var value []byte
		err := tx.QueryRow(`SELECT value FROM setting WHERE name = 'installation'`).Scan(&value)
		if errors.Is(err, ErrNoRows) {
			err = nil
		}
		id = string(value)
		return err
	})
	return id, err
}
