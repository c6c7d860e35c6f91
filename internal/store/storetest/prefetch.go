package storetest

import (
	"errors"
	"testing"

	"github.com/coffer-registry/coffer/internal/store"
)

// testPrefetch reads rows together: those that are there and those that are not, more than travel at once, after what was sent, and
// rows that are inserted.
func testPrefetch(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	const many = 250
	update(t, db, func(tx *store.Tx) error {
		if err := tx.Prefetch(); err != nil {
			return err
		}
		rows := make([]store.Row, many)
		ahead := make([]*store.Row, many)
		for i := range rows {
			if i%2 == 0 {
				if err := send(tx, int64(i)); err != nil {
					return err
				}
			}
			rows[i], ahead[i] = tx.QueryRow(`SELECT n FROM item WHERE id = $1`, i), &rows[i]
		}
		if err := tx.Prefetch(ahead...); err != nil {
			return err
		}
		for i, row := range rows {
			var n int
			err := row.Scan(&n)
			if i%2 == 0 && (err != nil || n != i) || i%2 == 1 && !errors.Is(err, store.ErrNoRows) {
				t.Errorf("row %d: %d, %v", i, n, err)
			}
		}
		return nil
	})
	insert := func(tx *store.Tx, id int) store.Row {
		return tx.QueryRow(`INSERT INTO item (id, n) VALUES ($1, $1) ON CONFLICT (id) DO NOTHING RETURNING n`, id)
	}
	update(t, db, func(tx *store.Tx) error {
		there, isNew := insert(tx, 0), insert(tx, 1)
		if err := tx.Prefetch(&there, &isNew); err != nil {
			return err
		}
		var n int
		if err := there.Scan(&n); !errors.Is(err, store.ErrNoRows) {
			t.Errorf("a row that was there: %v", err)
		}
		if err := isNew.Scan(&n); err != nil || n != 1 {
			t.Errorf("a new row: %d, %v", n, err)
		}
		return nil
	})
	view(t, db, func(tx *store.Tx) error {
		one, another := tx.QueryRow(`SELECT count(*) FROM item`), tx.QueryRow(`SELECT n FROM item WHERE id = 1`)
		if err := tx.Prefetch(&one, &another); err != nil {
			return err
		}
		var count, n int
		if err := errors.Join(another.Scan(&n), one.Scan(&count)); err != nil || count != many/2+1 || n != 1 {
			t.Errorf("%d rows, the second %d: %v", count, n, err)
		}
		return nil
	})
}

// testPrefetchFails fails one of the rows: nothing of the transaction stays, and the next one works.
func testPrefetchFails(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	for what, query := range map[string]string{"no SQL": `SELECT n FROM nowhere`, "what is not unique": `INSERT INTO item (id, n) VALUES (1, 1) RETURNING n`} {
		update(t, db, func(tx *store.Tx) error {
			if _, err := tx.Exec(`DELETE FROM item`); err != nil {
				return err
			}
			return send(tx, 1)
		})
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			good, bad := tx.QueryRow(`SELECT n FROM item WHERE id = $1`, 1), tx.QueryRow(query)
			if err := send(tx, 2); err != nil {
				return err
			}
			var n int
			return errors.Join(tx.Prefetch(&good, &bad), bad.Scan(&n))
		})
		if err == nil {
			t.Errorf("%s: no error", what)
		}
		update(t, db, func(tx *store.Tx) error { return send(tx, 3) })
		if got := allIDs(t, db); len(got) != 2 || got[0] != 1 || got[1] != 3 {
			t.Errorf("%s: rows %v", what, got)
		}
	}
	if err := db.View(t.Context(), func(tx *store.Tx) error {
		write := tx.QueryRow(`INSERT INTO item (id, n) VALUES (9, 9) RETURNING n`)
		var n int
		return errors.Join(tx.Prefetch(&write), write.Scan(&n))
	}); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("a row that writes, in a View: %v", err)
	}
}
