package store_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/pgtest"
)

func openURL(t *testing.T, address string) *store.DB {
	t.Helper()
	return opened(t)(store.OpenURL(t.Context(), address, store.Options{}))
}

// TestServerRestarts stops and kills PostgreSQL under load: every Update waits or fails with ErrUnavailable, and what was acknowledged
// is there, without anything being done about it.
func TestServerRestarts(t *testing.T) {
	server := pgtest.StartOwn(t, pgtest.Options{Disk: true})
	db := openURL(t, server.Database(t))
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`CREATE TABLE item (id BIGINT NOT NULL PRIMARY KEY)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var mu sync.Mutex
	var acknowledged []int64
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(acknowledged)
	}
	var load sync.WaitGroup
	for g := range int64(8) {
		load.Go(func() {
			for id := g; ctx.Err() == nil; id += 8 {
				err := db.Update(ctx, func(tx *store.Tx) error {
					_, err := tx.Exec(`INSERT INTO item (id) VALUES ($1)`, id)
					return err
				})
				switch {
				case err == nil:
					mu.Lock()
					acknowledged = append(acknowledged, id)
					mu.Unlock()
				case !errors.Is(err, store.ErrUnavailable) && ctx.Err() == nil:
					t.Errorf("insert %d: %v", id, err)
				}
				if err := db.Fresh(ctx); err != nil && !errors.Is(err, store.ErrUnavailable) && ctx.Err() == nil {
					t.Errorf("fresh: %v", err)
				}
			}
		})
	}
	more := func() {
		t.Helper()
		before := count()
		deadline := time.Now().Add(30 * time.Second)
		for count() < before+50 {
			if time.Now().After(deadline) {
				t.Fatal("nothing goes on")
			}
			time.Sleep(time.Millisecond)
		}
	}
	for range 2 {
		more()
		server.Stop(t)
		server.Restart(t)
		more()
		server.Kill(t)
		server.Restart(t)
	}
	more()
	stop()
	load.Wait()
	there := map[int64]bool{}
	err = db.View(t.Context(), func(tx *store.Tx) error {
		clear(there)
		rows, err := tx.Query(`SELECT id FROM item`)
		if err != nil {
			return err
		}
		ids, err := store.Collect(rows, store.Value[int64])
		for _, id := range ids {
			there[id] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range acknowledged {
		if !there[id] {
			t.Errorf("%d was acknowledged and is lost", id)
		}
	}
}

// relay passes bytes to a server until it is told to keep them.
type relay struct {
	net.Listener
	to string

	mu   sync.Mutex
	cond *sync.Cond
	held bool
	open []net.Conn
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: l, to: to}
	r.cond = sync.NewCond(&r.mu)
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			r.mu.Lock()
			r.open = append(r.open, in, out)
			r.mu.Unlock()
			accepting.Go(func() { r.pass(out, in) })
			accepting.Go(func() { r.pass(in, out) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		r.hold(false)
		r.cut()
		accepting.Wait()
	})
	return r
}

func (r *relay) pass(to, from net.Conn) {
	defer to.Close()
	p := make([]byte, 32<<10)
	for {
		n, err := from.Read(p)
		r.mu.Lock()
		for r.held {
			r.cond.Wait()
		}
		r.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(p[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (r *relay) hold(held bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = held
	r.cond.Broadcast()
}

// cut ends all connections.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.open {
		c.Close()
	}
	r.open = nil
}

// TestForgetsAfterACut has another process change things while a server has no connection: once it has one again, it believes nothing
// that it remembers.
func TestForgetsAfterACut(t *testing.T) {
	server := pgtest.Start(t)
	address := server.Database(t)
	way := newRelay(t, server.Address())
	here := openURL(t, address)
	there := openURL(t, strings.Replace(address, server.Address(), way.Addr().String(), 1))
	var mu sync.Mutex
	told := map[string]int{}
	there.Subscribe(func(topic string) {
		mu.Lock()
		defer mu.Unlock()
		told[topic]++
	})
	if err := there.Fresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	way.cut()
	if err := here.Update(t.Context(), func(tx *store.Tx) error { return tx.Touch("a") }); err != nil {
		t.Fatal(err)
	}
	if err := there.Fresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if told[store.Everything] != 1 {
		t.Errorf("told of %v", told)
	}
}

// TestFreshWaits: a server that hears nothing from the database doesn't say that it knows all, and whoever asks can give up. It
// forgets nothing for that: what comes late is heard to its end.
func TestFreshWaits(t *testing.T) {
	server := pgtest.Start(t)
	way := newRelay(t, server.Address())
	address := server.Database(t)
	here := openURL(t, address)
	db := openURL(t, strings.Replace(address, server.Address(), way.Addr().String(), 1))
	var mu sync.Mutex
	var told []string
	db.Subscribe(func(topic string) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, topic)
	})
	if err := here.Update(t.Context(), func(tx *store.Tx) error { return tx.Touch("a") }); err != nil {
		t.Fatal(err)
	}
	way.hold(true)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := db.Fresh(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
	way.hold(false)
	if err := db.Fresh(t.Context()); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(told, []string{"a"}) {
		t.Errorf("told of %q", told)
	}
}

// TestCommitWhoseAnswerIsLost cuts the connection while a commit is under way: the Update doesn't run again, since it may have happened.
func TestCommitWhoseAnswerIsLost(t *testing.T) {
	server := pgtest.Start(t)
	way := newRelay(t, server.Address())
	address := strings.Replace(server.Database(t), server.Address(), way.Addr().String(), 1)
	runs := 0
	db, err := store.OpenURL(t.Context(), address, store.Options{BeforeCommit: func(int) error {
		if runs > 0 {
			way.cut()
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		runs++
		_, err := tx.Exec(`CREATE TABLE item (id BIGINT NOT NULL PRIMARY KEY)`)
		return err
	})
	if !errors.Is(err, store.ErrUnavailable) || runs != 1 {
		t.Errorf("error is %v after %d runs", err, runs)
	}
}

// A View leaves its transaction open for a moment only, though nothing comes next on its connection.
func TestViewsEndByThemselves(t *testing.T) {
	address := pgtest.Start(t).Database(t)
	idle, other := openURL(t, address), openURL(t, address)
	read := func(db *store.DB, query string) (n int64) {
		t.Helper()
		err := db.View(t.Context(), func(tx *store.Tx) error { return tx.QueryRow(query).Scan(&n) })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	pid := read(idle, `SELECT CAST(pg_backend_pid() AS BIGINT)`)
	open := fmt.Sprintf(`SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND state <> 'idle'`, pid)
	deadline := time.Now().Add(30 * time.Second)
	for read(other, open) > 0 {
		if time.Now().After(deadline) {
			t.Fatal("it is still open")
		}
		time.Sleep(time.Millisecond)
	}
}

// A commit that fails because of what others wrote costs no connection: the next attempt has the same.
func TestFailedCommitKeepsConnection(t *testing.T) {
	address := pgtest.Start(t).Database(t)
	here, there := openURL(t, address), openURL(t, address)
	err := here.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`CREATE TABLE item (id BIGINT NOT NULL PRIMARY KEY, n BIGINT NOT NULL)`)
		if err == nil {
			_, err = tx.Exec(`INSERT INTO item (id, n) VALUES (1, 0)`)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	const count = `UPDATE item SET n = n + 1 WHERE id = 1`
	var connections []int64
	err = here.Update(t.Context(), func(tx *store.Tx) error {
		var connection, n int64
		if err := tx.QueryRow(`SELECT CAST(pg_backend_pid() AS BIGINT), n FROM item WHERE id = 1`).Scan(&connection, &n); err != nil {
			return err
		}
		if connections = append(connections, connection); len(connections) == 1 {
			err := there.Update(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Exec(count)
				return err
			})
			if err != nil {
				return err
			}
		}
		return tx.Send(count)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(connections) != 2 || connections[0] != connections[1] {
		t.Errorf("attempts were made by the connections %v", connections)
	}
}
