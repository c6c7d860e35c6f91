package storetest

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/store"
)

type (
	name   string
	number uint16
	flag   bool
	raw    []byte
)

func testValues(t *testing.T, opener Opener) {
	db := opener(t)()
	defer db.Close()
	update(t, db, func(tx *store.Tx) error {
		_, err := tx.Exec(`CREATE TABLE kind (id BIGINT NOT NULL PRIMARY KEY, n BIGINT, s TEXT, b BYTEA, f DOUBLE PRECISION)`)
		return err
	})
	when := time.Date(2026, 2, 3, 4, 5, 6, 789_000_000, time.FixedZone("", 7200))
	text, none := "text", (*string)(nil)
	for i, test := range []struct {
		column string
		give   any
		take   any // a pointer to where the column goes
		want   any // what is there then
	}{
		{"n", int64(math.MaxInt64), new(int64), int64(math.MaxInt64)},
		{"n", int64(math.MinInt64), new(int64), int64(math.MinInt64)},
		{"n", 7, new(int), 7},
		{"n", uint8(200), new(uint8), uint8(200)},
		{"n", number(65535), new(number), number(65535)},
		{"n", true, new(bool), true},
		{"n", flag(false), new(flag), flag(false)},
		{"n", true, new(int64), int64(1)},
		{"n", when, new(time.Time), when.UTC()},
		{"n", time.Time{}, new(time.Time), time.Time{}},
		{"n", when, new(int64), when.UnixMicro()},
		{"n", &when, new(time.Time), when.UTC()},
		{"n", sql.NullInt64{Int64: 3, Valid: true}, new(sql.NullInt64), sql.NullInt64{Int64: 3, Valid: true}},
		{"n", sql.NullInt64{}, new(sql.NullInt64), sql.NullInt64{}},
		{"n", nil, new(*int64), (*int64)(nil)},
		{"n", 5, new(any), int64(5)},
		{"s", "", new(string), ""},
		{"s", "größe ✓", new(string), "größe ✓"},
		{"s", "it's; \"quoted\" $1 -- /* */", new(string), "it's; \"quoted\" $1 -- /* */"},
		{"s", name("layer"), new(name), name("layer")},
		{"s", &text, new(*string), &text},
		{"s", none, new(*string), none},
		{"s", "x", new(any), "x"},
		{"s", nil, new(any), nil},
		{"b", []byte{0, 255, 1}, new([]byte), []byte{0, 255, 1}},
		{"b", []byte{}, new([]byte), []byte{}},
		{"b", []byte(nil), new([]byte), []byte(nil)},
		{"b", []byte{}, new(*[]byte), &[]byte{}},
		{"b", []byte{}, new(any), []byte{}},
		{"b", raw("raw"), new(raw), raw("raw")},
		{"b", nil, new(raw), raw(nil)},
		{"f", 0.1, new(float64), 0.1},
		{"f", float32(0.5), new(float32), float32(0.5)},
	} {
		t.Run(fmt.Sprintf("%T to %T", test.give, test.take), func(t *testing.T) {
			update(t, db, func(tx *store.Tx) error {
				_, err := tx.Exec(`INSERT INTO kind (id, `+test.column+`) VALUES ($1, $2)`, i, test.give)
				return err
			})
			view(t, db, func(tx *store.Tx) error {
				return tx.QueryRow(`SELECT `+test.column+` FROM kind WHERE id = $1`, i).Scan(test.take)
			})
			if diff := cmp.Diff(test.want, deref(test.take)); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("order and repetition of arguments", func(t *testing.T) {
		view(t, db, func(tx *store.Tx) error {
			var a, b, c string
			err := tx.QueryRow(`SELECT $2, $1, $2`, "one", "two").Scan(&a, &b, &c)
			if a != "two" || b != "one" || c != "two" {
				t.Errorf("$2, $1, $2 are %q, %q, %q", a, b, c)
			}
			return err
		})
	})
	t.Run("slices are the caller's own", func(t *testing.T) {
		given := []byte("given")
		update(t, db, func(tx *store.Tx) error {
			_, err := tx.Exec(`INSERT INTO kind (id, b) VALUES (1000, $1)`, given)
			clear(given)
			return err
		})
		var first, second []byte
		view(t, db, func(tx *store.Tx) error {
			const query = `SELECT b FROM kind WHERE id = 1000`
			if err := tx.QueryRow(query).Scan(&first); err != nil {
				return err
			}
			clear(first)
			return tx.QueryRow(query).Scan(&second)
		})
		if string(second) != "given" {
			t.Errorf("stored %q", second)
		}
	})
}

func testValuesRefused(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	for _, give := range []any{uint64(math.MaxUint64), struct{}{}, []string{"a"}, [2]byte{}, make(chan int)} {
		t.Run(fmt.Sprintf("store %T", give), func(t *testing.T) {
			err := db.Update(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Exec(`INSERT INTO item (id, n) VALUES (1, $1)`, give)
				return err
			})
			if err == nil {
				t.Error("no error")
			}
		})
	}
	type named string
	for _, give := range []any{"a\x00b", "a\xffb", named("\x00"), new("\xc3")} {
		t.Run(fmt.Sprintf("store %T %q", give, give), func(t *testing.T) {
			err := db.Update(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Exec(`INSERT INTO item (id, n, name) VALUES (1, 1, $1)`, give)
				return err
			})
			if !errors.Is(err, store.ErrText) {
				t.Errorf("error %v", err)
			}
		})
	}
	for _, test := range []struct {
		column string
		take   any
	}{
		{"300", new(uint8)}, {"-1", new(uint)}, {"2", new(bool)}, {"NULL", new(string)}, {"NULL", new(int64)},
		{"NULL", new(time.Time)}, {"'x'", new(int64)}, {"'x'", new(time.Time)}, {"1", new(string)}, {"1", int64(0)},
		{"1", nil},
	} {
		t.Run(fmt.Sprintf("%s to %T", test.column, test.take), func(t *testing.T) {
			view(t, db, func(tx *store.Tx) error {
				if err := tx.QueryRow(`SELECT ` + test.column).Scan(test.take); err == nil {
					t.Error("no error")
				}
				return nil
			})
		})
	}
	t.Run("too few arguments", func(t *testing.T) {
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`INSERT INTO item (id, n) VALUES ($1, $2)`, 1)
			return err
		})
		if err == nil {
			t.Error("no error")
		}
	})
	t.Run("too few variables", func(t *testing.T) {
		view(t, db, func(tx *store.Tx) error {
			if err := tx.QueryRow(`SELECT 1, 2`).Scan(new(int)); err == nil {
				t.Error("no error")
			}
			return nil
		})
	})
	if got := allIDs(t, db); len(got) != 0 {
		t.Errorf("rows %v", got)
	}
}

func testBigValues(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	body := make([]byte, 5<<20)
	rand.Read(body)
	text := strings.Repeat("0123456789abcdef", 1<<16)
	update(t, db, func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO item (id, n, name, body) VALUES (1, 1, $1, $2)`, text, body)
		return err
	})
	view(t, db, func(tx *store.Tx) error {
		var gotText string
		var gotBody []byte
		err := tx.QueryRow(`SELECT name, body FROM item WHERE id = 1`).Scan(&gotText, &gotBody)
		if gotText != text || !bytes.Equal(gotBody, body) {
			t.Errorf("%d characters and %d bytes came back changed", len(gotText), len(gotBody))
		}
		return err
	})
}

func testNoRows(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	update(t, db, func(tx *store.Tx) error {
		var n int64
		wantError(t, tx.QueryRow(`SELECT n FROM item WHERE id = 1`).Scan(&n), store.ErrNoRows)
		return put(tx, 1, 1) // not finding a row doesn't end the transaction
	})
	if got := allIDs(t, db); !slices.Equal(got, []int64{1}) {
		t.Errorf("rows %v", got)
	}
}

func deref(p any) any { return reflect.ValueOf(p).Elem().Interface() }
