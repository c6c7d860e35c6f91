package store

import (
	"errors"
	"sync"
	"testing"
	"time"
)

// TestUpdatesShareACommit queues Updates behind one that holds the turn, and counts the commits.
func TestUpdatesShareACommit(t *testing.T) {
	db := openTest(t, Options{})
	if err := db.Update(t.Context(), func(tx *Tx) error { _, err := tx.Exec(crashTable); return err }); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	batches := map[*batch]int{}
	insert := func(id int64) error {
		return db.Update(t.Context(), func(tx *Tx) error {
			mu.Lock()
			batches[tx.batch]++
			mu.Unlock()
			_, err := tx.Exec(`INSERT INTO ack (id, body) VALUES ($1, $2)`, id, []byte{1})
			return err
		})
	}
	const count = 2*maxBatch + 10
	release := holdTurn(t, db)
	var wg sync.WaitGroup
	for i := range int64(count) {
		wg.Go(func() {
			if err := insert(i); err != nil {
				t.Error(err)
			}
		})
	}
	waitForQueue(db, count)
	close(release)
	wg.Wait()
	for _, size := range batches {
		if size > maxBatch {
			t.Errorf("a batch of %d", size)
		}
	}
	if len(batches) > count/4 {
		t.Errorf("%d commits for %d Updates", len(batches), count)
	}
}

// TestFailedCommitFailsAll lets the transaction of a batch end under its callers, as it does when the disk fails: none is
// acknowledged, nothing is kept, and the next Update works.
func TestFailedCommitFailsAll(t *testing.T) {
	db := openTest(t, Options{})
	if err := db.Update(t.Context(), func(tx *Tx) error { _, err := tx.Exec(crashTable); return err }); err != nil {
		t.Fatal(err)
	}
	const count = 20
	release := holdTurn(t, db)
	var wg sync.WaitGroup
	var mu sync.Mutex
	shared := map[*batch][]error{}
	for i := range int64(count) {
		wg.Go(func() {
			var b *batch
			ran := false
			err := db.Update(t.Context(), func(tx *Tx) error {
				b = tx.batch
				if _, err := tx.Exec(`INSERT INTO ack (id, body) VALUES ($1, $2)`, i, []byte{1}); err != nil {
					return err
				}
				tx.OnCommit(func() { ran = true })
				return tx.session.(*conn).run(stmtRollback)
			})
			mu.Lock()
			shared[b] = append(shared[b], err)
			mu.Unlock()
			if ran {
				t.Error("a function of OnCommit ran")
			}
		})
	}
	waitForQueue(db, count)
	close(release)
	wg.Wait()
	for _, errs := range shared {
		for _, err := range errs {
			if err == nil {
				t.Errorf("acknowledged in a batch with errors %v", errs)
			}
		}
	}
	err := db.Update(t.Context(), func(tx *Tx) error {
		var n int
		if err := tx.QueryRow(`SELECT count(*) FROM ack`).Scan(&n); err != nil {
			return err
		}
		if n != 0 {
			t.Errorf("%d rows are left", n)
		}
		_, err := tx.Exec(`INSERT INTO ack (id, body) VALUES (1, $1)`, []byte{1})
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestFailureWithoutChangesIsFree checks that an Update that changed nothing neither begins a savepoint nor rolls back.
func TestFailureWithoutChangesIsFree(t *testing.T) {
	db := openTest(t, Options{})
	stop := errors.New("stop")
	err := db.Update(t.Context(), func(tx *Tx) error {
		if err := tx.QueryRow(`SELECT count(*) FROM schema_version`).Scan(new(int)); err != nil {
			return err
		}
		if tx.wrote || tx.saved || tx.batch.dirty {
			t.Error("a query counts as a change")
		}
		return stop
	})
	if err != stop {
		t.Error(err)
	}
}

// holdTurn takes the writer's turn until the result is closed.
func holdTurn(t *testing.T, db *DB) (release chan struct{}) {
	release = make(chan struct{})
	held := make(chan struct{})
	go embeddedIn(db).group.exclusively(t.Context(), func() error {
		close(held)
		<-release
		return nil
	})
	<-held
	return release
}

func waitForQueue(db *DB, length int) {
	for {
		embeddedIn(db).group.mu.Lock()
		n := len(embeddedIn(db).group.queue)
		embeddedIn(db).group.mu.Unlock()
		if n == length {
			return
		}
		time.Sleep(time.Microsecond)
	}
}
