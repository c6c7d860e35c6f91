// Package storetest is the suite that every engine of package store passes: what its callers rely on, tested through the
// exported interface alone and with SQL that all engines take.
package storetest

import (
	"errors"
	"testing"

	"github.com/coffer-registry/coffer/internal/store"
)

// Opener makes an empty database for a test. Each call of what it returns opens that database again.
type Opener func(t *testing.T) (open func() *store.DB)

// Run runs the suite.
func Run(t *testing.T, opener Opener) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Opener)
	}{
		{"values", testValues},
		{"values refused", testValuesRefused},
		{"big values", testBigValues},
		{"no rows", testNoRows},
		{"rows", testRows},
		{"statements refused", testStatementsRefused},
		{"returning", testReturning},
		{"view reads only", testViewReadsOnly},
		{"view is one state", testViewIsOneState},
		{"view sees what was acknowledged", testViewSeesAcknowledged},
		{"rollback", testRollback},
		{"failed statement ends the transaction", testFailedStatement},
		{"constraints", testConstraints},
		{"send", testSend},
		{"send what fails", testSendFails},
		{"prefetch", testPrefetch},
		{"prefetch what fails", testPrefetchFails},
		{"increments", testIncrements},
		{"failing neighbours", testFailingNeighbours},
		{"panic", testPanic},
		{"goexit", testGoexit},
		{"on commit", testOnCommit},
		{"touch", testTouch},
		{"cancelled before", testCancelledBefore},
		{"cancelled after", testCancelledAfter},
		{"durable", testDurable},
		{"closed", testClosed},
		{"transaction after its end", testAfterEnd},
		{"model", testModel},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, opener) })
	}
}

// RunSerial runs the suite of engines whose Updates wait for one another.
func RunSerial(t *testing.T, opener Opener) {
	t.Run("cancelled while waiting", func(t *testing.T) { testCancelledWaiting(t, opener) })
}

// RunShared runs the suite of engines whose databases several processes use at once.
func RunShared(t *testing.T, opener Opener) {
	t.Run("changes of others", func(t *testing.T) { testFresh(t, opener) })
}

// openTable opens a database with an empty table item.
func openTable(t *testing.T, opener Opener) *store.DB {
	t.Helper()
	db := opener(t)()
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	createTable(t, db)
	return db
}

func createTable(t *testing.T, db *store.DB) {
	t.Helper()
	update(t, db, func(tx *store.Tx) error {
		_, err := tx.Exec(`CREATE TABLE item (id BIGINT NOT NULL PRIMARY KEY, n BIGINT NOT NULL, name TEXT, body BYTEA)`)
		return err
	})
}

func update(t *testing.T, db *store.DB, fn func(*store.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), fn); err != nil {
		t.Fatalf("update: %v", err)
	}
}

func view(t *testing.T, db *store.DB, fn func(*store.Tx) error) {
	t.Helper()
	if err := db.View(t.Context(), fn); err != nil {
		t.Fatalf("view: %v", err)
	}
}

func put(tx *store.Tx, id, n int64) error {
	_, err := tx.Exec(`INSERT INTO item (id, n) VALUES ($1, $2)`, id, n)
	return err
}

// ids reads the ids of all items.
func ids(tx *store.Tx) ([]int64, error) {
	rows, err := tx.Query(`SELECT id FROM item ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		list = append(list, id)
	}
	return list, rows.Err()
}

func allIDs(t *testing.T, db *store.DB) []int64 {
	t.Helper()
	var list []int64
	view(t, db, func(tx *store.Tx) (err error) {
		list, err = ids(tx)
		return err
	})
	return list
}

func wantError(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("error is %v, want %v", got, want)
	}
}
