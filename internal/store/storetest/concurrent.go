package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/store"
)

const (
	goroutines = 16
	rounds     = 50
)

// increment reads and writes, so that two that don't see each other lose one.
func increment(tx *store.Tx) (int64, error) {
	var n int64
	if err := tx.QueryRow(`SELECT n FROM item WHERE id = 1`).Scan(&n); err != nil {
		return 0, err
	}
	_, err := tx.Exec(`UPDATE item SET n = $1 WHERE id = 1`, n+1)
	return n + 1, err
}

func testIncrements(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	update(t, db, func(tx *store.Tx) error { return put(tx, 1, 0) })
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range rounds {
				err := db.Update(t.Context(), func(tx *store.Tx) error {
					_, err := increment(tx)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	view(t, db, func(tx *store.Tx) error {
		var n int64
		err := tx.QueryRow(`SELECT n FROM item WHERE id = 1`).Scan(&n)
		if n != goroutines*rounds {
			t.Errorf("%d after %d increments", n, goroutines*rounds)
		}
		return err
	})
}

var errChosen = errors.New("chosen to fail")

// testFailingNeighbours lets Updates succeed, fail and panic side by side, before and after they have written: exactly
// what was acknowledged is there in the end.
func testFailingNeighbours(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	update(t, db, func(tx *store.Tx) error { return put(tx, 0, 0) })
	var mu sync.Mutex
	acknowledged := []int64{0}
	var wg sync.WaitGroup
	for g := range int64(goroutines) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for i := range int64(rounds) {
				id, way := 1+g*rounds+i, r.IntN(6)
				err := runWay(t.Context(), db, id, way)
				if (err == nil) != (way >= 4) {
					t.Errorf("way %d: %v", way, err)
				}
				if err == nil {
					mu.Lock()
					acknowledged = append(acknowledged, id)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(acknowledged)
	if diff := cmp.Diff(acknowledged, allIDs(t, db)); diff != "" {
		t.Error(diff)
	}
}

func runWay(ctx context.Context, db *store.DB, id int64, way int) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = v.(error)
		}
	}()
	return db.Update(ctx, func(tx *store.Tx) error {
		if way == 0 {
			return errChosen
		}
		if err := put(tx, id, id); err != nil {
			return err
		}
		switch way {
		case 1:
			return errChosen
		case 2:
			panic(errChosen)
		case 3:
			return put(tx, 0, 0) // there is one
		}
		_, err := tx.Exec(`UPDATE item SET n = n + 1 WHERE id = $1`, id)
		return err
	})
}

func testPanic(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	for _, run := range []func(func(*store.Tx) error) error{
		func(fn func(*store.Tx) error) error { return db.View(t.Context(), fn) },
		func(fn func(*store.Tx) error) error { return db.Update(t.Context(), fn) },
	} {
		func() {
			defer func() {
				if v := recover(); v != errChosen {
					t.Errorf("recovered %v", v)
				}
			}()
			run(func(tx *store.Tx) error {
				tx.Exec(`INSERT INTO item (id, n) VALUES (1, 1)`)
				panic(errChosen)
			})
		}()
	}
	update(t, db, func(tx *store.Tx) error { return put(tx, 2, 2) })
	if got := allIDs(t, db); !slices.Equal(got, []int64{2}) {
		t.Errorf("rows %v", got)
	}
}

func testGoexit(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	var wg sync.WaitGroup
	wg.Go(func() {
		db.Update(t.Context(), func(tx *store.Tx) error {
			if err := put(tx, 1, 1); err != nil {
				t.Error(err)
			}
			runtime.Goexit()
			return nil
		})
		t.Error("Update returned")
	})
	wg.Wait()
	update(t, db, func(tx *store.Tx) error { return put(tx, 2, 2) })
	if got := allIDs(t, db); !slices.Equal(got, []int64{2}) {
		t.Errorf("rows %v", got)
	}
}

func testOnCommit(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	update(t, db, func(tx *store.Tx) error { return put(tx, 1, 0) })
	var seen []int64 // Only functions of OnCommit touch it, one at a time.
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range rounds {
				fail, ran := (g+i)%5 == 0, false
				err := db.Update(t.Context(), func(tx *store.Tx) error {
					n, err := increment(tx)
					if err != nil {
						return err
					}
					tx.OnCommit(func() { seen = append(seen, n) })
					tx.OnCommit(func() { ran = true })
					if fail {
						return errChosen
					}
					return nil
				})
				if (err != nil) != fail {
					t.Errorf("error is %v", err)
				}
				if ran == fail {
					t.Errorf("failed: %t, ran: %t", fail, ran)
				}
			}
		})
	}
	wg.Wait()
	if len(seen) != goroutines*rounds*4/5 {
		t.Errorf("%d ran", len(seen))
	}
	slices.Sort(seen) // Those of Updates that ran side by side come in any order.
	for i, n := range seen {
		if n != int64(i+1) {
			t.Fatalf("number %d ran as number %d", n, i+1)
		}
	}
}

func testCancelledBefore(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errChosen)
	never := func(*store.Tx) error {
		t.Error("the function ran")
		return nil
	}
	wantError(t, db.Update(ctx, never), context.Canceled)
	wantError(t, db.View(ctx, never), context.Canceled)
}

// testCancelledWaiting cancels Updates that wait for another one, and lets others through.
func testCancelledWaiting(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	ctx, cancel := context.WithCancel(t.Context())
	inside, results := make(chan struct{}), make(chan error)
	release := make(chan struct{})
	go func() {
		results <- db.Update(t.Context(), func(tx *store.Tx) error {
			close(inside)
			<-release
			return put(tx, 1, 1)
		})
	}()
	<-inside
	const waiting = 5
	cancelled := make(chan error)
	for range waiting {
		go func() {
			cancelled <- db.Update(ctx, func(*store.Tx) error {
				return errors.New("the function ran")
			})
		}()
		go func() {
			results <- db.Update(t.Context(), func(tx *store.Tx) error {
				var n int64
				if err := tx.QueryRow(`SELECT count(*) FROM item`).Scan(&n); err != nil {
					return err
				}
				return put(tx, n+1, 0)
			})
		}()
	}
	cancel()
	for range waiting {
		wantError(t, <-cancelled, context.Canceled)
	}
	close(release)
	for range waiting + 1 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if got := allIDs(t, db); len(got) != waiting+1 {
		t.Errorf("rows %v", got)
	}
}

func testCancelledAfter(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	ctx, cancel := context.WithCancel(t.Context())
	err := db.Update(ctx, func(tx *store.Tx) error {
		cancel()
		return put(tx, 1, 1)
	})
	if err != nil {
		t.Errorf("cancelled while it ran: %v", err)
	}
	if got := allIDs(t, db); !slices.Equal(got, []int64{1}) {
		t.Errorf("rows %v", got)
	}
}

func testDurable(t *testing.T, opener Opener) {
	open := opener(t)
	db := open()
	createTable(t, db)
	var want []int64
	for round := range int64(3) {
		var wg sync.WaitGroup
		for i := range int64(20) {
			id := round*20 + i
			want = append(want, id)
			wg.Go(func() {
				if err := db.Update(t.Context(), func(tx *store.Tx) error { return put(tx, id, 0) }); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db = open()
		if diff := cmp.Diff(want, allIDs(t, db)); diff != "" {
			t.Fatal(diff)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func testClosed(t *testing.T, opener Opener) {
	db := opener(t)()
	createTable(t, db)
	// Those that run when Close is called end well, and those that wait end well or learn that it is closed.
	inside, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			close(inside)
			<-release
			return put(tx, 1, 1)
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-inside
	for i := range int64(5) {
		wg.Go(func() {
			err := db.Update(t.Context(), func(tx *store.Tx) error { return put(tx, 2+i, 1) })
			if err != nil && !errors.Is(err, store.ErrClosed) {
				t.Error(err)
			}
		})
	}
	wg.Go(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	close(release)
	wg.Wait()
	never := func(*store.Tx) error { return fmt.Errorf("the function ran") }
	wantError(t, db.Update(t.Context(), never), store.ErrClosed)
	wantError(t, db.View(t.Context(), never), store.ErrClosed)
	if err := db.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
}
