package storetest

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/coffer-registry/coffer/internal/store"
)

// testModel runs random transactions of random statements against the database and against a map, and closes and opens
// the database in between.
func testModel(t *testing.T, opener Opener) {
	open := opener(t)
	db := open()
	createTable(t, db)
	defer func() { db.Close() }()
	rapid.Check(t, func(rt *rapid.T) {
		if err := db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`DELETE FROM item`)
			return err
		}); err != nil {
			rt.Fatal(err)
		}
		model := map[int64]int64{}
		rt.Repeat(map[string]func(*rapid.T){
			"update": func(rt *rapid.T) {
				fail := rapid.Bool().Draw(rt, "fail")
				steps := rapid.SliceOfN(genStep(), 0, 5).Draw(rt, "steps")
				draft := maps.Clone(model)
				err := db.Update(t.Context(), func(tx *store.Tx) error {
					maps.DeleteFunc(draft, func(int64, int64) bool { return true })
					maps.Copy(draft, model)
					for _, s := range steps {
						if err := s.apply(rt, tx, draft); err != nil {
							return err
						}
					}
					if fail {
						return errChosen
					}
					return nil
				})
				switch {
				case err == nil:
					model = draft
				case !errors.Is(err, errChosen) && !errors.Is(err, store.ErrUnique):
					rt.Fatal(err)
				}
			},
			"reopen": func(rt *rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "dice") > 0 {
					rt.Skip("dear")
				}
				if err := db.Close(); err != nil {
					rt.Fatal(err)
				}
				db = open()
			},
			"": func(rt *rapid.T) {
				var got map[int64]int64
				err := db.View(t.Context(), func(tx *store.Tx) (err error) {
					got, err = readAll(tx)
					return err
				})
				if err != nil {
					rt.Fatal(err)
				}
				if diff := cmp.Diff(model, got); diff != "" {
					rt.Fatal(diff)
				}
			},
		})
	})
}

// step is one statement: 0 inserts, 1 puts, 2 changes, 3 deletes, 4 reads.
type step struct {
	Kind  int
	ID, N int64
}

func genStep() *rapid.Generator[step] {
	return rapid.Custom(func(rt *rapid.T) step {
		return step{
			Kind: rapid.IntRange(0, 4).Draw(rt, "kind"),
			ID:   rapid.Int64Range(0, 9).Draw(rt, "id"),
			N:    rapid.Int64().Draw(rt, "n"),
		}
	})
}

func (s step) apply(rt *rapid.T, tx *store.Tx, model map[int64]int64) error {
	_, there := model[s.ID]
	switch s.Kind {
	case 0:
		err := put(tx, s.ID, s.N)
		if errors.Is(err, store.ErrUnique) != there {
			rt.Fatalf("insert %d: %v", s.ID, err)
		}
		model[s.ID] = s.N
		return err
	case 1:
		_, err := tx.Exec(`INSERT INTO item (id, n) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET n = excluded.n`, s.ID, s.N)
		model[s.ID] = s.N
		return err
	case 2:
		changed, err := tx.Exec(`UPDATE item SET n = $2 WHERE id = $1`, s.ID, s.N)
		if err == nil && (changed == 1) != there {
			rt.Fatalf("change %d: %d rows", s.ID, changed)
		}
		if there {
			model[s.ID] = s.N
		}
		return err
	case 3:
		deleted, err := tx.Exec(`DELETE FROM item WHERE id = $1`, s.ID)
		if err == nil && (deleted == 1) != there {
			rt.Fatalf("delete %d: %d rows", s.ID, deleted)
		}
		delete(model, s.ID)
		return err
	default:
		got, err := readAll(tx)
		if err == nil && !maps.Equal(got, model) {
			rt.Fatalf("within: %v, want %v", slices.Collect(maps.Keys(got)), slices.Collect(maps.Keys(model)))
		}
		return err
	}
}

func readAll(tx *store.Tx) (map[int64]int64, error) {
	rows, err := tx.Query(`SELECT id, n FROM item`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[int64]int64{}
	for rows.Next() {
		var id, n int64
		if err := rows.Scan(&id, &n); err != nil {
			return nil, err
		}
		all[id] = n
	}
	return all, rows.Err()
}
