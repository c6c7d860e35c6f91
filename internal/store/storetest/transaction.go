package storetest

import (
	"errors"
	"slices"
	"testing"

	"github.com/coffer-registry/coffer/internal/store"
)

func testRows(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	const count = 50
	update(t, db, func(tx *store.Tx) error {
		for i := range int64(count) {
			if err := put(tx, count-i, i); err != nil {
				return err
			}
		}
		return nil
	})
	t.Run("in order", func(t *testing.T) {
		got := allIDs(t, db)
		if len(got) != count || !slices.IsSorted(got) {
			t.Errorf("%v", got)
		}
	})
	t.Run("the same query inside its own rows", func(t *testing.T) {
		view(t, db, func(tx *store.Tx) error {
			const query = `SELECT id FROM item WHERE id <= $1 ORDER BY id`
			outer, err := tx.Query(query, 5)
			if err != nil {
				return err
			}
			defer outer.Close()
			var pairs int
			for outer.Next() {
				var a int64
				if err := outer.Scan(&a); err != nil {
					return err
				}
				inner, err := tx.Query(query, a)
				if err != nil {
					return err
				}
				for inner.Next() {
					pairs++
				}
				if err := inner.Err(); err != nil {
					return err
				}
			}
			if pairs != 15 {
				t.Errorf("%d pairs, want 15", pairs)
			}
			return outer.Err()
		})
	})
	t.Run("left open", func(t *testing.T) {
		for range 20 { // more often than there are connections
			view(t, db, func(tx *store.Tx) error {
				rows, err := tx.Query(`SELECT id FROM item`)
				if err == nil && !rows.Next() {
					t.Error("no row")
				}
				return err
			})
			update(t, db, func(tx *store.Tx) error {
				rows, err := tx.Query(`SELECT id FROM item`)
				if err == nil && !rows.Next() {
					t.Error("no row")
				}
				return err
			})
		}
	})
	t.Run("after the last", func(t *testing.T) {
		view(t, db, func(tx *store.Tx) error {
			rows, err := tx.Query(`SELECT id FROM item WHERE id = 1`)
			if err != nil {
				return err
			}
			for rows.Next() {
			}
			if rows.Next() {
				t.Error("a row after the last")
			}
			if err := rows.Scan(new(int64)); err == nil {
				t.Error("scan after the last row has no error")
			}
			return errors.Join(rows.Close(), rows.Close())
		})
	})
	t.Run("affected", func(t *testing.T) {
		update(t, db, func(tx *store.Tx) error {
			n, err := tx.Exec(`UPDATE item SET n = 0 WHERE id <= 7`)
			if n != 7 {
				t.Errorf("%d rows changed, want 7", n)
			}
			return err
		})
		update(t, db, func(tx *store.Tx) error {
			n, err := tx.Exec(`INSERT INTO item (id, n) VALUES (1, 1) ON CONFLICT (id) DO NOTHING`)
			if n != 0 {
				t.Errorf("%d rows inserted, want none", n)
			}
			return err
		})
		update(t, db, func(tx *store.Tx) error {
			n, err := tx.Exec(`DELETE FROM item WHERE id > 1000`)
			if n != 0 {
				t.Errorf("%d rows deleted, want none", n)
			}
			return err
		})
	})
}

func testStatementsRefused(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	for _, query := range []string{
		"BEGIN", "COMMIT", "ROLLBACK", "end", "SAVEPOINT a", "PRAGMA synchronous = 0", "ATTACH 'x' AS x", "VACUUM",
		"INSERT INTO item (id, n) VALUES (1, 1); COMMIT", "", " ", "SELEKT 1", "SELECT nothing FROM item",
		`SELECT "nothing" FROM item`,
	} {
		t.Run(query, func(t *testing.T) {
			err := db.Update(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Exec(query)
				return err
			})
			if err == nil {
				t.Error("Exec has no error")
			}
			err = db.View(t.Context(), func(tx *store.Tx) error { return tx.QueryRow(query).Scan(new(any)) })
			if err == nil {
				t.Error("QueryRow has no error")
			}
		})
	}
	if got := allIDs(t, db); len(got) != 0 {
		t.Errorf("rows %v", got)
	}
}

func testReturning(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	update(t, db, func(tx *store.Tx) error {
		var id, n int64
		if err := tx.QueryRow(`INSERT INTO item (id, n) VALUES (1, 5), (2, 6) RETURNING id, n`).Scan(&id, &n); err != nil {
			return err
		}
		if id != 1 || n != 5 {
			t.Errorf("id %d, n %d", id, n)
		}
		return nil
	})
	if got := allIDs(t, db); !slices.Equal(got, []int64{1, 2}) {
		t.Errorf("rows %v", got)
	}
	stop := errors.New("stop")
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.QueryRow(`DELETE FROM item WHERE id = 1 RETURNING id`).Scan(new(int64)); err != nil {
			return err
		}
		return stop
	})
	wantError(t, err, stop)
	if got := allIDs(t, db); !slices.Equal(got, []int64{1, 2}) {
		t.Errorf("rows %v after a rollback", got)
	}
}

func testViewReadsOnly(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	for _, query := range []string{
		`INSERT INTO item (id, n) VALUES (1, 1)`,
		`WITH x AS (SELECT 1) INSERT INTO item (id, n) SELECT 1, 1 FROM x`,
		`CREATE TABLE other (id BIGINT)`,
		`DELETE FROM item`,
	} {
		err := db.View(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(query)
			return err
		})
		if !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("%s: error is %v", query, err)
		}
	}
	err := db.View(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(`INSERT INTO item (id, n) VALUES (1, 1) RETURNING id`).Scan(new(int64))
	})
	wantError(t, err, store.ErrReadOnly)
	if got := allIDs(t, db); len(got) != 0 {
		t.Errorf("rows %v", got)
	}
	view(t, db, func(tx *store.Tx) error {
		var n int64
		err := tx.QueryRow(`WITH x AS (SELECT 7 AS n) SELECT n FROM x`).Scan(&n)
		if n != 7 {
			t.Errorf("n is %d", n)
		}
		return err
	})
}

func testViewIsOneState(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	update(t, db, func(tx *store.Tx) error { return put(tx, 1, 1) })
	view(t, db, func(tx *store.Tx) error {
		before, err := ids(tx)
		if err != nil {
			return err
		}
		update(t, db, func(tx *store.Tx) error {
			if _, err := tx.Exec(`DELETE FROM item WHERE id = 1`); err != nil {
				return err
			}
			return put(tx, 2, 2)
		})
		after, err := ids(tx)
		if !slices.Equal(before, after) {
			t.Errorf("one View saw %v and %v", before, after)
		}
		return err
	})
	if got := allIDs(t, db); !slices.Equal(got, []int64{2}) {
		t.Errorf("rows %v", got)
	}
}

func testViewSeesAcknowledged(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	for i := range int64(100) {
		update(t, db, func(tx *store.Tx) error { return put(tx, i, 0) })
		if got := allIDs(t, db); int64(len(got)) != i+1 {
			t.Fatalf("a View saw %d rows after %d were acknowledged", len(got), i+1)
		}
	}
}

func testRollback(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	update(t, db, func(tx *store.Tx) error { return put(tx, 1, 1) })
	stop := errors.New("stop")
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.Exec(`DELETE FROM item`); err != nil {
			return err
		}
		if err := put(tx, 2, 2); err != nil {
			return err
		}
		if got, err := ids(tx); err != nil || !slices.Equal(got, []int64{2}) {
			t.Errorf("the transaction sees %v, %v", got, err)
		}
		return stop
	})
	if err != stop {
		t.Errorf("error is %v, want the function's own", err)
	}
	if got := allIDs(t, db); !slices.Equal(got, []int64{1}) {
		t.Errorf("rows %v", got)
	}
	if err := db.View(t.Context(), func(*store.Tx) error { return stop }); err != stop {
		t.Errorf("View's error is %v, want the function's own", err)
	}
}

func testFailedStatement(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	update(t, db, func(tx *store.Tx) error { return put(tx, 1, 1) })
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		if err := put(tx, 2, 2); err != nil {
			return err
		}
		first := put(tx, 1, 1)
		wantError(t, first, store.ErrUnique)
		if err := put(tx, 3, 3); err != first {
			t.Errorf("a statement after the failed one: %v", err)
		}
		wantError(t, tx.QueryRow(`SELECT 1`).Scan(new(int)), store.ErrUnique)
		return nil
	})
	wantError(t, err, store.ErrUnique)
	if got := allIDs(t, db); !slices.Equal(got, []int64{1}) {
		t.Errorf("rows %v", got)
	}
	err = db.View(t.Context(), func(tx *store.Tx) error {
		tx.QueryRow(`SELECT nothing FROM nowhere`).Scan(new(int))
		return nil
	})
	if err == nil {
		t.Error("a View with a failed statement succeeded")
	}
}

func testConstraints(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	update(t, db, func(tx *store.Tx) error {
		_, err := tx.Exec(`CREATE TABLE part (item BIGINT NOT NULL REFERENCES item (id), name TEXT NOT NULL UNIQUE)`)
		return err
	})
	update(t, db, func(tx *store.Tx) error {
		if err := put(tx, 1, 1); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO part (item, name) VALUES (1, 'a')`)
		return err
	})
	for _, test := range []struct {
		query string
		want  error
	}{
		{`INSERT INTO item (id, n) VALUES (1, 1)`, store.ErrUnique},
		{`INSERT INTO part (item, name) VALUES (1, 'a')`, store.ErrUnique},
		{`INSERT INTO part (item, name) VALUES (2, 'b')`, store.ErrReference},
		{`DELETE FROM item WHERE id = 1`, store.ErrReference},
	} {
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(test.query)
			return err
		})
		if !errors.Is(err, test.want) {
			t.Errorf("%s: error is %v, want %v", test.query, err, test.want)
		}
	}
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		if err := put(tx, 1, 1); !errors.Is(err, store.ErrUnique) {
			t.Errorf("error is %v", err)
		}
		return errChosen
	})
	if err != errChosen {
		t.Errorf("the function's own error became %v", err)
	}
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO part (item, name) VALUES (1, NULL)`)
		return err
	})
	if err == nil || errors.Is(err, store.ErrUnique) || errors.Is(err, store.ErrReference) {
		t.Errorf("NULL in a NOT NULL column: %v", err)
	}
}

func testAfterEnd(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	for _, run := range []func(func(*store.Tx) error) error{
		func(fn func(*store.Tx) error) error { return db.View(t.Context(), fn) },
		func(fn func(*store.Tx) error) error { return db.Update(t.Context(), fn) },
	} {
		var kept *store.Tx
		var rows *store.Rows
		if err := run(func(tx *store.Tx) (err error) {
			kept = tx
			rows, err = tx.Query(`VALUES (1), (2)`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := kept.Exec(`DELETE FROM item`); err == nil {
			t.Error("Exec after the end has no error")
		}
		if err := kept.QueryRow(`SELECT 1`).Scan(new(int)); err == nil {
			t.Error("QueryRow after the end has no error")
		}
		if rows.Next() {
			t.Error("rows after the end")
		}
	}
}
