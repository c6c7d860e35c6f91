package storetest

import (
	"errors"
	"slices"
	"testing"

	"github.com/coffer-registry/coffer/internal/store"
)

// send stores an item for which nobody waits.
func send(tx *store.Tx, id int64) error {
	return tx.Send(`INSERT INTO item (id, n) VALUES ($1, $2)`, id, id)
}

// testSend sends statements before others, before the commit, and more than travel at once.
func testSend(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	const many = 250
	var want []int64
	update(t, db, func(tx *store.Tx) error {
		want = nil
		for id := range int64(many) {
			if err := send(tx, id); err != nil {
				return err
			}
			want = append(want, id)
		}
		return nil
	})
	if got := allIDs(t, db); !slices.Equal(got, want) {
		t.Errorf("rows %v", got)
	}
	update(t, db, func(tx *store.Tx) error {
		if err := errors.Join(tx.Send(`DELETE FROM item WHERE id >= $1`, 2), send(tx, 7)); err != nil {
			return err
		}
		var n int64
		if err := tx.QueryRow(`SELECT count(*) FROM item`).Scan(&n); err != nil || n != 3 {
			t.Errorf("%d rows: %v", n, err)
		}
		if err := tx.Send(`UPDATE item SET n = n + 1 WHERE id = $1`, 7); err != nil {
			return err
		}
		changed, err := tx.Exec(`UPDATE item SET n = n * 10 WHERE id = $1`, 7)
		if changed != 1 {
			t.Errorf("%d rows changed", changed)
		}
		if err := send(tx, 8); err != nil {
			return err
		}
		rows, queryErr := tx.Query(`SELECT n FROM item WHERE id >= $1 ORDER BY id`, 7)
		if queryErr != nil {
			return queryErr
		}
		defer rows.Close()
		var values []int64
		for rows.Next() {
			var n int64
			if err := rows.Scan(&n); err != nil {
				return err
			}
			values = append(values, n)
			if err := send(tx, 100+n); err != nil { // while rows still come
				return err
			}
		}
		if !slices.Equal(values, []int64{80, 8}) {
			t.Errorf("values %v", values)
		}
		return errors.Join(err, rows.Err())
	})
	if got := allIDs(t, db); !slices.Equal(got, []int64{0, 1, 7, 8, 108, 180}) {
		t.Errorf("rows %v", got)
	}
}

// testSendFails fails statements that were sent: nothing of the transaction stays, whatever comes after, and the next one works.
func testSendFails(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	update(t, db, func(tx *store.Tx) error { return put(tx, 1, 1) })
	for name, then := range map[string]func(*store.Tx) error{
		"then nothing": func(*store.Tx) error { return nil },
		"then one that is sent": func(tx *store.Tx) error {
			return tx.Send(`INSERT INTO item (id, n) VALUES (3, 3)`)
		},
		"then one": func(tx *store.Tx) error {
			_, err := tx.Exec(`INSERT INTO item (id, n) VALUES (3, 3)`)
			return err
		},
		"then a row": func(tx *store.Tx) error { return tx.QueryRow(`SELECT 1`).Scan(new(int)) },
		"then rows": func(tx *store.Tx) error {
			rows, err := tx.Query(`SELECT id FROM item`)
			if err == nil {
				err = rows.Close()
			}
			return err
		},
		"then a topic":      func(tx *store.Tx) error { tx.Touch("topic"); return nil },
		"and was forgotten": func(tx *store.Tx) error { tx.QueryRow(`SELECT 1`).Scan(new(int)); return nil },
	} {
		ran := false
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			tx.OnCommit(func() { ran = true })
			if err := send(tx, 2); err != nil {
				return err
			}
			if err := send(tx, 1); err != nil { // there is one
				return err
			}
			return then(tx)
		})
		if !errors.Is(err, store.ErrUnique) {
			t.Errorf("%s: error is %v", name, err)
		}
		if got := allIDs(t, db); ran || !slices.Equal(got, []int64{1}) {
			t.Errorf("%s: rows %v, ran %t", name, got, ran)
		}
	}
	for range 5 {
		update(t, db, func(tx *store.Tx) error { return tx.Send(`UPDATE item SET n = n + 1 WHERE id = 1`) })
	}
	view(t, db, func(tx *store.Tx) error {
		var n int
		err := tx.QueryRow(`SELECT n FROM item WHERE id = 1`).Scan(&n)
		if n != 6 {
			t.Errorf("n is %d", n)
		}
		return err
	})
	wantError(t, db.View(t.Context(), func(tx *store.Tx) error { return send(tx, 9) }), store.ErrReadOnly)
	// What is sent and taken back leaves nothing.
	wantError(t, db.Update(t.Context(), func(tx *store.Tx) error { return errors.Join(send(tx, 9), errChosen) }), errChosen)
	if got := allIDs(t, db); !slices.Equal(got, []int64{1}) {
		t.Errorf("rows %v", got)
	}
}
